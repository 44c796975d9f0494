"""What a case is given: a server to talk to, checks, and the steps that many cases begin with."""

import json
import secrets
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Literal, NoReturn, overload

import trio
from trio_socketio.conformance.case import Need
from trio_socketio.conformance.dialect import Dialect
from trio_socketio.conformance.peer import (
    Closed,
    Peer,
    PeerError,
    Polling,
    Response,
    Silence,
    SocketIOPeer,
    WebSocketPeer,
    open_packet,
)
from trio_socketio.conformance.target import Target
from trio_socketio.conformance.transcript import shown
from trio_socketio.protocol import engineio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType

Session = Polling | WebSocketPeer
"""One Engine.IO session on one transport; both have `send` and `receive`."""

BAD_REQUEST: Final = 400
OK: Final = 200


class Failure(Exception):  # noqa: N818  # reads as what it says
    """The server did not do what the case expects.

    Args:
        expected: What was expected, if that is more exact than what the case says as a whole.
        got: What came.
    """

    def __init__(self, got: str, expected: str = "") -> None:
        super().__init__(got)
        self.got = got
        self.expected = expected


class Skipped(Exception):  # noqa: N818  # reads as what it says
    """The server cannot show what the case is about."""


class Trial:
    """One run of one case.

    Args:
        target: The server.
        peer: Reaches it, and writes down what is said.
        nursery: For what the case does at the same time; it is cancelled when the case ends.
    """

    def __init__(self, target: Target, peer: Peer, nursery: trio.Nursery) -> None:
        self.target = target
        self.peer = peer
        self.nursery = nursery

    @property
    def handshake(self) -> engineio.Handshake:
        """What the server announces: intervals in seconds, limits in bytes."""
        return self.target.handshake

    @property
    def dialect(self) -> Dialect:
        """How this server sends messages back."""
        return self.target.dialect

    # Checks.

    def fail(self, got: str, expected: str = "") -> NoReturn:
        """End the case: the server did something else."""
        raise Failure(got, expected)

    def skip(self, reason: str) -> NoReturn:
        """End the case: the server cannot show it."""
        raise Skipped(reason)

    def check(self, holds: bool, got: str, expected: str = "") -> None:  # noqa: FBT001  # what is checked comes first
        """Fail unless something holds; ``got`` says what is the case instead."""
        if not holds:
            raise Failure(got, expected)

    def equal(self, got: object, expected: object, what: str) -> None:
        """Fail unless two values are equal and of one type (for JSON, 1 and true are not the same)."""
        if type(got) is not type(expected) or got != expected:
            raise Failure(f"{what} is {_shown(got)}", f"{what} is {_shown(expected)}")

    def same(self, got: JSON, expected: JSON, what: str) -> None:
        """Fail unless two values are the same JSON, bytes included: 1 is 1.0, but not true."""
        if not _is_same(got, expected):
            raise Failure(f"{what} is {_shown(got)}", f"{what} is {_shown(expected)}")

    def within(self, got: object, expected: Sequence[object], what: str) -> None:
        """Fail unless a value is one of several."""
        if got not in expected:
            raise Failure(f"{what} is {_shown(got)}", f"{what} is one of {', '.join(map(_shown, expected))}")

    def refused(self, response: Response, code: int | None = None, message: str | None = None) -> None:
        """Fail unless a response is status 400, with the JSON body that says why if a code is given."""
        self.equal(response.status, BAD_REQUEST, "the status")
        if code is None:
            return
        try:
            body = response.json
        except ValueError:
            raise Failure(f"the body is {shown(response.body)}", "the body is JSON with code and message") from None
        self.equal(body, {"code": code, "message": message}, "the body")

    def unique(self, name: str) -> str:
        """Return a name that no other case, and no other run, uses: for rooms, and for events that go to everyone."""
        return f"{name}-{secrets.token_hex(6)}"

    # Sessions.

    async def open_polling(self, **query: str) -> Polling:
        """Open a session over long-polling."""
        return await self.peer.open_polling(**query)

    async def open_websocket(self, **query: str) -> WebSocketPeer:
        """Open a session over a WebSocket, and read its open packet."""
        target = self.peer.target(transport="websocket", **query)
        websocket = await self.peer.open_websocket(target)
        open_packet(engineio.decode_packet(await websocket.receive()))
        return websocket

    @overload
    async def open(self, transport: Literal["polling"]) -> Polling: ...
    @overload
    async def open(self, transport: Literal["websocket"]) -> WebSocketPeer: ...
    @overload
    async def open(self, transport: str) -> Session: ...
    async def open(self, transport: str) -> Session:
        """Open a session over either transport, ready to have messages sent back."""
        session: Session = await (self.open_polling() if transport == "polling" else self.open_websocket())
        await self.enter(session)
        return session

    async def probe(self, session: Polling) -> WebSocketPeer:
        """Open a WebSocket for a polling session and probe it, up to the server's answer."""
        websocket = await self.peer.upgrade(session)
        await websocket.send("2probe")
        self.equal(await websocket.receive(), "3probe", "the answer to the probe")
        return websocket

    async def upgrade(self, session: Polling) -> WebSocketPeer:
        """Move a polling session to a WebSocket, as a well-behaved client does."""
        websocket = await self.probe(session)
        await websocket.send("5")
        return websocket

    async def join(self, namespace: str = "/", auth: JSON = None, transport: str = "websocket") -> SocketIOPeer:
        """Open a session, join a namespace, and pass over what the server says by way of welcome."""
        client = await self.peer.join(namespace, auth, transport)
        if namespace == "/" or Need.FIXTURE not in self.target.lacks:  # elsewhere only the fixture sends messages back
            await self.fence(client, namespace)
        return client

    # Messages.

    async def enter(self, session: Session) -> None:
        """Make a session ready to have messages sent back: with Socket.IO it must join a namespace first."""
        greeting = self.dialect.greeting
        if greeting is None:
            return
        await session.send(greeting)
        # A client sends no event before it is connected.
        await self._pass_over(session, lambda frame: str(frame).startswith(greeting))
        await self.echo(session, "ready", pass_over=True)

    async def next(self, session: Session) -> str | bytes:
        """Return the next frame that is no part of the heartbeat; pings are answered."""
        with trio.move_on_after(session.patience):
            while True:
                frame = await session.receive()
                if frame == "2":
                    await session.send("3")
                elif frame != "6":
                    return frame
        raise Silence(f"nothing came but pings within {session.patience:g} s")

    async def echo(self, session: Session, content: str | bytes = "hello", *, pass_over: bool = False) -> None:
        """Send a message and fail unless it comes back, as the next thing that comes.

        Args:
            session: On which, after `enter`.
            content: The message.
            pass_over: Whether something else may come first.
        """
        for frame in self.dialect.say(content):
            await session.send(frame)
        await self.hear(session, content, pass_over=pass_over)

    async def hear(self, session: Session, content: str | bytes, *, pass_over: bool = False) -> None:
        """Fail unless a message that was sent comes back next."""
        expected = self.dialect.back(content)
        if pass_over:
            await self._pass_over(session, lambda frame: self.dialect.same(frame, expected[0]))
            expected = expected[1:]
        for frame in expected:
            came = await self.next(session)
            if not self.dialect.same(came, frame):
                raise Failure(f"the next frame is {_shown(came)}", f"the next frame is {_shown(frame)}")

    async def _pass_over(self, session: Session, is_awaited: Callable[[str | bytes], bool]) -> None:
        """Read up to the frame that is awaited. What else comes takes from the time for it: a server may have much to say."""
        with trio.move_on_after(session.patience):
            while not is_awaited(await self.next(session)):
                pass
            return
        raise Silence(f"other frames came, and no answer within {session.patience:g} s")

    async def also_join(self, client: SocketIOPeer, namespace: str, auth: JSON = None) -> None:
        """Join one more namespace on a connection, and pass over what the server says by way of welcome."""
        answer = await client.connect(namespace, auth)
        self.check(
            answer.type is PacketType.CONNECT, f"{namespace} was refused: {answer.data}", f"{namespace} is joined"
        )
        await self.packets(client, namespace)

    async def packets(self, client: SocketIOPeer, namespace: str = "/") -> list[Packet]:
        """Return every packet that the server has sent a client so far, of whatever type and namespace.

        As `fence` does, this sends a message in a namespace and waits until it comes back.
        """
        self._fences += 1
        mark = f"fence {self._fences}"
        await client.emit("message", mark, namespace=namespace)
        packets: list[Packet] = []
        while True:
            packet = await client.receive()
            if packet.namespace == namespace and packet.data == ["message-back", mark]:
                return packets
            packets.append(packet)

    async def fence(self, client: SocketIOPeer, namespace: str = "/") -> list[JSON]:
        """Return the data of every event that the server has sent a client so far.

        A message goes to the server and comes back; what the server had sent before has arrived then, and nothing waits for time
        to pass. Needs the event ``message`` in that namespace.
        """
        self._fences += 1
        mark = f"fence {self._fences}"
        await client.emit("message", mark, namespace=namespace)
        events: list[JSON] = []
        while True:
            event = await client.event()
            if event == ["message-back", mark]:
                return events
            events.append(event)

    _fences = 0

    # Ends.

    async def expect_closed(self, websocket: WebSocketPeer, *codes: int | None) -> Closed:
        """Fail unless the server closes a WebSocket, with one of these codes if there are any.

        Pings are left unanswered: for a WebSocket that gets none because it only probes, for a code that no ping timeout has,
        and where silence is the point. Otherwise `expect_dropped` is right, which no ping timeout satisfies.
        """
        try:
            while True:
                await websocket.receive()
        except Closed as closed:
            if codes:
                self.within(closed.code, codes, "the code of the Close frame")
            return closed

    async def expect_violation(self, client: SocketIOPeer, *frames: str | bytes) -> None:
        """Send frames over a WebSocket, and fail unless the server closes the connection because of the last one.

        Pings are answered, so that no ping timeout is mistaken for that. What is sent afterwards must not be answered: a
        message if `/` was joined, otherwise a CONNECT.
        """
        joined = "/" in client.sids
        mark = "after the violation"
        shown_frames = ", ".join(_shown(frame) for frame in frames)
        try:
            for frame in (*frames, f'42["message","{mark}"]' if joined else "40"):
                await client.transport.send(frame)
            while True:
                frame = await self.next(client.transport)
                if frame == "1":
                    return
                if isinstance(frame, str) and (mark in frame if joined else frame.startswith("40")):
                    raise Failure(
                        f"{shown_frames} was passed over: what was sent next was answered", "the connection is closed"
                    )
        except Closed:
            return
        except Silence:
            raise Failure(f"after {shown_frames} the connection stays open", "it is closed") from None

    async def expect_dropped(self, websocket: WebSocketPeer, *codes: int | None) -> Closed:
        """Fail unless the server closes a WebSocket because of what it was sent, with one of these codes if there are any.

        Pings are answered meanwhile, so that silence cannot be why; a server that goes on pinging has not closed.
        """
        for _ in range(3):  # one may have been under way, and a busy server may be late
            try:
                while await websocket.receive() != "2":
                    pass
                await websocket.send("3")
            except Closed as closed:
                if codes:
                    self.within(closed.code, codes, "the code of the Close frame")
                return closed
        raise Failure("the session goes on: the server pings as before", "the server closes the WebSocket")

    async def expect_unknown(self, session: Polling) -> None:
        """Fail unless the server has forgotten a polling session: a GET for it is status 400."""
        response = await session.get()
        self.equal(response.status, BAD_REQUEST, "the status of a GET for the session that should be over")

    async def expect_served(self) -> None:
        """Fail unless a well-behaved client is served now: it opens a session, and its message comes back."""
        lacks = self.target.lacks
        try:
            session = await (self.open_polling() if Need.WEBSOCKET in lacks else self.open_websocket())
            if Need.ECHO not in lacks:
                await self.enter(session)
                await self.echo(session, "still there?")
        except (PeerError, Failure) as error:
            raise Failure(
                f"a well-behaved client that came afterwards was not served: {error}", "it is served as before"
            ) from error


def _is_same(got: JSON, expected: JSON) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return got is expected
    if isinstance(expected, dict) and isinstance(got, dict):
        return got.keys() == expected.keys() and all(_is_same(got[key], expected[key]) for key in expected)
    if isinstance(expected, list) and isinstance(got, list):
        return len(got) == len(expected) and all(map(_is_same, got, expected))
    return bool(got == expected)


def _shown(value: object) -> str:
    if isinstance(value, (str, bytes)):
        text = shown(value)
        return text if isinstance(value, bytes) else f'"{text}"'
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))})"
    try:
        return shown(json.dumps(value, ensure_ascii=False))
    except TypeError:
        return shown(repr(value))
