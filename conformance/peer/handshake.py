"""What a server announces when a session begins, and packets in the body of a polling answer."""

import json
from typing import Final

from trio_socketio.conformance.peer.errors import PeerError
from trio_socketio.conformance.peer.http import Response
from trio_socketio.protocol import engineio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON, LONE_SURROGATE

DEFAULTS: Final = engineio.Handshake("", (), 25.0, 20.0, 1_000_000)
"""What the reference server announces."""

_LARGEST: Final = 2**53 - 1
"""The largest count that JavaScript reads exactly; one beyond makes no sense."""


def decode_payload(response: Response) -> list[engineio.Packet]:
    """Return the packets in the body of a polling answer.

    Raises:
        PeerError: It is no payload.
    """
    try:
        return engineio.decode_payload(response.text)
    except (DecodeError, UnicodeDecodeError) as error:
        raise PeerError(f"a polling answer is no payload: {error}") from None


def open_packet(packet: engineio.Packet) -> engineio.Handshake:
    """Return what an open packet says.

    What is missing or makes no sense is taken from `DEFAULTS`, so that one wrong value of a server fails the cases that are
    about it, and not all. Only without a sid nothing can go on.

    Raises:
        PeerError: It is no open packet, or has no sid that can be sent back.
    """
    if packet.type is not engineio.PacketType.OPEN:
        raise PeerError(f"an open packet was expected, and came {packet}")
    try:
        values = json.loads(packet.data)
    except ValueError as error:
        raise PeerError(f"the open packet is no JSON: {error}") from None
    if not isinstance(values, dict) or not isinstance(values.get("sid"), str):
        raise PeerError(f"the open packet has no sid: {str(packet.data)[:200]!r}")
    if LONE_SURROGATE.search(values["sid"]):
        raise PeerError(f"the sid {values['sid']!a} is no text that a URL can have: it has half of a surrogate pair")
    upgrades = values.get("upgrades")
    return engineio.Handshake(
        sid=values["sid"],
        upgrades=tuple(upgrades) if isinstance(upgrades, list) else DEFAULTS.upgrades,
        ping_interval=_count(values, "pingInterval", round(DEFAULTS.ping_interval * 1000)) / 1000,
        ping_timeout=_count(values, "pingTimeout", round(DEFAULTS.ping_timeout * 1000)) / 1000,
        max_payload=_count(values, "maxPayload", DEFAULTS.max_payload),
    )


def _count(values: dict[str, JSON], key: str, otherwise: int) -> int:
    value = values.get(key)
    return value if type(value) is int and 0 < value <= _LARGEST else otherwise
