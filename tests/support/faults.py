"""Deliberate faults of a server, one at a time: what the conformance suite must notice.

A fault is a patch of this project's own server. The suite shares only `protocol` with it, which no fault touches.
"""

import copy
import dataclasses
import functools
import json
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import pytest
import trio
from trio.testing import MockClock
from trio_socketio.conformance.case import REGISTER, Area, Case
from trio_socketio.conformance.fixture import socketio_fixture
from trio_socketio.engine import buffer, frames, heartbeat, session
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.outbound import Outbound
from trio_socketio.engine.request import Reject, RejectCode
from trio_socketio.engine.session import TABLE, Input, Poll, Session, State, Step
from trio_socketio.protocol import socketio
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.rooms import RoomRegistry
from trio_socketio.server import app, client, dispatch, emitter, service, socket
from trio_socketio.server.acks import AckTable
from trio_socketio.server.client import Client
from trio_socketio.server.net import connection, decisions, direct_http, incoming
from trio_socketio.server.net.connection import Connection
from trio_socketio.server.net.incoming import Incoming
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.responses import Answer
from trio_socketio.server.net.streamed import StreamWebSocket
from trio_socketio.server.net.websocket import WebSocket
from trio_socketio.server.socket import Socket

from support.judging import judge

Patch = pytest.MonkeyPatch

WATCHDOG = 120
"""Seconds of real time after which a run is given up: a fault may make a server answer for ever without time passing."""


