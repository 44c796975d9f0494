"""The sections of the specifications that cases refer to."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Section:
    """One section of one specification."""

    document: str
    """The name of the specification."""
    title: str
    """Its section, by title or number."""
    url: str
    """Where it can be read."""

    def __str__(self) -> str:
        return f"{self.document}, {self.title}"


_ENGINE: Final = "https://github.com/socketio/engine.io-protocol"
_SOCKET: Final = "https://github.com/socketio/socket.io-protocol"


def _engine(title: str, anchor: str) -> Section:
    return Section("Engine.IO protocol (revision 4)", f'"{title}"', f"{_ENGINE}#{anchor}")


def _socket(title: str, anchor: str) -> Section:
    return Section("Socket.IO protocol (revision 5)", f'"{title}"', f"{_SOCKET}#{anchor}")


def rfc(number: int, section: str) -> Section:
    """Return a section of an RFC."""
    return Section(
        f"RFC {number}", f"section {section}", f"https://www.rfc-editor.org/rfc/rfc{number}#section-{section}"
    )


EIO_TRANSPORTS: Final = _engine("Transports", "transports")
EIO_PATH: Final = _engine("Request path", "request-path")
EIO_QUERY: Final = _engine("Query parameters", "query-parameters")
EIO_HEADERS: Final = _engine("Headers", "headers")
EIO_SENDING: Final = _engine("Sending data", "sending-data")
EIO_RECEIVING: Final = _engine("Receiving data", "receiving-data")
EIO_WEBSOCKET: Final = _engine("WebSocket", "websocket")
EIO_PROTOCOL: Final = _engine("Protocol", "protocol")
EIO_HANDSHAKE: Final = _engine("Handshake", "handshake")
EIO_HEARTBEAT: Final = _engine("Heartbeat", "heartbeat")
EIO_UPGRADE: Final = _engine("Upgrade", "upgrade")
EIO_MESSAGE: Final = _engine("Message", "message")
EIO_ENCODING: Final = _engine("Packet encoding", "packet-encoding")
EIO_POLLING_ENCODING: Final = _engine("Packet encoding: HTTP long-polling", "http-long-polling-1")
EIO_WEBSOCKET_ENCODING: Final = _engine("Packet encoding: WebSocket", "websocket-1")

SIO_EXCHANGE: Final = _socket("Exchange protocol", "exchange-protocol")
SIO_CONNECT: Final = _socket("Connection to a namespace", "connection-to-a-namespace")
SIO_DATA: Final = _socket("Sending and receiving data", "sending-and-receiving-data")
SIO_ACK: Final = _socket("Acknowledgement", "acknowledgement")
SIO_DISCONNECT: Final = _socket("Disconnection from a namespace", "disconnection-from-a-namespace")
SIO_ENCODING: Final = _socket("Packet encoding", "packet-encoding")
SIO_SAMPLE: Final = _socket("Sample session", "sample-session")
SIO_HISTORY: Final = _socket("Difference between v5 and v4", "difference-between-v5-and-v4")
SIO_SUITE: Final = _socket("Test suite", "test-suite")
SIO_ORDER: Final = Section(
    "Socket.IO documentation", '"Message ordering"', "https://socket.io/docs/v4/delivery-guarantees#message-ordering"
)
SIO_ROOMS: Final = Section("Socket.IO documentation", '"Rooms"', "https://socket.io/docs/v4/rooms/")
SIO_BROADCAST: Final = Section(
    "Socket.IO documentation", '"Broadcasting events"', "https://socket.io/docs/v4/broadcasting-events/"
)

FETCH_CORS: Final = Section(
    "Fetch standard", '"HTTP-CORS protocol"', "https://fetch.spec.whatwg.org/#http-cors-protocol"
)
FETCH_PREFLIGHT: Final = Section(
    "Fetch standard", '"CORS-preflight fetch"', "https://fetch.spec.whatwg.org/#cors-preflight-fetch"
)

FIXTURE: Final = Section("The fixture of this suite", "docs/conformance.md", "docs/conformance.md#the-fixture")
"""What no specification demands, but the events of the fixture, which every implementation can offer, show."""
