# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section F: what a handler returns is its acknowledgement."""

import logging

import pytest

from trio_socketio import ConnectionRefused


async def acked(stage, value):
    """The frames with which a handler that returns this value acknowledges."""
    stage.server.on("ask", lambda ctx: value)
    a = await stage.join()
    known = len(a.frames)
    await a.emit("ask", ack_id=7)
    return a.frames[known:]


@pytest.mark.parametrize("value", [None, ()])
async def test_F1_nothing_is_an_empty_acknowledgement(autojump_clock, stage, value):
    assert await acked(stage, value) == ["437[]"]


@pytest.mark.parametrize(
    ("value", "frame"), [("x", '437["x"]'), (0, "437[0]"), (False, "437[false]"), ({}, "437[{}]"), ("", '437[""]')]
)
async def test_F2_a_value_is_one_argument(autojump_clock, stage, value, frame):
    assert await acked(stage, value) == [frame]


@pytest.mark.parametrize(
    ("value", "frame"), [(("x", "y"), '437["x","y"]'), (("x",), '437["x"]'), ((None,), "437[null]")]
)
async def test_F3_a_tuple_is_spread(autojump_clock, stage, value, frame):
    assert await acked(stage, value) == [frame]


@pytest.mark.parametrize(("value", "frame"), [(["x", "y"], '437[["x","y"]]'), ([], "437[[]]")])
async def test_F4_a_list_is_one_argument(autojump_clock, stage, value, frame):
    assert await acked(stage, value) == [frame]


async def test_F5_bytes_anywhere_make_it_binary(autojump_clock, stage):
    assert await acked(stage, {"raw": [b"\x00"]}) == ["4" + '61-7[{"raw":[{"_placeholder":true,"num":0}]}]', b"\x00"]


async def test_F6_without_a_handler_there_is_no_acknowledgement(autojump_clock, stage, caplog):
    caplog.set_level(logging.DEBUG)
    a = await stage.join()
    await a.emit("nobody handles this", ack_id=7)
    assert a.acks() == []
    (record,) = [record for record in caplog.records if "nobody handles this" in record.getMessage()]
    assert record.levelno == logging.DEBUG


async def test_F7_when_a_handler_raises_the_error_handler_acknowledges(autojump_clock, stage):
    a = await stage.join("/", "/x")

    @stage.server.on_error
    def on_error(ctx, error):
        return {"default": str(error)}

    @stage.server.on("fail")
    @stage.server.on("fail", namespace="/x")
    def fail(ctx):
        raise LookupError("on purpose")

    await a.emit("fail", ack_id=7)
    await a.emit("fail", namespace="/x", ack_id=7)

    @stage.server.namespace("/x").on_error
    async def on_error_there(ctx, error):
        return "own", "handler"

    await a.emit("fail", namespace="/x", ack_id=8)
    assert a.acks() == [(7, [{"default": "on purpose"}])]
    assert a.acks("/x") == [(7, [{"default": "on purpose"}]), (8, ["own", "handler"])]


async def test_F7_without_an_error_handler_there_is_no_acknowledgement_but_a_traceback(autojump_clock, stage, caplog):
    a = await stage.join()

    @stage.server.on("fail")
    async def fail(ctx):
        raise ConnectionRefused("means nothing here")

    await a.emit("fail", ack_id=7)
    assert a.acks() == []
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert isinstance(record.exc_info[1], ConnectionRefused)
    assert await stage.server.emit("alive") == 1


@pytest.mark.parametrize("value", [object(), float("nan"), {1}])
async def test_F7_a_value_without_a_form_in_json_is_the_handlers_fault(autojump_clock, stage, value, caplog):
    assert await acked(stage, value) == []
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert isinstance(record.exc_info[1], (TypeError, ValueError))
    assert await stage.server.emit("alive") == 1


async def test_F7_then_too_the_error_handler_acknowledges(autojump_clock, stage):
    stage.server.on_error(lambda ctx, error: {"error": type(error).__name__})
    assert await acked(stage, object()) == ['437[{"error":"EncodeTypeError"}]']


async def test_F7_an_error_handlers_value_without_a_form_in_json_ends_nothing(autojump_clock, stage, caplog):
    stage.server.on_error(lambda ctx, error: object())
    assert await acked(stage, object()) == []
    stage.server.on("fail", lambda ctx: 1 / 0)
    a = await stage.join()
    await a.emit("fail", ack_id=1)
    assert a.acks() == []
    assert await stage.server.emit("alive") == 2


async def test_F8_when_the_client_asked_for_none_the_value_is_ignored(autojump_clock, stage):
    a = await stage.join()
    stage.server.on("ask", lambda ctx: object())
    await a.emit("ask")
    assert len(a.packets) == 1