SAMPLED: Final = 4
"""Of how many cases of other areas one runs in CI."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what the suite must make of it."""

    name: str
    cases: tuple[str, ...]
    """The cases that are about it: each of them must fail."""
    areas: frozenset[Area]
    """The areas in which it may be noticed too."""
    apply: Callable[[Patch], None]

    @property
    def related(self) -> frozenset[Area]:
        """Where it may be noticed."""
        return self.areas | {case.area for case in REGISTER if case.id in self.cases}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the suite made of a fault: the cases that failed, and what came instead."""

    failed: dict[str, str]
    run: int


def judge_fault(name: str) -> Judged:
    """Run the suite against a server with a fault, in memory; for a process of its own."""
    logging.disable()
    found = FAULTS[name]
    cases = cases_for(found)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(WATCHDOG)
    with pytest.MonkeyPatch.context() as patch:
        found.apply(patch)
        verdict = trio.run(lambda: judge(socketio_fixture(), cases), clock=MockClock(autojump_threshold=0))
    signal.alarm(0)
    return Judged({result.case.id: result.got for result in verdict.failures}, verdict.tally().run)


def cases_for(found: Fault) -> list[Case]:
    """Return the cases that are about a fault, and those that it must not make fail.

    The latter are all of other areas, in CI every fourth of them, beginning elsewhere for each fault. Those of robustness are
    left out: they take as long as all others together, and a fault of another area tells in them only that nobody is served.
    """
    about = [case for case in REGISTER if case.id in found.cases]
    foreign = [case for case in REGISTER if case.area not in {*found.related, Area.ROBUSTNESS}]
    if os.environ.get("CI"):
        foreign = foreign[list(FAULTS).index(found.name) % SAMPLED :: SAMPLED]
    return about + foreign


def _give_up(_signal: int, _frame: object) -> NoReturn:
    raise TimeoutError(f"the run had not ended after {WATCHDOG} s of real time")


FAULTS: dict[str, Fault] = {}


def fault(*cases: str, also: Sequence[Area] = ()) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Register a fault under the name of the function that applies it."""

    def register(apply: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS[apply.__name__] = Fault(apply.__name__, cases, frozenset(also), apply)
        return apply

    return register


def around(patch: Patch, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace a function by one that gets the original first."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    patch.setattr(owner, name, replaced)


def step(patch: Patch, state: State, which: Input, new: Step) -> None:
    """Change or add one entry of the session's table."""
    patch.setitem(TABLE[state], which, new)


def change_handshake(patch: Patch, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the values of the open packet."""

    @dataclass
    class Changed:
        text: str

        def to_json(self) -> str:
            return self.text

    original = Session.handshake.fget
    assert original is not None

    def handshake(self: Session) -> Changed:
        values = json.loads(original(self).to_json())
        change(values)
        return Changed(json.dumps(values, separators=(",", ":")))

    patch.setattr(Session, "handshake", property(handshake))


# Handshake -----------------------------------------------------------------------------------------------------------


@fault("eio.handshake.polling.keys", "eio.handshake.websocket.keys")
def handshake_has_another_key(patch: Patch) -> None:
    change_handshake(patch, lambda values: values.update(name="x"))


@fault("eio.handshake.polling.keys", "eio.handshake.websocket.keys")
def handshake_lacks_the_limit(patch: Patch) -> None:
    change_handshake(patch, lambda values: values.pop("maxPayload"))


@fault("eio.handshake.polling.types", "eio.handshake.integers")
def intervals_are_seconds(patch: Patch) -> None:
    def change(values: dict[str, Any]) -> None:
        values["pingInterval"] /= 1000
        values["pingTimeout"] /= 1000

    change_handshake(patch, change)


@fault("eio.handshake.websocket.upgrades")
def upgrades_are_offered_on_a_websocket(patch: Patch) -> None:
    change_handshake(patch, lambda values: values.update(upgrades=["websocket"]))


@fault("eio.handshake.sid.unguessable")
def sids_are_short_and_counted(patch: Patch) -> None:
    count = iter(range(1_000_000))
    patch.setattr(service, "new_sid", lambda: str(next(count)))


def change_query(patch: Patch, key: str, change: Callable[[str | None], str | None]) -> None:
    """Let the server read another query than the client sent."""

    def admit(original: Any, request: Any, *args: Any) -> Any:
        query = dict(request.query)
        value = change(query.pop(key, None))
        if value is not None:
            query[key] = value
        return original(dataclasses.replace(request, query=query), *args)

    around(patch, decisions, "admit", admit)


@fault(
    "eio.handshake.polling.no-eio",
    "eio.handshake.polling.bad-eio",
    "eio.handshake.websocket.bad-eio",
    also=[Area.POLLING],
)
def any_revision_is_served(patch: Patch) -> None:
    change_query(patch, "EIO", lambda _: "4")


@fault("eio.handshake.polling.no-transport", "eio.handshake.polling.unknown-transport", also=[Area.POLLING])
def an_unknown_transport_is_polling(patch: Patch) -> None:
    change_query(patch, "transport", lambda name: name if name == "websocket" else "polling")


@fault("eio.handshake.polling.post", "eio.handshake.polling.put")
def any_method_opens_a_session(patch: Patch) -> None:
    def admit(original: Any, request: Any, *args: Any) -> Any:
        if request.method in ("POST", "PUT", "DELETE", "PATCH") and not request.query.get("sid"):
            request = dataclasses.replace(request, method="GET")
        return original(request, *args)

    around(patch, decisions, "admit", admit)


@fault(
    "eio.handshake.polling.unknown-sid-get",
    "eio.handshake.polling.closed-sid",
    "eio.close.polling.unknown",
    also=[Area.ERROR, Area.HEARTBEAT, Area.POLLING, Area.UPGRADE],
)
def an_unknown_sid_opens_a_session(patch: Patch) -> None:
    def admit(original: Any, request: Any, *args: Any) -> Any:
        admission = original(request, *args)
        if (
            isinstance(admission, Reject)
            and admission.code is RejectCode.SESSION_ID_UNKNOWN
            and request.method == "GET"
        ):
            query = {key: value for key, value in request.query.items() if key != "sid"}
            return original(dataclasses.replace(request, query=query), *args)
        return admission

    around(patch, decisions, "admit", admit)


@fault("eio.handshake.refusal.json", "eio.handshake.refusal.codes")
def refusals_have_no_body(patch: Patch) -> None:
    patch.setattr(Reject, "body", property(lambda _self: b""))


@fault("eio.handshake.refusal.application-polling", "eio.handshake.refusal.application-websocket")
def the_application_cannot_refuse(patch: Patch) -> None:
    async def refusal(_request: Any, _service: Any, _cors: Any) -> None:
        return None

    patch.setattr(connection, "find_refusal", refusal)
    patch.setattr(direct_http, "find_refusal", refusal)


# Polling -------------------------------------------------------------------------------------------------------------


@fault("eio.polling.post.ok")
def posts_are_answered_in_capitals(patch: Patch) -> None:
    patch.setattr(decisions, "OK", Answer(200, b"OK", decisions.OK.headers))


def change_answer(patch: Patch, change: Callable[[Answer], Answer]) -> None:
    """Change every HTTP answer."""

    async def send(original: Any, self: Connection, answer: Answer, **kwargs: Any) -> None:
        await original(self, change(answer), **kwargs)

    around(patch, Connection, "_send", send)


def without_header(answer: Answer, *names: str) -> Answer:
    kept = tuple((name, value) for name, value in answer.headers if name.lower() not in names)
    return dataclasses.replace(answer, headers=kept)


@fault("eio.polling.get.content-type")
def polling_answers_are_html(patch: Patch) -> None:
    def change(answer: Answer) -> Answer:
        headers = tuple(
            (name, "text/html" if value.startswith("text/plain") else value) for name, value in answer.headers
        )
        return dataclasses.replace(answer, headers=headers)

    change_answer(patch, change)


@fault("eio.polling.get.no-store")
def polling_answers_may_be_stored(patch: Patch) -> None:
    change_answer(patch, lambda answer: without_header(answer, "cache-control"))


@fault("eio.polling.cors.allowed")
def no_cors_headers(patch: Patch) -> None:
    def change(answer: Answer) -> Answer:
        kept = tuple((name, value) for name, value in answer.headers if not name.lower().startswith("access-control"))
        return dataclasses.replace(answer, headers=kept)

    change_answer(patch, change)


@fault("eio.polling.compression.unasked", "eio.polling.compression.declined")
def compressed_for_all(patch: Patch) -> None:
    around(patch, decisions, "compress", lambda original, answer, _accepted: original(answer, "gzip"))


@fault("eio.polling.compression.gzip")
def compressed_without_saying_so(patch: Patch) -> None:
    around(
        patch,
        decisions,
        "compress",
        lambda original, answer, accepted: without_header(original(answer, accepted), "content-encoding"),
    )


@fault(
    "eio.polling.echo.several",
    also=[Area.ACK, Area.BINARY, Area.CLOSE, Area.DELIVERY, Area.DISCONNECT, Area.EVENT, Area.NAMESPACE],
)
def the_second_packet_of_a_body_is_lost(patch: Patch) -> None:
    def decode(original: Any, frame: Any, transport: Transport) -> Any:
        packets = original(frame, transport)
        return packets[:1] + packets[2:] if transport is Transport.POLLING else packets

    around(patch, session, "_decode", decode)


@fault(
    "eio.polling.echo.several",
    also=[Area.ACK, Area.BINARY, Area.CLOSE, Area.DELIVERY, Area.DISCONNECT, Area.EVENT, Area.NAMESPACE],
)
def packets_of_a_body_are_reversed(patch: Patch) -> None:
    around(patch, session, "_decode", lambda original, *args: list(reversed(original(*args))))


@fault("eio.polling.size.over-limit")
def bodies_have_no_limit(patch: Patch) -> None:
    def receive(original: Any, self: Connection, request: Any) -> Any:
        roomy = copy.copy(self)
        roomy._server = copy.copy(self._server)
        config = self._server.config
        roomy._server.config = dataclasses.replace(config, max_payload=config.max_payload * 4)
        return original(roomy, request)

    around(patch, Connection, "_receive_body", receive)


@fault("eio.polling.invalid.unknown-type", "eio.polling.invalid.empty-body")
def an_invalid_body_is_forgiven(patch: Patch) -> None:
    def decode(original: Any, frame: Any, transport: Transport) -> Any:
        try:
            return original(frame, transport)
        except session.DecodeError:
            if transport is Transport.WEBSOCKET:
                raise
            return []

    around(patch, session, "_decode", decode)


@fault("eio.polling.concurrent.gets")
def a_second_get_takes_the_place_of_the_first(patch: Patch) -> None:
    def begin(self: Session, _data: Any, _now: float) -> Any:
        self._poll = Poll.WAITING
        return ()

    step(patch, State.POLLING, Input.POLL, Step(State.POLLING, begin))


@fault("eio.polling.concurrent.gets", "eio.heartbeat.polling.first")
def a_get_does_not_wait(patch: Patch) -> None:
    def begin(self: Session, _data: Any, now: float) -> Any:
        self._poll = Poll.WAITING
        if not self._buffer.queued:
            self._poll = Poll.HELD
            self._hold_until = now + 0.005
        return ()

    step(patch, State.POLLING, Input.POLL, Step(State.POLLING, begin))


@fault(
    "eio.polling.echo.binary", "eio.polling.echo.all-bytes", also=[Area.ACK, Area.BINARY, Area.DELIVERY, Area.UPGRADE]
)
def binary_is_not_base64(patch: Patch) -> None:
    def text(original: Any, frame: Any) -> str:
        return original(frame) if isinstance(frame, str) else "b" + frame.hex()

    around(patch, buffer, "polling_text", text)


@fault(
    "eio.polling.get.collects",
    also=[Area.ACK, Area.BINARY, Area.CLOSE, Area.CONNECT, Area.DELIVERY, Area.EVENT, Area.UPGRADE],
)
def only_one_packet_a_poll_and_the_rest_lost(patch: Patch) -> None:
    def frames(original: Any, self: Any, most: int) -> list[str]:
        return original(self, most)[:1]

    around(patch, buffer.Buffer, "take_frames", frames)


# WebSocket -----------------------------------------------------------------------------------------------------------


def change_control(patch: Patch, change: Callable[[Any], Any]) -> None:
    """Change what a WebSocket is told that is no message; None takes it away."""

    def control(original: Any, self: WebSocket, arrived: Any) -> bool:
        changed = change(arrived)
        return True if changed is None else original(self, changed)

    around(patch, WebSocket, "_control", control)


@fault("eio.websocket.ping.answered")
def pongs_are_empty(patch: Patch) -> None:
    change_control(patch, lambda arrived: incoming.Ping(b"") if isinstance(arrived, incoming.Ping) else arrived)


@fault("eio.websocket.ping.answered")
def pings_get_no_pong(patch: Patch) -> None:
    change_control(patch, lambda arrived: None if isinstance(arrived, incoming.Ping) else arrived)


@fault("eio.websocket.packet.unknown", also=[Area.UPGRADE])
def a_bad_frame_closes_nothing(patch: Patch) -> None:
    def decode(original: Any, frame: Any, transport: Transport) -> Any:
        try:
            return original(frame, transport)
        except session.DecodeError:
            if transport is Transport.POLLING:
                raise
            return []

    around(patch, session, "_decode", decode)


@fault("eio.websocket.packet.base64")
def base64_is_for_polling_alone(patch: Patch) -> None:
    def decode(original: Any, frame: Any, transport: Transport) -> Any:
        if transport is Transport.WEBSOCKET and isinstance(frame, str) and frame.startswith("b"):
            raise session.DecodeError("There is no packet type 'b'", 0)
        return original(frame, transport)

    around(patch, session, "_decode", decode)


@fault("eio.websocket.max-payload.over", "eio.websocket.max-payload.fragmented")
def messages_have_no_limit(patch: Patch) -> None:
    around(patch, Incoming, "__init__", lambda original, self, most: original(self, most * 4))


@fault("eio.websocket.max-payload.over", "eio.websocket.utf8.code")
def too_large_is_a_normal_close(patch: Patch) -> None:
    change_control(
        patch, lambda arrived: incoming.Fault(1000, arrived.detail) if isinstance(arrived, incoming.Fault) else arrived
    )


@fault("eio.websocket.fragments.text", "eio.websocket.fragments.binary", also=[Area.BINARY, Area.EVENT])
def fragments_are_swapped(patch: Patch) -> None:
    around(patch, incoming, "join", lambda original, parts: original(list(reversed(parts))))


@fault("eio.websocket.text", "eio.websocket.frames.whole", also=list(Area))
def text_is_sent_as_binary(patch: Patch) -> None:
    patch.setattr(frames, "_TEXT", frames._BINARY)
    patch.setattr(frames, "_TEXT_HEADS", [bytes((frames._BINARY, length)) for length in range(126)])


@fault("eio.websocket.close.answered")
def no_closing_handshake(patch: Patch) -> None:
    async def write_some(original: Any, self: StreamWebSocket) -> bool:
        if self._closing:
            self._scope.cancel()
            return False
        return await original(self)

    around(patch, StreamWebSocket, "_write_some", write_some)


# Heartbeat -----------------------------------------------------------------------------------------------------------


@fault(
    "eio.heartbeat.websocket.first",
    "eio.heartbeat.polling.first",
    also=[Area.BINARY, Area.CONNECT, Area.DISCONNECT, Area.UPGRADE],
)
def no_pings(patch: Patch) -> None:
    patch.setattr(heartbeat.Heartbeat, "ping_due", lambda _self, _now: False)


@fault(
    "eio.heartbeat.websocket.first",
    "eio.heartbeat.polling.first",
    also=[Area.BINARY, Area.CONNECT, Area.DISCONNECT, Area.UPGRADE],
)
def pings_say_something(patch: Patch) -> None:
    patch.setattr(session, "PING", Outbound(("2hello",)))


@fault("eio.heartbeat.websocket.first", "eio.heartbeat.polling.first", also=[Area.UPGRADE])
def pings_come_too_seldom(patch: Patch) -> None:
    patch.setattr(
        heartbeat.Heartbeat,
        "start",
        classmethod(lambda cls, interval, timeout, now: cls(interval * 4, timeout, now + interval * 4)),
    )


@fault("eio.heartbeat.websocket.silence", "eio.heartbeat.polling.silence")
def silence_is_forgiven(patch: Patch) -> None:
    patch.setattr(heartbeat.Heartbeat, "overdue", lambda _self, _now: False)
    patch.setattr(heartbeat.Heartbeat, "deadline", property(lambda self: self.ping_at))


@fault("eio.heartbeat.websocket.repeated", "eio.heartbeat.polling.repeated", also=[Area.CONNECT, Area.UPGRADE])
def pongs_do_not_count(patch: Patch) -> None:
    patch.setattr(Session, "_heard", lambda _self: None)


@fault("eio.heartbeat.websocket.repeated", "eio.heartbeat.polling.repeated", also=[Area.UPGRADE])
def only_one_ping(patch: Patch) -> None:
    def beat(original: Any, self: Any, now: float) -> None:
        original(self, now)
        self.ping_at = now + 1_000_000

    around(patch, heartbeat.Heartbeat, "beat", beat)


# Upgrade -------------------------------------------------------------------------------------------------------------


@fault("eio.upgrade.probe", also=[Area.CLOSE, Area.DELIVERY, Area.HEARTBEAT])
def the_probe_is_answered_without_its_word(patch: Patch) -> None:
    patch.setattr(session, "PROBE_ANSWER", Outbound(("3",)))


@fault("eio.upgrade.pending-get")
def the_pending_get_is_left_alone(patch: Patch) -> None:
    def answer(self: Session, _data: Any, _now: float) -> Any:
        self._control = (session.PROBE_ANSWER,)
        return ()

    step(patch, State.ATTACHED, Input.PROBE, Step(State.PROBED, answer))


@fault("eio.upgrade.buffered", "eio.upgrade.burst", also=[Area.DELIVERY])
def an_upgrade_loses_what_waits(patch: Patch) -> None:
    def finish(self: Session, data: Any, now: float) -> Any:
        self._buffer.clear()
        return Session._finish_upgrade(self, data, now)

    step(patch, State.PROBED, Input.UPGRADE, Step(State.WEBSOCKET, finish))


@fault("eio.upgrade.buffered", "eio.upgrade.burst", also=[Area.DELIVERY])
def an_upgrade_doubles_what_waits(patch: Patch) -> None:
    def finish(self: Session, data: Any, now: float) -> Any:
        for outbound in list(self._buffer._queue):
            self._buffer.put(outbound)
        return Session._finish_upgrade(self, data, now)

    step(patch, State.PROBED, Input.UPGRADE, Step(State.WEBSOCKET, finish))


@fault("eio.upgrade.get-after")
def polling_goes_on_after_the_upgrade(patch: Patch) -> None:
    def finish(self: Session, data: Any, now: float) -> Any:
        events = Session._finish_upgrade(self, data, now)
        self._poll = Poll.NONE
        return events

    step(patch, State.PROBED, Input.UPGRADE, Step(State.WEBSOCKET, finish))
    real = Session._request

    def request(self: Session, which: Input, now: float) -> Any:
        if self.state is State.WEBSOCKET and which is Input.POLL:
            self._poll = Poll.NOOP
            return ()
        return real(self, which, now)

    patch.setattr(Session, "_request", request)

    def admit(original: Any, request: Any, sessions: Any, config: EngineConfig) -> Any:
        admission = original(request, sessions, config)
        found = sessions.get(request.query.get("sid", ""))
        if isinstance(admission, Reject) and found is not None and request.method == "GET" and not request.is_websocket:
            return decisions.Poll(found, ())
        return admission

    around(patch, decisions, "admit", admit)


@fault("eio.upgrade.second-websocket.after")
def a_second_websocket_ends_the_first(patch: Patch) -> None:
    async def upgrade(original: Any, self: Connection, request: Any, found: Live, *, refused: bool) -> Any:
        if refused:
            found.abort(CloseReason.TRANSPORT_CLOSE, "another WebSocket came")
        return await original(self, request, found, refused=refused)

    around(patch, Connection, "_upgrade", upgrade)


@fault("eio.upgrade.failed.lost", "eio.upgrade.failed.wrong-probe")
def a_failed_probe_ends_the_session(patch: Patch) -> None:
    def drop(self: Session, detail: str, *_limit: Any) -> Any:
        return self._end(CloseReason.PARSE_ERROR, detail)

    patch.setattr(Session, "_drop_candidate", drop)


@fault("eio.upgrade.failed.timeout")
def a_probe_may_last_for_ever(patch: Patch) -> None:
    step(patch, State.POLLING, Input.ATTACH, Step(State.ATTACHED, Session._nothing))


@fault("eio.upgrade.failed.unprobed")
def five_is_enough_for_an_upgrade(patch: Patch) -> None:
    step(patch, State.ATTACHED, Input.UPGRADE, Step(State.WEBSOCKET, Session._finish_upgrade))


# Close ---------------------------------------------------------------------------------------------------------------


@fault("eio.close.websocket.packet")
def the_clients_close_is_ignored_on_a_websocket(patch: Patch) -> None:
    step(patch, State.WEBSOCKET, Input.FRAMED_CLOSE, Step(State.WEBSOCKET, Session._nothing))


@fault("eio.close.polling.unknown", also=[Area.HANDSHAKE])
def the_clients_close_is_ignored_over_polling(patch: Patch) -> None:
    step(patch, State.POLLING, Input.POLLED_CLOSE, Step(State.POLLING, Session._nothing))


@fault("eio.close.websocket.hang-up", "eio.close.websocket.frame", also=[Area.UPGRADE])
def a_lost_websocket_is_not_noticed(patch: Patch) -> None:
    patch.setattr(Session, "lost", lambda _self, _reason, _detail: ())


# Socket.IO -----------------------------------------------------------------------------------------------------------


def change_sent(patch: Patch, change: Callable[[socketio.Packet], socketio.Packet | None]) -> None:
    """Change the packets of the protocol's own: CONNECT, CONNECT_ERROR, DISCONNECT."""

    def send(original: Any, self: Client, packet: socketio.Packet) -> None:
        changed = change(packet)
        if changed is not None:
            original(self, changed)

    around(patch, Client, "send_packet", send)


@fault("sio.connect.keys")
def connect_is_answered_with_more(patch: Patch) -> None:
    def change(packet: socketio.Packet) -> socketio.Packet:
        if packet.type is not PacketType.CONNECT:
            return packet
        return socketio.Packet(packet.type, packet.namespace, {**packet.data, "name": "x"})

    change_sent(patch, change)


@fault(
    "sio.connect.sid.own",
    also=[Area.ACK, Area.CLOSE, Area.DELIVERY, Area.DISCONNECT, Area.ERROR, Area.EVENT, Area.NAMESPACE],
)
def the_sid_of_the_engine_is_that_of_the_socket(patch: Patch) -> None:
    def send(original: Any, self: Client, packet: socketio.Packet) -> None:
        if packet.type is PacketType.CONNECT:
            packet = socketio.Packet(packet.type, packet.namespace, {"sid": self.live.sid})
        original(self, packet)

    around(patch, Client, "send_packet", send)


@fault("sio.connect.first", also=[Area.DELIVERY, Area.NAMESPACE, Area.WEBSOCKET])
def connect_comes_after_what_the_handler_emits(patch: Patch) -> None:
    def accept(original: Any, self: Socket) -> None:
        if self.stage is not socket.Stage.CONNECTING:
            return
        held, self._held = self._held, []
        for outbound in held:
            self.client.live.send(outbound)
        original(self)

    around(patch, Socket, "accept", accept)


@fault("sio.namespace.unknown.stays")
def an_unknown_namespace_closes_the_connection(patch: Patch) -> None:
    def send(original: Any, self: Client, packet: socketio.Packet) -> None:
        original(self, packet)
        if packet.type is PacketType.CONNECT_ERROR:
            self.live.close(CloseReason.FORCED_CLOSE, "an unknown namespace")

    around(patch, Client, "send_packet", send)


@fault("sio.namespace.unknown")
def an_unknown_namespace_is_served(patch: Patch) -> None:
    def find(original: Any, self: Any, name: str) -> Any:
        return original(self, name) or original(self, "/")

    around(patch, app.Server, "find_namespace", find)


@fault("sio.connect.refused")
def the_refusal_says_nothing(patch: Patch) -> None:
    def reject(original: Any, self: Socket, _refused: Any) -> None:
        original(self, socket.ConnectionRefused("", None))

    around(patch, Socket, "reject", reject)


@fault("sio.connect.timeout")
def nobody_must_join(patch: Patch) -> None:
    patch.setattr(Client, "next_deadline", property(lambda _self: None))
    patch.setattr(Client, "tick", lambda _self, _now: None)


@fault("sio.connect.first.event", also=[Area.BINARY, Area.NAMESPACE])
def events_before_connect_are_ignored(patch: Patch) -> None:
    patch.setattr(Client, "_find", lambda self, namespace, _what: self.sockets.get(namespace))


@fault("sio.namespace.twice")
def a_second_connect_is_answered_again(patch: Patch) -> None:
    def connect(original: Any, self: Client, packet: socketio.Packet) -> None:
        found = self.sockets.get(packet.namespace)
        if found is None:
            original(self, packet)
        else:
            self.send_packet(socketio.Packet(PacketType.CONNECT, packet.namespace, {"sid": found.sid}))

    around(patch, Client, "_connect", connect)
    patch.setitem(client._RECEIVE, PacketType.CONNECT, Client._connect)


@fault("sio.ack.ok", "sio.ack.id.zero", also=[Area.DELIVERY, Area.DISCONNECT, Area.NAMESPACE])
def acks_have_the_next_id(patch: Patch) -> None:
    around(patch, Socket, "acknowledge", lambda original, self, ack_id, result: original(self, ack_id + 1, result))


@fault("sio.ack.once", also=[Area.DELIVERY, Area.DISCONNECT])
def acks_come_twice(patch: Patch) -> None:
    def acknowledge(original: Any, self: Socket, ack_id: int, result: Any) -> None:
        original(self, ack_id, result)
        original(self, ack_id, result)

    around(patch, Socket, "acknowledge", acknowledge)


@fault("sio.ack.arguments.none")
def an_ack_of_nothing_is_not_sent(patch: Patch) -> None:
    def acknowledge(original: Any, self: Socket, ack_id: int, result: Any) -> None:
        if result is not None and result != ():
            original(self, ack_id, result)

    around(patch, Socket, "acknowledge", acknowledge)


@fault("sio.ack.arguments.several")
def acks_lose_their_second_argument(patch: Patch) -> None:
    def acknowledge(original: Any, self: Socket, ack_id: int, result: Any) -> None:
        original(self, ack_id, result[:1] if isinstance(result, tuple) else result)

    around(patch, Socket, "acknowledge", acknowledge)


@fault("sio.ack.namespaces", also=[Area.NAMESPACE])
def acks_go_to_the_root(patch: Patch) -> None:
    def acknowledge(original: Any, self: Socket, ack_id: int, result: Any) -> None:
        namespace, self.namespace = self.namespace, "/"
        original(self, ack_id, result)
        self.namespace = namespace

    around(patch, Socket, "acknowledge", acknowledge)


@fault("sio.ack.server.repeated", also=[Area.DELIVERY])
def callbacks_run_for_any_id(patch: Patch) -> None:
    def resolve(self: AckTable, ack_id: int, sid: str, arguments: Any) -> bool:
        pending = self._pending.get(ack_id) or next(iter(self._pending.values()), None)
        if pending is None:
            return False
        pending.answered(sid, arguments)
        return True

    patch.setattr(AckTable, "resolve", resolve)


@fault("sio.binary.two", also=[Area.ACK, Area.DELIVERY])
def attachments_are_swapped(patch: Patch) -> None:
    def message(original: Any, parts: list[Any], *rest: Any, **options: Any) -> Outbound:
        return original([parts[0], *reversed(parts[1:])], *rest, **options)

    around(patch, Outbound, "message", message)


@fault("sio.binary.one", also=[Area.ACK, Area.DELIVERY, Area.NAMESPACE, Area.POLLING, Area.UPGRADE, Area.WEBSOCKET])
def attachments_come_first(patch: Patch) -> None:
    def message(original: Any, parts: list[Any], *rest: Any, **options: Any) -> Outbound:
        return original([*parts[1:], parts[0]], *rest, **options)

    around(patch, Outbound, "message", message)


@fault("sio.binary.empty", also=[Area.DELIVERY, Area.WEBSOCKET])
def an_empty_attachment_is_left_out(patch: Patch) -> None:
    def message(original: Any, parts: list[Any], *rest: Any, **options: Any) -> Outbound:
        return original([part for part in parts if part != b""], *rest, **options)

    around(patch, Outbound, "message", message)


@fault(
    "sio.error.type.unknown",
    "sio.error.payload.object",
    "sio.error.id",
    also=[Area.BINARY, Area.CONNECT, Area.EVENT, Area.NAMESPACE],
)
def a_protocol_error_is_forgiven(patch: Patch) -> None:
    patch.setattr(Client, "_violation", lambda *_args: None)


@fault("sio.disconnect.main.stays", "sio.disconnect.custom", also=[Area.ACK, Area.DELIVERY, Area.NAMESPACE])
def leaving_a_namespace_closes_the_connection(patch: Patch) -> None:
    def disconnect(original: Any, self: Client, packet: socketio.Packet) -> None:
        original(self, packet)
        self.live.close(CloseReason.FORCED_CLOSE, "a namespace was left")

    around(patch, Client, "_disconnect", disconnect)
    patch.setitem(client._RECEIVE, PacketType.DISCONNECT, Client._disconnect)


@fault("sio.disconnect.custom", "sio.disconnect.rooms", also=[Area.ACK, Area.CONNECT, Area.DELIVERY, Area.NAMESPACE])
def leaving_a_namespace_is_ignored(patch: Patch) -> None:
    patch.setitem(client._RECEIVE, PacketType.DISCONNECT, lambda _self, _packet: None)


@fault("sio.disconnect.server")
def a_disconnect_by_the_server_is_not_told(patch: Patch) -> None:
    change_sent(patch, lambda packet: None if packet.type is PacketType.DISCONNECT else packet)


@fault("sio.error.handler")
def a_failing_handler_closes_the_connection(patch: Patch) -> None:
    async def report(original: Any, context: Any, name: str, error: Exception) -> Any:
        await context.disconnect(close=True)
        return await original(context, name, error)

    around(patch, dispatch, "report", report)


@fault("sio.disconnect.gone.once", also=[Area.ERROR])
def the_disconnect_handler_runs_twice(patch: Patch) -> None:
    async def handle(original: Any, *args: Any) -> None:
        await original(*args)
        await original(*args)

    around(patch, dispatch, "handle_disconnect", handle)


@fault("sio.namespace.event", also=[Area.ACK, Area.CONNECT, Area.DELIVERY, Area.DISCONNECT, Area.ERROR])
def events_are_answered_in_the_root(patch: Patch) -> None:
    def message(original: Any, event: str, args: Any, _namespace: str, *rest: Any, **options: Any) -> Any:
        return original(event, args, "/", *rest, **options)

    around(patch, emitter, "_message", message)
    around(patch, emitter, "_template", message)


@fault("sio.event.name.number")
def names_of_numbers_are_refused(patch: Patch) -> None:
    def event(original: Any, self: Client, packet: socketio.Packet) -> None:
        if isinstance(packet.data[0], str):
            original(self, packet)
        else:
            self._violation("the name of an event is a number")

    around(patch, Client, "_event", event)
    for which in (PacketType.EVENT, PacketType.BINARY_EVENT):
        patch.setitem(client._RECEIVE, which, Client._event)


@fault("sio.event.unhandled.no-ack")
def an_unknown_event_is_acknowledged(patch: Patch) -> None:
    def handle(original: Any, self: Client, namespace: str, data: list[Any], ack_id: int | None) -> None:
        found = self._find(namespace, "an event")
        if found is not None and ack_id is not None and found.routes.handlers.find(str(data[0])) is None:
            found.acknowledge(ack_id, None)
        original(self, namespace, data, ack_id)

    around(patch, Client, "_handle", handle)


# Delivery ------------------------------------------------------------------------------------------------------------


def change_selection(patch: Patch, select: Callable[..., Any]) -> None:
    around(patch, RoomRegistry, "select", select)


@fault("sio.delivery.skip", "sio.delivery.others.room")
def skip_is_ignored(patch: Patch) -> None:
    change_selection(
        patch, lambda original, self, audience: original(self, dataclasses.replace(audience, skip=frozenset()))
    )


@fault("sio.delivery.skip.several")
def only_one_is_skipped(patch: Patch) -> None:
    change_selection(
        patch,
        lambda original, self, audience: original(
            self, dataclasses.replace(audience, skip=frozenset(sorted(audience.skip)[:1]))
        ),
    )


@fault("sio.delivery.room.union")
def a_union_delivers_twice(patch: Patch) -> None:
    def select(original: Any, self: RoomRegistry, audience: Any) -> Any:
        if audience.rooms is None:
            return original(self, audience)
        return [
            found for room in audience.rooms for found in original(self, dataclasses.replace(audience, rooms=(room,)))
        ]

    change_selection(patch, select)


@fault("sio.delivery.room.none")
def nobody_named_is_everybody(patch: Patch) -> None:
    def select(original: Any, self: RoomRegistry, audience: Any) -> Any:
        return original(self, audience if audience.rooms else dataclasses.replace(audience, rooms=None))

    change_selection(patch, select)


@fault(
    "sio.delivery.room.unknown",
    also=[
        Area.ACK,
        Area.BINARY,
        Area.CLOSE,
        Area.CONNECT,
        Area.DISCONNECT,
        Area.ERROR,
        Area.EVENT,
        Area.HANDSHAKE,
        Area.HEARTBEAT,
        Area.NAMESPACE,
        Area.POLLING,
        Area.UPGRADE,
        Area.WEBSOCKET,
    ],
)
def an_unknown_room_is_everybody(patch: Patch) -> None:
    def select(original: Any, self: RoomRegistry, audience: Any) -> Any:
        chosen = original(self, audience)
        if not chosen and audience.rooms and not audience.skip:
            return original(self, dataclasses.replace(audience, rooms=None))
        return chosen

    change_selection(patch, select)


@fault("sio.delivery.room.union")
def only_the_first_room_counts(patch: Patch) -> None:
    def select(original: Any, self: RoomRegistry, audience: Any) -> Any:
        rooms = audience.rooms
        return original(self, dataclasses.replace(audience, rooms=rooms[:1] if rooms else rooms))

    change_selection(patch, select)


@fault("sio.delivery.rooms.leave")
def rooms_are_never_left(patch: Patch) -> None:
    patch.setattr(Socket, "leave", lambda _self, _rooms: None)


@fault("sio.delivery.rooms.close")
def rooms_cannot_be_closed(patch: Patch) -> None:
    patch.setattr(RoomRegistry, "close", lambda _self, _room: None)


@fault("sio.namespace.rooms.joined")
def joining_joins_all_namespaces(patch: Patch) -> None:
    def join(original: Any, self: Socket, rooms: Any) -> None:
        wanted = list(rooms)
        for other in self.client.sockets.values():
            original(other, wanted)

    around(patch, Socket, "join", join)


@fault("sio.delivery.everyone.namespaces", also=list(Area))  # every client gets what is said in other cases meanwhile
def everybody_is_everybody_everywhere(patch: Patch) -> None:
    def recipients(original: Any, self: Any, audience: Any) -> Any:
        found = original(self, audience)
        if audience.rooms is None:
            for _name, adapter in self.server.adapters():
                found.extend(s for s in adapter.sockets.values() if s not in found and s.sid not in audience.skip)
        return found

    around(patch, emitter.Emitter, "_recipients", recipients)


@fault(
    "sio.delivery.order",
    also=[Area.BINARY, Area.CONNECT, Area.DISCONNECT, Area.NAMESPACE, Area.UPGRADE, Area.WEBSOCKET],
)
def the_order_is_lost(patch: Patch) -> None:
    def take(original: Any, self: buffer.Buffer) -> Any:
        taken = original(self)
        return list(reversed(taken))

    around(patch, buffer.Buffer, "take", take)


@fault("sio.ack.server.answer", also=[Area.DELIVERY])
def callbacks_never_run(patch: Patch) -> None:
    patch.setattr(emitter.Callback, "answered", lambda _self, _sid, _arguments: None)


# Robustness ----------------------------------------------------------------------------------------------------------


@fault("robust.http.garbage", also=list(Area))
def after_garbage_nobody_is_served(patch: Patch) -> None:
    async def refuse(original: Any, self: Connection, *how: Any) -> None:
        await original(self, *how)
        object.__setattr__(self._server.options, "max_connections", 0)

    around(patch, Connection, "_refuse_syntax", refuse)


@fault("sio.error.others", "robust.socketio.json.deep", also=list(Area))
def after_a_protocol_error_nobody_is_served(patch: Patch) -> None:
    def violation(original: Any, self: Client, *how: Any) -> None:
        original(self, *how)
        object.__setattr__(self.server.options, "max_connections", 0)

    around(patch, Client, "_violation", violation)
