"""examples/presence.py."""

import pytest
import trio
from examples.programs import load
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import ConnectError, open_test_client

presence = load("presence")


async def test_the_tabs_of_one_person_count_once(autojump_clock):
    server = presence.make_server()
    async with (
        open_test_client(server, auth={"name": "Ada"}) as ada,
        open_test_client(server, auth={"name": "Grace"}) as first,
        open_test_client(server, auth={"name": "Grace"}) as second,
    ):
        assert (await ada.expect("presence")).args == ({"name": "Ada", "online": True, "tabs": 1, "seen": None},)
        for tabs in (1, 2):
            assert (await ada.expect("presence")).args == (
                {"name": "Grace", "online": True, "tabs": tabs, "seen": None},
            )
        everyone = (await second.expect("everyone")).args[0]
        assert [person["name"] for person in everyone] == ["Ada", "Grace"]
        assert await ada.call("poke", "Grace") == 2
        for tab in (first, second):
            assert (await tab.expect("poked")).args == ("Ada",)


async def test_who_has_left_was_last_seen_then(autojump_clock):
    server = presence.make_server(patience=3)
    async with open_test_client(server, auth={"name": "Ada"}) as ada:
        async with open_test_client(server, auth={"name": "Grace"}) as grace:
            await wait_all_tasks_blocked()
            ada.received()
            await grace.hang_up()
            left = trio.current_time()
            assert (await ada.expect("presence")).args[0] == {"name": "Grace", "online": True, "tabs": 0, "seen": None}
            gone = (await ada.expect("presence")).args[0]
            assert trio.current_time() - left == pytest.approx(3)
            assert gone["online"] is False
            assert gone["seen"] > 1.7e12
        async with open_test_client(server, auth={"name": "Joan"}) as joan:
            assert gone in (await joan.expect("everyone")).args[0]


async def test_a_page_that_is_reloaded_stays_online(autojump_clock):
    server = presence.make_server(patience=3)
    async with (
        open_test_client(server, auth={"name": "Ada"}) as ada,
        open_test_client(server, auth={"name": "Grace"}) as grace,
    ):
        await grace.hang_up()
        await trio.sleep(1)
        async with open_test_client(server, auth={"name": "Grace"}):
            await trio.sleep(10)
            assert all(event.args[0]["online"] for event in ada.received() if event.name == "presence")


async def test_only_so_many_people_are_remembered(autojump_clock, monkeypatch):
    monkeypatch.setattr(presence, "REMEMBERED", 2)
    server = presence.make_server(patience=0)
    async with open_test_client(server, auth={"name": "Ada"}):
        for name in ("One", "Two", "Three"):
            async with open_test_client(server, auth={"name": name}):
                pass
        async with open_test_client(server, auth={"name": "Joan"}) as joan:
            everyone = (await joan.expect("everyone")).args[0]
    assert [person["name"] for person in everyone] == ["Ada", "Joan", "Two", "Three"]


@pytest.mark.parametrize("auth", [None, {"name": ""}, {"name": "x" * 25}, {"name": 7}])
async def test_who_has_no_name_is_refused(auth, autojump_clock):
    with pytest.raises(ConnectError, match="1 to 24 characters"):
        async with open_test_client(presence.make_server(), auth=auth):
            pass
