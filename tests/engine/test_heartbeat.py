from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.heartbeat import Heartbeat
from trio_socketio.engine.outbound import Outbound
from trio_socketio.engine.session import Session

SECONDS = st.integers(1, 2000).map(lambda n: n / 8)  # exact in binary, so that times can be compared


@pytest.fixture
def heartbeat():
    return Heartbeat.start(25, 20, now=100)


def answered(heartbeat, now):
    """Beat at ``now``, and hear the peer."""
    heartbeat.beat(now)
    heartbeat.heard()
    return heartbeat


def test_the_first_ping_is_one_interval_after_the_handshake(heartbeat):
    assert heartbeat.deadline == 125
    assert not heartbeat.ping_due(124.999)
    assert heartbeat.ping_due(125)
    assert not heartbeat.overdue(1e9), "who owes nothing is never late"


def test_after_a_ping_the_answer_is_the_next_deadline(heartbeat):
    heartbeat.beat(125)
    assert heartbeat.deadline == 145
    assert not heartbeat.ping_due(1e9), "one ping at a time"
    assert not heartbeat.overdue(144.999)
    assert heartbeat.overdue(145)


def test_after_an_answer_the_next_ping_keeps_the_cadence_even_if_this_one_was_a_little_late(heartbeat):
    assert answered(heartbeat, 130).deadline == 150


def test_a_ping_that_was_very_late_begins_a_new_cadence(heartbeat):
    assert answered(heartbeat, 150).deadline == 175
    assert answered(heartbeat, 1000).deadline == 1025


def test_the_beats_while_an_answer_is_owed_are_left_out_and_the_cadence_kept():
    slow = Heartbeat.start(4, 20, now=0)
    slow.beat(4)
    assert slow.deadline == 8
    assert not slow.ping_due(8)
    slow.beat(8)
    assert (slow.deadline, slow.answer_by) == (12, 24), "the answer is owed for the first ping"
    slow.heard()
    assert slow.deadline == 12
    assert slow.ping_due(12)


def test_hearing_a_peer_that_owes_nothing_changes_nothing(heartbeat):
    heartbeat.heard()
    assert heartbeat == Heartbeat.start(25, 20, now=100)


@given(SECONDS, SECONDS, SECONDS, st.lists(st.tuples(SECONDS, st.booleans()), max_size=30))
def test_whatever_happens_there_is_a_deadline_and_acting_on_it_moves_it(interval, timeout, now, steps):
    beat = Heartbeat.start(interval, timeout, now)
    for delay, heard in steps:
        now += delay
        if heard:
            beat.heard()
        if beat.overdue(now):
            assert now >= beat.deadline
            return
        if now >= beat.ping_at:
            beat.beat(now)
        deadline = beat.deadline
        assert now < deadline <= now + max(interval, timeout)
        heard = replace(beat)
        heard.heard()
        assert heard.deadline >= deadline, "hearing a peer must not make a deadline earlier"


@given(SECONDS, SECONDS)
def test_a_peer_that_answers_each_ping_in_time_is_pinged_once_per_interval(interval, share):
    timeout = interval * min(share, 0.875)
    beat, pings = Heartbeat.start(interval, timeout, 0), []
    for _ in range(10):
        now = beat.deadline
        pings.append(now)
        answered(beat, now)
    assert pings == [interval * n for n in range(1, 11)]


# --- the short ways of a session: `ping` for `tick`, `pong` for `receive` ------------------------------------------------


def open_session(transport=Transport.WEBSOCKET):
    it = Session("sid", EngineConfig(ping_interval=25, ping_timeout=20), transport, 0)
    if transport is Transport.WEBSOCKET:
        it.take()
        it.written()
    return it


def probing():
    it = open_session(Transport.POLLING)
    it.poll(0)
    it.take_payload()
    it.poll_done(written=True)
    it.attach(0)
    it.receive("2probe", Transport.WEBSOCKET, 0)
    it.take()
    return it


def waiting():
    it = open_session()
    it.send(Outbound.message(["waits"]))
    return it


def pinged():
    it = open_session()
    assert it.ping(25) is not None
    return it


def closing():
    it = waiting()
    it.close(CloseReason.FORCED_CLOSE, "", 1)
    return it


def closed():
    it = open_session()
    it.abort(CloseReason.FORCED_CLOSE, "")
    return it


SITUATIONS = [open_session, probing, waiting, pinged, closing, closed]


def shape(it):
    """Return what can be seen of a session."""
    return it.state, it.next_deadline, it.buffered_bytes, it.buffered_packets


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("frame", ["3", "3x", "2", "4hello", "", "1", b"3", "é"])
def test_a_pong_that_is_taken_in_has_the_effect_of_receiving_it_and_no_event(situation, frame):
    short, long, untouched = situation(), situation(), situation()
    taken = short.pong(frame)
    assert taken == (frame == "3" and short.state is open_session().state)
    if taken:
        assert list(long.receive(frame, Transport.WEBSOCKET, 30)) == []
    assert shape(short) == shape(long if taken else untouched)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("now", [0, 24.9, 25, 30, 44.9, 45, 50, 1000])
def test_a_ping_that_is_taken_has_the_effect_of_a_tick(situation, now):
    short, long, untouched = situation(), situation(), situation()
    ping = short.ping(now)
    if ping is None:
        assert shape(short) == shape(untouched)
        return
    assert ping.frames == ("2",)
    assert list(long.tick(now)) == []
    assert [frame for outbound in long.take() for frame in outbound.frames] == ["2"]
    long.written()
    assert shape(short) == shape(long)


def test_a_ping_is_taken_when_it_is_due_and_nothing_else_is():
    it = open_session()
    assert it.ping(24.9) is None
    assert it.ping(25) is not None
    assert it.ping(30) is None, "one ping at a time"
    assert it.ping(45) is None, "the answer is overdue, and that is for tick to say"
    assert it.pong("3")
    assert it.next_deadline == 50
    assert it.ping(50) is not None


def test_a_ping_never_overtakes_what_waits():
    assert waiting().ping(25) is None
