"""One Engine.IO session, one behaviour per test: what goes in at which time, and what comes out."""

import base64
import json

import pytest
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.events import Closed, CloseReason, Conflict, Message, ProbeFailed, Upgraded
from trio_socketio.engine.outbound import Outbound
from trio_socketio.engine.session import HOLD, Session, State

POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET
START = 1000.0


def session(transport=POLLING, **options):
    """A session just made: its open packet waits."""
    return Session("the-sid", EngineConfig(**options), transport, START)


def polling(**options):
    """A polling session whose client has its handshake."""
    it = session(**options)
    assert get(it).startswith("0{")
    return it


def websocket(**options):
    """A session that was opened by a WebSocket, whose client has its handshake."""
    it = session(WEBSOCKET, **options)
    assert frames(it)[0].startswith("0{")
    return it


def attached(now=START, **options):
    it = polling(**options)
    assert it.attach(now)
    return it


def probed(now=START, **options):
    """A polling session whose second transport has probed and knows the answer."""
    it = attached(now, **options)
    assert list(it.receive("2probe", WEBSOCKET, now)) == []
    assert frames(it) == ["3probe"]
    return it


def upgraded(**options):
    it = probed(**options)
    assert list(it.receive("5", WEBSOCKET, START)) == [Upgraded()]
    return it


def send(it, *texts):
    for text in texts:
        assert list(it.send(Outbound.message([text]))) == []


def answer(it, *, written=True):
    """What the pending GET is answered with, or None while it waits."""
    payload = it.take_payload()
    if payload is not None:
        it.poll_done(written=written)
    return payload


def get(it, now=START, *, written=True):
    assert list(it.poll(now)) == []
    return answer(it, written=written)


def frames(it):
    """What leaves through the WebSocket, confirmed at once."""
    taken = [frame for outbound in it.take() for frame in outbound.frames]
    it.written()
    return taken


def packets(payload):
    return payload.split("\x1e")


def reason(events):
    """The reason of a session's end, which is the last event."""
    assert isinstance(events[-1], Closed)
    assert sum(isinstance(event, Closed) for event in events) == 1
    return events[-1].reason


# --- handshake ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", list(Transport))
def test_the_first_packet_is_the_handshake_with_exactly_the_five_keys(transport):
    it = session(transport, ping_interval=0.3, ping_timeout=0.29, max_payload=1_000_000)
    send(it, "behind it")
    if transport is POLLING:
        first, second = packets(get(it))
    else:
        first, second = frames(it)
    assert first[0] == "0"
    assert json.loads(first[1:]) == {
        "sid": "the-sid",
        "upgrades": ["websocket"] if transport is POLLING else [],
        "pingInterval": 300,
        "pingTimeout": 290,
        "maxPayload": 1_000_000,
    }
    assert second == "4behind it"


@pytest.mark.parametrize("options", [{"allow_upgrades": False}, {"transports": ["polling"]}])
def test_the_handshake_offers_no_upgrade_that_is_not_served(options):
    assert json.loads(get(session(**options))[1:])["upgrades"] == []


def test_a_handshake_whose_answer_was_not_written_comes_with_the_next_get():
    it = session()
    first = get(it, written=False)
    assert first.startswith("0{")
    assert get(it) == first


# --- messages ----------------------------------------------------------------------------------------------------


def test_a_post_may_carry_many_packets_and_a_frame_carries_one():
    it = polling()
    assert list(it.receive("4a\x1e4b\x1ebAAE=", POLLING, START)) == [Message("a"), Message("b"), Message(b"\x00\x01")]
    it = websocket()
    assert list(it.receive("4a\x1e4b", WEBSOCKET, START)) == [Message("a\x1e4b")]
    assert list(it.receive(b"\x00\x01", WEBSOCKET, START)) == [Message(b"\x00\x01")]


def test_the_body_of_a_post_may_be_bytes():
    assert list(polling().receive("4é".encode(), POLLING, START)) == [Message("é")]


def test_a_binary_message_is_base64_in_a_payload_and_bytes_in_a_frame():
    both = Outbound.message(["451-[]", b"\xff\x00"])
    by_polling, by_websocket = polling(), websocket()
    for it in (by_polling, by_websocket):
        it.send(both)
    assert get(by_polling) == "4451-[]\x1eb" + base64.b64encode(b"\xff\x00").decode()
    assert frames(by_websocket) == ["4451-[]", b"\xff\x00"]


def test_a_get_waits_until_there_is_a_packet():
    it = polling()
    assert get(it) is None
    send(it, "news")
    assert answer(it) == "4news"
    assert answer(it) is None, "nobody waits any more"


@pytest.mark.parametrize(
    "frame",
    ["", "9", "x", "4ok\x1e", "\x1e4ok", "4ok\x1e7", "b!!!", "2", "2probe", "5", "0{}", "4ok\x1e2"],
)
def test_a_post_that_is_no_legal_payload_closes_the_session(frame):
    it = polling()
    assert reason(it.receive(frame, POLLING, START)) is CloseReason.PARSE_ERROR
    assert it.closed


def test_a_post_that_is_not_utf_8_closes_the_session():
    assert reason(polling().receive(b"4\xff", POLLING, START)) is CloseReason.PARSE_ERROR


