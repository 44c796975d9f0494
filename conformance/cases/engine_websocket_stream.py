"""How the bytes of a WebSocket arrive at a server, in large pieces and small, and in which frames they leave it."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_websocket import BINARY, TEXT, raw
from trio_socketio.conformance.peer import PeerError, WebSocketPeer
from trio_socketio.conformance.sections import EIO_WEBSOCKET, rfc
from trio_socketio.conformance.trial import Trial


@case(
    "eio.websocket.stream.together",
    Level.MUST,
    rfc(6455, "5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Many frames in one segment are all answered, in order",
    expected="one hundred messages that arrive together come back in the order in which they were sent",
    why="TCP knows no frames: a fast client's messages arrive together.",
)
async def together(trial: Trial) -> None:
    session = await trial.open("websocket")
    contents = [f"message {number}" for number in range(100)]
    await session.send_raw(b"".join(raw(trial.dialect.say(content)) for content in contents))
    for content in contents:
        await trial.hear(session, content)


@case(
    "eio.websocket.stream.byte-by-byte",
    Level.MUST,
    rfc(6455, "5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame that arrives byte by byte is understood",
    expected="the message comes back",
    why="TCP knows no frames: on a slow line any split of header, mask and payload happens.",
)
async def byte_by_byte(trial: Trial) -> None:
    session = await trial.open("websocket")
    for byte in raw(trial.dialect.say("slowly")):
        await session.send_raw(bytes([byte]))
    await trial.hear(session, "slowly")


@case(
    "eio.websocket.stream.early",
    Level.MAY,
    rfc(6455, "4.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Frames right behind the opening handshake are not lost",
    expected="the open packet, then the answer to the frame that came in the same segment",
    why="A client that does not wait for the answer is hasty, but the bytes are there.",
)
async def early(trial: Trial) -> None:
    frames = trial.dialect.say("early") if trial.dialect.greeting is None else [trial.dialect.greeting]
    session = await trial.peer.open_websocket(behind=raw(frames))
    first, second = str(await trial.next(session)), str(await trial.next(session))
    trial.check(first.startswith("0{"), f"the first frame is {first!r}", "the first frame is the open packet")
    trial.check(second.startswith(str(frames[0])), f"the second frame is {second!r}", f"it answers {frames[0]!r}")


@case(
    "eio.websocket.frames.unmasked",
    Level.MUST,
    rfc(6455, "5.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="The server's frames are not masked, and no reserved bit is set",
    expected="frames with the mask bit and the reserved bits 0",
    why="A client must fail the connection upon a masked frame.",
)
async def server_frames_are_unmasked(trial: Trial) -> None:
    for content in ("hello", b"\x01\x02\x03\x04"):
        for first, second, _ in await _frames_of_echo(trial, content):
            trial.equal(second >> 7, 0, "the mask bit")
            trial.equal(first & 0x70, 0, "the reserved bits")


@case(
    "eio.websocket.frames.whole",
    Level.SHOULD,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Each packet leaves in a frame of its own, whole",
    expected="final text and binary frames, each with one packet",
    why="Each packet is sent in its own frame; small clients on microcontrollers do not put fragments together.",
)
async def server_frames_are_whole(trial: Trial) -> None:
    for content in ("hello", "x" * 70_000, b"\x01\x02\x03\x04"):
        expected = trial.dialect.back(content)
        came = await _frames_of_echo(trial, content)
        opcodes = [0x80 | (TEXT if isinstance(each, str) else BINARY) for each in expected]
        trial.equal([first for first, _, _ in came], opcodes, "the list of final bits and opcodes")
        payloads = [each.encode() if isinstance(each, str) else each for each in expected]
        trial.check([payload for _, _, payload in came] == payloads, "the frames do not hold one packet each")


async def _frames_of_echo(trial: Trial, content: str | bytes) -> list[tuple[int, int, bytes]]:
    """Return the two bytes before each frame's length or payload, and the payload, as they cross the wire."""
    session = await trial.open("websocket")
    for each in trial.dialect.say(content):
        await session.send(each)
    reader = _Reader(session)
    came: list[tuple[int, int, bytes]] = []
    while len(came) < len(trial.dialect.back(content)):
        one = await reader.frame()
        if one[2] == b"2":
            await session.send("3")
        else:
            came.append(one)
    return came


class _Reader:
    """Reads frames without a WebSocket library, which would hide how they were written."""

    def __init__(self, session: WebSocketPeer) -> None:
        self._wire = session.wire
        self._data = b""

    async def frame(self) -> tuple[int, int, bytes]:
        first, second = await self._bytes(2)
        length = second & 0x7F
        if length >= 126:  # above, the length takes two bytes more, or eight
            length = int.from_bytes(await self._bytes(2 if length == 126 else 8), "big")
        if second >> 7:
            await self._bytes(4)
        return first, second, await self._bytes(length)

    async def _bytes(self, count: int) -> bytes:
        while len(self._data) < count:
            with self._wire.patient("no whole frame came"):
                data = await self._wire.receive()
            if not data:
                raise PeerError("the connection ended in the middle of a frame")
            self._data += data
        taken, self._data = self._data[:count], self._data[count:]
        return taken
