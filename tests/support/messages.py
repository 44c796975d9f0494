"""What arrives on a WebSocket, read by the server's own reader in any pieces, and by wsproto."""

from trio_socketio.server.net.incoming import Arrived, Fault, Incoming, PeerClose, Ping
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Ping as WSPing


def read(data: bytes, cuts: list[int], limit: int) -> list[Arrived]:
    """Return what comes of bytes that arrive in pieces."""
    incoming = Incoming(limit)
    arrived: list[Arrived] = []
    places = sorted({min(cut, len(data)) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        arrived += incoming.feed(data[start:end])
    return arrived


def read_by_wsproto(data: bytes) -> list[Arrived]:
    """Return what wsproto's own connection makes of the same bytes."""
    connection = Connection(ConnectionType.SERVER)
    arrived: list[Arrived] = []
    parts: list[str | bytes] = []
    connection.receive_data(data)
    for event in connection.events():
        if isinstance(event, (TextMessage, BytesMessage)):
            parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
            if event.message_finished:
                empty: str | bytes = "" if isinstance(event, TextMessage) else b""
                arrived.append(empty.join(parts))  # type: ignore[arg-type]
                parts.clear()
        elif isinstance(event, WSPing):
            arrived.append(Ping(bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            at_fault = connection.state is ConnectionState.OPEN
            arrived.append(Fault(event.code, event.reason or "") if at_fault else PeerClose(event.code))
            break
    return arrived


def comparable(arrived: list[Arrived]) -> list[object]:
    """Return messages without the words of a fault, which differ."""
    return [("fault", item.code) if isinstance(item, Fault) else item for item in arrived]
