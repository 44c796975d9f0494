"""What the Socket.IO codec costs, against python-socketio's packet classes: microseconds of CPU time for one packet.

``python benchmarks/codec.py IMPLEMENTATION`` measures one of the two, ``ours`` or ``python-socketio``, in the interpreter that
runs it, and prints JSON: a list of direction, packet and microseconds. ``benchmarks/compare.py`` runs both in turn, each in
its own environment, and makes the ratios. Both encode a packet that is made each time, as a server does, and decode what
a client sends; neither includes the type digit of Engine.IO.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Final

TEXT: Final = "the quick brown fox jumps over a lazy dog, and 0123456789 times so. "
CHAT: Final = {
    "room": "lobby",
    "from": {"id": 4711, "name": "Ada", "roles": ["admin", "member"]},
    "text": "Grüße aus Köln, and a few words more than that.",
    "tags": ["a", "b", "c"],
    "edited": False,
    "reply": None,
    "score": 0.75,
}

EVENTS: Final[dict[str, tuple[list[object], int | None, str]]] = {
    "64-byte event": (["message", TEXT[:49]], None, "/"),
    "event with an ack id, in a namespace": (["message", TEXT[:40]], 17, "/chat"),
    "nested object": (["chat", CHAT], None, "/"),
    "1 KiB of text": (["message", (TEXT * 16)[:1009]], None, "/"),
    "two attachments": (["upload", {"name": "a", "data": b"\x01" * 64}, b"\x02" * 64], None, "/"),
}
"""The packets: their data, their ack id and their namespace."""

ACKS: Final[dict[str, tuple[list[object], int]]] = {"acknowledgement": ([TEXT[:40]], 17)}

BATCH: Final = 0.02
"""Seconds that one batch takes about."""

BATCHES: Final = 5
"""Batches, of which the median counts."""

Cases = dict[tuple[str, str], Callable[[], object]]


def ours() -> Cases:
    """Return what is measured of trio-socketio."""
    from trio_socketio.protocol import socketio  # noqa: PLC0415  # the other implementation's environment has it not

    decoder = socketio.Decoder()

    def encoding(kind: socketio.PacketType, namespace: str, data: object, number: int | None) -> Callable[[], object]:
        return lambda: socketio.encode(socketio.Packet(kind, namespace, data, number))

    def decoding(frames: list[str | bytes]) -> Callable[[], object]:
        if len(frames) == 1:
            return lambda: decoder.feed(frames[0])
        return lambda: [decoder.feed(frame) for frame in frames]

    cases: Cases = {}
    for name, (data, number, namespace) in EVENTS.items():
        cases["encode", name] = encoding(socketio.PacketType.EVENT, namespace, data, number)
    for name, (data, number) in ACKS.items():
        cases["encode", name] = encoding(socketio.PacketType.ACK, "/", data, number)
    for (_, name), encode in list(cases.items()):
        cases["decode", name] = decoding(encode())  # type: ignore[arg-type]  # it makes a list of frames
    return cases


def python_socketio() -> Cases:
    """Return what is measured of python-socketio."""
    from socketio import packet  # noqa: PLC0415  # ours has it not

    def encoding(kind: int, namespace: str, data: object, number: int | None) -> Callable[[], object]:
        return lambda: packet.Packet(kind, data=data, namespace=namespace, id=number).encode()

    def decoding(encoded: str | list[str | bytes]) -> Callable[[], object]:
        if isinstance(encoded, str):
            return lambda: packet.Packet(encoded_packet=encoded)
        text, *attachments = encoded

        def decode() -> object:
            decoded = packet.Packet(encoded_packet=text)
            for attachment in attachments:
                decoded.add_attachment(attachment)
            return decoded

        return decode

    cases: Cases = {}
    for name, (data, number, namespace) in EVENTS.items():
        cases["encode", name] = encoding(packet.EVENT, namespace, data, number)
    for name, (data, number) in ACKS.items():
        cases["encode", name] = encoding(packet.ACK, "/", data, number)
    for (_, name), encode in list(cases.items()):
        cases["decode", name] = decoding(encode())  # type: ignore[arg-type]  # a string, or a list with attachments
    return cases


IMPLEMENTATIONS: Final = {"ours": ours, "python-socketio": python_socketio}


def batch(call: Callable[[], object], times: int) -> float:
    """Return the seconds of CPU time that so many calls take."""
    began = time.process_time()
    for _ in range(times):
        call()
    return time.process_time() - began


def measure(call: Callable[[], object]) -> float:
    """Return the microseconds of CPU time that a call takes."""
    times = max(1, int(1000 * BATCH / max(batch(call, 1000), 1e-9)))
    return statistics.median(batch(call, times) for _ in range(BATCHES)) / times * 1e6


def main() -> None:
    """Measure one implementation and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("implementation", choices=IMPLEMENTATIONS)
    options = parser.parse_args()
    cases = IMPLEMENTATIONS[options.implementation]()
    print(json.dumps([[*case, measure(call)] for case, call in cases.items()]))


if __name__ == "__main__":
    main()
