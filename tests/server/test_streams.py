"""Listeners and streams of every kind: TLS, unix sockets, sockets that were passed, several doors of one server."""

import errno
import os
import socket
import ssl
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trustme
from support.later import begin
from support.memory import MemoryListener, socket_stream_pair
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import Peer
from trio_socketio.server.net.serving import TLS_TIMEOUT
from trio_socketio.server.net.websocket import CLOSE_TIMEOUT

from trio_socketio import Limits, Server

transports = pytest.mark.parametrize("transport", ["websocket", "polling"])


class TLS:
    """Both ends of TLS, with a certificate of an authority of its own."""

    def __init__(self):
        self.authority = trustme.CA()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("localhost").configure_cert(self.context)

    def server_end(self, stream):
        return trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)

    def client_end(self, stream, **options):
        trusting = ssl.create_default_context()
        self.authority.configure_trust(trusting)
        return trio.SSLStream(stream, trusting, server_hostname="localhost", https_compatible=True, **options)

    def listener(self, listener):
        return trio.SSLListener(listener, self.context, https_compatible=True)

    def dial(self, dial):
        """Return what opens a connection over TLS."""

        async def dial_securely():
            return self.client_end(await dial())

        return dial_securely


@pytest.fixture(scope="module")
def tls():
    return TLS()


def greeter(**options):
    """A server whose clients are in one room, and may ask how they have come."""
    server = Server(**{"shutdown_grace": 1.0, **options})

    @server.on("connect")
    async def connect(ctx):
        await ctx.join_room("hall")

    @server.on("how")
    async def how(ctx):
        return [ctx.handshake.address, ctx.handshake.secure, ctx.handshake.url.split("?")[0]]

    @server.on("say")
    async def say(ctx, text):
        return await ctx.emit("said", text, to="hall")

    return server


async def ask(client):
    await client.emit("how", id=1)
    return (await client.receive()).data[0]


@asynccontextmanager
async def served(server, *listeners):
    """Serve; at the end the server is shut down."""
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve_listeners, list(listeners))
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def reaching(dial, host="localhost"):
    """Yield a peer, all of whose connections are ended afterwards."""
    peer = Peer(dial, host=host)
    try:
        yield peer
    finally:
        await peer.hang_up()


def unix_listener(path):
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    bound.listen()
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


# What the handshake says of each kind.


@transports
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_memory_stream_has_the_address_local(autojump_clock, tls, transport, secure):
    memory = MemoryListener(sockets=False)
    listener = tls.listener(memory) if secure else memory
    dial = tls.dial(memory.dial) if secure else memory.dial
    async with served(greeter(), listener), reaching(dial) as peer:
        scheme = "https" if secure else "http"
        client = await peer.join(transport=transport)
        assert await ask(client) == ["local", secure, f"{scheme}://localhost/socket.io/"]


@transports
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_unix_socket_has_the_address_local(tls, tmp_path, transport, secure):
    path = tmp_path / "socket"
    listener = tls.listener(unix_listener(path)) if secure else unix_listener(path)
    dial = partial(trio.open_unix_socket, path)
    with trio.fail_after(30):
        async with served(greeter(), listener), reaching(tls.dial(dial) if secure else dial) as peer:
            assert (await ask(await peer.join(transport=transport)))[:2] == ["local", secure]


async def test_the_client_of_a_unix_socket_that_has_bound_a_name_is_local_too(tmp_path):
    async def dial():
        ours = trio.socket.socket(socket.AF_UNIX)
        await ours.bind(str(tmp_path / "client"))
        await ours.connect(str(tmp_path / "socket"))
        return trio.SocketStream(ours)

    with trio.fail_after(30):
        async with served(greeter(), unix_listener(tmp_path / "socket")), reaching(dial) as peer:
            assert (await ask(await peer.join()))[0] == "local"