def test_what_stands_before_a_forbidden_packet_is_delivered_and_nothing_behind_it():
    events = polling().receive("4before\x1e2\x1e4behind", POLLING, START)
    assert events[0] == Message("before")
    assert reason(events) is CloseReason.PARSE_ERROR
    assert len(events) == 2


def test_nothing_behind_a_close_packet_is_delivered():
    events = polling().receive("4before\x1e1\x1e4behind", POLLING, START)
    assert events[0] == Message("before")
    assert reason(events) is CloseReason.TRANSPORT_CLOSE
    assert len(events) == 2


@pytest.mark.parametrize("frame", ["", "9", "x", "0{}", "2", "2probe", "5", "b!!!", "bA"])
@pytest.mark.parametrize("build", [websocket, upgraded])
def test_a_frame_that_is_not_allowed_on_an_established_websocket_closes_the_session(build, frame):
    it = build()
    assert reason(it.receive(frame, WEBSOCKET, START)) is CloseReason.PARSE_ERROR
    assert it.closed
    assert frames(it) == []


@pytest.mark.parametrize(("build", "transport"), [(polling, POLLING), (websocket, WEBSOCKET), (upgraded, WEBSOCKET)])
def test_a_noop_of_the_client_does_nothing(build, transport):
    it = build()
    assert list(it.receive("6", transport, START)) == []
    assert list(it.receive("4after it", transport, START)) == [Message("after it")]
    assert it.buffered_packets == 0


def test_a_noop_proves_that_the_client_is_alive():
    it = websocket()
    it.tick(START + 25)
    it.receive("6", WEBSOCKET, START + 30)
    it.tick(START + 46)
    assert not it.ended


def test_a_noop_stands_among_other_packets_of_a_post():
    assert list(polling().receive("4a\x1e6\x1e4b", POLLING, START)) == [Message("a"), Message("b")]


@pytest.mark.parametrize("build", [attached, probed])
def test_a_noop_costs_a_websocket_that_probes(build):
    it = build()
    assert list(it.receive("6", POLLING, START)) == []
    assert isinstance(it.receive("6", WEBSOCKET, START)[-1], ProbeFailed)
    assert it.state is State.POLLING


@pytest.mark.parametrize("build", [websocket, upgraded])
def test_base64_in_a_text_frame_is_a_binary_message(build):
    it = build()
    assert it.message("bAAE=") is None, "no fast way for what is rare"
    assert list(it.receive("bAAE=", WEBSOCKET, START)) == [Message(b"\x00\x01")]
    assert list(it.receive("b", WEBSOCKET, START)) == [Message(b"")]


def test_base64_that_java_has_broken_into_lines_is_a_binary_message():
    data = bytes(range(200))
    text = base64.encodebytes(data).decode()
    assert text.count("\n") > 1
    for line_break in ("\n", "\r\n"):
        body = f"4before\x1eb{text.replace(chr(10), line_break)}"
        assert list(polling().receive(body.encode(), POLLING, START)) == [Message("before"), Message(data)]


def test_the_layer_above_can_declare_a_violation():
    it = websocket()
    assert list(it.violate("no Socket.IO")) == [Closed(CloseReason.PARSE_ERROR, "no Socket.IO")]


# --- at most 16 packets per answer -------------------------------------------------------------------------------


def test_an_answer_carries_at_most_sixteen_packets_and_the_next_one_the_rest():
    it = polling()
    send(it, *map(str, range(40)))
    assert [len(packets(get(it))) for _ in range(3)] == [16, 16, 8]
    assert get(it) is None


def test_a_message_of_many_frames_is_split_over_answers_in_order():
    it = polling(max_packets_per_poll=3)
    send(it, "first")
    it.send(Outbound.message(["head", *(bytes([n]) for n in range(4))]))
    send(it, "last")
    answers = [packets(get(it)) for _ in range(3)]
    assert answers == [["4first", "4head", "bAA=="], ["bAQ==", "bAg==", "bAw=="], ["4last"]]
    assert it.buffered_packets == 0 and it.buffered_bytes == 0


def test_the_middle_of_a_split_message_comes_back_when_its_answer_is_not_written():
    it = polling(max_packets_per_poll=2)
    it.send(Outbound.message(["head", *(bytes([n]) for n in range(4))]))
    assert packets(get(it)) == ["4head", "bAA=="]
    lost = get(it, written=False)
    assert packets(lost) == ["bAQ==", "bAg=="]
    assert get(it) == lost
    assert get(it) == "bAw=="
    assert it.buffered_packets == 0


def test_a_lost_noop_repeats_nothing_of_a_split_message():
    it = polling(max_packets_per_poll=2)
    it.send(Outbound.message(["head", b"\x00", b"\x01"]))
    get(it)
    it.attach(START)
    it.poll(START)
    it.tick(START + HOLD)
    assert answer(it, written=False) == "6"
    it.lost(CloseReason.TRANSPORT_CLOSE, "the candidate died")
    assert get(it) == "bAQ=="


# --- answers that are lost ---------------------------------------------------------------------------------------


def test_an_answer_that_was_not_written_puts_its_packets_back_in_front():
    it = polling()
    send(it, "a", "b")
    assert list(it.poll(START)) == []
    assert it.take_payload() == "4a\x1e4b"
    send(it, "c")
    it.poll_done(written=False)
    assert get(it) == "4a\x1e4b\x1e4c"


