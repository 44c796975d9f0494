"""Real sockets: TCP, TLS, IPv6, unix; each on an address that the system chooses. And listeners that fail."""

import errno
import os
import socket
import ssl
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trustme
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import Peer
from trio_socketio.server.net import poller
from trio_socketio.server.net.poller import SUPPORTED

from trio_socketio import HTTPResponse, Server

TIMEOUT = 10.0
"""Seconds for a test, on a slow machine."""


def greeter():
    server = Server(shutdown_grace=1.0)

    @server.on("hello")
    async def hello(ctx, name):
        return [name, ctx.handshake.secure, ctx.handshake.url.split("?")[0], ctx.handshake.address]

    return server


@asynccontextmanager
async def dialling(dial, host):
    """Yield a peer whose connections are closed at the end."""
    streams = []

    async def dial_and_remember():
        streams.append(await dial())
        return streams[-1]

    with trio.fail_after(TIMEOUT):
        try:
            yield Peer(dial_and_remember, host=host)
        finally:
            for stream in streams:
                await trio.aclose_forcefully(stream)


async def greet(peer, transport):
    client = await peer.join(transport=transport)
    await client.emit("hello", "world", id=1)
    return (await client.receive()).data[0]


@asynccontextmanager
async def serving(server, *arguments, **options):
    async with trio.open_nursery() as nursery:
        run = server.serve_listeners if len(arguments) == 1 else server.serve

        async def serve(task_status):
            await run(*arguments, **options, task_status=task_status)

        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_clients_are_served_over_tcp_and_start_returns_the_listeners(transport):
    server = greeter()
    async with serving(server, "127.0.0.1", 0) as listeners:
        assert all(isinstance(listener, trio.SocketListener) for listener in listeners)
        host, port = listeners[0].socket.getsockname()
        async with dialling(partial(trio.open_tcp_stream, host, port), f"{host}:{port}") as peer:
            expected = ["world", False, f"http://{host}:{port}/socket.io/", "127.0.0.1"]
            assert await greet(peer, transport) == expected
    assert not server.sessions
    with pytest.raises(OSError, match="attempts to connect|refused"):
        await trio.open_tcp_stream(host, port)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_clients_are_served_over_tls(transport):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(greeter(), "127.0.0.1", 0, ssl_context=context) as listeners:
        assert all(isinstance(listener, trio.SSLListener) for listener in listeners)
        port = listeners[0].transport_listener.socket.getsockname()[1]

        async def dial():
            stream = trio.SSLStream(
                await trio.open_tcp_stream("127.0.0.1", port),
                trusting,
                server_hostname="localhost",
                https_compatible=True,
            )
            await stream.do_handshake()
            return stream

        async with dialling(dial, f"localhost:{port}") as peer:
            expected = ["world", True, f"https://localhost:{port}/socket.io/", "127.0.0.1"]
            assert await greet(peer, transport) == expected


async def test_a_client_that_speaks_no_tls_harms_no_other(caplog):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(greeter(), "127.0.0.1", 0, ssl_context=context) as listeners:
        port = listeners[0].transport_listener.socket.getsockname()[1]
        async with dialling(partial(trio.open_tcp_stream, "127.0.0.1", port), "x") as plain:
            stream = await plain.dial()
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass

        async def dial():
            return trio.SSLStream(
                await trio.open_tcp_stream("127.0.0.1", port),
                trusting,
                server_hostname="localhost",
                https_compatible=True,
            )

        async with dialling(dial, f"localhost:{port}") as peer:
            assert (await greet(peer, "websocket"))[0] == "world"
    assert "bug" not in caplog.text


async def test_clients_are_served_over_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    async with serving(greeter(), "::1", 0) as listeners:
        port = listeners[0].socket.getsockname()[1]
        async with dialling(partial(trio.open_tcp_stream, "::1", port), f"[::1]:{port}") as peer:
            expected = ["world", False, f"http://[::1]:{port}/socket.io/", "::1"]
            assert await greet(peer, "websocket") == expected


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="unix sockets")
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_clients_are_served_over_a_unix_socket(tmp_path, transport):
    path = str(tmp_path / "socket")
    unix = trio.socket.socket(trio.socket.AF_UNIX)
    await unix.bind(path)
    unix.listen()
    dial = partial(trio.open_unix_socket, path)
    async with serving(greeter(), [trio.SocketListener(unix)]), dialling(dial, "localhost") as peer:
        expected = ["world", False, "http://localhost/socket.io/", "local"]
        assert await greet(peer, transport) == expected


