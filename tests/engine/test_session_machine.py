"""The session as a whole: every state with every input, and any inputs in any order against a model.

The model knows what was sent and what the specification promises about time; it never looks inside the session.
"""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.events import Closed, CloseReason, Conflict, Message, ProbeFailed, Upgraded
from trio_socketio.engine.outbound import Outbound, polling_text, size_in_bytes
from trio_socketio.engine.session import HOLD, TABLE, Input, Session, State
from trio_socketio.protocol import engineio
from trio_socketio.protocol.engineio import PacketType
from trio_socketio.protocol.errors import DecodeError

POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET

# --- every state with every input --------------------------------------------------------------------------------


def session_in(state, transport=POLLING):
    """A session in a state; one that is closing still has something to deliver."""
    it = Session("sid", EngineConfig(), WEBSOCKET if state is State.WEBSOCKET else transport, 0)
    if state in (State.ATTACHED, State.PROBED):
        it.attach(0)
    if state is State.PROBED:
        it.receive("2probe", WEBSOCKET, 0)
    if state is State.CLOSING:
        it.close(CloseReason.FORCED_CLOSE, "", 0)
    if state is State.CLOSED:
        it.abort(CloseReason.FORCED_CLOSE, "")
    assert it.state is state
    return it


APPLY = {
    Input.POLLED_MESSAGE: lambda it: it.receive("4hello", POLLING, 1),
    Input.POLLED_PONG: lambda it: it.receive("3", POLLING, 1),
    Input.POLLED_CLOSE: lambda it: it.receive("1", POLLING, 1),
    Input.POLLED_NOOP: lambda it: it.receive("6", POLLING, 1),
    Input.FRAMED_MESSAGE: lambda it: it.receive("4hello", WEBSOCKET, 1),
    Input.FRAMED_PONG: lambda it: it.receive("3", WEBSOCKET, 1),
    Input.FRAMED_CLOSE: lambda it: it.receive("1", WEBSOCKET, 1),
    Input.FRAMED_NOOP: lambda it: it.receive("6", WEBSOCKET, 1),
    Input.PROBE: lambda it: it.receive("2probe", WEBSOCKET, 1),
    Input.UPGRADE: lambda it: it.receive("5", WEBSOCKET, 1),
    Input.POLL: lambda it: it.poll(1),
    Input.POST: lambda it: it.post(1),
    Input.ATTACH: lambda it: it.attach(1),
    Input.LOST: lambda it: it.lost(CloseReason.TRANSPORT_CLOSE, "gone"),
    Input.CLOSE: lambda it: it.close(CloseReason.FORCED_CLOSE, "bye", 1),
}

# What an input leads to: the state that follows, and the names of the events (or whether an attach was taken).
SAME = "the same state"
DELIVERED = (SAME, "Message")
NOTHING = (SAME, "")
TAKEN = (State.ATTACHED, True)
REFUSED = (SAME, False)
CONFLICT = (SAME, "Conflict")
HUNG_UP = (State.CLOSED, "Closed transport close")
VIOLATION = (State.CLOSED, "Closed parse error")
CANDIDATE_DROPPED = (State.POLLING, "ProbeFailed")
CANDIDATE_GONE = (State.POLLING, "")
CLOSING = (State.CLOSING, "Closed forced close")

FRAMES = (
    Input.FRAMED_MESSAGE,
    Input.FRAMED_PONG,
    Input.FRAMED_CLOSE,
    Input.FRAMED_NOOP,
    Input.PROBE,
    Input.UPGRADE,
)
POSTED = {
    Input.POLLED_MESSAGE: DELIVERED,
    Input.POLLED_PONG: NOTHING,
    Input.POLLED_CLOSE: HUNG_UP,
    Input.POLLED_NOOP: NOTHING,
}
PROBING = {
    **dict.fromkeys(FRAMES, CANDIDATE_DROPPED),
    Input.POLLED_MESSAGE: DELIVERED,
    Input.POLLED_PONG: NOTHING,
    Input.POLLED_CLOSE: (State.CLOSED, "ProbeFailed, Closed transport close"),
    Input.POLLED_NOOP: NOTHING,
    Input.POLL: NOTHING,
    Input.POST: NOTHING,
    Input.ATTACH: REFUSED,
    Input.LOST: CANDIDATE_GONE,
    Input.CLOSE: (State.CLOSING, "ProbeFailed, Closed forced close"),
}
OVER = {**dict.fromkeys(Input, NOTHING), Input.POLL: CONFLICT, Input.POST: CONFLICT, Input.ATTACH: REFUSED}

