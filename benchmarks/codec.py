"""What the Socket.IO codec costs, against python-socketio's packet classes: microseconds of CPU time for one packet.

``python benchmarks/codec.py IMPLEMENTATION`` measures one of the two, ``ours`` or ``python-socketio``, in the interpreter that
runs it, and prints JSON: a list of direction, packet and microseconds. ``benchmarks/compare.py`` runs both in turn, each in
its own environment, and makes the ratios. Both encode a packet that is made each time, as a server does, and decode what
a client sends; neither includes the type digit of Engine.IO. ``ours-orjson`` and ``ours-msgspec`` are ours with those
libraries; ``--large`` measures packets for which they matter more.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
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

LARGE: Final[dict[str, tuple[list[object], int | None, str]]] = {
    "a hundred objects": (
        [
            "rows",
            [{"id": n, "name": f"user {n}", "tags": ["a", "b"], "score": n * 1.5, "ok": True} for n in range(100)],
        ],
        None,
        "/",
    ),
    "three hundred floats": (["points", [n / 7 for n in range(300)]], None, "/"),
    "three hundred integers": (["values", list(range(1000, 1300))], None, "/"),
}
"""Packets of some kilobytes."""

BATCH: Final = 0.02
"""Seconds that one batch takes about."""

BATCHES: Final = 5
"""Batches, of which the median counts."""

Cases = dict[tuple[str, str], Callable[[], object]]


def ours(library: str = "json") -> Cases:
    """Return what is measured of trio-socketio."""
    from trio_socketio.protocol import jsoncodec, socketio  # noqa: PLC0415  # the other environment has it not

    codec = jsoncodec.json_codec(library)
    decoder = socketio.Decoder(json=codec)

    def encoding(kind: socketio.PacketType, namespace: str, data: object, number: int | None) -> Callable[[], object]:
        return lambda: socketio.encode(socketio.Packet(kind, namespace, data, number), codec)

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


IMPLEMENTATIONS: Final[dict[str, Callable[[], Cases]]] = {
    "ours": ours,
    "ours-orjson": partial(ours, "orjson"),
    "ours-msgspec": partial(ours, "msgspec"),
    "python-socketio": python_socketio,
}


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
    parser.add_argument("--large", action="store_true", help="packets of some kilobytes")
    options = parser.parse_args()
    if options.large:
        EVENTS.clear()
        EVENTS.update(LARGE)
    cases = IMPLEMENTATIONS[options.implementation]()
    print(json.dumps([[*case, measure(call)] for case, call in cases.items()]))


if __name__ == "__main__":
    main()
