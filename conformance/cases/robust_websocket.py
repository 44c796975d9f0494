"""Whatever comes over a WebSocket instead of frames, and frames in numbers and sizes that no client sends."""

from contextlib import suppress

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.hostile import (
    drop,
    expect_ended,
    flood,
    in_waves,
    neighbour,
    rebuffed,
    request,
    say,
    settled,
)
from trio_socketio.conformance.peer import Closed, PeerError, Refused, Silence, WebSocketPeer, frame
from trio_socketio.conformance.sections import EIO_WEBSOCKET, rfc
from trio_socketio.conformance.trial import Trial

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

FRAMING = rfc(6455, "5.2")
CONTROL = rfc(6455, "5.5")
FRAGMENTS = rfc(6455, "5.4")
LIMITS = rfc(6455, "10.4")
OPENING = rfc(6455, "4.2.1")

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)

STORM = 120


async def _open(trial: Trial) -> WebSocketPeer:
    session = await trial.open("websocket")
    assert isinstance(session, WebSocketPeer)  # noqa: S101  # asked for
    return session


async def _expect_closed_by(trial: Trial, data: bytes, what: str) -> None:
    """Fail unless the server closes a WebSocket because of these bytes."""
    websocket = await _open(trial)
    with suppress(Closed):
        await websocket.send_raw(data)
    await expect_ended(trial, websocket, what)