PAIRS = {
    (State.POLLING, POLLING): {
        **POSTED,
        **dict.fromkeys(FRAMES, CANDIDATE_DROPPED),
        Input.POLL: NOTHING,
        Input.POST: NOTHING,
        Input.ATTACH: TAKEN,
        Input.LOST: NOTHING,
        Input.CLOSE: CLOSING,
    },
    (State.ATTACHED, POLLING): {**PROBING, Input.PROBE: (State.PROBED, "")},
    (State.PROBED, POLLING): {**PROBING, Input.UPGRADE: (State.WEBSOCKET, "Upgraded")},
    (State.WEBSOCKET, WEBSOCKET): {
        **POSTED,
        Input.FRAMED_MESSAGE: DELIVERED,
        Input.FRAMED_PONG: NOTHING,
        Input.FRAMED_CLOSE: HUNG_UP,
        Input.FRAMED_NOOP: NOTHING,
        Input.PROBE: VIOLATION,
        Input.UPGRADE: VIOLATION,
        Input.POLL: CONFLICT,
        Input.POST: CONFLICT,
        Input.ATTACH: REFUSED,
        Input.LOST: HUNG_UP,
        Input.CLOSE: CLOSING,
    },
    (State.CLOSING, POLLING): {
        **OVER,
        Input.POLLED_CLOSE: (State.CLOSED, ""),
        Input.POLL: NOTHING,
        Input.POST: NOTHING,
    },
    (State.CLOSING, WEBSOCKET): {
        **OVER,
        Input.POLLED_CLOSE: (State.CLOSED, ""),
        Input.LOST: (State.CLOSED, ""),
    },
    (State.CLOSED, POLLING): OVER,
    (State.CLOSED, WEBSOCKET): OVER,
}
LEGAL = {
    State.POLLING: {*POSTED, Input.POLL, Input.POST, Input.ATTACH, Input.CLOSE},
    State.ATTACHED: {*POSTED, Input.POLL, Input.POST, Input.PROBE, Input.LOST, Input.CLOSE},
    State.PROBED: {*POSTED, Input.POLL, Input.POST, Input.UPGRADE, Input.LOST, Input.CLOSE},
    State.WEBSOCKET: {
        *POSTED,
        Input.FRAMED_MESSAGE,
        Input.FRAMED_PONG,
        Input.FRAMED_CLOSE,
        Input.FRAMED_NOOP,
        Input.LOST,
        Input.CLOSE,
    },
    State.CLOSING: {Input.POLLED_CLOSE, Input.POLL, Input.POST, Input.LOST},
    State.CLOSED: set(),
}


def in_words(outcome):
    if isinstance(outcome, bool):
        return outcome
    return ", ".join(
        type(event).__name__ + (f" {event.reason}" if isinstance(event, Closed) else "") for event in outcome
    )


def test_the_table_says_which_inputs_are_legal():
    assert {state: set(steps) for state, steps in TABLE.items()} == LEGAL


@pytest.mark.parametrize("which", list(Input), ids=lambda which: which.name)
@pytest.mark.parametrize(("state", "transport"), list(PAIRS), ids=lambda value: value.name)
def test_every_input_in_every_state_leads_where_the_rules_say(state, transport, which):
    it = session_in(state, transport)
    follows, outcome = PAIRS[state, transport][which]
    assert in_words(APPLY[which](it)) == outcome
    assert it.state is (state if follows is SAME else follows)


