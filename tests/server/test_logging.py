"""What the log says: an import configures nothing, and each connect, disconnect and refusal is one line, without any secret."""

import logging
import subprocess
import sys

import pytest
import trio
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import Refused
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import ConnectionRefused, Limits, Server

SECRET = "5ecret-0ddc0ffee"
WAYS = ["websocket", "polling"]


def make_server(**options):
    async def allow_request(request):
        if "intruder" in request.query:
            raise ConnectionRefused("no intruders")

    server = Server(allow_request=allow_request, **options)
    server.namespace("/other")

    @server.on("connect")
    async def connect(ctx, auth):
        if auth["token"] == "wrong":
            raise ConnectionRefused("no such token", {"hint": SECRET})
        if auth["token"] == "fatal":
            raise RuntimeError("on purpose")

    @server.on("kick")
    async def kick(ctx, close):
        await ctx.disconnect(close=close)

    return server


class Lines:
    """The lines at INFO and above since the last look."""

    def __init__(self, caplog):
        self._caplog = caplog

    async def take(self):
        await wait_all_tasks_blocked()
        records = [record for record in self._caplog.records if record.name.startswith("trio_socketio")]
        self._caplog.clear()
        for record in records:
            assert SECRET not in repr(record.__dict__)
        return [
            (record.name.removeprefix("trio_socketio."), record.levelname, record.getMessage()) for record in records
        ]


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "trio_socketio")
    return Lines(caplog)


async def join(peer, lines, transport):
    client = await peer.join(auth={"token": SECRET}, transport=transport)
    assert await lines.take() == [("sockets", "INFO", "connected to / from local")]
    return client


# What an import does.


