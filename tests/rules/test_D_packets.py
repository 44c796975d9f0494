# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section D: what the arguments become on the wire."""

import json
from dataclasses import replace

import pytest
from support.stage import staged
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import Server, emit, send

RESERVED = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]


def texts(member):
    """The text frames of events that came."""
    return [frame for frame in member.frames if isinstance(frame, str) and frame[:2] in ("42", "45")]


async def test_D1_the_arguments_follow_the_name(autojump_clock, stage):
    a = await stage.join()
    await stage.inside(a, lambda ctx: emit("e"))
    await stage.inside(a, lambda ctx: emit("e", 1, {"k": [True, "x"]}))
    assert texts(a) == ['42["e"]', '42["e",1,{"k":[true,"x"]}]']


async def test_D2_none_is_an_argument(autojump_clock, stage):
    a = await stage.join()
    await stage.inside(a, lambda ctx: emit("e", None))
    assert texts(a) == ['42["e",null]']


async def test_D3_a_single_tuple_is_spread_and_a_list_is_one_argument(autojump_clock, stage):
    a = await stage.join()
    for args in ((("x", 2),), ((),), (["x", 2],), ((1, 2), 3), (((1, 2),),)):
        await stage.inside(a, lambda ctx, args=args: emit("e", *args))
    assert texts(a) == ['42["e","x",2]', '42["e"]', '42["e",["x",2]]', '42["e",[1,2],3]', '42["e",[1,2]]']


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_D4_bytes_at_any_depth_become_attachments(autojump_clock, stage, kind):
    a = await stage.join()
    await stage.inside(a, lambda ctx: emit("e", {"k": [kind(b"one"), (1, kind(b"two"))]}, kind(b"three")))
    place = '{"_placeholder":true,"num":%d}'
    assert a.frames[-4:] == [
        f'453-["e",{{"k":[{place % 0},[1,{place % 1}]]}},{place % 2}]',
        b"one",
        b"two",
        b"three",
    ]
    assert a.events() == [["e", {"k": [b"one", [1, b"two"]]}, b"three"]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, {"k": float("-inf")}]])
async def test_D5_numbers_without_a_form_in_json_are_value_errors(autojump_clock, stage, value):
    a = await stage.join()
    for act in (lambda ctx: emit("e", value, broadcast=True), lambda ctx: emit("e", b"x", value, callback=print)):
        with pytest.raises(ValueError, match="JSON|nan|inf"):
            await stage.inside(a, act)
    assert a.types() == [PacketType.CONNECT]


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, [{"k": object()}], Exception("no")])
async def test_D5_objects_without_a_form_in_json_are_type_errors(autojump_clock, stage, value):
    a = await stage.join()
    for act in (lambda ctx: emit("e", value, broadcast=True), lambda ctx: emit("e", b"x", value, callback=print)):
        with pytest.raises(TypeError):
            await stage.inside(a, act)
    assert a.types() == [PacketType.CONNECT]


@pytest.mark.parametrize("name", [*RESERVED, ""])
async def test_D6_reserved_and_empty_names_cannot_be_emitted(autojump_clock, stage, name):
    a = await stage.join()
    for act in (lambda ctx: emit(name), lambda ctx: emit(name, b"x"), lambda ctx: ctx.call(name)):
        with pytest.raises(ValueError, match="name"):
            await stage.inside(a, act)
    assert a.types() == [PacketType.CONNECT]


@pytest.mark.parametrize("name", [None, 7, b"e", ["e"]])
async def test_D6_a_name_is_a_str(autojump_clock, stage, name):
    a = await stage.join()
    with pytest.raises(TypeError, match="name is a str"):
        await stage.inside(a, lambda ctx: emit(name))
    assert a.types() == [PacketType.CONNECT]


@pytest.mark.parametrize("name", RESERVED)
async def test_D6_a_reserved_name_from_a_peer_closes_the_connection_and_reaches_no_handler(autojump_clock, name):
    server = Server()
    handled = []

    @server.on("*")
    def catch_all(ctx):
        handled.append(ctx.event)

    @server.on("connect")
    def connect(ctx):
        handled.append("connected")

    @server.on("disconnect")
    def bye(ctx, reason):
        handled.append(reason)

    async with staged(server) as stage:
        a = await stage.visit()
        await a.connect()
        await a.peer.transport.send("42" + json.dumps([name]))
        await a.closed.wait()
        await stage.settle()
    assert handled == ["connected", "parse error"]


async def test_D7_what_changes_after_the_call_changes_nothing(autojump_clock, stage):
    a = await stage.join()
    values, raw = [1, 2], bytearray(b"before")

    async def act(ctx):
        ctx.emit_nowait("e", values, raw)
        values.append(3)
        raw[:] = b"later!"

    await stage.inside(a, act)
    assert a.events() == [["e", [1, 2], b"before"]]


async def test_D7_what_a_connect_handler_emits_is_encoded_at_the_call(autojump_clock):
    server = Server()

    @server.on("connect")
    def connect(ctx):
        raw = bytearray(b"before")
        ctx.emit_nowait("e", raw, memoryview(raw))
        raw[:] = b"later!"

    async with staged(server) as stage:
        a = await stage.join()
        assert a.events() == [["e", b"before", b"before"]]


async def test_D8_one_packet_for_many_is_encoded_once(autojump_clock, stage, monkeypatch):
    members = [await stage.join() for _ in range(5)]
    encoded = []
    options = stage.server.options
    recording = replace(options.json, encode=lambda data: encoded.append(data) or options.json.encode(data))
    monkeypatch.setattr(stage.server, "options", replace(options, json=recording))
    assert await stage.server.emit("e", {"k": 1}, b"x") == 5
    assert await stage.server.emit("e", {"k": 2}, callback=lambda: None) == 5
    await stage.settle()
    assert encoded == [["e", {"k": 1}, b"x"], ["e", {"k": 2}]]
    assert {tuple(member.frames[-3:]) for member in members} == {
        ('451-["e",{"k":1},{"_placeholder":true,"num":0}]', b"x", '420["e",{"k":2}]')
    }


async def test_D8_only_the_ack_id_may_differ(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    await stage.server.emit("first", to=a.sid, callback=lambda: None)
    await stage.server.emit("e", callback=lambda: None)
    await stage.settle()
    assert (texts(a)[-1], texts(b)[-1]) == ('421["e"]', '420["e"]')


async def test_D9_send_is_an_emit_of_message_or_json(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    assert await stage.inside(a, lambda ctx: send({"k": 1})) == 1
    assert await stage.inside(a, lambda ctx: send({"k": 1}, json=True, to=b.sid)) == 1
    assert await stage.inside(a, lambda ctx: send((1, 2), broadcast=True, include_self=False)) == 1
    assert await stage.server.send(b"raw", skip_sid=a.sid) == 1
    await stage.settle()
    assert a.events() == [["message", {"k": 1}]]
    assert b.events() == [["json", {"k": 1}], ["message", 1, 2], ["message", b"raw"]]