@pytest.mark.parametrize(("state", "transport"), list(PAIRS), ids=lambda value: value.name)
def test_a_deadline_exists_in_every_state_but_the_last(state, transport):
    assert (session_in(state, transport).next_deadline is None) == (state is State.CLOSED)


# --- any inputs in any order -------------------------------------------------------------------------------------

EDGES = {
    *((before, step.next) for before, steps in TABLE.items() for step in steps.values()),
    *((state, state) for state in State),
    *((state, State.CLOSED) for state in State),  # the peer broke a rule or is silent, or the application aborts
    (State.ATTACHED, State.POLLING),
    (State.PROBED, State.POLLING),
}

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x1e"), max_size=6)
MESSAGES = st.builds(lambda text, blobs: [text, *blobs], TEXTS, st.lists(st.binary(max_size=4), max_size=4))
SENSIBLE = st.sampled_from(["4hello", "4", "3", "3x", "1", "2probe", "5", "2", "6", "0{}", b"", b"\x00\xff"])
DICE = st.integers(0, 9)  # rolled by what ends a session at once: after that little happens
HARMLESS = st.sampled_from(["4hello", "3"])
FRAME = st.integers(0, 9).flatmap(lambda n: HARMLESS if n else SENSIBLE | st.text(max_size=4) | st.binary(max_size=4))
BODY = st.lists(SENSIBLE.filter(lambda frame: isinstance(frame, str)) | st.just("bAAE="), min_size=1, max_size=3).map(
    "\x1e".join
)


@dataclass
class Entry:
    """A message that was sent and has not been written whole."""

    frames: list[str | bytes]
    patient: bool = False
    left: int = 0
    """Frames that polling answers have carried away for good."""

    @property
    def rest(self):
        return self.frames[self.left :]

    @property
    def size(self):
        return sum(map(size_in_bytes, self.frames))


def decoded(frame, transport):
    """The packets in a frame or in the body of a POST; none if it is no payload at all."""
    try:
        if transport is WEBSOCKET:
            return [engineio.decode_packet(frame)]
        return engineio.decode_payload(frame.decode() if isinstance(frame, bytes) else frame)
    except (DecodeError, UnicodeDecodeError):
        return []


