"""A population of WebSocket clients in one process: plain non-blocking sockets and one epoll.

A client does only what the loads need: it joins one namespace, sends prepared bytes, and counts the bytes that come. One in
`WATCHED` is watched, which means that every byte it gets is compared with what it should be.
"""

import select
import socket
import struct
import time
from enum import Enum
from typing import Final, Self

from comparison.failure import BenchmarkError
from comparison.frames import Message, Packet, attachments_of, masked, split, understand

HOST: Final = "127.0.0.1"

WATCHED: Final = 50
"""Every so manyeth client is watched, the first one always."""

AT_ONCE: Final = 32
"""Connections that are being opened at the same time: less than any server's queue of those not yet accepted."""

PATIENCE: Final = 30.0
"""Seconds after which something that should have come is lost."""

CHUNK: Final = 262144
"""Bytes that are read at once."""

PING: Final = b"\x81\x012"
PONG: Final = masked("3")

_UPGRADE: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection, so that no port of ours is kept in TIME_WAIT."""


class State(Enum):
    """How far a client has come."""

    UPGRADING = "waits for the answer to its upgrade"
    OPENING = "waits for the open packet"
    JOINING = "waits for its namespace"
    READY = "has joined"


class Client:
    """One connection."""

    __slots__ = ("counted", "fd", "inbox", "number", "population", "rest", "socket", "state", "unsent", "watched")

    def __init__(self, population: "Population", number: int) -> None:
        self.population = population
        self.number = number
        self.watched = number % WATCHED == 0
        self.state = State.UPGRADING
        self.inbox = bytearray()
        self.unsent = bytearray()
        self.counted = 0
        """Bytes or messages, as the load that runs has it."""
        self.rest = 0
        """Bytes of an answer that has not come wholly."""
        self.socket = socket.create_connection((HOST, population.port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.settimeout(0)
        self.fd = self.socket.fileno()

    def send(self, data: bytes) -> None:
        """Send some bytes, as soon as the connection takes them."""
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise BenchmarkError(f"the server closed connection {self.number}: {error}") from error
        if sent < len(data):
            self.unsent += data[sent:]
            self.population.poll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        """Go on with what could not be sent."""
        waiting, self.unsent = bytes(self.unsent), bytearray()
        self.population.poll.modify(self.fd, select.EPOLLIN)
        if waiting:
            self.send(waiting)

    def advance(self) -> bool:
        """Take the next steps of the handshake that what has come allows; return whether it has joined now."""
        if self.state is State.UPGRADING and (end := self.inbox.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.inbox[:end])
            if not head.startswith(b"HTTP/1.1 101 "):
                raise BenchmarkError(f"the server refused a WebSocket: {head[:200]!r}")
            del self.inbox[: end + 4]
            self.state = State.OPENING
        if self.state in (State.OPENING, State.JOINING):
            messages, taken = split(self.inbox)
            del self.inbox[:taken]
            for message in messages:
                self._greet(message)
        return self.state is State.READY

    def _greet(self, message: Message) -> None:
        namespace = "" if self.population.namespace == "/" else f"{self.population.namespace},"
        if self.state is State.OPENING and isinstance(message, str) and message.startswith("0{"):
            self.state = State.JOINING
            self.send(masked(f"40{namespace}"))
        elif self.state is State.JOINING and isinstance(message, str) and message.startswith(f'40{namespace}{{"sid":'):
            self.state = State.READY
        else:
            raise BenchmarkError(f"the server said {message!r:.100} to a client that {self.state.value}")


class Population:
    """The clients of one server.

    Args:
        port: Where the server is, on this machine.
        namespace: The namespace that the clients join.
    """

    def __init__(self, port: int, namespace: str = "/") -> None:
        self.port = port
        self.namespace = namespace
        self.poll = select.epoll()
        self.clients: list[Client] = []
        self.by_fd: dict[int, Client] = {}
        self.buffer = bytearray(CHUNK)
        self.view = memoryview(self.buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.socket.close()
        self.poll.close()

    def join(self, count: int) -> None:
        """Connect so many more clients: TCP, upgrade, open packet, and the namespace.

        Raises:
            BenchmarkError: The server refused one, or took too long.
        """
        coming = count
        opening = 0
        deadline = time.monotonic() + PATIENCE + count / 100
        while coming or opening:
            while coming and opening < AT_ONCE:
                self._open()
                coming -= 1
                opening += 1
            opening -= self._turn(0.1)
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{coming + opening} of {count} clients were not accepted in time")

    def _open(self) -> None:
        try:
            client = Client(self, len(self.clients))
        except OSError as error:
            raise BenchmarkError(f"connection {len(self.clients)} could not be opened: {error}") from error
        self.clients.append(client)
        self.by_fd[client.fd] = client
        self.poll.register(client.fd, select.EPOLLIN)
        client.send(_UPGRADE % self.port)

    def _turn(self, seconds: float) -> int:
        """Handle what has come for clients that join or idle; return how many have joined."""
        joined = 0
        for fd, event in self.poll.poll(seconds):
            client = self.by_fd[fd]
            if event & select.EPOLLOUT:
                client.flush()
            if event & ~select.EPOLLOUT:
                if client.state is State.READY:
                    self.answer_pings(client)
                else:
                    client.inbox += self.view[: self.receive(client)]
                    joined += client.advance()
        return joined

    def receive(self, client: Client) -> int:
        """Read what has come for a client into `buffer`; return how many bytes it is, which is 0 for a false alarm.

        Raises:
            BenchmarkError: The server has closed the connection.
        """
        try:
            count = client.socket.recv_into(self.buffer)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise BenchmarkError(f"the server closed connection {client.number}: {error}") from error
        if not count:
            raise BenchmarkError(f"the server closed connection {client.number}")
        return count

    def answer_pings(self, client: Client) -> int:
        """Answer the heartbeats that have come for an idle client; return how many they were.

        Raises:
            BenchmarkError: Something else has come.
        """
        count = self.receive(client)
        number, rest = divmod(count, len(PING))
        if rest or self.view[:count] != PING * number:
            raise BenchmarkError(f"{bytes(self.view[:100])!r} came for a client that did nothing")
        if number:
            client.send(PONG * number)
        return number

    def idle(self, seconds: float) -> int:
        """Let all clients do nothing but answer heartbeats; return how many came."""
        count = 0
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for fd, event in self.poll.poll(min(left, 0.1)):
                client = self.by_fd[fd]
                if event & select.EPOLLOUT:
                    client.flush()
                if event & ~select.EPOLLOUT:
                    count += self.answer_pings(client)
        return count

    def ask(self, client: Client, request: bytes, expected: Packet) -> bytes:
        """Have one client send something, and return the bytes of the answer, which must be this packet.

        Raises:
            BenchmarkError: Something else came, or nothing.
        """
        client.send(request)
        return self.await_packet(client, expected)

    def await_packet(self, client: Client, expected: Packet) -> bytes:
        """Return the bytes of the packet that comes next for a client, which must be this one.

        Raises:
            BenchmarkError: Something else came, or nothing.
        """
        deadline = time.monotonic() + PATIENCE
        inbox = bytearray()
        messages: list[Message] = []
        while not messages or len(messages) < 1 + attachments_of(messages[0]):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"there was no answer to {expected.arguments!r:.100}")
            for fd, event in self.poll.poll(0.1):
                other = self.by_fd[fd]
                if event & select.EPOLLOUT:
                    other.flush()
                if event & ~select.EPOLLOUT:
                    count = self.receive(other)
                    if other is not client and count:
                        raise BenchmarkError(f"the answer for client {client.number} went to client {other.number}")
                    inbox += self.view[:count]
            messages, taken = split(inbox)
        got = understand(messages)
        if got != expected or taken != len(inbox):
            raise BenchmarkError(f"{got!r:.300} came where {expected!r:.300} was expected")
        return bytes(inbox)