def test_an_aborted_get_leaves_everything_for_the_next():
    it = polling()
    assert get(it) is None
    it.poll_aborted()
    send(it, "kept")
    assert it.take_payload() is None
    assert get(it) == "4kept"


def test_the_ping_of_a_session_whose_get_was_aborted_is_not_lost():
    it = polling()
    it.poll(START)
    it.poll_aborted()
    it.tick(START + 25)
    assert get(it, START + 26) == "2"


def test_a_second_answer_waits_until_the_first_is_written():
    it = polling()
    send(it, "a")
    it.poll(START)
    assert it.take_payload() == "4a"
    send(it, "b")
    it.poll(START)
    assert it.take_payload() is None
    it.poll_done(written=True)
    assert answer(it) == "4b"


# --- heartbeat ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [polling, websocket])
def test_the_first_ping_is_due_one_interval_after_the_handshake(build):
    it = build()
    assert it.next_deadline == START + 25
    it.tick(START + 24.9)
    assert it.buffered_packets == 0
    it.tick(START + 25)
    assert (get(it) if build is polling else frames(it)[0]) == "2"


def test_pings_keep_the_cadence_of_the_handshake_whatever_the_answers_delay():
    it, pings = websocket(), []
    now = START
    while now < START + 120:
        now = it.next_deadline
        it.tick(now)
        if frames(it) == ["2"]:
            pings.append(now - START)
            it.receive("3", WEBSOCKET, now + 7)
    assert pings == [25, 50, 75, 100, 125]


def test_pings_keep_the_cadence_when_the_timeout_is_longer_than_the_interval():
    it = websocket(ping_interval=5, ping_timeout=60)
    assert it.next_deadline == START + 5
    it.tick(START + 5)
    assert it.next_deadline == START + 10, "a driver that looks again then misses nothing"
    it.receive("3", WEBSOCKET, START + 6)
    assert it.next_deadline == START + 10
    it.tick(START + 10)
    it.tick(START + 15)
    assert frames(it) == ["2", "2"], "while one ping is owed an answer no other is sent"
    it.receive("3", WEBSOCKET, START + 17)
    it.tick(it.next_deadline)
    assert frames(it) == ["2"]
    assert it.next_deadline == START + 25


def test_a_pending_get_is_answered_with_the_ping():
    it = polling()
    assert get(it) is None
    it.tick(START + 25)
    assert answer(it) == "2"


@pytest.mark.parametrize("build", [polling, websocket])
def test_a_peer_that_does_not_answer_a_ping_in_time_is_closed(build):
    it = build()
    it.tick(START + 25)
    assert it.next_deadline == START + 45
    assert list(it.tick(START + 44.9)) == []
    assert reason(it.tick(START + 45)) is CloseReason.PING_TIMEOUT
    assert it.closed and it.next_deadline is None


@pytest.mark.parametrize(("transport", "frame"), [(POLLING, "3"), (POLLING, "4x"), (WEBSOCKET, "3"), (WEBSOCKET, b"")])
def test_any_packet_proves_a_peer_alive(transport, frame):
    it = polling() if transport is POLLING else websocket()
    it.tick(START + 25)
    it.receive(frame, transport, START + 30)
    assert it.next_deadline == START + 50
    assert list(it.tick(START + 45)) == []
    assert not it.closed


def test_even_a_probe_proves_a_peer_alive():
    it = polling()
    it.tick(START + 25)
    it.attach(START + 40)
    it.receive("2probe", WEBSOCKET, START + 40)
    assert list(it.tick(START + 45)) == []


def test_a_get_alone_does_not_prove_a_peer_alive():
    it = polling()
    it.tick(START + 25)
    assert get(it, START + 30) == "2"
    assert reason(it.tick(START + 45)) is CloseReason.PING_TIMEOUT


def test_a_peer_whose_input_is_left_unread_owes_nothing():
    it = websocket()
    it.tick(START + 25)
    it.heard()
    assert list(it.tick(START + 45)) == []


def test_an_unasked_pong_is_harmless():
    it = websocket()
    assert list(it.receive("3", WEBSOCKET, START)) == []
    assert it.next_deadline == START + 25


def test_a_driver_that_comes_much_too_late_sends_one_ping_and_gives_the_whole_timeout():
    it = websocket()
    assert list(it.tick(START + 1000)) == []
    assert frames(it) == ["2"]
    assert it.next_deadline == START + 1020


def test_the_heartbeat_goes_on_over_an_upgrade():
    it = polling()
    it.tick(START + 25)
    it.attach(START + 26)
    it.receive("2probe", WEBSOCKET, START + 26)
    it.tick(START + 27)
    it.receive("5", WEBSOCKET, START + 27)
    assert frames(it) == ["3probe", "2"], "the ping that no GET took goes through the WebSocket"
    it.tick(START + 50)
    assert frames(it) == ["2"]


# --- upgrade -----------------------------------------------------------------------------------------------------


def test_an_upgrade_moves_what_was_buffered_to_the_websocket():
    it = probed()
    send(it, "buffered")
    assert frames(it) == [], "polling is still the transport"
    assert it.transport is POLLING
    assert list(it.receive("5", WEBSOCKET, START)) == [Upgraded()]
    assert it.transport is WEBSOCKET
    assert frames(it) == ["4buffered"]


