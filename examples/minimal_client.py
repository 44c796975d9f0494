"""A Socket.IO client on one page, the last one of docs/wire-format.md: WebSocket only, no TLS, no reconnection.

    python examples/minimal_client.py http://127.0.0.1:3000 hello '"Ada"'
    python examples/minimal_client.py http://127.0.0.1:3000 echo '{"a": 1}' 0x01020304
    python examples/minimal_client.py http://127.0.0.1:3000 --namespace /admin --auth '{"token":"s3cret"}' hello '"Ada"'

It joins, emits, prints what comes, and leaves when its event is acknowledged. Arguments are JSON, or bytes (0x...).
"""

import argparse
import base64
import json
import os
import socket
from urllib.parse import urlsplit

from trio_socketio.protocol import JSON, engineio, socketio
from trio_socketio.protocol.engineio import PacketType as Outer
from trio_socketio.protocol.socketio import Packet, PacketType

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # kinds of frames (RFC 6455, section 5.2)


class WebSocket:
    """The client's side of one WebSocket: the opening handshake, then messages both ways."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=20)
        self.stream = self.socket.makefile("rb")
        request = f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        key = f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
        self.socket.sendall(f"{request}Connection: Upgrade\r\n{key}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"the server refuses: {head.decode()}{self.stream.read1().decode()}")

    def send(self, kind: int, data: bytes) -> None:
        """Send one frame, masked as every frame of a client must be."""
        size, mask = len(data), os.urandom(4)
        if size < 126:
            head = bytes([0x80 | kind, 0x80 | size])
        else:
            short = size < 1 << 16
            head = bytes([0x80 | kind, 0x80 | (126 if short else 127)]) + size.to_bytes(2 if short else 8, "big")
        self.socket.sendall(head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)))

    def receive(self) -> str | bytes:
        """Return the next message."""
        message_kind, message = TEXT, b""
        while True:
            first, size = self._read(2)
            if size > 125:  # the length follows, in two bytes or in eight
                size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
            kind, data = first & 0x0F, self._read(size)
            if kind == CLOSE:
                raise ConnectionError(f"the server closes with code {int.from_bytes(data[:2], 'big')}")
            if kind == PING:
                self.send(PONG, data)
            elif kind != PONG:
                message_kind, message = kind or message_kind, message + data  # kind 0 goes on with the message before
                if first & 0x80:  # it is complete
                    return message.decode() if message_kind == TEXT else message

    def _read(self, size: int) -> bytes:
        data = self.stream.read(size)
        if len(data) < size:
            raise ConnectionError("the connection is lost")
        return data


def talk(websocket: WebSocket, namespace: str, auth: JSON, event: list[JSON]) -> None:
    """Join a namespace, emit, and print every packet until the event is acknowledged, or the server says no."""
    decoder, last = socketio.Decoder(), PacketType.EVENT

    def send(kind: PacketType, data: JSON = None, ack_id: int | None = None) -> None:
        for frame in socketio.encode(Packet(kind, namespace, data, ack_id)):  # the text, then its attachments
            websocket.send(BINARY, frame) if isinstance(frame, bytes) else websocket.send(TEXT, b"4" + frame.encode())

    while last in (PacketType.CONNECT, PacketType.EVENT, PacketType.BINARY_EVENT):
        outer = engineio.decode_packet(websocket.receive())
        if outer.type is Outer.OPEN:
            says = engineio.Handshake.from_json(str(outer.data))
            websocket.socket.settimeout(says.ping_interval + says.ping_timeout)  # silent for longer: it is lost
            send(PacketType.CONNECT, auth)
        elif outer.type is Outer.PING:
            websocket.send(TEXT, b"3")
        elif outer.type is Outer.MESSAGE and (packet := decoder.feed(outer.data)) is not None:
            last = packet.type
            print(last.name, json.dumps(packet.data, default=lambda data: f"0x{data.hex()}"), flush=True)
            if last is PacketType.CONNECT:
                send(PacketType.EVENT, event, ack_id=0)
            elif packet.id is not None and last in (PacketType.EVENT, PacketType.BINARY_EVENT):
                send(PacketType.ACK, ["a client on one page"], packet.id)
    if last in (PacketType.ACK, PacketType.BINARY_ACK):
        send(PacketType.DISCONNECT)
    websocket.send(CLOSE, (1000).to_bytes(2, "big"))
    websocket.stream.read()  # the server closes too, then ends the connection


def argument(text: str) -> JSON:
    """Return the value that an argument means."""
    return bytes.fromhex(text[2:]) if text.startswith("0x") else json.loads(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Emit one event to a Socket.IO server.")
    parser.add_argument("url", type=urlsplit)
    parser.add_argument("event")
    parser.add_argument("arguments", nargs="*", type=argument)
    parser.add_argument("--namespace", default="/")
    parser.add_argument("--auth", type=argument)
    options = parser.parse_args()
    try:
        server = WebSocket(options.url.hostname, options.url.port or 80)
        talk(server, options.namespace, options.auth, [options.event, *options.arguments])
    except OSError as error:
        raise SystemExit(str(error)) from None
