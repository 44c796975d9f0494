"""examples/progress.py."""

import logging

import pytest
import trio
from examples.programs import load

from trio_socketio.testing import open_test_client

progress = load("progress")


@pytest.fixture
def server(nursery):
    return progress.make_server(nursery)


async def last(client):
    """The last report of the job that a client watches."""
    while True:
        report = (await client.expect("progress")).args[0]
        if report["state"] != "running":
            return report


async def test_a_job_tells_who_watches_it(server, autojump_clock):
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        job = (await ada.call("start", 5))["job"]
        assert job == {"id": job["id"], "steps": 5, "done": 0, "state": "running"}
        await grace.call("watch", job["id"])
        reports = [(await grace.expect("progress")).args[0] for _ in range(6)]
        assert [report["done"] for report in reports] == [1, 2, 3, 4, 5, 5]
        assert reports[-1]["state"] == "finished"
        assert await last(ada) == reports[-1]


async def test_a_job_outlives_its_client_who_sees_where_it_is_when_it_comes_back(server, autojump_clock):
    async with open_test_client(server):  # somebody keeps the server up
        async with open_test_client(server) as ada:
            job = (await ada.call("start", 100))["job"]
            await ada.hang_up()
        await trio.sleep(5)
        async with open_test_client(server) as again:
            state = (await again.call("watch", job["id"]))["job"]
            assert 45 <= state["done"] <= 55
            assert (await again.expect("progress")).args[0]["done"] == state["done"] + 1
            assert (await last(again))["state"] == "finished"
        async with open_test_client(server) as late:
            assert (await late.call("watch", job["id"]))["job"] == {**job, "done": 100, "state": "finished"}


async def test_a_job_can_be_cancelled_once(server, autojump_clock):
    async with open_test_client(server) as ada:
        job = (await ada.call("start", 100))["job"]
        assert await ada.call("cancel", job["id"]) is True
        assert (await last(ada))["state"] == "cancelled"
        assert await ada.call("cancel", job["id"]) is False
        assert await ada.call("cancel", "another") is False


async def test_who_does_not_watch_any_more_is_not_told(server, autojump_clock):
    async with open_test_client(server) as ada:
        job = (await ada.call("start", 5))["job"]
        await ada.call("unwatch", job["id"])
        ada.received()
        await trio.sleep(5)
        assert ada.received() == []


async def test_a_job_that_fails_says_so_and_ends_nothing_else(server, autojump_clock, monkeypatch, caplog):
    async with open_test_client(server) as ada:
        job = (await ada.call("start", 5))["job"]
        monkeypatch.setattr(progress, "STEP", "no number")
        with caplog.at_level(logging.ERROR, logger="jobs"):
            assert (await last(ada))["state"] == "failed"
        assert job["id"] in caplog.text
        monkeypatch.undo()
        assert "job" in await ada.call("start", 1)


@pytest.mark.parametrize("steps", [0, 1001, True, "5", None, 1.5])
async def test_a_job_has_a_sensible_number_of_steps(server, steps, autojump_clock):
    async with open_test_client(server) as ada:
        assert "error" in await ada.call("start", steps)
        assert "error" in await ada.call("watch", steps)


async def test_only_so_many_jobs_run_and_are_remembered(server, autojump_clock, monkeypatch):
    monkeypatch.setattr(progress, "MAX_KEPT", 10)
    async with open_test_client(server) as ada:
        jobs = []
        for _ in range(3):
            for _ in range(progress.MAX_RUNNING):
                jobs.append((await ada.call("start", 1))["job"]["id"])
            assert "error" in await ada.call("start", 1)
            await trio.sleep(1)
        known = [job for job in jobs if "job" in await ada.call("watch", job)]
    assert known == jobs[-10:]