def test_probe_and_upgrade_may_come_back_to_back():
    it = attached()
    send(it, "buffered")
    assert list(it.receive("2probe", WEBSOCKET, START)) == []
    assert list(it.receive("5", WEBSOCKET, START)) == [Upgraded()]
    assert frames(it) == ["3probe", "4buffered"]


def test_probe_and_upgrade_back_to_back_answer_the_pending_get_with_a_noop():
    it = polling()
    assert get(it) is None
    it.attach(START)
    it.receive("2probe", WEBSOCKET, START)
    it.receive("5", WEBSOCKET, START)
    send(it, "after")
    assert answer(it) == "6"
    assert frames(it) == ["3probe", "4after"]


def test_a_pending_get_is_answered_with_a_noop_when_the_probe_comes():
    it = polling()
    assert get(it) is None
    it.attach(START)
    assert answer(it) is None
    it.receive("2probe", WEBSOCKET, START)
    assert answer(it) == "6"


def test_a_pending_get_that_already_has_packets_gets_them_and_not_a_noop():
    it = polling()
    it.poll(START)
    it.attach(START)
    send(it, "first")
    it.receive("2probe", WEBSOCKET, START)
    assert answer(it) == "4first"


@pytest.mark.parametrize("build", [attached, probed])
def test_a_get_while_probing_is_held_a_tenth_of_a_second_and_then_answered_with_a_noop(build):
    it = build()
    assert get(it, START + 1) is None
    assert it.next_deadline == START + 1 + HOLD == START + 1.1
    it.tick(START + 1.05)
    assert answer(it) is None
    it.tick(START + 1.1)
    assert answer(it) == "6"


def test_a_held_get_takes_packets_that_come():
    it = probed()
    assert get(it) is None
    send(it, "news")
    assert answer(it) == "4news"
    assert it.next_deadline == START + 10, "nobody is held any more"


def test_a_held_get_is_refused_when_the_upgrade_completes():
    it = probed()
    assert get(it) is None
    send(it, "for the WebSocket")
    it.receive("5", WEBSOCKET, START)
    assert it.poll_refused
    assert it.take_payload() is None
    it.poll_aborted()
    assert not it.poll_refused
    assert frames(it) == ["4for the WebSocket"]


def test_a_held_get_waits_on_as_before_when_the_websocket_dies():
    it = probed()
    assert get(it) is None
    it.lost(CloseReason.TRANSPORT_CLOSE, "gone")
    it.tick(START + 1)
    assert answer(it) is None
    send(it, "news")
    assert answer(it) == "4news"


def test_a_held_get_that_is_aborted_needs_no_deadline():
    it = probed()
    it.poll(START)
    it.poll_aborted()
    assert it.next_deadline == START + 10
    it.tick(START + 1)
    assert answer(it) is None


@pytest.mark.parametrize("build", [attached, probed])
def test_an_upgrade_that_takes_too_long_costs_the_websocket_only(build):
    it = build()
    assert it.next_deadline == START + 10
    assert list(it.tick(START + 9.9)) == []
    (event,) = it.tick(START + 10)
    assert isinstance(event, ProbeFailed)
    assert it.state is State.POLLING
    send(it, "by polling")
    assert frames(it) == []
    assert get(it) == "4by polling"
    assert it.attach(START + 11), "it may try again"


@pytest.mark.parametrize("frame", ["", "2", "2prob", "2probe2", "3", "4hello", b"\x00", "1", "5", "6", "nonsense"])
def test_a_probe_that_fails_leaves_polling_intact(frame):
    it = attached()
    send(it, "kept")
    (event,) = it.receive(frame, WEBSOCKET, START)
    assert isinstance(event, ProbeFailed)
    assert it.state is State.POLLING
    assert get(it) == "4kept"
    assert list(it.receive("4still here", POLLING, START)) == [Message("still here")]


@pytest.mark.parametrize("frame", ["2probe", "3", "4hello", b"\x00", "1", "6", "nonsense"])
def test_only_the_upgrade_packet_may_follow_a_probe(frame):
    it = probed()
    (event,) = it.receive(frame, WEBSOCKET, START)
    assert isinstance(event, ProbeFailed)
    assert it.state is State.POLLING


@pytest.mark.parametrize("build", [attached, probed])
def test_a_websocket_that_dies_while_probing_leaves_polling_intact(build):
    it = build()
    assert list(it.lost(CloseReason.TRANSPORT_CLOSE, "gone")) == []
    assert it.state is State.POLLING
    assert it.next_deadline == START + 25, "no upgrade is awaited any more"
    send(it, "news")
    assert get(it) == "4news"


def test_the_answer_to_a_probe_whose_websocket_died_does_not_reach_the_next_one():
    it = attached()
    it.receive("2probe", WEBSOCKET, START)
    it.lost(CloseReason.TRANSPORT_CLOSE, "gone before 3probe left")
    it.attach(START)
    assert frames(it) == []


@pytest.mark.parametrize("build", [attached, probed, upgraded, websocket])
def test_a_second_websocket_is_not_taken(build):
    it = build()
    before = it.state
    assert not it.attach(START)
    assert it.state is before


def test_polling_requests_conflict_after_the_upgrade_and_do_no_harm():
    it = upgraded()
    assert list(it.poll(START)) == [Conflict()]
    assert list(it.post(START)) == [Conflict()]
    assert not it.ended
    assert it.take_payload() is None


