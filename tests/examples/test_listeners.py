"""The examples of listeners, as processes of their own: TLS, unix sockets, several at once, and sockets that are passed."""

import os
import signal
import socket
import ssl
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme
from support.program import START, running
from trio_socketio.conformance.peer import Peer, PeerError, Refused

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

AS_SYSTEMD = """
import os, sys
sockets = sys.argv[1].split(",")
names = sys.argv[2]
for index, descriptor in enumerate(sockets):
    os.dup2(int(descriptor), 3 + index)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@asynccontextmanager
async def dialling(dial, host="localhost"):
    """Yield a peer, all of whose connections are ended afterwards."""
    peer = Peer(dial, host=host, patience=START)
    try:
        yield peer
    finally:
        await peer.hang_up()


def tcp(port):
    return partial(trio.open_tcp_stream, "127.0.0.1", port)


def tls(port, trusted):
    async def dial():
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", port),
            trusted,
            server_hostname="localhost",
            https_compatible=True,
        )
        await stream.do_handshake()
        return stream

    return dial


async def given(stream):
    return stream


async def echoed(peer, transport="websocket"):
    """Return what the connect handler of an example told, after an event has been acknowledged."""
    client = await peer.join(transport=transport)
    welcome = await client.event()
    assert welcome[0] == "welcome"
    await client.emit("echo", 1, "two", id=3)
    answer = await client.receive()
    assert (answer.id, answer.data) == (3, [1, "two"])
    if transport == "polling":
        await client.transport.send("1")  # nobody polls when the server ends, and it would wait for that
    return welcome[1]


class Files:
    """Certificates in a folder, and contexts that trust their authority."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = trustme.CA()
        self.certificate, self.key, self.ca = (folder / name for name in ("certificate.pem", "key.pem", "ca.pem"))
        self.issue()
        self.authority.cert_pem.write_to_path(self.ca)

    def issue(self, authority=None):
        """Write a certificate for the server, as its renewal does."""
        issued = (authority or self.authority).issue_cert("localhost")
        issued.private_key_pem.write_to_path(self.key)
        for index, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(self.certificate, append=index > 0)

    def trusting(self, authority=None):
        context = ssl.create_default_context()
        (authority or self.authority).configure_trust(context)
        return context


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


# TLS.


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_tls_is_served_with_the_certificate_that_is_named(files, transport):
    async with running(sys.executable, EXAMPLES / "tls.py", files.certificate, files.key, "--port", 0) as program:
        port = int((await program.line()).rpartition(" ")[2])
        async with dialling(tls(port, files.trusting())) as peer:
            assert await echoed(peer, transport) == {"secure": True, "address": "127.0.0.1"}
        await program.ends_well()


async def test_visitors_of_http_are_sent_to_https_and_no_session_opens_without_tls(files):
    arguments = (files.certificate, files.key, "--port", 0, "--redirect-port", 0)
    async with running(sys.executable, EXAMPLES / "tls.py", *arguments) as program:
        plain = int((await program.line()).rpartition(" ")[2])
        port = int((await program.line()).rpartition(" ")[2])
        async with dialling(tcp(plain), f"localhost:{plain}") as peer:
            answer = await peer.request("GET", "/page?a=b%20c")
            assert (answer.status, answer.header("location")) == (308, f"https://localhost:{port}/page?a=b%20c")
            with pytest.raises(Refused) as refused:
                await peer.open_websocket()
            assert refused.value.status == 403
        async with dialling(tcp(plain), "[::1]") as peer:
            answer = await peer.request("GET", "/")
            assert answer.header("location") == f"https://[::1]:{port}/"
        await program.ends_well(signal.SIGTERM)


