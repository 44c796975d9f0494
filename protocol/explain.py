"""The anatomy of frames, for people: which characters and bytes belong to which layer, and what they say.

A frame becomes a list of `Span`. Their contents joined are the frame, and none of them is empty, except that the empty
frame is one empty span. A frame that the decoders of this folder refuse is explained up to the place that they blame;
the last span is then the fault, takes in the rest, and says what is wrong and what is usual. If nothing is left there,
because the frame ends too early, the last span before that place is the fault. A frame has a fault exactly if
`engineio.decode_packet`, `engineio.Handshake.from_json` for an open packet, or `socketio.Decoder` for a message refuses it.
Attachments that have not come are no fault, nor are more of them than a server allows: its limits are no rules of the protocol.

`explain` takes what a WebSocket message carries, `explain_payload` the body of a polling request or answer,
`explain_target` the URL of a request, and `explain_websocket` the bytes of WebSocket frames. Where one frame belongs to
another, as attachments do, a `Conversation` hears them in order. All of it takes linear time and no recursion, and of
very many parts the last are left whole. Revision 3 of Engine.IO, the one of Socket.IO 2, is explained here and nowhere
else decoded; the rules for it are those of the specification.

The functions raise TypeError for what is neither text nor bytes and ValueError for an unknown revision, and nothing for
any frame.
"""

from dataclasses import replace

from trio_socketio.protocol import engineio, explain_engineio, explain_http, explain_socketio, socketio
from trio_socketio.protocol import explain_payload as explain_payloads
from trio_socketio.protocol import explain_websocket as explain_websockets
from trio_socketio.protocol.engineio import PacketType
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.explain_spans import (
    MAX_SPANS,
    Fault,
    Layer,
    Span,
    assemble,
    continue_with,
    counted,
    end_with_fault,
    finish,
    is_broken,
    laid_over,
)

__all__ = [
    "Conversation",
    "Layer",
    "Span",
    "explain",
    "explain_payload",
    "explain_target",
    "explain_websocket",
    "is_broken",
]


def explain(frame: str | bytes, *, revision: int = 4) -> list[Span]:
    """Explain one frame by itself: the text or the bytes of a WebSocket message.

    Raises:
        TypeError: The frame is neither text nor bytes.
        ValueError: The revision is neither 3 nor 4.
    """
    return Conversation(revision=revision).explain(frame)


def explain_payload(payload: str | bytes, *, revision: int = 4) -> list[Span]:
    """Explain the body of a polling request or answer; of bytes the spans are bytes, too.

    Raises:
        TypeError: The payload is neither text nor bytes.
        ValueError: The revision is neither 3 nor 4.
    """
    return Conversation(revision=revision).explain_payload(payload)


def explain_websocket(data: bytes, *, revision: int = 4) -> list[Span]:
    """Explain WebSocket frames as they cross the wire, one or several; the spans have the bytes, masked or not.

    Raises:
        TypeError: The data is not bytes.
        ValueError: The revision is neither 3 nor 4.
    """
    return Conversation(revision=revision).explain_websocket(data)


def explain_target(target: str, *, revision: int = 4) -> list[Span]:
    """Explain the URL of a request, or the part of it that a request line has, from the path or the ``?`` on.

    A fault is what a server refuses whatever its state: here it is the parameter alone, and others may follow it.

    Raises:
        TypeError: The target is not text.
        ValueError: The revision is neither 3 nor 4.
    """
    _check_revision(revision)
    if not isinstance(target, str):
        raise TypeError(f"A target is text, not {type(target).__name__}")
    return explain_http.spans(target, revision)


def _check_revision(revision: int) -> None:
    if revision not in explain_engineio.REVISIONS:
        raise ValueError(f"Engine.IO is explained in the revisions 3 and 4, not {revision!r}")