def test_a_post_that_was_being_read_when_the_upgrade_came_still_counts():
    it = probed()
    assert list(it.post(START)) == []
    it.receive("5", WEBSOCKET, START)
    it.post_done()
    assert list(it.receive("4by POST", POLLING, START)) == [Message("by POST")]


def test_the_websocket_waits_while_a_polling_answer_is_being_written():
    it = probed()
    send(it, "a")
    it.poll(START)
    assert it.take_payload() == "4a"
    it.receive("5", WEBSOCKET, START)
    send(it, "b")
    assert frames(it) == []
    it.poll_done(written=True)
    assert frames(it) == ["4b"]
    assert it.buffered_packets == 0


def test_a_polling_answer_that_is_lost_during_the_upgrade_goes_through_the_websocket():
    it = probed()
    send(it, "a")
    it.poll(START)
    assert it.take_payload() == "4a"
    it.receive("5", WEBSOCKET, START)
    send(it, "b")
    it.poll_done(written=False)
    assert frames(it) == ["4a", "4b"]


def test_an_upgrade_in_the_middle_of_a_message_sends_the_rest_of_its_frames():
    it = polling(max_packets_per_poll=2)
    it.send(Outbound.message(["head", b"\x00", b"\x01", b"\x02"]))
    assert packets(get(it)) == ["4head", "bAA=="]
    assert it.attach(START)
    it.receive("2probe", WEBSOCKET, START)
    it.receive("5", WEBSOCKET, START)
    send(it, "next")
    assert frames(it) == ["3probe", b"\x01", b"\x02", "4next"]
    assert it.buffered_packets == 0 and it.buffered_bytes == 0


def test_a_noop_that_is_lost_brings_nothing_back_that_the_websocket_has_taken():
    it = polling()
    assert get(it) is None
    it.attach(START)
    it.receive("2probe", WEBSOCKET, START)
    it.receive("5", WEBSOCKET, START)
    assert it.take_payload() == "6"
    send(it, "a")
    assert [outbound.frames for outbound in it.take()] == [("3probe",), ("4a",)]
    it.poll_done(written=False)
    assert list(it.take()) == []
    assert it.buffered_packets == 1, "the WebSocket has not written it yet"
    it.written()
    assert it.buffered_packets == 0


def test_a_noop_that_its_client_does_not_read_keeps_nothing_from_the_websocket():
    it = polling()
    assert get(it) is None
    it.attach(START)
    it.receive("2probe", WEBSOCKET, START)
    it.receive("5", WEBSOCKET, START)
    assert it.take_payload() == "6"
    send(it, "a")
    assert frames(it) == ["3probe", "4a"]
    assert it.buffered_packets == 0


def test_the_loss_of_the_websocket_in_use_ends_the_session():
    it = upgraded()
    send(it, "never written")
    assert list(it.lost(CloseReason.TRANSPORT_ERROR, "reset")) == [Closed(CloseReason.TRANSPORT_ERROR, "reset")]
    assert it.closed and it.buffered_packets == 0


# --- conflicts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [polling, attached, probed])
def test_of_two_gets_the_first_is_told_to_close_and_the_second_refused(build):
    it = build()
    assert get(it) is None
    events = it.poll(START)
    assert events[0] == Conflict()
    assert reason(events) is CloseReason.PARSE_ERROR
    assert it.closed
    assert answer(it) == "1"
    assert answer(it) is None


def test_a_second_post_while_one_is_read_ends_the_session():
    it = polling()
    assert get(it) is None
    assert list(it.post(START)) == []
    events = it.post(START)
    assert events[0] == Conflict()
    assert reason(events) is CloseReason.PARSE_ERROR
    assert answer(it) == "1"


def test_a_post_may_follow_a_post():
    it = polling()
    for _ in range(2):
        assert list(it.post(START)) == []
        it.post_done()
        assert list(it.receive("4x", POLLING, START)) == [Message("x")]


def test_a_get_and_a_post_do_not_conflict():
    it = polling()
    assert get(it) is None
    assert list(it.post(START)) == []


# --- the peer closes ---------------------------------------------------------------------------------------------


def test_a_get_is_answered_with_a_noop_when_its_client_posts_a_close():
    it = polling()
    assert get(it) is None
    assert reason(it.receive("1", POLLING, START)) is CloseReason.TRANSPORT_CLOSE
    assert answer(it) == "6"
    assert it.closed
    assert list(it.poll(START)) == [Conflict()]
    assert answer(it) is None


def test_a_close_packet_on_the_websocket_ends_the_session():
    it = websocket()
    assert reason(it.receive("1", WEBSOCKET, START)) is CloseReason.TRANSPORT_CLOSE
    assert it.closed


def test_a_peer_that_closes_while_it_probes_loses_that_websocket_too():
    it = probed()
    first, last = it.receive("1", POLLING, START)
    assert isinstance(first, ProbeFailed)
    assert last.reason is CloseReason.TRANSPORT_CLOSE


# --- this side closes --------------------------------------------------------------------------------------------


def close(it, now=START):
    return list(it.close(CloseReason.FORCED_CLOSE, "the application asked for it", now))