@case(
    "robust.websocket.garbage",
    Level.ROBUST,
    rfc(6455, "5.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Bytes that are no frames end the WebSocket",
    expected="the end of the connection, with a Close frame or without, for all bytes in a row, an HTTP request, text, and 0xff",
    why="Whatever the parser raises for them must not reach anybody but the client that sent them.",
)
async def garbage(trial: Trial) -> None:
    for data in (bytes(range(256)) * 4, request(trial), b'42["message"]' * 20, b"\xff" * 1000):
        await _expect_closed_by(trial, data, f"{data[:20]!r}")


@case(
    "robust.websocket.length.huge",
    Level.ROBUST,
    LIMITS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame that is announced with more bytes than there are anywhere ends the WebSocket at once",
    expected="the end of the connection for 2^63-1 bytes, and for lengths with the highest bit set, before any data has come",
    why="Memory that is set aside for what was only announced is lost to all others.",
)
async def huge_length(trial: Trial) -> None:
    for length in (2**63 - 1, 2**63, 2**64 - 1):
        await _expect_closed_by(trial, frame(BINARY, length=length), f"a frame of {length} bytes was announced")


@case(
    "robust.websocket.length.streamed",
    Level.ROBUST,
    LIMITS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame that is longer than the server takes is not collected to its end",
    expected="the end of the connection at the latest when more bytes have come than maxPayload allows, of 2^40 announced",
    why="A few clients that send slowly could fill the memory of the server.",
)
async def streamed_length(trial: Trial) -> None:
    limit = trial.target.max_payload
    if limit > 1_500_000:
        trial.skip(f"the server takes {limit} bytes, more than this case sends")
    head = frame(BINARY, length=2**40)
    await _expect_closed_by(trial, head + bytes(limit + 65_536), f"{limit + 65_536} bytes of a frame of 2^40")


@case(
    "robust.websocket.length.cut-off",
    Level.ROBUST,
    FRAMING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A client that hangs up in the middle of a frame harms nobody",
    expected="wherever the frame is cut off, a client that is connected meanwhile is served, and so is the next",
    why="Phones lose their connection at any moment.",
)
async def cut_off(trial: Trial) -> None:
    whole = frame(TEXT, b"3" * 70_000)
    async with neighbour(trial):
        for length in (1, 2, 5, 10, 14, 15, 60_000, len(whole) - 1):
            await drop(await _open(trial), whole[:length])


@case(
    "robust.websocket.frames.unsolicited-pongs",
    Level.ROBUST,
    rfc(6455, "5.5.3"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Ten thousand tiny frames are taken, or end the WebSocket",
    expected="after as many Pong frames that nobody asked for, a message comes back, or the connection has ended",
    why="What costs a client six bytes must not cost the server much more.",
)
async def tiny_frames(trial: Trial) -> None:
    websocket = await _open(trial)
    await flood(websocket, [frame(PONG)] * 10_000)
    await settled(websocket, trial)


@case(
    "robust.websocket.frames.pings",
    Level.ROBUST,
    rfc(6455, "5.5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A thousand Ping frames are answered, or end the WebSocket",
    expected="Pong frames with what was in the Pings, in order, the last one among them; or the end of the connection",
    why="A server that answers each in a task of its own, or out of turn, is slowed down for all.",
)
async def pings(trial: Trial) -> None:
    websocket = await _open(trial)
    await flood(websocket, [frame(PING, str(number).encode()) for number in range(1000)])
    if await settled(websocket, trial):
        numbers = [int(payload) for payload in websocket.pongs]
        trial.equal(numbers, sorted(set(numbers)), "the Pongs")
        trial.equal(numbers[-1:], [999], "the last Pong")


@case(
    "robust.websocket.frames.empty",
    Level.ROBUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Empty messages end the session, or are ignored",
    expected="after a thousand empty text and binary messages, a message comes back, or the connection has ended",
    why="Code that looks at the first character of a message fails if there is none.",
)
async def empty_messages(trial: Trial) -> None:
    for opcode in (TEXT, BINARY):
        websocket = await _open(trial)
        await flood(websocket, [frame(opcode)] * 1000)
        await settled(websocket, trial)


@case(
    "robust.websocket.fragments.tiny",
    Level.ROBUST,
    FRAGMENTS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A message in thousands of fragments is put together, or ends the WebSocket",
    expected="a message of 5000 fragments, with Pings and empty fragments between, comes back; or the connection has ended",
    why="A server that copies all it has for each fragment is busy for seconds.",
)
async def fragments(trial: Trial) -> None:
    websocket = await _open(trial)
    content = "0123456789" * 500
    data = str(trial.dialect.say(content)[0]).encode()
    middle = [frame(CONTINUATION, data[index : index + 1], final=False) for index in range(1, len(data))]
    middle[1000:1000] = [frame(PING), *[frame(CONTINUATION, final=False)] * 500]
    await flood(websocket, [frame(TEXT, data[:1], final=False), *middle, frame(CONTINUATION)])
    with suppress(Closed):
        await trial.hear(websocket, content)


@case(
    "robust.websocket.fragments.endless",
    Level.ROBUST,
    FRAGMENTS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A fragmented message that never ends is not collected beyond the limit",
    expected="the end of the connection at the latest when its fragments have more bytes than maxPayload allows",
    why="A limit on frames alone does not bound memory.",
)
async def endless_fragments(trial: Trial) -> None:
    limit = trial.target.max_payload
    if limit > 1_500_000:
        trial.skip(f"the server takes {limit} bytes, more than this case sends")
    size = 50_000
    part = frame(CONTINUATION, bytes(size), final=False)
    data = frame(BINARY, b"\x00", final=False) + part * (limit // size + 1)
    await _expect_closed_by(trial, data, f"{limit + size} bytes in fragments")


@case(
    "robust.websocket.fragments.abandoned",
    Level.ROBUST,
    FRAGMENTS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A client that hangs up between two fragments harms nobody",
    expected="whatever it has sent, the next client is served",
    why="Phones lose their connection at any moment.",
)
async def abandoned_fragments(trial: Trial) -> None:
    for opcode in (TEXT, BINARY):
        await drop(await _open(trial), frame(opcode, b"4", final=False) + frame(CONTINUATION, b"2", final=False) * 1000)


@case(
    "robust.websocket.control",
    Level.ROBUST,
    CONTROL,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Malformed control frames end the WebSocket",
    expected="the end of the connection for fragmented and long Pings, reserved opcodes, and odd Close frames",
    why="Whatever the parser raises for them must not reach anybody but the client that sent them.",
)
async def control_frames(trial: Trial) -> None:
    frames = {
        "a fragmented Ping": frame(PING, b"a", final=False),
        "a Ping of 126 bytes": frame(PING, b"a" * 126),
        "a Ping of 70,000 bytes": frame(PING, b"a" * 70_000),
        "a reserved control opcode": frame(0xB, b"a"),
        "a reserved data opcode": frame(0x3, b"a"),
        "a Close frame of one byte": frame(CLOSE, b"\x03"),
        "a Close frame with code 1005": frame(CLOSE, b"\x03\xed"),
        "a Close frame with code 65535": frame(CLOSE, b"\xff\xff"),
        "a Close frame with a broken reason": frame(CLOSE, b"\x03\xe8\xff\xfe"),
        "all reserved bits": frame(TEXT, b"3", reserved=7),
        "a continuation of nothing": frame(CONTINUATION, b"3"),
    }
    for what, data in frames.items():
        await _expect_closed_by(trial, data, what)


@case(
    "robust.websocket.compression",
    Level.ROBUST,
    rfc(7692, "6"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A compressed frame without an agreement on compression ends the WebSocket",
    expected="the end of the connection, whether the client has offered permessage-deflate, which the server declined, or not",
    why="Data that one side compresses and the other does not is noise to the parsers behind.",
)
async def compression(trial: Trial) -> None:
    compressed = frame(TEXT, b"\x32\x00\x00", reserved=4)
    await _expect_closed_by(trial, compressed, "a compressed frame")
    try:
        websocket = await trial.peer.open_websocket(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")])
    except Refused:
        raise
    except PeerError:  # the server agrees, and this client, which has not really offered it, ends the handshake
        return
    await websocket.receive()
    await websocket.send_raw(compressed)
    await expect_ended(trial, websocket, "a compressed frame, which was offered")


@case(
    "robust.websocket.opening",
    Level.ROBUST,
    OPENING,
    Need.WEBSOCKET,
    title="A malformed opening handshake is refused",
    expected="an error (4xx or 5xx), or the end of the connection, for a missing or short key, an odd version, and a POST",
    why="Whatever the server raises for them must not reach anybody but the client that sent them.",
)
async def malformed_openings(trial: Trial) -> None:
    target = trial.peer.target(transport="websocket")
    without_key = UPGRADE[:-1]
    without_version = ("Connection: Upgrade", "Upgrade: websocket", KEY)
    await rebuffed(trial, request(trial, target, *without_key), "a handshake without a key")
    await rebuffed(trial, request(trial, target, *without_key, "Sec-WebSocket-Key: a"), "a handshake with a short key")
    await rebuffed(trial, request(trial, target, *without_version), "a handshake without a version")
    for version in ("12", "0", "abc", "9" * 400):
        odd = request(trial, target, *without_version, f"Sec-WebSocket-Version: {version}")
        await rebuffed(trial, odd, f"a handshake of version {version[:10]}")
    await rebuffed(trial, request(trial, target, *UPGRADE, method="POST"), "a handshake with POST")
    await rebuffed(trial, request(trial, target), "a request without an upgrade")


@case(
    "robust.websocket.opening.extensions",
    Level.ROBUST,
    rfc(6455, "9.1"),
    Need.WEBSOCKET,
    title="Malformed extensions and subprotocols in the opening handshake harm nobody",
    expected="the WebSocket, or a refusal; the next client is served",
    why="Parsers of these lists have been brought to a standstill by blanks and commas.",
)
async def malformed_extensions(trial: Trial) -> None:
    target = trial.peer.target(transport="websocket")
    values = ("permessage-deflate; client_max_window_bits=999", ",,,;;;===", '"', "a;" * 3000, "a" + " " * 8000 + "b")
    for name in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
        for value in values:
            wire = await trial.peer.connect()
            await say(wire, request(trial, target, *UPGRADE, f"{name}: {value}"))
            with wire.patient("neither an answer nor the end of the connection came"):
                await wire.receive()
            await wire.hang_up()


@case(
    "robust.websocket.opening.hang-up",
    Level.ROBUST,
    OPENING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Clients that hang up during or right after the opening handshake harm nobody",
    expected="wherever they do, a client that is connected meanwhile is served, and so is the next",
    why="Users leave a page while it connects.",
)
async def hang_up_while_opening(trial: Trial) -> None:
    head = request(trial, trial.peer.target(transport="websocket"), *UPGRADE)
    async with neighbour(trial):
        for data in (
            head[:-30],
            head[:-1],
            head,
            head + frame(TEXT, b"40"),
            head + frame(TEXT, b"40")[:3],
            head + head,
        ):
            wire = await trial.peer.connect()
            await say(wire, data)
            await wire.hang_up()


@case(
    "robust.websocket.opening.early",
    Level.ROBUST,
    OPENING,
    Need.WEBSOCKET,
    title="A client that does not wait for the answer to its opening handshake is served, or its connection ends",
    expected="the answer to a Ping that follows the handshake, after one that came too early; or the end of the connection",
    why="A server that reads on where it should not, or reads the frame as a request, leaves the client waiting.",
)
async def early_frames(trial: Trial) -> None:
    wire = await trial.peer.connect()
    head = request(trial, trial.peer.target(transport="websocket"), *UPGRADE)
    await say(wire, head + frame(PING, b"too early"))
    received = b""
    with wire.patient("neither the answer nor the end of the connection came"):
        while b"\r\n\r\n" not in received and (data := await wire.receive()):
            received += data
    with suppress(Closed):
        await say(wire, frame(PING, b"in time"))
    with wire.patient("neither the Pong nor the end of the connection came"):
        while frame(PONG, b"in time", masked=False) not in received and (data := await wire.receive()):
            received += data


@case(
    "robust.websocket.unread",
    Level.ROBUST,
    LIMITS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A client that sends and never reads holds up nobody",
    expected="while 100 messages of 8 KB are sent back to it, a client that is connected is served, and so is the next",
    why="A tab in the background does not read for minutes; a server that waits for it stands still.",
)
async def unread(trial: Trial) -> None:
    websocket = await _open(trial)
    async with neighbour(trial):
        message = frame(TEXT, str(trial.dialect.say("x" * 8000)[0]).encode())
        with suppress(Closed, Silence):  # a server may stop to read from who does not read
            for _ in range(10):
                await websocket.send_raw(message * 10)
        await trial.expect_served()
    await websocket.hang_up()


@case(
    "robust.websocket.storm",
    Level.ROBUST,
    OPENING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Many WebSockets, opened and ended without a word, harm nobody",
    expected=f"while {STORM} come and go, 40 at a time, a client that is connected stays so, and is served",
    why="That is what follows the restart of a proxy.",
)
async def storm(trial: Trial) -> None:
    head = request(trial, trial.peer.target(transport="websocket"), *UPGRADE)

    async def come_and_go() -> None:
        wire = await trial.peer.connect()
        await wire.send(head)
        with wire.patient("no answer to the opening handshake came"):
            await wire.receive()
        await wire.hang_up()

    async with neighbour(trial):
        await in_waves(STORM, come_and_go)