@pytest.mark.skipif(not SUPPORTED, reason="this system has no epoll")
@pytest.mark.parametrize("secure", [False, True])
async def test_listeners_are_closed_when_the_system_has_nothing_left_to_watch_them_with(monkeypatch, secure):
    def fail():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(poller, "open_readiness", fail)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = listeners[0].socket.getsockname()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served = [trio.SSLListener(each, context) for each in listeners] if secure else listeners
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await Server().serve_listeners(served)
    assert [each.socket.fileno() for each in listeners] == [-1]
    with socket.socket() as again:
        again.bind(address)  # nobody has it any more


async def test_an_address_in_use_raises_oserror():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await Server().serve("127.0.0.1", taken.getsockname()[1])


# What goes wrong is raised, whatever is cancelled meanwhile.


class EndError(BaseException):
    """Raised by a test on purpose; no server survives it."""


class Door(trio.abc.Listener):
    """Accepts what `dial` opens, and fails when it is told to."""

    def __init__(self):
        self.send, self.receive = trio.open_memory_channel(10)

    async def accept(self):
        stream = await self.receive.receive()
        if isinstance(stream, Exception):
            raise stream
        return stream

    async def aclose(self):
        self.receive.close()
        await trio.lowlevel.checkpoint()

    async def dial(self):
        ours, theirs = memory_stream_pair()
        await self.send.send(theirs)
        return ours

    def fail(self, error):
        self.send.send_nowait(error)


async def test_while_the_system_has_no_room_a_listener_of_any_kind_waits(autojump_clock, caplog):
    door = Door()
    async with serving(greeter(), [door]):
        for code in (errno.EMFILE, errno.ENFILE):
            door.fail(OSError(code, os.strerror(code)))
        assert (await greet(Peer(door.dial), "websocket"))[0] == "world"
        assert trio.current_time() == pytest.approx(0.2)
    complaints = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert complaints == [
        f"no connection can be accepted: {os.strerror(code)}; the next attempt is in 0.1 s"
        for code in (errno.EMFILE, errno.ENFILE)
    ]


async def test_what_accept_raises_comes_out_although_the_shutdown_is_cancelled(autojump_clock):
    server = Server()
    left = []

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        await trio.sleep(1)
        left.append(reason)

    door, other = Door(), Door()
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="accept failed"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_listeners, [door, other])
            await Peer(door.dial).join()
            door.fail(ValueError("accept failed"))
            await trio.sleep(0.5)
            assert left == []
            nursery.cancel_scope.cancel()
    assert left == ["server shutting down"]
    with pytest.raises(trio.BrokenResourceError):
        await other.dial()  # it was closed


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is told that a socket does not listen any more")
async def test_listeners_that_fail_at_once_are_both_told():
    listeners = [each for _ in range(2) for each in await trio.open_tcp_listeners(0, host="127.0.0.1")]
    for each in listeners:
        each.socket.shutdown(socket.SHUT_RDWR)
    invalid = pytest.RaisesExc(OSError, check=lambda error: error.errno == errno.EINVAL)
    with trio.fail_after(TIMEOUT), pytest.RaisesGroup(invalid, invalid, flatten_subgroups=True):
        await Server().serve_listeners(listeners)
    assert [each.socket.fileno() for each in listeners] == [-1, -1]


async def test_what_an_http_handler_ends_the_server_with_comes_out_although_it_is_cancelled(autojump_clock):
    async def http(request):
        try:
            await trio.sleep_forever()
        finally:
            raise EndError
        return HTTPResponse.text("never")

    door = Door()
    with pytest.RaisesGroup(EndError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Server(http=http, shutdown_grace=1).serve_listeners, [door])
            stream = await door.dial()
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert await stream.receive_some() == b""


async def test_while_the_server_ends_because_a_handler_failed_nobody_new_is_let_in():
    server = Server()
    may_end = trio.Event()

    @server.on("stay")
    async def stay(ctx):
        with trio.CancelScope(shield=True):
            await may_end.wait()

    @server.on("end")
    async def end(ctx):
        raise EndError

    door = Door()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = listeners[0].socket.getsockname()
    with trio.fail_after(TIMEOUT), pytest.RaisesGroup(EndError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_listeners, [door, *listeners])
            for event in ("stay", "end"):
                await (await Peer(door.dial).join()).emit(event)
            await wait_all_tasks_blocked()
            try:
                for dial in (door.dial, partial(trio.open_tcp_stream, *address)):
                    with suppress(OSError, trio.BrokenResourceError):  # it was never accepted
                        async with await dial() as stream:
                            assert await stream.receive_some() == b""
            finally:
                may_end.set()