def test_a_close_delivers_what_was_sent_before_and_then_the_close_packet():
    it = polling(max_packets_per_poll=2)
    send(it, "a", "b", "c")
    assert close(it) == [Closed(CloseReason.FORCED_CLOSE, "the application asked for it")]
    assert it.ended and not it.closed
    assert get(it) == "4a\x1e4b"
    assert get(it) == "4c"
    assert it.ended and not it.closed, "clients handle a close packet before the messages in front of it"
    assert get(it) == "1"
    assert it.closed


def test_a_pending_get_is_answered_with_the_close_packet():
    it = polling()
    assert get(it) is None
    close(it)
    assert it.take_payload() == "1"
    assert not it.closed, "it is not written yet"
    it.poll_done(written=True)
    assert it.closed


def test_a_close_packet_that_was_not_written_comes_with_the_next_get():
    it = polling()
    close(it)
    assert get(it, written=False) == "1"
    assert get(it) == "1"
    assert it.closed


def test_a_close_packet_waits_for_the_answer_that_is_being_written():
    it = polling()
    send(it, "last words")
    it.poll(START)
    assert it.take_payload() == "4last words"
    close(it)
    it.poll_done(written=False)
    assert get(it) == "4last words"
    it.poll(START)
    assert answer(it) == "1"
    assert it.closed


def test_a_close_packet_that_nobody_asks_for_is_forgotten_after_the_ping_timeout():
    it = polling()
    send(it, "last words")
    close(it)
    assert get(it) == "4last words"
    assert it.next_deadline == START + 20
    it.tick(START + 20)
    assert it.closed


def test_last_words_before_a_shutdown_are_not_followed_by_a_close_packet():
    it = polling(max_packets_per_poll=1)
    send(it, "a", "b")
    assert reason(it.close(CloseReason.SERVER_SHUTTING_DOWN, "the server shuts down", START))
    assert get(it) == "4a"
    assert not it.closed
    assert get(it) == "4b"
    assert it.closed, "the connection may have ended, and a new one is refused"


def test_a_shutdown_with_nothing_to_say_is_told():
    it = polling()
    it.close(CloseReason.SERVER_SHUTTING_DOWN, "the server shuts down", START)
    assert get(it) == "1"
    assert it.closed


def shut_down(it):
    assert list(it.close(CloseReason.SERVER_SHUTTING_DOWN, "the server shuts down", START)) == []


def test_a_shutdown_does_not_wait_for_a_client_that_has_been_sent_away_before():
    it = polling()
    send(it, "last words")
    close(it)
    it.poll(START)
    assert it.take_payload() == "4last words"
    shut_down(it)
    assert not it.closed, "they are not written yet"
    it.poll_done(written=False)
    assert get(it) == "4last words"
    assert it.closed

    it = polling()
    send(it, "last words")
    close(it)
    assert get(it) == "4last words"
    shut_down(it)
    assert it.closed


def test_a_shutdown_still_frees_the_get_of_a_client_that_is_being_sent_away():
    it = polling()
    it.poll(START)
    close(it)
    shut_down(it)
    assert answer(it) == "1"


@pytest.mark.parametrize("body", ["1", b"1", "4x\x1e1", "1\x1e4x"])
def test_a_peer_that_closes_too_is_not_waited_for(body):
    it = polling()
    send(it, "last words")
    close(it)
    assert get(it) == "4last words"
    assert list(it.receive(body, POLLING, START)) == []
    assert it.closed and it.next_deadline is None


def test_a_close_over_the_websocket_ends_when_all_is_written():
    it = websocket()
    send(it, "last words")
    close(it)
    assert not it.closed
    taken = it.take()
    assert [outbound.frames for outbound in taken] == [("4last words",)]
    assert not it.closed
    it.written()
    assert it.closed


def test_a_close_over_an_idle_websocket_ends_at_once():
    it = websocket()
    assert len(close(it)) == 1
    assert it.closed


def test_a_close_waits_for_the_polling_answer_of_before_the_upgrade():
    it = probed(max_packets_per_poll=1)
    send(it, "a")
    it.poll(START)
    assert it.take_payload() == "4a"
    it.receive("5", WEBSOCKET, START)
    close(it)
    assert not it.closed
    it.poll_done(written=False)
    assert not it.closed
    assert frames(it) == ["4a"]
    assert it.closed


def test_a_client_that_never_fetches_its_close_is_forgotten_after_the_ping_timeout():
    it = polling()
    send(it, "never fetched")
    close(it, START + 3)
    assert it.next_deadline == START + 23
    assert list(it.tick(START + 22)) == []
    assert not it.closed
    assert list(it.tick(START + 23)) == [], "Closed was told already"
    assert it.closed and it.buffered_packets == 0
    assert list(it.poll(START + 24)) == [Conflict()]


def test_a_get_that_waits_when_the_close_takes_too_long_is_told_to_close():
    it = polling()
    send(it, "a")
    close(it)
    it.poll(START)
    it.take_payload()
    it.poll(START)
    it.tick(START + 20)
    it.poll_done(written=True)
    assert answer(it) == "1"


