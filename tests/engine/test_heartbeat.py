import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.engine.heartbeat import Heartbeat

SECONDS = st.integers(1, 2000).map(lambda n: n / 8)  # exact in binary, so that times can be compared


@pytest.fixture
def heartbeat():
    return Heartbeat.start(25, 20, now=100)


def test_the_first_ping_is_one_interval_after_the_handshake(heartbeat):
    assert heartbeat.deadline == 125
    assert not heartbeat.ping_due(124.999)
    assert heartbeat.ping_due(125)
    assert not heartbeat.overdue(1e9), "who owes nothing is never late"


def test_after_a_ping_the_answer_is_the_next_deadline(heartbeat):
    pinged = heartbeat.beat(125)
    assert pinged.deadline == 145
    assert not pinged.ping_due(1e9), "one ping at a time"
    assert not pinged.overdue(144.999)
    assert pinged.overdue(145)


def test_after_an_answer_the_next_ping_keeps_the_cadence_even_if_this_one_was_a_little_late(heartbeat):
    assert heartbeat.beat(130).heard().deadline == 150


def test_a_ping_that_was_very_late_begins_a_new_cadence(heartbeat):
    assert heartbeat.beat(150).heard().deadline == 175
    assert heartbeat.beat(1000).heard().deadline == 1025


def test_the_beats_while_an_answer_is_owed_are_left_out_and_the_cadence_kept():
    slow = Heartbeat.start(4, 20, now=0).beat(4)
    assert slow.deadline == 8
    assert not slow.ping_due(8)
    slow = slow.beat(8)
    assert (slow.deadline, slow.answer_by) == (12, 24), "the answer is owed for the first ping"
    assert slow.heard().deadline == 12
    assert slow.heard().ping_due(12)


def test_hearing_a_peer_that_owes_nothing_changes_nothing(heartbeat):
    assert heartbeat.heard() == heartbeat


@given(SECONDS, SECONDS, SECONDS, st.lists(st.tuples(SECONDS, st.booleans()), max_size=30))
def test_whatever_happens_there_is_a_deadline_and_acting_on_it_moves_it(interval, timeout, now, steps):
    beat = Heartbeat.start(interval, timeout, now)
    for delay, heard in steps:
        now += delay
        if heard:
            beat = beat.heard()
        if beat.overdue(now):
            assert now >= beat.deadline
            return
        if now >= beat.ping_at:
            beat = beat.beat(now)
        assert now < beat.deadline <= now + max(interval, timeout)
        assert beat.heard().deadline >= beat.deadline, "hearing a peer must not make a deadline earlier"


@given(SECONDS, SECONDS)
def test_a_peer_that_answers_each_ping_in_time_is_pinged_once_per_interval(interval, share):
    timeout = interval * min(share, 0.875)
    beat, pings = Heartbeat.start(interval, timeout, 0), []
    for _ in range(10):
        now = beat.deadline
        pings.append(now)
        beat = beat.beat(now).heard()
    assert pings == [interval * n for n in range(1, 11)]
