"""The HTTP request with which a client opened its connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trio_socketio.engine.request import Request


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client's first request said. It never changes, whatever transport the client moves to."""

    headers: Mapping[str, str]
    """The headers by their names in lower case; a repeated one is joined with ``, ``."""
    query: Mapping[str, str]
    """The query parameters, the protocol's own (``EIO``, ``transport``) among them."""
    address: str
    """The client's address; behind a trusted proxy the one that the proxy tells."""
    time: float
    """When it came, in seconds since the epoch."""
    secure: bool
    """Whether it came over TLS, to us or to a trusted proxy."""
    url: str
    """The address that the client asked for, with the query."""

    @classmethod
    def of(cls, request: Request, time: float) -> "Handshake":
        """Take from a request what an application may want to know of it."""
        return cls(
            headers=MappingProxyType(request.by_name),
            query=MappingProxyType(request.query),
            address=request.address,
            time=time,
            secure=request.secure,
            url=request.url,
        )