@pytest.mark.parametrize(
    ("build", "answers"),
    [
        (attached, ["4a", "1"]),
        (probed, ["4a\x1e1"]),
    ],  # a client that has probed pauses polling: there may be no other GET
)
def test_a_close_while_probing_gives_the_websocket_up_and_goes_on_by_polling(build, answers):
    it = build()
    send(it, "a")
    first, last = close(it)
    assert isinstance(first, ProbeFailed) and isinstance(last, Closed)
    assert frames(it) == []
    assert list(it.lost(CloseReason.TRANSPORT_CLOSE, "the candidate hung up")) == []
    assert not it.closed, "what was sent before must still be fetched"
    assert [get(it) for _ in answers] == answers
    assert it.closed


def test_a_held_get_is_answered_when_the_session_closes():
    it = probed()
    assert get(it) is None
    close(it)
    assert answer(it) == "1"


def test_nothing_the_peer_or_the_application_does_counts_while_the_session_closes():
    it = websocket()
    send(it, "last words")
    close(it)
    assert list(it.receive("4x", WEBSOCKET, START)) == []
    assert list(it.receive("nonsense", WEBSOCKET, START)) == []
    assert list(it.send(Outbound.message(["too late"]))) == []
    assert close(it) == []
    assert not it.attach(START)
    assert frames(it) == ["4last words"]


def test_a_get_for_a_websocket_session_that_closes_steals_nothing_from_it():
    it = websocket()
    send(it, "last words")
    close(it)
    assert list(it.poll(START)) == [Conflict()]
    assert list(it.post(START)) == [Conflict()]
    assert it.take_payload() is None
    assert frames(it) == ["4last words"]
    assert it.closed


def test_an_abort_drops_what_waits():
    it = polling()
    send(it, "dropped")
    assert list(it.abort(CloseReason.FORCED_CLOSE, "now")) == [Closed(CloseReason.FORCED_CLOSE, "now")]
    assert it.closed and it.buffered_packets == 0 and it.buffered_bytes == 0
    assert list(it.poll(START)) == [Conflict()]


def test_an_abort_while_closing_drops_what_waits_and_tells_nobody_twice():
    it = polling()
    close(it)
    assert list(it.abort(CloseReason.FORCED_CLOSE, "now")) == []
    assert it.closed


def test_an_abort_while_an_answer_is_written_brings_nothing_back():
    it = polling()
    send(it, "a")
    it.poll(START)
    it.take_payload()
    it.abort(CloseReason.FORCED_CLOSE, "now")
    it.poll_done(written=False)
    assert (it.buffered_packets, it.buffered_bytes) == (0, 0)
    assert it.take_payload() is None


def test_a_pending_get_is_told_to_close_when_the_session_is_aborted():
    it = polling()
    assert get(it) is None
    it.abort(CloseReason.SERVER_SHUTTING_DOWN, "down")
    assert answer(it) == "1"
    assert answer(it) is None


# --- the outbound buffer -----------------------------------------------------------------------------------------


def test_the_buffer_counts_bytes_of_utf_8_and_packets_until_they_are_written():
    it = websocket()
    it.send(Outbound.message(["é", b"\x00\x01"]))
    assert (it.buffered_bytes, it.buffered_packets) == (5, 2)
    it.take()
    assert (it.buffered_bytes, it.buffered_packets) == (5, 2)
    it.written()
    assert (it.buffered_bytes, it.buffered_packets) == (0, 0)


@pytest.mark.parametrize("build", [polling, websocket])
def test_a_client_that_reads_too_slowly_is_closed_when_too_many_bytes_wait(build):
    it = build(max_buffered_bytes=10)
    send(it, "1234", "5678")
    events = it.send(Outbound.message([""]))
    assert reason(events) is CloseReason.FORCED_CLOSE
    assert "too slowly" in events[-1].detail
    assert it.closed and it.buffered_bytes == 0


@pytest.mark.parametrize("build", [polling, websocket])
def test_a_client_that_reads_too_slowly_is_closed_when_too_many_packets_wait(build):
    it = build(max_buffered_packets=3)
    send(it, "", "", "")
    assert reason(it.send(Outbound.message([""]))) is CloseReason.FORCED_CLOSE


def test_all_frames_of_a_message_count_as_packets():
    it = websocket(max_buffered_packets=3)
    send(it, "")
    assert list(it.send(Outbound.message(["", b""]))) == []
    it = websocket(max_buffered_packets=3)
    send(it, "")
    assert reason(it.send(Outbound.message(["", b"", b""]))) is CloseReason.FORCED_CLOSE


def test_what_is_taken_and_not_written_still_fills_the_buffer():
    it = websocket(max_buffered_packets=2)
    send(it, "a", "b")
    it.take()
    assert reason(it.send(Outbound.message(["c"]))) is CloseReason.FORCED_CLOSE


def test_one_message_larger_than_the_buffer_is_allowed_when_nothing_waits():
    it = websocket(max_buffered_bytes=10, max_buffered_packets=2)
    assert list(it.send(Outbound.message(["x" * 100, b"", b""]))) == []
    assert it.crowded
    assert len(frames(it)) == 3
    assert not it.crowded
    send(it, "x" * 100)


def test_patient_messages_never_overflow_but_crowd_the_buffer():
    it = websocket(max_buffered_bytes=10, max_buffered_packets=2)
    for _ in range(20):
        assert list(it.send(Outbound.message(["x" * 100], patient=True))) == []
    assert it.crowded
    assert len(frames(it)) == 20
    assert not it.crowded