class SessionMachine(RuleBasedStateMachine):
    """Whatever a driver, a peer and an application may do, in any order, in times that only go forward."""

    @initialize(
        transport=st.sampled_from(Transport),
        ping=st.sampled_from([(25.0, 20.0), (0.3, 0.2), (1.0, 50.0)]),
        upgrade_timeout=st.sampled_from([0.05, 10.0]),
        per_poll=st.integers(1, 4),
        most_bytes=st.sampled_from([1, 40, 10_000]),
        most_packets=st.sampled_from([1, 5, 10_000]),
    )
    def open(self, transport, ping, upgrade_timeout, per_poll, most_bytes, most_packets):
        self.config = EngineConfig(
            ping_interval=ping[0],
            ping_timeout=ping[1],
            upgrade_timeout=upgrade_timeout,
            max_packets_per_poll=per_poll,
            max_buffered_bytes=most_bytes,
            max_buffered_packets=most_packets,
        )
        self.now = 1000.0
        self.it = Session("sid", self.config, transport, self.now)
        self.before = self.it.state
        self.waiting = [Entry(["0" + self.it.handshake.to_json()])]  # sent, not yet written whole, in order
        self.taken = 0  # entries that the WebSocket is writing
        self.answered = None  # frames in the polling answer that is being written
        self.over = False  # Closed is out
        self.owes_close = False  # the close packet follows when all else is written
        self.get_waits = False
        self.candidate_until = None
        self.held_until = None
        self.closing_until = None
        self.probes_owed = 0
        self.scheduled_anew, self.scheduled = True, None
        self.next_ping = self.now + ping[0]
        self.answer_by = None

    # What comes out of the inputs.

    def see(self, events):
        it, before = self.it, self.before
        events = list(events)
        assert all(isinstance(event, (Message, Upgraded, ProbeFailed, Conflict, Closed)) for event in events)
        assert (before, it.state) in EDGES
        self.before = it.state
        if self.over:
            assert all(isinstance(event, Conflict) for event in events), "the session is over, and says something"
        closed = [event for event in events if isinstance(event, Closed)]
        assert len(closed) <= 1
        assert not closed or events[-1] is closed[0], "something came behind Closed"
        assert bool(closed) == (not self.over and it.ended)
        failed = [event for event in events if isinstance(event, ProbeFailed)]
        if before in (State.ATTACHED, State.PROBED) and closed:
            assert failed, "the WebSocket that probes was never told to go"
        if (Upgraded() in events) != (before is State.PROBED and it.state is State.WEBSOCKET):
            raise AssertionError("Upgraded comes exactly when the WebSocket takes over")
        self.over = self.over or bool(closed)
        if it.state not in (State.ATTACHED, State.PROBED):
            self.candidate_until = self.held_until = None
        if it.state in (State.POLLING, State.CLOSING, State.CLOSED):
            self.probes_owed = 0
        if it.closed:
            self.waiting.clear()
            self.taken = 0
            self.owes_close = False
        return events

    # The peer.

    def receive(self, frame, transport):
        before, ended = self.it.state, self.it.ended
        events = self.see(self.it.receive(frame, transport, self.now))
        if before is State.ATTACHED and self.it.state is State.PROBED:
            self.probes_owed = 1
            assert frame == "2probe"
        packets = decoded(frame, transport)
        if packets and not ended:
            self.answer_by = None  # even a packet in the wrong place proves that its sender lives
        messages = [packet.data for packet in packets if packet.type is PacketType.MESSAGE]
        delivered = [event.data for event in events if isinstance(event, Message)]
        assert delivered == messages[: len(delivered)]
        assert ended or self.it.ended or transport is WEBSOCKET or delivered == messages

    @rule(frame=FRAME)
    def a_frame_comes(self, frame):
        self.receive(frame, WEBSOCKET)

    @rule(body=FRAME | st.integers(0, 9).flatmap(lambda n: HARMLESS if n else BODY))
    def a_body_comes(self, body):
        self.receive(body, POLLING)

    @precondition(lambda self: self.it.state in (State.ATTACHED, State.PROBED))
    @rule()
    def the_upgrade_goes_on(self):
        self.receive("2probe" if self.it.state is State.ATTACHED else "5", WEBSOCKET)

    @rule(dice=DICE)
    def a_get_begins(self, dice):
        if self.get_waits and dice < 9:
            return
        waited, state = self.get_waits, self.it.state
        self.scheduled_anew = True
        events = self.see(self.it.poll(self.now))
        legal = state is not State.CLOSED and self.it.transport is POLLING
        assert (Conflict() in events) == (waited or not legal)
        if legal and not waited:
            assert not events
            self.get_waits = True
            if state in (State.ATTACHED, State.PROBED):
                self.held_until = self.now + HOLD

    @precondition(lambda self: self.get_waits)
    @rule()
    def the_pending_get_is_aborted(self):
        self.it.poll_aborted()
        self.get_waits, self.held_until = False, None

    @rule(dice=DICE)
    def a_post_begins(self, dice):
        if dice < 6:
            return
        self.see(self.it.post(self.now))

    @rule()
    def a_post_was_read(self):
        self.it.post_done()

    @rule()
    def a_websocket_comes(self):
        before = self.it.state
        self.scheduled_anew = True
        taken = self.it.attach(self.now)
        self.see(())
        assert taken == (before is State.POLLING)
        if taken:
            self.candidate_until = self.now + self.config.upgrade_timeout

    @rule(reason=st.sampled_from(CloseReason), dice=DICE)
    def the_websocket_is_lost(self, reason, dice):
        if dice < (9 if self.it.transport is WEBSOCKET else 5):
            return
        self.see(self.it.lost(reason, "lost"))

    # The application.

    @rule(parts=MESSAGES, patient=st.booleans())
    def the_application_sends(self, parts, patient):
        outbound = Outbound.message(parts, patient=patient)
        impatient = [entry for entry in self.waiting if not entry.patient]
        size = sum(entry.size for entry in impatient) + outbound.size
        count = sum(len(entry.frames) for entry in impatient) + len(parts)
        room = size <= self.config.max_buffered_bytes and count <= self.config.max_buffered_packets
        fits = patient or room or not impatient
        ended = self.it.ended
        events = self.see(self.it.send(outbound))
        if ended:
            assert not events
        else:
            assert fits == (not events)
            if fits:
                self.waiting.append(Entry(list(outbound.frames), patient))

    @rule(reason=st.sampled_from(CloseReason), dice=DICE)
    def the_application_closes(self, reason, dice):
        if dice < 6:
            return
        ended = self.it.ended
        shuts_down = reason is CloseReason.SERVER_SHUTTING_DOWN
        if self.it.state is State.PROBED:  # there may be no other GET
            self.waiting.append(Entry(["1"]))
        elif not ended and self.it.transport is POLLING:
            self.owes_close = not self.waiting or not shuts_down
        elif shuts_down:
            self.owes_close = False
        self.scheduled_anew = True
        events = self.see(self.it.close(reason, "closed", self.now))
        assert bool(events) == (not ended)
        if not ended:
            self.closing_until = self.now + self.config.ping_timeout
        if self.over:
            done = not self.waiting and not self.owes_close
            assert self.it.closed == done, "it is over as soon as all is written, and not before"

    @rule(dice=DICE, is_violation=st.booleans())
    def the_session_is_aborted(self, dice, is_violation):
        if dice < 9:
            return
        if not is_violation:
            self.see(self.it.abort(CloseReason.FORCED_CLOSE, "aborted"))
            assert self.it.closed
        else:
            self.see(self.it.violate("no Socket.IO"))
            assert self.it.closed

    @rule()
    def its_input_is_left_unread(self):
        self.it.heard()
        self.answer_by = None

    # Time.

    def tick(self, now):
        self.now = max(self.now, now)
        self.scheduled_anew = True
        late = self.answer_by is not None and self.now >= self.answer_by
        ended = self.it.ended
        if not ended and not late and self.now >= self.next_ping:
            if self.answer_by is None:
                self.waiting.append(Entry(["2"]))
                self.answer_by = self.now + self.config.ping_timeout
            following = self.next_ping + self.config.ping_interval
            self.next_ping = following if following > self.now else self.now + self.config.ping_interval
        events = self.see(self.it.tick(self.now))
        if not ended:
            assert late == any(isinstance(event, Closed) for event in events)
        if self.held_until is not None and self.now >= self.held_until:
            self.held_until = None
        deadline = self.it.next_deadline
        assert deadline is None or deadline > self.now, "ticking at the deadline makes no progress"

    @rule(delay=st.sampled_from([0.01, 0.05, 0.1, 0.2]) | st.floats(0, 1) | st.floats(0, 60))
    def time_passes(self, delay):
        self.tick(self.now + delay)

    @precondition(lambda self: self.it.next_deadline is not None)
    @rule()
    def the_deadline_comes(self):
        self.tick(self.it.next_deadline)

    # What leaves.

    @precondition(lambda self: self.it.transport is WEBSOCKET or self.it.state is not State.POLLING)
    @rule()
    def the_websocket_takes(self):
        it = self.it
        outbounds = list(it.take())
        frames = [frame for outbound in outbounds for frame in outbound.frames]
        if frames[:1] == ["3probe"]:
            assert self.probes_owed, "a probe is answered that nobody sent"
            del frames[0]
            self.probes_owed = 0
        assert not self.probes_owed, "a probe is not answered"
        if it.closed or it.transport is POLLING or self.answered:
            assert not frames
            return
        behind = self.waiting[self.taken :]
        assert frames == [frame for entry in behind for frame in entry.rest], (
            "something is lost, doubled or out of order"
        )
        for entry in behind:
            entry.frames, entry.left = entry.rest, 0
        self.taken = len(self.waiting)

    @rule()
    def the_websocket_has_written(self):
        self.it.written()
        del self.waiting[: self.taken]
        self.taken = 0
        self.see(())
        if self.over and self.it.transport is WEBSOCKET and not self.waiting:
            assert self.it.closed

    @precondition(lambda self: self.get_waits or self.it.closed)
    @rule()
    def the_get_is_answered(self):
        it = self.it
        payload = it.take_payload()
        if payload is None:
            if self.get_waits and self.answered is None and not it.poll_refused:
                assert not it.closed, "a GET waits for a session that is over"
                assert not self.waiting and not self.owes_close, "a GET waits though there are packets"
            return
        assert self.get_waits, "nobody asked"
        assert self.answered is None, "two answers at once"
        assert not it.poll_refused
        self.get_waits, self.held_until = False, None
        if it.closed:
            assert payload in ("1", "6"), "more than a farewell leaves after the close"
            self.answered = []
        elif payload == "6":
            self.answered = []
        else:
            assert it.transport is POLLING, "polling takes what belongs to the WebSocket"
            if self.owes_close and not self.waiting:
                self.waiting.append(Entry(["1"]))
                self.owes_close = False
            due = [frame for entry in self.waiting for frame in entry.rest][: self.config.max_packets_per_poll]
            assert payload == "\x1e".join(map(polling_text, due)), "something is lost, doubled or out of order"
            self.answered = due

    @precondition(lambda self: self.answered is not None)
    @rule(written=st.booleans())
    def the_answer_is_done(self, written):
        count, self.answered = len(self.answered), None
        self.it.poll_done(written=written)
        while written and count and self.waiting:
            entry = self.waiting[0]
            step = min(count, len(entry.rest))
            entry.left += step
            count -= step
            if not entry.rest:
                del self.waiting[0]
        self.see(())
        if self.over and not self.waiting and not self.owes_close:
            assert self.it.closed

    # What always holds.

    @invariant()
    def the_buffer_is_counted(self):
        if hasattr(self, "it"):
            it = self.it
            assert it.buffered_packets == sum(len(entry.frames) for entry in self.waiting)
            assert it.buffered_bytes == sum(entry.size for entry in self.waiting)
            assert not it.closed or it.buffered_bytes == it.buffered_packets == 0
            assert it.crowded == (
                it.buffered_bytes > self.config.max_buffered_bytes
                or it.buffered_packets > self.config.max_buffered_packets
            )

    @invariant()
    def a_deadline_exists_while_the_peer_owes_something(self):
        if not hasattr(self, "it"):
            return
        deadline = self.it.next_deadline
        assert (deadline is None) == self.it.closed
        if deadline is None:
            return
        owed = [self.candidate_until, self.held_until, self.answer_by, self.next_ping]
        if self.over:
            owed = [self.closing_until]
        assert deadline == min(at for at in owed if at is not None)

    @invariant()
    def only_a_few_inputs_make_the_deadline_earlier(self):
        if hasattr(self, "it"):
            deadline = self.it.next_deadline
            if not self.scheduled_anew and deadline is not None:
                assert deadline >= self.scheduled, "the driver would miss it"
            self.scheduled_anew, self.scheduled = False, deadline

    @invariant()
    def the_words_for_the_end_agree(self):
        if hasattr(self, "it"):
            it = self.it
            assert it.closed == (it.state is State.CLOSED)
            assert it.ended == (it.state in (State.CLOSING, State.CLOSED)) == self.over

    def teardown(self):
        """Left alone, every session ends in finite time and asks for nothing more."""
        if not hasattr(self, "it"):
            return
        for _ in range(100):
            if self.it.closed:
                break
            self.tick(self.it.next_deadline)
        assert self.it.closed, "a silent peer is never given up"
        assert list(self.it.take()) == []


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
