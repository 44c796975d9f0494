"""Plain HTTP requests to a server in memory: to what its ``http=`` handler answers, and to the Engine.IO path itself."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import trio

from trio_socketio.conformance.peer import HOST, Peer, PeerError
from trio_socketio.server.app import Server
from trio_socketio.testing.errors import ConnectionGone, NotReceived
from trio_socketio.testing.memory import MemoryService, shared_service

TIMEOUT: Final = 5.0
"""Seconds to wait for what should come."""

Pairs = Mapping[str, str] | Iterable[tuple[str, str]]
"""Headers or query parameters: a mapping, or pairs where a name occurs more than once."""


@dataclass(frozen=True, slots=True)
class Response:
    """The server's answer to a plain HTTP request."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case; the values of one that is repeated are joined by ", "."""
    body: bytes

    @property
    def text(self) -> str:
        """The body, decoded from UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body, decoded from JSON."""
        return json.loads(self.body)


async def request(
    server: Server, method: str, path: str, *, headers: Pairs = (), body: bytes = b"", timeout: float = TIMEOUT
) -> Response:
    """Make a plain HTTP request to a server, which is served in memory for it if it is not already.

    Args:
        server: The server.
        method: The method.
        path: The path, with a query if there is one.
        headers: Its headers.
        body: Its body.
        timeout: Seconds to wait for the answer.

    Raises:
        NotReceived: No answer came in that time.
        ConnectionGone: The server ended the connection without one.
    """
    async with shared_service(server, patient=True) as service:
        return await request_from(service, method, path, headers=headers, body=body, timeout=timeout)


async def request_from(
    service: MemoryService, method: str, path: str, *, headers: Pairs, body: bytes, timeout: float
) -> Response:
    """Make a plain HTTP request to what is served in memory; see `request`."""
    with trio.move_on_after(timeout):
        try:
            answer = await Peer(service.dial, host=HOST).request(method, path, pairs(headers), body)
        except PeerError as error:
            raise ConnectionGone(f"{method} {path} was not answered: {error}") from None
        names = dict(answer.headers)
        return Response(answer.status, {name: answer.header(name) or "" for name in names}, answer.body)
    raise NotReceived(f"{method} {path} was not answered within {timeout:g} s")


def pairs(given: Pairs) -> tuple[tuple[str, str], ...]:
    """Return headers or parameters as pairs."""
    if isinstance(given, Mapping):
        return tuple(cast("Mapping[str, str]", given).items())
    return tuple(given)