class Conversation:
    """What one side of one session sends, frame after frame.

    It may begin in the middle: bytes that come first, or after a fault, may be attachments of a packet that is not known.

    Args:
        revision: Of the Engine.IO protocol.

    Raises:
        ValueError: The revision is neither 3 nor 4.
    """

    __slots__ = ("_announced", "_arrived", "_decoder", "_informed", "_revision")

    def __init__(self, *, revision: int = 4) -> None:
        _check_revision(revision)
        self._revision = revision
        self._decoder = _unlimited_decoder()
        self._announced = 0
        self._arrived = 0
        self._informed = False
        """Whether a Socket.IO packet has come, so that it is known which attachments there are."""

    @property
    def missing(self) -> int:
        """How many attachments of the last packet have not come yet."""
        return self._announced - self._arrived if self._decoder.pending else 0

    def explain(self, frame: str | bytes) -> list[Span]:
        """Explain the next frame, as the function of this name."""
        _check_text_or_bytes(frame)
        if isinstance(frame, bytes):
            return self._explain_binary(frame)
        if explain_payloads.is_base64(frame):
            return self._explain_base64(frame)
        fault = self._hear(frame)
        return assemble(frame, explain_engineio.pieces(frame, self._revision), fault)

    def explain_payload(self, payload: str | bytes) -> list[Span]:
        """Explain the next polling payload, as the function of this name."""
        _check_text_or_bytes(payload)
        if isinstance(payload, str):
            return self._explain_text_payload(payload)
        if self._revision == 3 and payload[:1] in (b"\x00", b"\x01"):
            return self._explain_byte_payload(payload)
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            return _not_utf8(payload, error.start)
        return laid_over(payload, self._explain_text_payload(text))

    def explain_websocket(self, data: bytes) -> list[Span]:
        """Explain the next WebSocket frames, as the function of this name."""
        if not isinstance(data, bytes):
            raise TypeError(f"WebSocket frames are bytes, not {type(data).__name__}")
        return explain_websockets.spans(data, self.explain)

    # Explaining parts.

    def _explain_binary(self, frame: bytes) -> list[Span]:
        spans: list[Span] = []
        data = frame
        if self._revision == 3:
            if frame[:1] != explain_engineio.BINARY_MESSAGE.content:
                self._forget()
                return end_with_fault([], frame, explain_engineio.NOT_BINARY)
            spans.append(explain_engineio.BINARY_MESSAGE)
            data = frame[1:]
        name, meaning = explain_socketio.attachment(data, self._place())
        if fault := self._hear_bytes(data):
            return end_with_fault(spans, data, fault)
        if data or not spans:
            spans.append(Span(data, Layer.SOCKETIO, name, meaning, explain_socketio.ENCODING))
        return spans

    def _explain_text_payload(self, payload: str) -> list[Span]:
        spans: list[Span] = []
        for part in explain_payloads.split(payload, self._revision):
            if isinstance(part, Fault):
                return finish(spans, payload, part)
            packet = payload[part.start : part.end]
            if len(spans) < MAX_SPANS:
                spans.extend(part.head)
                if continue_with(spans, self.explain(packet), payload):
                    return spans
            elif fault := self._hear_packet(packet):
                return finish(spans, payload, replace(fault, position=part.start + fault.position))
        return finish(spans, payload, None)

    def _explain_base64(self, packet: str) -> list[Span]:
        """Explain a binary message that is text, in a payload or in a text frame."""
        fault: Fault | None
        data = explain_payloads.decode_base64(packet, self._revision)
        if isinstance(data, Fault):
            self._forget()
            named, fault = ("base64", "the bytes of a message"), data
        else:
            named = explain_socketio.attachment(data, self._place())
            fault = self._hear_bytes(data)
        return assemble(packet, explain_payloads.base64_pieces(packet, named, self._revision), fault)

    def _explain_byte_payload(self, payload: bytes) -> list[Span]:
        spans: list[Span] = []
        for part in explain_payloads.split_bytes(payload):
            if isinstance(part, Fault) or len(spans) >= MAX_SPANS:
                return finish(spans, payload, part if isinstance(part, Fault) else None)
            spans.extend(part.head)
            packet = payload[part.start : part.end]
            if continue_with(spans, self._explain_byte_packet(packet, binary=part.binary), payload):
                break
        return spans

    def _explain_byte_packet(self, packet: bytes, *, binary: bool) -> list[Span]:
        if binary:
            return self.explain(packet)
        try:
            text = packet.decode()
        except UnicodeDecodeError as error:
            return _not_utf8(packet, error.start)
        return laid_over(packet, self.explain(text))

    # Asking the decoders.

    def _place(self) -> tuple[int, int] | None:
        """Which attachment the next binary message is, counted from 0, and of how many."""
        return (self._arrived, self._announced) if self._decoder.pending else None

    def _hear(self, packet: str) -> Fault | None:
        """Return what the decoders have against a text packet."""
        try:
            decoded = engineio.decode_packet(packet)
        except DecodeError as error:
            self._forget()
            return explain_engineio.fault_of(packet, error, self._revision)
        if decoded.type is PacketType.OPEN:
            return self._hear_handshake(packet[1:])
        if decoded.type is PacketType.MESSAGE:
            fault = self._hear_text(packet[1:])
            return fault and replace(fault, position=fault.position + 1)
        return None

    def _hear_packet(self, packet: str) -> Fault | None:
        """Return what the decoders have against a packet of a text payload."""
        if not explain_payloads.is_base64(packet):
            return self._hear(packet)
        data = explain_payloads.decode_base64(packet, self._revision)
        return data if isinstance(data, Fault) else self._hear_bytes(data)

    def _hear_handshake(self, text: str) -> Fault | None:
        try:
            engineio.Handshake.from_json(text)
        except DecodeError as error:
            return explain_engineio.handshake_fault(error, self._revision)
        return None

    def _hear_text(self, message: str) -> Fault | None:
        interrupts = self._decoder.pending
        try:
            self._decoder.feed(message)
        except DecodeError as error:
            self._forget()
            if interrupts:
                return explain_socketio.interruption(error)
            if self._revision == 4 or not explain_socketio.is_refusal_of_2(message):
                return explain_socketio.fault_of(message, error, self._revision)
        self._informed = True
        self._arrived = 0
        self._announced = explain_socketio.attachments_of(message)
        return None

    def _hear_bytes(self, message: bytes) -> Fault | None:
        if not self._informed:
            return None
        try:
            self._decoder.feed(message)
        except DecodeError as error:
            self._forget()
            return explain_socketio.unwanted(error)
        self._arrived += 1
        return None

    def _forget(self) -> None:
        """Begin in the middle again: after a fault nobody knows what the peer thinks that it has announced."""
        self._decoder = _unlimited_decoder()
        self._informed = False


def _unlimited_decoder() -> socketio.Decoder:
    return socketio.Decoder(socketio.MAX_ACK_ID, socketio.MAX_ACK_ID)  # more than a packet can announce


def _check_text_or_bytes(frame: object) -> None:
    if not isinstance(frame, (str, bytes)):
        raise TypeError(f"A frame is text or bytes, not {type(frame).__name__}")


def _not_utf8(payload: bytes, position: int) -> list[Span]:
    fault = Fault(
        position, Layer.HTTP, "payload", f"Byte {position} of the payload is not UTF-8", explain_payloads.POLLING
    )
    spans = []
    if position:
        before = f"{counted(position, 'byte')} of text before the fault"
        spans.append(Span(payload[:position], Layer.HTTP, "payload", before, explain_payloads.POLLING))
    return finish(spans, payload, fault)