def test_patient_messages_do_not_make_others_overflow():
    it = websocket(max_buffered_bytes=10, max_buffered_packets=2)
    for _ in range(20):
        it.send(Outbound.message(["x" * 100], patient=True))
    send(it, "a", "b")
    assert reason(it.send(Outbound.message(["c"]))) is CloseReason.FORCED_CLOSE


def test_an_overflow_while_probing_gives_the_websocket_up_first():
    it = probed(max_buffered_packets=1)
    send(it, "a")
    first, last = it.send(Outbound.message(["b"]))
    assert isinstance(first, ProbeFailed) and last.reason is CloseReason.FORCED_CLOSE


def test_the_same_outbound_may_wait_for_many_sessions():
    shared = Outbound.message(["to all", b"\x00"])
    sessions = [polling(max_packets_per_poll=1), websocket(), probed(max_packets_per_poll=1)]
    for it in sessions:
        it.send(shared)
    assert get(sessions[2]) == "4to all"
    sessions[2].receive("5", WEBSOCKET, START)
    assert frames(sessions[2]) == [b"\x00"]
    assert frames(sessions[1]) == ["4to all", b"\x00"]
    assert get(sessions[0]) == "4to all"
    assert shared.frames == ("4to all", b"\x00")


# --- after the end -----------------------------------------------------------------------------------------------


def ended():
    it = websocket()
    it.receive("1", WEBSOCKET, START)
    return it


@pytest.mark.parametrize(
    "step",
    [
        lambda it: it.receive("4x", WEBSOCKET, START),
        lambda it: it.receive("4x", POLLING, START),
        lambda it: it.receive("nonsense", POLLING, START),
        lambda it: it.send(Outbound.message(["x"])),
        lambda it: it.close(CloseReason.FORCED_CLOSE, "again", START),
        lambda it: it.abort(CloseReason.FORCED_CLOSE, "again"),
        lambda it: it.violate("again"),
        lambda it: it.lost(CloseReason.TRANSPORT_CLOSE, "again"),
        lambda it: it.tick(START + 10_000),
    ],
)
def test_a_closed_session_says_nothing_more(step):
    it = ended()
    assert list(step(it)) == []
    assert it.closed and it.next_deadline is None
    assert list(it.take()) == [] and it.take_payload() is None
    assert (it.buffered_bytes, it.buffered_packets) == (0, 0)


def test_requests_to_a_closed_session_conflict():
    it = ended()
    assert list(it.poll(START)) == [Conflict()]
    assert list(it.post(START)) == [Conflict()]
    assert not it.attach(START)
    assert it.take_payload() is None


# What drivers ask for the commonest inputs and outputs, without events.


@pytest.mark.parametrize(
    ("frame", "message"), [("4hello", "hello"), ("4", ""), (b"\x00", b"\x00"), ("3", None), ("", None)]
)
def test_a_message_is_taken_in_without_an_event_and_nothing_else_is(frame, message):
    assert websocket().message(frame) == message


def test_a_message_is_a_sign_of_life():
    it = websocket(ping_interval=25, ping_timeout=20)
    it.tick(START + 25)
    it.written()
    assert it.message("4hello") == "hello"
    assert list(it.tick(START + 45)) == []
    assert not it.ended


def test_a_message_that_is_not_for_now_is_left_for_receive():
    for it in (polling(), probed()):
        state = it.state
        assert it.message("4hello") is None
        assert it.state is state


def test_what_was_not_written_after_all_counts_until_it_is():
    it = websocket()
    it.written()
    it.unsent([Outbound(("4a",)), Outbound(("4b",))])
    assert it.buffered_packets == 2
    assert not it.clear
    assert list(it.take()) == []
    it.written()
    assert it.clear


def test_nothing_counts_any_more_once_a_session_has_ended():
    it = websocket()
    it.abort(CloseReason.FORCED_CLOSE, "bye")
    it.unsent([Outbound(("4a",))])
    assert it.buffered_packets == 0


def test_a_message_is_prompt_on_a_websocket_that_has_written_everything():
    it = session(WEBSOCKET, max_buffered_bytes=200)
    small, large = Outbound(("4a",)), Outbound(("4" + "x" * 300,))
    assert it.prompt(small)  # it leaves together with the open packet
    it.take()
    assert not it.prompt(small)
    it.written()
    assert it.prompt(small)
    send(it, "b")
    assert not it.prompt(large)


def test_a_message_is_prompt_by_polling_while_a_get_waits_and_its_answer_has_room():
    it = polling(max_packets_per_poll=2)
    small, pair = Outbound(("4a",)), Outbound(("4b", b"\x00", b"\x01"))
    assert not it.prompt(small)
    it.poll(START)
    assert it.prompt(small)
    assert it.prompt(pair)  # it is too long for one answer, but the first
    send(it, "x")
    assert it.prompt(small)
    assert not it.prompt(pair)
    it.take_payload()
    assert not it.prompt(small)
    it.poll_done(written=True)
    it.poll(START)
    it.abort(CloseReason.FORCED_CLOSE, "bye")
    assert not it.prompt(small)


def test_a_message_is_not_prompt_while_packets_are_lent_to_an_answer():
    it = polling(max_packets_per_poll=1)
    it.send(Outbound(("4a", b"\x00")))
    it.poll(START)
    it.take_payload()
    assert not it.prompt(Outbound(("4b",)))