def test_an_import_configures_nothing():
    program = """
import logging
before = logging.root.level, list(logging.root.handlers), logging.raiseExceptions, logging.getLoggerClass()
import trio_socketio, trio_socketio.server.app, trio_socketio.cli
trio_socketio.Server()
assert (logging.root.level, logging.root.handlers, logging.raiseExceptions, logging.getLoggerClass()) == before
ours = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "trio_socketio"]
for logger in map(logging.getLogger, ours):
    assert (logger.level, logger.propagate, logger.disabled) == (logging.NOTSET, True, False), logger
    assert all(isinstance(handler, logging.NullHandler) for handler in logger.handlers), logger
print(len(ours))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) >= 5
    assert done.stderr == ""


# Who comes and goes.


@pytest.mark.parametrize("transport", WAYS)
async def test_each_namespace_that_is_joined_and_left_is_a_line(autojump_clock, lines, transport):
    async with serving(make_server()) as peer:
        client = await join(peer, lines, transport)
        await client.connect("/other", {"token": SECRET})
        assert await lines.take() == [("sockets", "INFO", "connected to /other from local")]
        await client.send(Packet(PacketType.DISCONNECT, "/other"))
        assert await lines.take() == [("sockets", "INFO", "disconnected from /other: client namespace disconnect")]
        await client.emit("kick", False)
        assert await lines.take() == [("sockets", "INFO", "disconnected from /: server namespace disconnect")]


@pytest.mark.parametrize("transport", WAYS)
async def test_of_a_connection_that_ends_each_of_its_sockets_is_a_line(autojump_clock, lines, transport):
    async with serving(make_server()) as peer:
        client = await join(peer, lines, transport)
        await client.connect("/other")
        await lines.take()
        if transport == "websocket":
            await client.transport.hang_up()
            detail = "the connection ended without a closing handshake"
        else:
            await client.transport.post("1")
            detail = "the client closed the session"
        assert await lines.take() == [
            ("sockets", "INFO", f"disconnected from /: transport close ({detail})"),
            ("sockets", "INFO", f"disconnected from /other: transport close ({detail})"),
        ]


@pytest.mark.parametrize("transport", WAYS)
async def test_a_client_that_the_application_disconnects_is_a_line(autojump_clock, lines, transport):
    async with serving(make_server()) as peer:
        client = await join(peer, lines, transport)
        await client.emit("kick", True)
        await client.receive()
        assert await lines.take() == [("sockets", "INFO", "disconnected from /: server namespace disconnect")]


async def test_a_connection_that_ends_in_no_namespace_is_a_line(autojump_clock, lines):
    async with serving(make_server()) as peer:
        await (await peer.open_socketio()).transport.hang_up()
        ((logger, level, message),) = await lines.take()
        assert (logger, level) == ("sessions", "INFO")
        assert message.startswith("session closed: transport close")


@pytest.mark.parametrize("transport", WAYS)
async def test_what_is_exchanged_is_no_line(autojump_clock, lines, transport):
    async with serving(make_server()) as peer:
        client = await join(peer, lines, transport)
        await client.emit("nobody handles this", SECRET, id=1)
        assert (await peer.request("GET", "/elsewhere")).status == 404
        assert await lines.take() == []


async def test_an_upgrade_is_no_line(autojump_clock, lines):
    async with serving(make_server()) as peer:
        client = await join(peer, lines, "polling")
        websocket = await peer.upgrade(client.transport)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        assert await lines.take() == []


# Who is refused.


REFUSALS = {
    "EIO is '3'": ("GET", {"EIO": "3", "transport": "polling"}, ()),
    "transport is 'pigeon'": ("GET", {"transport": "pigeon"}, ()),
    "the sid is unknown": ("GET", {"transport": "polling", "sid": SECRET}, ()),
    "POST without a sid": ("POST", {"transport": "polling"}, ()),
    "refused origin 'https://evil.example'": ("GET", {"transport": "polling"}, [("origin", "https://evil.example")]),
    "allow_request said: no intruders": ("GET", {"transport": "polling", "intruder": "1"}, ()),
    "transport is websocket without a WebSocket upgrade": ("GET", {"transport": "websocket"}, ()),
}


@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
@pytest.mark.parametrize("why", REFUSALS)
async def test_a_request_that_is_refused_is_a_line_that_says_why(autojump_clock, lines, why, sockets):
    method, query, headers = REFUSALS[why]
    async with serving(make_server(), sockets=sockets) as peer:
        answer = await peer.request(method, peer.target(**query, token=SECRET), headers)
        assert answer.status in (400, 403)
        ((logger, level, message),) = await lines.take()
        assert (logger, level) == ("http", "INFO")
        assert message.startswith("refused ")
        assert why in message


@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
async def test_a_websocket_that_is_refused_is_a_line(autojump_clock, lines, sockets):
    async with serving(make_server(), sockets=sockets) as peer:
        for query, why in (({"intruder": "1"}, "no intruders"), ({"sid": SECRET}, "the sid is unknown")):
            with pytest.raises(Refused):
                await peer.open_websocket(peer.target(transport="websocket", token=SECRET, **query))
            ((logger, level, message),) = await lines.take()
            assert (logger, level) == ("http", "INFO")
            assert why in message


@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
@pytest.mark.parametrize(
    ("headers", "status", "why"),
    [
        (
            [("sec-websocket-version", "8"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")],
            426,
            "version of WebSocket",
        ),
        ([("sec-websocket-version", "13"), ("sec-websocket-key", "short")], 400, "Sec-WebSocket-Key"),
    ],
    ids=["version", "key"],
)
async def test_an_opening_handshake_with_a_fault_is_a_line(autojump_clock, lines, headers, status, why, sockets):
    server = make_server()
    async with serving(server, sockets=sockets) as peer:
        upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), *headers]
        response = await peer.request("GET", peer.target(transport="websocket"), upgrade)
        assert response.status == status
        ((name, level, message),) = await lines.take()
        assert (name, level) == ("http", "INFO")
        assert why in message
        assert sum(server.stats()["refusals"].values()) == 1


@pytest.mark.parametrize(
    ("limit", "options"),
    [("max_connections", {"max_connections": 0}), ("sessions_per_address", {"limits": Limits(sessions_per_address=1)})],
)
async def test_who_comes_over_a_limit_is_a_line_that_names_it(autojump_clock, caplog, lines, limit, options):
    async with serving(make_server(**options)) as peer:
        if limit == "sessions_per_address":
            await peer.open_polling()
        assert (await peer.request("GET", peer.target(transport="polling"))).status == 503
        assert [record.limit for record in caplog.records] == [limit]
        ((logger, level, message),) = await lines.take()
        assert (logger, level) == ("http", "INFO")
        assert message.startswith("refused local: ")


async def test_a_request_that_is_no_http_is_a_line(autojump_clock, lines):
    async with serving(make_server()) as peer:
        wire = await peer.connect()
        await wire.send(f"{SECRET}\r\n\r\n".encode())
        await wire.receive()
        ((logger, level, message),) = await lines.take()
        assert (logger, level) == ("http", "INFO")
        assert message.startswith("refused a request from local: ")


@pytest.mark.parametrize("transport", WAYS)
async def test_a_namespace_that_nobody_serves_is_a_line(autojump_clock, lines, transport):
    async with serving(make_server()) as peer:
        client = await join(peer, lines, transport)
        assert (await client.connect("/nowhere", {"token": SECRET})).type is PacketType.CONNECT_ERROR
        assert await lines.take() == [("sockets", "INFO", "rejected: nobody serves the namespace '/nowhere'")]


@pytest.mark.parametrize("transport", WAYS)
async def test_a_client_whom_the_connect_handler_refuses_is_a_line(autojump_clock, lines, transport):
    async with serving(make_server()) as peer:
        client = await peer.open_socketio(transport)
        refused = await client.connect(auth={"token": "wrong", "password": SECRET})
        assert refused.data == {"message": "no such token", "data": {"hint": SECRET}}
        assert await lines.take() == [("sockets", "INFO", "rejected from /: no such token")]


async def test_a_connect_handler_that_fails_is_an_error_beside_the_line(autojump_clock, lines):
    async with serving(make_server()) as peer:
        client = await peer.open_socketio()
        await client.connect(auth={"token": "fatal", "password": SECRET})
        (_, error, _), refusal = sorted(await lines.take())
        assert error == "ERROR"
        assert refusal == ("sockets", "INFO", "rejected from /: Internal server error")


# The fields.


async def test_programs_find_namespace_reason_and_limit_among_the_fields(autojump_clock, caplog, lines):
    async with serving(make_server(max_payload=1000)) as peer:
        client = await join(peer, lines, "websocket")
        await client.transport.send("4" + "x" * 2000)
        await trio.sleep(1)
        (socket,) = [record for record in caplog.records if record.name.startswith("trio_socketio")]
        assert (socket.reason, socket.namespace, socket.limit) == ("transport error", "/", "max_payload")
