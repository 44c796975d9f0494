"""``Server(json=...)``: another JSON library, and the same server."""

import json
import types

import pytest
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import Server

pytest.importorskip("orjson")
pytest.importorskip("msgspec")

LIBRARIES = ["json", "orjson", "msgspec", types.SimpleNamespace(dumps=json.dumps, loads=json.loads)]
each_library = pytest.mark.parametrize(
    "library", LIBRARIES, ids=lambda library: library if isinstance(library, str) else "object"
)

VALUE = {"key": [1.5, None, True, 2**70, "Grüße \ud800", {"more": ["x" * 100] * 5}], "1": {"n": -0.0}}


@each_library
async def test_events_acknowledgements_and_attachments_travel_alike(autojump_clock, library):
    server = Server(json=library)
    answers = []

    @server.on("message")
    async def message(ctx, *args):
        await ctx.emit("message-back", *args)
        await ctx.emit("question", *args, callback=lambda *answer: answers.append(answer))
        return args

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("message", VALUE, b"\x01", id=5)
        assert await client.event() == ["message-back", VALUE, b"\x01"]
        question = await client.receive()
        assert question.data == ["question", VALUE, b"\x01"]
        acknowledgement = await client.receive()
        assert (acknowledgement.id, acknowledgement.data) == (5, [VALUE, b"\x01"])
        await client.send(Packet(PacketType.ACK, "/", [VALUE, b"\x02"], question.id))
        await wait_all_tasks_blocked()
    assert answers == [(VALUE, b"\x02")]


@each_library
@pytest.mark.parametrize("literal", ["NaN", "1e999", "[1,]", "9" * 401, "[" * 130 + "]" * 130])
async def test_what_is_no_json_ends_the_connection_alike(autojump_clock, library, literal):
    async with serving(Server(json=library)) as peer:
        client = await peer.join()
        await client.transport.send(f'42["message",{{"x":"{"x" * 100}"}},{literal}]')
        await client.transport.expect_close()


def test_a_library_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'simplejson'"):
        Server(json="simplejson")
