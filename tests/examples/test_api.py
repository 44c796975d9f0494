"""examples/api.py."""

import logging

import pytest
import trio
from examples.programs import load

from trio_socketio.testing import open_test_client

api = load("api")


async def test_an_order_is_acknowledged_and_everyone_sees_the_stock(autojump_clock):
    server = api.make_server()
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        assert await ada.call("list", {}) == {"ok": True, "result": {"teapot": 12, "cup": 40, "spoon": 200}}
        answer = await ada.call("order", {"item": "cup", "amount": 3})
        assert answer == {"ok": True, "result": {"item": "cup", "amount": 3, "left": 37}}
        assert (await grace.expect("stock")).args[0]["cup"] == 37


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ([], {"code": "invalid", "message": "A request is one object."}),
        (["cup"], {"code": "invalid", "message": "A request is one object."}),
        ([{}, {}], {"code": "invalid", "message": "A request is one object."}),
        ([{"amount": 1}], {"code": "invalid", "message": "item must be a text.", "field": "item"}),
        (
            [{"item": "cup"}],
            {"code": "invalid", "message": "amount must be a whole number from 1 to 1000.", "field": "amount"},
        ),
        (
            [{"item": "cup", "amount": True}],
            {"code": "invalid", "message": "amount must be a whole number from 1 to 1000.", "field": "amount"},
        ),
        (
            [{"item": "fork", "amount": 1}],
            {"code": "not_found", "message": "There is no fork.", "known": ["cup", "spoon", "teapot"]},
        ),
    ],
)
async def test_a_wrong_order_is_told_what_is_wrong(request_, error, autojump_clock):
    async with open_test_client(api.make_server()) as ada:
        assert await ada.call("order", *request_) == {"ok": False, "error": error}


@pytest.mark.parametrize(("answer", "code"), [(True, None), (False, "declined"), ("yes", "declined")])
async def test_a_large_order_must_be_confirmed(answer, code, autojump_clock):
    async with open_test_client(api.make_server()) as ada:
        results = []

        async def order():
            results.append(await ada.call("order", {"item": "spoon", "amount": 100}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(order)
            question = await ada.expect("confirm")
            assert question.args == ({"item": "spoon", "amount": 100},)
            await ada.acknowledge(question, answer)
        assert results[0].get("error", {}).get("code") == code


async def test_a_confirmation_that_does_not_come_ends_the_order(autojump_clock):
    async with open_test_client(api.make_server()) as ada:
        before = trio.current_time()
        answer = await ada.call("order", {"item": "spoon", "amount": 100}, timeout=60)
        assert trio.current_time() - before == pytest.approx(api.CONFIRMATION)
        assert answer["error"]["code"] == "timeout"
        assert (await ada.call("list", {}))["result"]["spoon"] == 200


async def test_what_others_ordered_meanwhile_counts(autojump_clock):
    server = api.make_server()
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        results = []

        async def order():
            results.append(await ada.call("order", {"item": "teapot", "amount": 10}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(order)
            question = await ada.expect("confirm")
            await grace.call("order", {"item": "teapot", "amount": 5})
            await ada.acknowledge(question, True)
        assert results == [{"ok": False, "error": {"code": "conflict", "message": "There are only 7 left.", "left": 7}}]


async def test_a_fault_of_ours_is_logged_and_its_details_stay_here(autojump_clock, caplog):
    async with open_test_client(api.make_server()) as ada:
        with caplog.at_level(logging.ERROR, logger="shop"):
            answer = await ada.call("break", {})
    assert answer == {"ok": False, "error": {"code": "internal", "message": "Something went wrong here."}}
    assert "nobody should see this" in caplog.text


async def test_a_request_that_does_not_exist_is_an_error(autojump_clock):
    async with open_test_client(api.make_server()) as ada:
        answer = await ada.call("pay", {})
    assert answer == {"ok": False, "error": {"code": "unknown", "message": "There is no request 'pay'."}}
