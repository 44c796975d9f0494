"""The traffic of the load over HTTP long-polling: every client posts an event and fetches what comes back, in turn.

A client is one connection that is kept, as a browser keeps it, and one Engine.IO session. A round trip is a POST and the GET
that brings the answer.
"""

import select
import socket
import struct
import time
from typing import Final, Self

from comparison.clients import HOST, PATIENCE
from comparison.failure import BenchmarkError
from comparison.frames import Packet, understand
from comparison.generator import Outcome

_RESET: Final = struct.pack("ii", 1, 0)
_SEPARATOR: Final = "\x1e"


class Poller:
    """One client."""

    __slots__ = ("fd", "get", "inbox", "post", "posted", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.fd = self.socket.fileno()
        self.inbox = bytearray()
        self.posted = False
        """Whether the answer that comes next is one to a POST."""
        self.get = b""
        self.post = b""

    def open(self, port: int, packet: Packet) -> None:
        """Open a session, join the root namespace, and prepare the requests, while the socket still blocks."""
        target = "/socket.io/?EIO=4&transport=polling"
        opened = self._request(f"GET {target} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        if not opened.startswith(b'0{"sid":"'):
            raise BenchmarkError(f"the server said {opened!r:.200} where an open packet was expected")
        sid = opened[9:].partition(b'"')[0].decode()
        self.get = f"GET {target}&sid={sid} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
        head = f"POST {target}&sid={sid} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: text/plain;charset=UTF-8\r\n"
        self._request(f"{head}Content-Length: 2\r\n\r\n40".encode())
        joined = self._request(self.get)
        if not joined.startswith(b'40{"sid":'):
            raise BenchmarkError(f"the server said {joined!r:.200} where it should grant the namespace")
        (message,) = packet.messages()
        if not isinstance(message, str):
            raise TypeError("polling is measured with text")
        self.post = f"{head}Content-Length: {len(message)}\r\n\r\n{message}".encode()
        self.socket.settimeout(0)

    def _request(self, request: bytes) -> bytes:
        self.socket.sendall(request)
        while (body := self.take()) is None:
            data = self.socket.recv(65536)
            if not data:
                raise BenchmarkError("the server closed a polling connection")
            self.inbox += data
        return body

    def take(self) -> bytes | None:
        """Return the body of the response that has come, or None if it has not come wholly.

        Raises:
            BenchmarkError: The server answered with an error, or will close the connection.
        """
        end = self.inbox.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.inbox[:end]).lower()
        if not head.startswith(b"http/1.1 200 ") or b"\r\nconnection: close" in head:
            raise BenchmarkError(f"a polling request was answered with {head[:300]!r}")
        start = end + 4
        if b"\r\ntransfer-encoding: chunked" in head:
            return self._take_chunks(start)
        found = head.find(b"\r\ncontent-length:")
        if found < 0:
            raise BenchmarkError(f"a polling answer does not say how long it is: {head[:300]!r}")
        size = int(head[found + 17 :].partition(b"\r\n")[0])
        if len(self.inbox) < start + size:
            return None
        body = bytes(self.inbox[start : start + size])
        del self.inbox[: start + size]
        return body

    def _take_chunks(self, position: int) -> bytes | None:
        """Return the body that comes in chunks from a position on, which a server without its length sends."""
        body = b""
        while (end := self.inbox.find(b"\r\n", position)) >= 0:
            size = int(self.inbox[position:end], 16)
            start = end + 2
            position = start + size + 2
            if len(self.inbox) < position:
                return None
            if not size:
                del self.inbox[:position]
                return body
            body += self.inbox[start : start + size]
        return None


class Pollers:
    """The clients of one server.

    Args:
        port: Where the server is, on this machine.
        clients: How many there are.
        packet: What they post.
        answer: What they get for it.
    """

    def __init__(self, port: int, clients: int, packet: Packet, answer: Packet) -> None:
        self._answer = answer
        self._poll = select.epoll()
        self._by_fd: dict[int, Poller] = {}
        try:
            for _ in range(clients):
                poller = Poller(port)
                self._by_fd[poller.fd] = poller
                poller.open(port, packet)
                self._poll.register(poller.fd, select.EPOLLIN)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise BenchmarkError(f"a polling session could not be opened: {error}") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for poller in self._by_fd.values():
            poller.socket.close()
        self._poll.close()

    def drive(self, seconds: float) -> Outcome:
        """Let all clients make round trips for some seconds; return how many they made.

        Raises:
            BenchmarkError: An answer did not come, or was not what it should be.
        """
        done = 0
        expected = b""
        end = time.monotonic() + seconds
        for poller in self._by_fd.values():
            self._send(poller, poller.post)
            poller.posted = True
        busy = len(self._by_fd)
        while busy:
            events = self._poll.poll(0.1)
            now = time.monotonic()
            if now > end + PATIENCE:
                raise BenchmarkError(f"{busy} polling round trips did not end")
            for fd, _event in events:
                poller = self._by_fd[fd]
                body = self._receive(poller)
                if body is None:
                    continue
                if poller.posted:
                    if body.lower() != b"ok":
                        raise BenchmarkError(f"a POST was answered with {body!r:.200}")
                    poller.posted = False
                    self._send(poller, poller.get)
                    continue
                if body != expected:
                    self._check(body)
                    expected = body
                done += 1
                if now < end:
                    poller.posted = True
                    self._send(poller, poller.post)
                else:
                    busy -= 1
        return Outcome(done)

    def _check(self, body: bytes) -> None:
        """Raise if a body is not the one answer; what has been checked once is compared as bytes from then on."""
        messages = body.decode().split(_SEPARATOR)
        if len(messages) != 1 or understand(messages) != self._answer:
            raise BenchmarkError(f"a GET was answered with {body!r:.300}")

    def _send(self, poller: Poller, request: bytes) -> None:
        try:
            sent = poller.socket.send(request)
        except OSError as error:
            raise BenchmarkError(f"the server closed a polling connection: {error}") from error
        if sent != len(request):
            raise BenchmarkError("a request of a few hundred bytes did not fit the socket")

    def _receive(self, poller: Poller) -> bytes | None:
        try:
            data = poller.socket.recv(65536)
        except OSError as error:
            raise BenchmarkError(f"the server closed a polling connection: {error}") from error
        if not data:
            raise BenchmarkError("the server closed a polling connection")
        poller.inbox += data
        return poller.take()