async def test_a_renewed_certificate_is_served_without_disconnecting_anybody(files):
    async with running(sys.executable, EXAMPLES / "tls.py", files.certificate, files.key, "--port", 0) as program:
        port = int((await program.line()).rpartition(" ")[2])
        async with dialling(tls(port, files.trusting())) as before:
            client = await before.join()
            await client.event()
            another = trustme.CA()
            files.issue(another)
            program.process.send_signal(signal.SIGHUP)
            assert await program.line() == "the certificate was read again"
            async with dialling(tls(port, files.trusting(another))) as after:
                await echoed(after)
            await client.emit("echo", "still here", id=4)
            assert (await client.receive()).data == ["still here"]
            files.certificate.write_text("nonsense")
            program.process.send_signal(signal.SIGHUP)
            async with dialling(tls(port, files.trusting(another))) as after:
                await echoed(after)
            await before.hang_up()
        program.process.send_signal(signal.SIGINT)
        await program.ends(errors="the certificate was not read again")


async def test_only_who_has_a_certificate_is_let_in_if_that_is_asked_for(files):
    arguments = (files.certificate, files.key, "--port", 0, "--client-ca", files.ca)
    async with running(sys.executable, EXAMPLES / "tls.py", *arguments) as program:
        port = int((await program.line()).rpartition(" ")[2])
        stranger = await tls(port, files.trusting())()  # in TLS 1.3 the client is done before the server has looked
        async with dialling(partial(given, stranger)) as peer:
            with pytest.raises((PeerError, trio.BrokenResourceError)):
                await peer.join()
        known = files.trusting()
        files.authority.issue_cert("me@example.org").configure_cert(known)
        async with dialling(tls(port, known)) as peer:
            assert (await echoed(peer))["secure"]
        await program.ends_well()


# Unix sockets.


async def test_a_unix_socket_is_served_with_its_permissions_and_removed_at_the_end(tmp_path):
    path = tmp_path / "socket"
    async with running(sys.executable, EXAMPLES / "unix_socket.py", path, "--mode", "600") as program:
        assert await program.line() == f"serving on {path}"
        assert path.stat().st_mode & 0o777 == 0o600
        for transport in "websocket", "polling":
            async with dialling(partial(trio.open_unix_socket, path)) as peer:
                assert await echoed(peer, transport) == {"address": "local"}
        await program.ends_well()
    assert not path.exists()


async def test_the_socket_of_a_process_that_was_killed_is_replaced(tmp_path):
    path = tmp_path / "socket"
    async with running(sys.executable, EXAMPLES / "unix_socket.py", path) as program:
        await program.line()
        program.process.kill()
        await program.process.wait()
    assert path.is_socket()
    async with running(sys.executable, EXAMPLES / "unix_socket.py", path) as program:
        await program.line()
        async with dialling(partial(trio.open_unix_socket, path)) as peer:
            await echoed(peer)
        await program.ends_well(signal.SIGTERM)


async def test_a_socket_that_is_served_and_a_file_that_is_none_stay(tmp_path):
    path = tmp_path / "socket"
    async with running(sys.executable, EXAMPLES / "unix_socket.py", path) as first:
        await first.line()
        async with running(sys.executable, EXAMPLES / "unix_socket.py", path) as second:
            await second.ends(2, f"another process serves {path}")
        async with dialling(partial(trio.open_unix_socket, path)) as peer:
            await echoed(peer)
        await first.ends_well()
    file = tmp_path / "notes"
    file.write_text("precious")
    async with running(sys.executable, EXAMPLES / "unix_socket.py", file) as program:
        await program.ends(2, "is not a socket")
    assert file.read_text() == "precious"


async def test_pages_of_the_proxy_connect_and_those_of_other_sites_if_their_origin_is_named(tmp_path):
    path = tmp_path / "socket"
    forwarded = [("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.7")]
    chat, other = "https://chat.example", "https://other.example"
    for arguments, admitted in ((), [chat]), (("--origin", other, "--origin", chat), [chat, other]):
        async with running(sys.executable, EXAMPLES / "unix_socket.py", path, *arguments) as program:
            await program.line()
            for origin in chat, other:
                async with dialling(partial(trio.open_unix_socket, path), "chat.example") as peer:
                    headers = [*forwarded, ("origin", origin)]
                    if origin not in admitted:
                        with pytest.raises(Refused) as refused:
                            await peer.open_websocket(headers=headers)
                        assert refused.value.status == 403
                        continue
                    websocket = await peer.open_websocket(headers=headers)
                    await websocket.receive()
                    await websocket.send("40")
                    await websocket.receive()
                    assert await websocket.receive() == '42["welcome",{"address":"203.0.113.7"}]'
            await program.ends_well()