async def test_tcp_has_the_address_of_the_peer_with_tls_as_without(tls):
    (plain,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    (outer,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    secure = tls.listener(outer)
    with trio.fail_after(30):
        async with (
            served(greeter(), plain, secure),
            reaching(partial(trio.open_tcp_stream, *plain.socket.getsockname())) as one,
            reaching(tls.dial(partial(trio.open_tcp_stream, *outer.socket.getsockname()))) as other,
        ):
            assert (await ask(await one.join()))[:2] == ["127.0.0.1", False]
            assert (await ask(await other.join()))[:2] == ["127.0.0.1", True]


async def test_one_connection_that_is_open_already_is_served_over_tls(autojump_clock, tls):
    server = greeter()
    ours, theirs = memory_stream_pair()

    async def given():
        return tls.client_end(ours)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, tls.server_end(theirs))
        async with reaching(given) as peer:
            assert await ask(await peer.join()) == ["local", True, "https://localhost/socket.io/"]


@pytest.mark.parametrize(
    ("trusted", "how"),
    [
        (["0.0.0.0/0", "::/0"], '["local",false,"http://chat.example/socket.io/"]'),
        (["local"], '["203.0.113.7",true,"https://chat.example/socket.io/"]'),
    ],
)
async def test_what_a_proxy_says_over_a_unix_socket_counts_if_local_is_trusted_and_not_otherwise(
    tmp_path, trusted, how
):
    server = greeter(trusted_proxies=trusted, cors_allowed_origins="https://chat.example")
    told = [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https"), ("origin", "https://chat.example")]
    with trio.fail_after(30):
        async with (
            served(server, unix_listener(tmp_path / "socket")),
            reaching(partial(trio.open_unix_socket, tmp_path / "socket"), "chat.example") as peer,
        ):
            assert (await peer.request("GET", peer.target(transport="polling"), told)).status == 200
            websocket = await peer.open_websocket(headers=told)
            await websocket.receive()
            await websocket.send("40")
            await websocket.receive()
            await websocket.send('421["how"]')
            assert await websocket.receive() == f"431[{how}]"


async def test_everybody_behind_a_unix_socket_counts_as_one_address(tmp_path):
    server = greeter(limits=Limits(sessions_per_address=2))
    with trio.fail_after(30):
        async with (
            served(server, unix_listener(tmp_path / "socket")),
            reaching(partial(trio.open_unix_socket, tmp_path / "socket")) as peer,
        ):
            await peer.join()
            await peer.join()
            assert (await peer.request("GET", peer.target(transport="polling"))).status == 503


# Several doors, one server.


async def test_who_comes_by_whichever_door_shares_rooms_and_sessions(tls, tmp_path):
    server = greeter()
    memory, secret = MemoryListener(sockets=False), MemoryListener(sockets=False)
    (tcp,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    doors = {
        "memory": (memory, memory.dial),
        "tls": (tls.listener(secret), tls.dial(secret.dial)),
        "tcp": (tcp, partial(trio.open_tcp_stream, *tcp.socket.getsockname())),
        "unix": (unix_listener(tmp_path / "socket"), partial(trio.open_unix_socket, tmp_path / "socket")),
    }
    peers = {name: Peer(dial, host="localhost") for name, (_, dial) in doors.items()}
    with trio.fail_after(30):
        async with served(server, *(listener for listener, _ in doors.values())):
            clients = {name: await peer.join() for name, peer in peers.items()}
            assert len(server.participants("hall")) == 4
            for name, client in clients.items():
                await client.emit("say", name)
                for other in clients.values():
                    assert await other.event() == ["said", name]
            session = await peers["tls"].open_polling()
            websocket = await peers["unix"].upgrade(session)  # a session belongs to the server and to no door
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
            for peer in peers.values():
                await peer.hang_up()


async def test_two_calls_of_serve_share_rooms_and_each_ends_its_own_clients(autojump_clock):
    server = greeter()
    first, second = MemoryListener(sockets=False), MemoryListener(sockets=False)
    async with reaching(first.dial) as one, reaching(second.dial) as other, served(server, second):
        async with served(server, first):
            clients = [await one.join(), await other.join()]
            await clients[0].emit("say", "hello")
            for client in clients:
                assert await client.event() == ["said", "hello"]
        assert len(server.participants("hall")) == 1
        await clients[1].emit("say", "still here")
        assert await clients[1].event() == ["said", "still here"]


async def test_all_listeners_are_closed_at_the_end(tls, tmp_path):
    path = tmp_path / "socket"
    (tcp,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    (outer,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    unix = unix_listener(path)
    async with served(greeter(), tcp, tls.listener(outer), unix):
        await wait_all_tasks_blocked()
    assert [each.socket.fileno() for each in (tcp, outer, unix)] == [-1, -1, -1]
    assert path.exists(), "the file stays, as its maker has made it"
    with pytest.raises(OSError, match="refused"):
        await trio.open_unix_socket(path)


# Sockets that were passed.


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_a_listening_socket_that_another_process_has_bound_is_served(tmp_path, family):
    bound = socket.socket(family)
    bound.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "socket"))
    bound.listen()

    async def dial():
        ours = trio.socket.socket(family)
        await ours.connect(bound.getsockname())
        return trio.SocketStream(ours)

    passed = socket.socket(fileno=os.dup(bound.fileno()))
    with trio.fail_after(30), bound:
        async with (
            served(greeter(), trio.SocketListener(trio.socket.from_stdlib_socket(passed))),
            reaching(dial) as peer,
        ):
            expected = "127.0.0.1" if family == socket.AF_INET else "local"
            assert (await ask(await peer.join()))[0] == expected
        waiting = await dial()  # whoever holds the socket still listens
        await waiting.aclose()


async def test_a_connection_that_was_passed_is_served():
    server = greeter()
    ours, theirs = socket_stream_pair()

    async def given():
        return ours

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            async with reaching(given) as peer:
                assert (await ask(await peer.join()))[0] == "local"


# Streams that end badly.


async def test_who_takes_nothing_of_a_session_that_has_ended_and_ends_its_half_is_let_go_in_time(
    autojump_clock, nursery
):
    server = greeter()

    @server.on("leave")
    async def leave(ctx):
        for _ in range(10):
            ctx.emit_nowait("more", "x" * 100_000)
        await ctx.disconnect(close=True)

    ours, theirs = lockstep_stream_pair()

    async def dial():
        return ours

    being_served = await begin(nursery, server.serve_stream, theirs)
    client = await Peer(dial).join()
    await client.emit("leave")
    await wait_all_tasks_blocked()
    assert being_served.pending
    began = trio.current_time()
    await ours.send_stream.aclose()
    with trio.fail_after(60):
        await being_served.result()
    assert trio.current_time() - began == pytest.approx(CLOSE_TIMEOUT)


async def test_a_stream_that_fails_to_close_ends_nobody_else(autojump_clock, caplog):
    class Listener(MemoryListener):
        async def accept(self):
            stream = await super().accept()

            def fail_once():
                stream.receive_stream.close_hook = None
                raise OSError("on purpose")

            stream.receive_stream.close_hook = fail_once
            return stream

    memory = Listener(sockets=False)
    async with served(greeter(), memory), reaching(memory.dial) as one, reaching(memory.dial) as other:
        client = await one.join()
        await other.join()
        await other.hang_up()
        await wait_all_tasks_blocked()
        assert await ask(client)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "closing a connection from local failed"
    ] * 2


async def test_a_connection_that_is_cancelled_does_not_hide_why_the_server_ends(autojump_clock):
    async def http(request):
        try:
            await trio.sleep_forever()
        finally:
            raise SystemExit("on purpose")

    ours, theirs = memory_stream_pair()
    with pytest.RaisesGroup(pytest.RaisesExc(SystemExit, match="on purpose"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(greeter(http=http).serve_stream, theirs)
            await ours.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()  # the handler is cancelled at the end of the grace period


# TLS that goes wrong.


async def test_who_never_shakes_hands_is_cut_in_time_and_harms_nobody(autojump_clock, tls, caplog):
    memory = MemoryListener(sockets=False)
    async with served(greeter(), tls.listener(memory)):
        silent = [await memory.dial() for _ in range(200)]
        began = trio.current_time()
        async with reaching(tls.dial(memory.dial)) as peer:
            await ask(await peer.join())
            assert trio.current_time() == began
        for stream in silent:
            assert await stream.receive_some() == b""
        assert trio.current_time() == pytest.approx(began + TLS_TIMEOUT, abs=0.1)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_who_shakes_hands_too_slowly_is_cut_in_time(autojump_clock, tls):
    memory = MemoryListener(sockets=False)
    async with served(greeter(), tls.listener(memory)):
        stream = await memory.dial()
        began = trio.current_time()
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
        with pytest.raises(trio.BrokenResourceError):  # a byte each second
            for byte in hello:
                await stream.send_all(bytes((byte,)))
                await trio.sleep(1)
        assert trio.current_time() == pytest.approx(began + TLS_TIMEOUT, abs=1.1)


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(1000)],
    ids=["nothing", "a part", "HTTP", "zeros"],
)
async def test_who_vanishes_in_the_handshake_or_speaks_no_tls_is_let_go_at_once(autojump_clock, tls, caplog, sent):
    memory = MemoryListener(sockets=False)
    async with served(server := greeter(), tls.listener(memory)):
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        stream = await memory.dial()
        await stream.send_all(sent)
        await stream.send_stream.aclose()
        began = trio.current_time()
        with trio.move_on_after(1):
            while await stream.receive_some():
                pass
        assert trio.current_time() == began
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before
        async with reaching(tls.dial(memory.dial)) as peer:
            await ask(await peer.join())
        assert not server.services[0].leaving
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_shutdown_does_not_wait_for_handshakes(autojump_clock, tls):
    memory = MemoryListener(sockets=False)
    async with served(greeter(shutdown_grace=5), tls.listener(memory)):
        for _ in range(10):
            await memory.dial()
        await wait_all_tasks_blocked()
        began = trio.current_time()
    assert trio.current_time() <= began + 5


async def test_a_client_that_ends_without_the_goodbye_of_tls_has_left(autojump_clock, tls):
    server = greeter()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))
    memory = MemoryListener(sockets=False)
    async with served(server, tls.listener(memory)):
        client = await Peer(tls.dial(memory.dial), host="localhost").join()
        await trio.aclose_forcefully(memory.client_ends[0])
        await wait_all_tasks_blocked()
        assert reasons == ["transport close"]
        assert client.sids


async def test_a_listener_that_fails_ends_serve_and_is_no_secret(autojump_clock):
    class Broken(MemoryListener):
        async def accept(self):
            await trio.sleep(1)
            raise OSError(errno.EBADF, "on purpose")

    healthy = MemoryListener(sockets=False)
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="on purpose"), flatten_subgroups=True):
        await greeter().serve_listeners([healthy, Broken(sockets=False)])
    with pytest.raises(OSError, match="refused"):
        await healthy.dial()
