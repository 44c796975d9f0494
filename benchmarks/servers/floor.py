"""The least that a server in Python can do for the loads of the comparison: what is left costs no server less.

One epoll, and for each event what the wire demands: receive, unmask, UTF-8, JSON in, JSON out, a frame, send. There are no rules,
bounds, checks, timeouts, logs or handlers, and it believes everything that it is told. So it is no server to use: it shows which
part of the cost of one is the kernel's and the interpreter's.

It offers ``message``, ``message-with-ack``, ``everyone``, ``join`` (one room) and ``to-room`` in the namespace ``/``, over
WebSocket and for text of less than 64 KiB.
"""

import argparse
import base64
import hashlib
import json
import platform
import select
import socket
from collections.abc import Iterator
from typing import Any, Final

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

decode: Final = json.JSONDecoder().decode
encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def frame(message: str) -> bytes:
    """Return the WebSocket frame of a text message."""
    payload = message.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload


class Client:
    """One connection."""

    __slots__ = ("greeted", "send", "socket", "waiting")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.send = connection.send
        self.waiting = b""
        """The beginning of what has not come wholly."""
        self.greeted = False

    def messages(self, data: bytes) -> Iterator[str]:
        """Take the whole frames of what came apart."""
        if self.waiting:
            data = self.waiting + data
        position, end = 0, len(data)
        while end - position >= 6:
            size = data[position + 1] & 0x7F
            start = position + 6
            if size == 126:
                size = int.from_bytes(data[position + 2 : position + 4], "big")
                start += 2
            if end - start < size:
                break
            mask = data[start - 4 : start]
            key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
            position = start + size
            yield (int.from_bytes(data[start:position], "big") ^ key).to_bytes(size, "big").decode()
        self.waiting = data[position:]


class Floor:
    """The clients, and what they are told."""

    def __init__(self, listener: socket.socket, ping_interval: float, ping_timeout: float) -> None:
        self.listener = listener
        self.poll = select.epoll()
        self.poll.register(listener.fileno(), select.EPOLLIN)
        self.clients: dict[int, Client] = {}
        self.rooms: dict[str, list[Client]] = {}
        self.open = frame(
            "0"
            + encode(
                {
                    "sid": "floor",
                    "upgrades": [],
                    "pingInterval": round(ping_interval * 1000),
                    "pingTimeout": round(ping_timeout * 1000),
                    "maxPayload": 1_000_000,
                }
            )
        )

    def run(self) -> None:
        """Serve until the process is ended."""
        clients, listener = self.clients, self.listener.fileno()
        while True:
            for fd, _ in self.poll.poll():
                if fd == listener:
                    self.accept()
                    continue
                client = clients[fd]
                try:
                    data = client.socket.recv(65536)
                except ConnectionResetError:
                    data = b""
                if data:
                    self.receive(client, data)
                else:
                    self.leave(fd)

    def accept(self) -> None:
        """Take one connection."""
        connection, _ = self.listener.accept()
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients[connection.fileno()] = Client(connection)
        self.poll.register(connection.fileno(), select.EPOLLIN)

    def leave(self, fd: int) -> None:
        """Forget one connection."""
        client = self.clients.pop(fd)
        for members in self.rooms.values():
            if client in members:
                members.remove(client)
        client.socket.close()

    def receive(self, client: Client, data: bytes) -> None:
        """Do what some input asks for, and send the answers to it together."""
        if not client.greeted:
            client.greeted = True
            key = data.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324  # the protocol has it so
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            client.send(head + accept + b"\r\n\r\n" + self.open)
            return
        answers = [answer for message in client.messages(data) if (answer := self.answer(client, message)) is not None]
        if answers:
            client.send(answers[0] if len(answers) == 1 else b"".join(answers))

    def answer(self, client: Client, message: str) -> bytes | None:
        """Do what one message asks for; return the frame that answers it."""
        if message == "40":
            return frame('40{"sid":"floor"}')
        start = message.index("[")
        name, *values = decode(message[start:])
        if name == "message":
            return frame("42" + encode(["message-back", *values]))
        if name == "message-with-ack":
            return frame(f"43{message[2:start]}{encode(values)}")
        if name == "join":
            for room in values:
                self.rooms.setdefault(room, []).append(client)
            return frame(f"43{message[2:start]}[]")
        if name == "everyone":
            self.tell(list(self.clients.values()), ["from-everyone", *values])
        else:
            self.tell(self.rooms[values[0]], ["from-room", *values[1:]])
        return None

    def tell(self, recipients: list[Client], event: list[Any]) -> None:
        """Send one event to many."""
        data = frame("42" + encode(event))
        for recipient in recipients:
            recipient.send(data)


def main() -> None:
    """Serve on a free port and say which one it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ping-interval", type=float, required=True)
    parser.add_argument("--ping-timeout", type=float, required=True)
    parser.add_argument("--namespaces", type=int, default=0)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        versions = {"Python": platform.python_version()}
        print(json.dumps({"port": listener.getsockname()[1], "versions": versions}), flush=True)
        Floor(listener, options.ping_interval, options.ping_timeout).run()


if __name__ == "__main__":
    main()