# Several at once.


async def test_who_comes_by_whichever_door_is_in_the_same_room(files, tmp_path):
    path = tmp_path / "socket"
    arguments = ("--port", 0, "--tls-port", 0, "--host", "127.0.0.1", "--unix", path)
    certificate = ("--certificate", files.certificate, "--key", files.key)
    async with running(sys.executable, EXAMPLES / "several_listeners.py", *arguments, *certificate) as program:
        line = await program.line()
        doors = dict(part.split() for part in line.removeprefix("serving ").split(", "))
        assert list(doors) == ["tcp", "tls", "unix"]
        async with (
            dialling(tcp(int(doors["tcp"]))) as plain,
            dialling(tls(int(doors["tls"]), files.trusting())) as secure,
            dialling(partial(trio.open_unix_socket, doors["unix"])) as unix,
        ):
            clients = {"tcp": await plain.join(), "tls": await secure.join(), "unix": await unix.join()}
            for door, client in clients.items():
                await client.emit("say", f"hello from {door}")
                for other in clients.values():
                    assert await other.event() == ["said", door, f"hello from {door}"]
        await program.ends_well()


# Sockets that are passed.


@asynccontextmanager
async def activated(*sockets, names="", arguments=()):
    """The example with sockets passed, as systemd does."""
    descriptors = [each.fileno() for each in sockets]
    command = (
        sys.executable,
        "-c",
        AS_SYSTEMD,
        ",".join(map(str, descriptors)),
        names,
        EXAMPLES / "passed_socket.py",
        *arguments,
    )
    async with running(*command, pass_fds=descriptors) as program:
        yield program


async def test_every_socket_that_is_passed_is_served_whatever_it_is(tmp_path):
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as inet, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        async with activated(inet, unix, names="web:proxy") as program:
            assert await program.line() == f"process {program.process.pid} serves web, proxy"
            here = {"process": program.process.pid}
            async with dialling(tcp(inet.getsockname()[1])) as peer:
                assert await echoed(peer) == {**here, "address": "127.0.0.1"}
            async with dialling(partial(trio.open_unix_socket, path)) as peer:
                assert await echoed(peer) == {**here, "address": "local"}
            await program.ends_well()


async def test_sockets_without_names_are_served_too():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        async with activated(one, other) as program:
            assert (await program.line()).endswith(" serves 3, 4")
            for each in one, other:
                async with dialling(tcp(each.getsockname()[1])) as peer:
                    await echoed(peer)
            await program.ends_well(signal.SIGTERM)


async def test_it_ends_when_nobody_is_left_and_who_comes_later_waits_for_the_next():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        dial = tcp(bound.getsockname()[1])
        async with activated(bound, arguments=("--idle", "0.3")) as program:
            await program.line()
            async with dialling(dial) as peer:
                client = await peer.join()
                await client.event()
                await trio.sleep(1)  # it stays for as long as somebody is there
                await client.emit("echo", "still", id=1)
                assert (await client.receive()).data == ["still"]
            assert await program.line() == "nobody is left"
            await program.ends()
        async with trio.open_nursery() as nursery:
            told = []

            async def come():
                async with dialling(dial) as peer:
                    told.append((await echoed(peer))["process"])

            nursery.start_soon(come)
            async with activated(bound) as program:
                await program.line()
                with trio.fail_after(START):
                    while not told:  # noqa: ASYNC110  # a process decides when
                        await trio.sleep(0.01)
                assert told == [program.process.pid]
                await program.ends_well()


async def test_without_a_socket_or_with_one_that_does_not_listen_it_says_so():
    async with running(sys.executable, EXAMPLES / "passed_socket.py") as program:
        await program.ends(2, "no socket was passed")
    environment = {**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"}  # meant for another process
    async with running(sys.executable, EXAMPLES / "passed_socket.py", env=environment) as program:
        await program.ends(2, "no socket was passed")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with activated(theirs) as program:
            await program.ends(2, "the descriptor 3 is no listening socket")
