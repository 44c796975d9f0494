"""Socket.IO packets as frames (Socket.IO protocol, revision 5).

One packet is one text frame, ``<type>[<attachments>-][<namespace>,][<ack id>][<json>]``, and then one binary frame for
each attachment (Socket.IO protocol, "Packet encoding"). `encode` returns the frames of a packet. A `Decoder` is fed the
frames of one session in order and returns packets. A `Template` is a packet encoded once for many recipients. What a
server sends all the time, events and acknowledgements, `encode_event` and `encode_ack` encode without making a packet.
"""

from trio_socketio.protocol.socketio_decode import Decoder
from trio_socketio.protocol.socketio_encode import Template, encode, encode_ack, encode_event
from trio_socketio.protocol.socketio_packet import (
    MAX_ACK_ID,
    MAX_ID_DIGITS,
    PROTOCOL,
    RESERVED_EVENTS,
    Packet,
    PacketType,
)

__all__ = [
    "MAX_ACK_ID",
    "MAX_ID_DIGITS",
    "PROTOCOL",
    "RESERVED_EVENTS",
    "Decoder",
    "Packet",
    "PacketType",
    "Template",
    "encode",
    "encode_ack",
    "encode_event",
]
