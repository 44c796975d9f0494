"""HTTP requests of a peer, right or wrong, one after another on a connection."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11
import trio
from trio_socketio.conformance.peer.errors import PeerError
from trio_socketio.conformance.peer.wire import Wire
from trio_socketio.protocol.jsontext import JSON

_TLS_ALERT: Final = b"\x15\x03"
"""How a server that expects TLS answers what is none: the type of the record, and the first half of its version."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, read to its end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, repeated ones joined by ", ", or None."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> JSON:
        """The body as JSON."""
        return json.loads(self.body)


class HTTPConnection:
    """One connection that carries HTTP requests, one after another."""

    def __init__(self, wire: Wire, host: str) -> None:
        self.wire = wire
        self._host = host
        self._http = h11.Connection(h11.CLIENT)

    @property
    def stream(self) -> trio.abc.Stream:
        """The connection below."""
        return self.wire.stream

    async def send(self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Send a whole request.

        Raises:
            PeerError: The server has said that it closes the connection.
        """
        if self._http.our_state is h11.MUST_CLOSE:
            raise PeerError("the server has said that it closes the connection after the last answer")
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        named = {name.lower() for name, _ in headers}
        every = list(headers) if "host" in named else [("host", self._host), *headers]
        if (body or method in ("POST", "PUT")) and not named & {"content-length", "transfer-encoding"}:
            every.append(("content-length", str(len(body))))
        data = self._http.send(h11.Request(method=method, target=target, headers=every)) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self.wire.note(
            " ".join([method, target, *(f"[{name}: {value}]" for name, value in headers)]), "HTTP", sent=True
        )
        if body:
            self.wire.note(_text_or_bytes(body), "HTTP", sent=True)
        await self.wire.send(data)

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be a request at all; `receive` then reads the answer to a GET."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is h11.IDLE:  # whatever is sent, a response to a request is what may come back
            self._http.send(h11.Request(method="GET", target="/", headers=[("host", self._host)]))
            self._http.send(h11.EndOfMessage())
        self.wire.note(_text_or_bytes(data), "TCP", sent=True)
        await self.wire.send(data)

    async def receive(self) -> Response:
        """Read a whole response; 1xx answers are passed over.

        Raises:
            PeerError: The connection ended before the response did, or what came is no HTTP.
            Silence: Nothing came.
        """
        with self.wire.patient("no response came"):
            response = await self._receive()
        details = f" ({response.header('content-type')})" if response.body else ""
        self.wire.note(f"{response.status}{details}", "HTTP", sent=False)
        if response.body:
            self.wire.note(_text_or_bytes(response.body), "HTTP", sent=False)
        return response

    async def _receive(self) -> Response:
        head: h11.Response | None = None
        body = bytearray()
        latest = None
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise PeerError(_told(error, latest)) from None
            if event is h11.NEED_DATA:
                latest = await self.wire.receive()
                self._http.receive_data(latest)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise PeerError("the connection ended without a response")
            elif event is h11.PAUSED:
                raise PeerError("the server switched protocols")
        if head is None:
            raise PeerError("a body came without a response")
        headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in head.headers)
        return Response(head.status_code, headers, bytes(body))

    async def request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        """Send a request and return the response."""
        await self.send(method, target, headers, body)
        return await self.receive()

    async def hang_up(self) -> None:
        """End the connection without a word."""
        await self.wire.hang_up()


def _told(error: h11.RemoteProtocolError, latest: bytes | None) -> str:
    """Return what happened when h11 can read no further.

    Args:
        error: What it says. Of an end that comes too early that is about its own states.
        latest: The bytes that came last; none at the end of the connection.
    """
    if latest == b"":
        return "the connection ended without a whole response"
    if latest is not None and latest.startswith(_TLS_ALERT):
        return "the answer is TLS and no HTTP: the address of such a server begins with https://"
    return f"what came is no HTTP: {error}"


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
