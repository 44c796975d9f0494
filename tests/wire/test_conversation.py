"""The conversation model: frames become packets that belong together, whatever the frames are."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol import engineio, socketio

from trio_socketio.wire.conversation import Conversation, Kind, Limits, Line, Note, Record, Sender, TracedFrame

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
OPEN = '0{"sid":"S1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
ONE_ATTACHMENT = '451-["image",{"_placeholder":true,"num":0}]'


class Wire:
    """A conversation whose clock goes on by ten milliseconds with every record."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.conversation = Conversation(limits)
        self.time = 1000.0

    def lines(
        self, sender: Sender, frame: str | bytes, sid: str = "S1", transport: str = "websocket", wait: float = 0.01
    ) -> list[Line]:
        self.time += wait
        return self.conversation.observe(TracedFrame(self.time, sid, transport, sender, frame))

    def line(self, sender: Sender, frame: str | bytes, sid: str = "S1", transport: str = "websocket") -> Line:
        (line,) = self.lines(sender, frame, sid, transport)
        return line

    def note(self, text: str, sid: str = "S1") -> Line:
        self.time += 0.01
        (line,) = self.conversation.observe(Note(self.time, sid, "websocket", None, text))
        return line

    def speaks_socketio(self, sid: str = "S1") -> None:
        """So that what is no Socket.IO afterwards is a fault."""
        self.lines(SERVER, OPEN.replace("S1", sid), sid)
        self.lines(CLIENT, "40", sid)
        self.lines(SERVER, '40{"sid":"socket"}', sid)


@pytest.fixture
def wire() -> Wire:
    return Wire()


# Engine.IO


def test_the_handshake_opens_a_session(wire: Wire) -> None:
    line = wire.line(SERVER, OPEN, transport="polling")
    assert (line.kind, line.sender, line.sid, line.transport) == (Kind.OPEN, SERVER, "S1", "polling")
    assert line.payload["pingInterval"] == 25000
    assert line.since is None
    assert line.namespace is None
    assert line.size == len(OPEN)
    assert line.frames == (OPEN,)


def test_a_line_tells_the_seconds_since_the_previous_one_of_its_session(wire: Wire) -> None:
    wire.line(SERVER, OPEN)
    assert wire.line(SERVER, "2", sid="other").since is None
    assert wire.line(SERVER, "2").since == pytest.approx(0.02)


def test_a_pong_tells_the_round_trip_of_its_ping(wire: Wire) -> None:
    assert wire.line(SERVER, "2").kind is Kind.PING
    wire.line(CLIENT, '42["between"]')
    pong = wire.line(CLIENT, "3")
    assert (pong.kind, pong.answers) == (Kind.PONG, pytest.approx(0.02))
    assert wire.line(CLIENT, "3").answers is None


def test_an_upgrade_is_recognised_step_by_step(wire: Wire) -> None:
    kinds = [
        (line.kind, line.sender)
        for line in (
            wire.line(SERVER, OPEN, transport="polling"),
            wire.line(CLIENT, "2probe"),
            wire.line(SERVER, "3probe"),
            wire.line(SERVER, "6", transport="polling"),
            wire.line(CLIENT, "5"),
        )
    ]
    assert kinds == [
        (Kind.OPEN, SERVER),
        (Kind.PROBE, CLIENT),
        (Kind.PROBE, SERVER),
        (Kind.NOOP, SERVER),
        (Kind.UPGRADE, CLIENT),
    ]


def test_the_answer_to_a_probe_tells_how_long_it_took(wire: Wire) -> None:
    wire.line(CLIENT, "2probe")
    assert wire.line(SERVER, "3probe").answers == pytest.approx(0.01)


def test_a_ping_of_the_client_is_a_fault_in_revision_4_only(wire: Wire) -> None:
    assert wire.line(CLIENT, "2").kind is Kind.PING  # nothing is known of this session
    assert wire.line(SERVER, "3").answers == pytest.approx(0.01)
    wire.line(SERVER, OPEN, sid="four")
    wire.line(SERVER, "2", sid="four")
    assert wire.line(CLIENT, "2", sid="four").kind is Kind.FAULT
    wire.line(SERVER, OPEN, sid="three")  # a server that speaks both revisions says maxPayload to everyone
    assert wire.line(CLIENT, "2", sid="three").kind is Kind.PING
    assert wire.line(SERVER, "3", sid="three").kind is Kind.PONG
    assert wire.line(CLIENT, "2", sid="three").kind is Kind.PING


@pytest.mark.parametrize("sender", [CLIENT, SERVER])
def test_a_noop_comes_from_either_side(wire: Wire, sender: Sender) -> None:
    assert wire.line(sender, "6").kind is Kind.NOOP


@pytest.mark.parametrize(
    ("sender", "frame", "detail"),
    [
        (CLIENT, OPEN, "Only the server sends packets of type OPEN"),
        (SERVER, "5", "Only the client sends packets of type UPGRADE"),
        (CLIENT, '44{"message":"no"}', "Only the server sends packets of type CONNECT_ERROR"),
        (CLIENT, "", "The packet is empty at position 0"),
        (CLIENT, "x", "There is no packet type 'x' at position 0"),
        (SERVER, "0{", "The handshake is broken"),
        (SERVER, "0[]", "The handshake is not an object with a sid"),
    ],
)
def test_a_frame_that_breaks_the_protocol_is_a_fault_with_its_reason(
    wire: Wire, sender: Sender, frame: str, detail: str
) -> None:
    line = wire.line(sender, frame)
    assert line.kind is Kind.FAULT
    assert line.detail.startswith(detail)
    assert line.frames == (frame,)


# Socket.IO


def test_connecting_tells_both_halves_and_the_time_between(wire: Wire) -> None:
    asked = wire.line(CLIENT, '40/chat?room=1,{"token":"t"}')
    assert (asked.kind, asked.namespace, asked.payload) == (Kind.CONNECT, "/chat", {"token": "t"})
    assert asked.detail == "With the query room=1"
    granted = wire.line(SERVER, '40/chat,{"sid":"x"}')
    assert (granted.kind, granted.sender, granted.payload) == (Kind.CONNECT, SERVER, {"sid": "x"})
    assert granted.answers == pytest.approx(0.01)


@pytest.mark.parametrize("payload", ['{"message":"Invalid namespace"}', '"Invalid namespace"'])
def test_a_refusal_says_why(wire: Wire, payload: str) -> None:
    wire.line(CLIENT, "40/nobody,")
    line = wire.line(SERVER, f"44/nobody,{payload}")
    assert (line.kind, line.namespace, line.detail) == (Kind.CONNECT_ERROR, "/nobody", "Invalid namespace")
    assert line.answers == pytest.approx(0.01)


def test_an_event_has_its_name_apart_from_its_arguments(wire: Wire) -> None:
    line = wire.line(CLIENT, '42["chat","hello",{"n":1}]')
    assert (line.kind, line.namespace, line.event, line.payload) == (Kind.EVENT, "/", "chat", ["hello", {"n": 1}])
    assert (line.asks, line.ack_id) == (False, None)


def test_a_number_is_an_event_name_too(wire: Wire) -> None:
    assert wire.line(CLIENT, "42[7]").event == "7"


def test_the_size_counts_text_as_utf8(wire: Wire) -> None:
    frame = '42["chat","ü🙂"]'
    assert wire.line(CLIENT, frame).size == len(frame.encode())


def test_an_ack_is_paired_with_its_event(wire: Wire) -> None:
    asked = wire.line(CLIENT, '42/chat,7["save",1]')
    assert (asked.asks, asked.ack_id) == (True, 7)
    wire.line(SERVER, '42/chat,["news"]')
    ack = wire.line(SERVER, '43/chat,7["saved"]')
    assert (ack.kind, ack.event, ack.ack_id, ack.payload) == (Kind.ACK, "save", 7, ["saved"])
    assert ack.answers == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("sender", "sid", "frame"),
    [
        (CLIENT, "S1", "437[]"),  # the same side cannot answer itself
        (SERVER, "S1", "43/chat,7[]"),
        (SERVER, "S1", "438[]"),
        (SERVER, "other", "437[]"),
    ],
)
def test_an_ack_of_another_session_namespace_id_or_direction_answers_nothing(
    wire: Wire, sender: Sender, sid: str, frame: str
) -> None:
    wire.line(CLIENT, '427["save"]')
    stranger = wire.line(sender, frame, sid)
    assert (stranger.kind, stranger.event, stranger.answers) == (Kind.ACK, None, None)
    assert wire.line(SERVER, "437[]").event == "save"


def test_both_sides_may_use_the_same_ack_id(wire: Wire) -> None:
    wire.line(CLIENT, '420["from the client"]')
    wire.line(SERVER, '420["from the server"]')
    assert wire.line(CLIENT, "430[]").event == "from the server"
    assert wire.line(SERVER, "430[]").event == "from the client"


def test_attachments_are_joined_to_their_packet(wire: Wire) -> None:
    text = '452-/chat,3["image",{"_placeholder":true,"num":1},{"deep":[{"_placeholder":true,"num":0}]}]'
    assert wire.lines(CLIENT, text) == []
    assert wire.lines(CLIENT, b"first") == []
    line = wire.line(CLIENT, b"second")
    assert (line.kind, line.namespace, line.event, line.ack_id) == (Kind.EVENT, "/chat", "image", 3)
    assert line.payload == [b"second", {"deep": [b"first"]}]
    assert line.frames == (text, b"first", b"second")
    assert line.size == len(text) + 11
    assert line.time == pytest.approx(1000.03)


def test_the_directions_do_not_disturb_each_other(wire: Wire) -> None:
    assert wire.lines(CLIENT, ONE_ATTACHMENT) == []
    assert wire.line(SERVER, '42["news"]').event == "news"
    assert wire.lines(SERVER, ONE_ATTACHMENT) == []
    assert wire.line(CLIENT, b"up").payload == [b"up"]
    assert wire.line(SERVER, b"down").payload == [b"down"]


def test_text_instead_of_an_attachment_is_a_fault_and_is_read_all_the_same(wire: Wire) -> None:
    wire.lines(CLIENT, ONE_ATTACHMENT)
    fault, event = wire.lines(CLIENT, '42["next"]')
    assert (fault.kind, fault.frames) == (Kind.FAULT, (ONE_ATTACHMENT,))
    assert fault.detail == "A text frame came while attachments were awaited: 1 of 1 missing"
    assert (event.kind, event.event) == (Kind.EVENT, "next")


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        ("4abc", "There is no packet type 'a' at position 1"),
        ("42{}", "The payload of a packet of type EVENT must be an array"),
        ('42["connect"]', "The payload of a packet of type EVENT must be an array"),
        ('43["x"]', "A packet of type ACK needs an ack id at position 2"),
        (b"\x00", "A binary frame came that no packet had announced at position 0"),
        ('451-["x",{"_placeholder":true,"num":1}]', "A placeholder stands for no attachment"),
    ],
)
def test_after_a_broken_message_the_decoder_starts_afresh(wire: Wire, frame: str | bytes, detail: str) -> None:
    wire.speaks_socketio()
    line = wire.line(CLIENT, frame)
    assert line.kind is Kind.FAULT
    assert line.detail.startswith(detail)
    assert wire.line(CLIENT, '42["fine"]').event == "fine"


@pytest.mark.parametrize("frame", ["4hello", b"\x93\x01\x02", '4{"type":2}'])
def test_a_session_that_never_spoke_socketio_has_messages_and_no_faults(wire: Wire, frame: str | bytes) -> None:
    wire.line(SERVER, OPEN)
    line = wire.line(CLIENT, frame)
    assert line.kind is Kind.MESSAGE
    assert line.payload == (frame if isinstance(frame, bytes) else frame[1:])
    assert line.detail.startswith("No Socket.IO packet: ")


def test_sessions_whose_beginning_was_not_seen_are_understood(wire: Wire) -> None:
    assert wire.line(CLIENT, '420["ask"]').event == "ask"
    assert wire.line(SERVER, "430[1]").event == "ask"
    assert wire.line(SERVER, "435[]").answers is None
    assert wire.conversation.summary().sessions[0].opened is None


def test_a_note_becomes_a_line(wire: Wire) -> None:
    wire.line(SERVER, OPEN)
    line = wire.note("HTTP 400 answered a POST")
    assert (line.kind, line.detail, line.frames, line.size) == (Kind.NOTE, "HTTP 400 answered a POST", (), 0)
    assert line.since == pytest.approx(0.01)


def test_the_end_tells_what_stayed_incomplete_once(wire: Wire) -> None:
    wire.lines(CLIENT, ONE_ATTACHMENT.replace("451", "453"))
    wire.lines(CLIENT, b"one")
    (line,) = wire.conversation.finish()
    assert (line.kind, line.detail) == (Kind.NOTE, "The end came first: 2 of 3 missing")
    assert line.frames[1] == b"one"
    assert wire.conversation.finish() == []


def test_a_clock_that_runs_backwards_gives_no_negative_times(wire: Wire) -> None:
    wire.line(CLIENT, '420["ask"]')
    wire.time -= 5
    ack = wire.line(SERVER, "430[]")
    assert (ack.since, ack.answers) == (0, 0)


# Bounds


def test_the_oldest_pending_acks_are_forgotten_first() -> None:
    wire = Wire(Limits(pending_acks=3))
    for number in range(5):
        wire.line(CLIENT, f'42{number}["ask {number}"]')
    assert [wire.line(SERVER, f"43{number}[]").event for number in range(5)] == [None, None, "ask 2", "ask 3", "ask 4"]
    acks = wire.conversation.summary().acks
    assert (acks.asked, acks.answered, acks.unanswered) == (5, 3, 2)


def test_the_session_that_was_silent_longest_is_forgotten_first() -> None:
    wire = Wire(Limits(sessions=2))
    wire.lines(CLIENT, ONE_ATTACHMENT, sid="a")
    wire.line(SERVER, "2", sid="b")
    wire.lines(CLIENT, b"done", sid="a")
    wire.lines(CLIENT, ONE_ATTACHMENT, sid="a")
    assert [line.kind for line in wire.lines(SERVER, "2", sid="c")] == [Kind.PING]  # b is gone
    forgotten, ping = wire.lines(SERVER, "2", sid="d")  # a is gone
    assert (forgotten.sid, forgotten.kind) == ("a", Kind.NOTE)
    assert forgotten.detail == "The session was forgotten: 1 of 1 missing"
    assert ping.sid == "d"
    summary = wire.conversation.summary()
    assert summary.session_count >= 4
    assert len(summary.sessions) == 2


def test_the_oldest_incomplete_packets_are_given_up_first() -> None:
    wire = Wire(Limits(incomplete_bytes=1000))
    two = ONE_ATTACHMENT.replace("451", "452")
    wire.lines(CLIENT, two, sid="a")
    wire.lines(CLIENT, bytes(500), sid="a")
    wire.lines(CLIENT, two, sid="b")
    (given_up,) = wire.lines(CLIENT, bytes(500), sid="b")
    assert (given_up.sid, given_up.kind, given_up.size) == ("a", Kind.NOTE, len(two) + 500)
    assert given_up.detail == "More than 1000 bytes waited for attachments: 1 of 2 missing"
    assert wire.lines(CLIENT, b"the rest", sid="a") == []  # it belongs to what was given up and is no fault
    assert wire.line(CLIENT, '42["next"]', sid="a").event == "next"
    assert wire.line(CLIENT, b"the rest", sid="b").payload == [bytes(500)]


def test_more_attachments_than_the_limit_are_a_fault() -> None:
    wire = Wire(Limits(attachments=2))
    wire.speaks_socketio()
    assert wire.line(CLIENT, '453-["x"]').kind is Kind.FAULT


def test_names_and_faults_of_the_summary_are_bounded() -> None:
    wire = Wire(Limits(namespaces=2, events=3, faults=2, sids=2))
    wire.speaks_socketio()
    for number in range(5):
        wire.line(CLIENT, f'42["event {number}"]')
        wire.line(SERVER, f'40/n{number},{{"sid":"{number}"}}')
        wire.line(SERVER, f'40{{"sid":"{number}"}}')
        wire.line(CLIENT, "4x")
    wire.line(CLIENT, f'42["{"long" * 1000}"]')
    summary = wire.conversation.summary()
    assert [namespace.name for namespace in summary.namespaces] == ["/", "/n0"]
    assert len(summary.namespaces[0].events) == 3
    assert summary.namespaces[0].sids == ("3", "4")
    assert summary.namespaces[0].connections == 6
    assert summary.omitted == 4 + 3
    assert (len(summary.faults), summary.fault_count) == (2, 5)


# The summary


def test_the_summary_of_nothing_is_empty() -> None:
    summary = Conversation().summary()
    assert (summary.first, summary.last, summary.sessions, summary.namespaces) == (None, None, (), ())


def test_the_summary_counts_what_happened(wire: Wire) -> None:
    wire.line(SERVER, OPEN, transport="polling")
    wire.line(CLIENT, "40", transport="polling")
    wire.line(SERVER, '40{"sid":"x"}', transport="polling")
    wire.line(CLIENT, "5")
    for number in range(3):
        wire.line(CLIENT, f'42{number}["ask"]')
        wire.lines(SERVER, f"43{number}[]", wait=0.1 * (number + 1))
    wire.line(CLIENT, '429["never answered"]')
    wire.line(SERVER, '42["ask"]')
    wire.line(SERVER, "2")
    wire.line(CLIENT, "3")
    wire.line(CLIENT, "40/nobody")
    wire.line(SERVER, '44/nobody,{"message":"no"}')
    wire.line(CLIENT, "4x")
    summary = wire.conversation.summary()
    (session,) = summary.sessions
    assert (session.sid, session.transports, session.ended) == ("S1", ("polling", "websocket"), None)
    assert session.opened == session.first == summary.first == pytest.approx(1000.01)
    assert session.duration == pytest.approx(wire.time - 1000.01)
    assert session.to_server == summary.to_server
    root, nobody = summary.namespaces
    assert (root.name, root.connections, root.sids) == ("/", 1, ("x",))
    assert (nobody.name, nobody.connections, nobody.refusals) == ("/nobody", 0, 1)
    ask, never = root.events
    assert (ask.name, ask.to_server.count, ask.to_server.size, ask.to_client.count) == ("ask", 3, 30, 1)
    assert never.name == "never answered"
    assert (summary.acks.asked, summary.acks.answered, summary.acks.unanswered) == (4, 3, 1)
    assert summary.acks.median == pytest.approx(0.2)
    assert summary.acks.maximum == pytest.approx(0.3)
    assert summary.heartbeats.count == 1
    assert [fault.sid for fault in summary.faults] == ["S1"]


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        ([(CLIENT, "1")], "The client closed the session"),
        ([(SERVER, "1")], "The server closed the session"),
        ([(CLIENT, "41")], "The client disconnected from /"),
        ([(SERVER, "41"), (SERVER, "1")], "The server disconnected from /"),
        ([(CLIENT, "1"), (SERVER, "6")], "The client closed the session"),
        (["The WebSocket closed with code 1009"], "The WebSocket closed with code 1009"),
        ([(CLIENT, "1"), "The connection was closed"], "The client closed the session"),
        (["HTTP 400 answered a POST", (SERVER, "2")], None),
        ([(SERVER, "1"), (CLIENT, '42["still here"]')], None),
    ],
)
def test_the_summary_says_why_a_session_ended(
    wire: Wire, ending: list[tuple[Sender, str] | str], why: str | None
) -> None:
    wire.speaks_socketio()
    for step in ending:
        if isinstance(step, str):
            wire.note(step)
        else:
            wire.line(*step)
    (session,) = wire.conversation.summary().sessions
    assert session.ended == why
    assert (session.closed is None) == (why is None)


def test_leaving_one_namespace_of_two_is_no_end(wire: Wire) -> None:
    wire.speaks_socketio()
    wire.line(SERVER, '40/chat,{"sid":"y"}')
    wire.line(CLIENT, "41/chat,")
    assert wire.conversation.summary().sessions[0].ended is None


def test_identical_frames_to_several_sessions_at_once_look_like_a_broadcast(wire: Wire) -> None:
    for sid in "abc":
        wire.speaks_socketio(sid)
    for text in ("one", "two"):
        for sid in "abc":
            wire.line(SERVER, f'42["news","{text}"]', sid)
    for sid in "ab":
        wire.line(SERVER, f'42["yours","{sid}"]', sid)  # different frames
        wire.line(CLIENT, '42["up"]', sid)  # the wrong direction
        wire.lines(SERVER, '42["tick"]', sid, wait=1.0)  # too far apart
    (broadcast,) = wire.conversation.summary().broadcasts
    assert (broadcast.namespace, broadcast.event) == ("/", "news")
    assert (broadcast.times, broadcast.recipients) == (2, 3)
    assert wire.conversation.summary().broadcasts == (broadcast,)  # to ask changes nothing


def test_a_broadcast_with_attachments_and_repeated_at_once_is_counted_each_time(wire: Wire) -> None:
    for sid in "ab":
        wire.speaks_socketio(sid)
    for _ in range(3):
        for sid in "ab":
            wire.lines(SERVER, ONE_ATTACHMENT, sid)
            wire.lines(SERVER, b"picture", sid)
    (broadcast,) = wire.conversation.summary().broadcasts
    assert (broadcast.event, broadcast.times, broadcast.recipients) == ("image", 3, 2)


def test_the_memory_for_finding_broadcasts_is_bounded() -> None:
    wire = Wire(Limits(recent_recipients=4))
    for sid in "ab":
        wire.speaks_socketio(sid)
    for number in range(100):
        wire.lines(SERVER, f'42["e",{number}]', "a", wait=0)
    wire.lines(SERVER, '42["e",99]', "b", wait=0)
    assert wire.conversation.summary().broadcasts[0].times == 1


# Properties

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    lambda name, arguments, ack_id, namespace: socketio.Packet(
        socketio.PacketType.EVENT, namespace, [name, *arguments], ack_id
    ),
    st.text(min_size=1, max_size=8).filter(lambda name: name not in socketio.RESERVED_EVENTS),
    st.lists(values, max_size=3),
    st.none() | st.integers(0, 9),
    st.sampled_from(["/", "/chat"]),
)


@given(st.lists(st.tuples(st.sampled_from(Sender), st.sampled_from(["a", "b"]), events), max_size=12), st.randoms())
def test_every_packet_becomes_one_line_however_sessions_and_directions_are_interleaved(
    packets: list[tuple[Sender, str, socketio.Packet]], chance: random.Random
) -> None:
    streams: dict[tuple[str, Sender], list[str | bytes]] = {}
    for sender, sid, packet in packets:
        for frame in socketio.encode(packet):
            text = engineio.encode_packet(engineio.Packet(engineio.PacketType.MESSAGE, frame))
            streams.setdefault((sid, sender), []).append(text)
    conversation = Conversation()
    seen: dict[tuple[str, Sender], list[object]] = {}
    while streams:
        sid, sender = chance.choice(sorted(streams))
        frame = streams[sid, sender].pop(0)
        if not streams[sid, sender]:
            del streams[sid, sender]
        for line in conversation.observe(TracedFrame(0.0, sid, "websocket", sender, frame)):
            seen.setdefault((sid, sender), []).append(
                (line.kind, line.namespace, [line.event, *line.payload], line.ack_id)
            )
    wanted: dict[tuple[str, Sender], list[object]] = {}
    for sender, sid, packet in packets:
        wanted.setdefault((sid, sender), []).append((Kind.EVENT, packet.namespace, packet.data, packet.id))
    assert seen == wanted
    assert conversation.finish() == []


fragments = st.lists(
    st.sampled_from(
        [
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "probe",
            "{",
            '{"sid":"x"}',
            "[",
            "]",
            '"a"',
            ",",
            "-",
            "/n",
            "9" * 20,
            "\ud800",
        ]
        + ['{"_placeholder":true,"num":0}', "null", "[" * 200]
    ),
    max_size=6,
).map("".join)
records: st.SearchStrategy[Record] = st.builds(
    TracedFrame,
    st.floats(0, 100),
    st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from(["polling", "websocket"]),
    st.sampled_from(Sender),
    fragments | st.binary(max_size=4) | st.sampled_from([ONE_ATTACHMENT, '42["e"]', '421["e"]', "431[]"]),
) | st.builds(Note, st.floats(0, 100), st.sampled_from(["", "a"]), st.just(""), st.none(), st.text(max_size=5))


@given(st.lists(records, max_size=40))
def test_whatever_comes_every_frame_is_accounted_for_and_nothing_is_raised(sequence: list[Record]) -> None:
    limits = Limits(sessions=2, pending_acks=2, attachments=3, incomplete_bytes=60, events=2, namespaces=2, faults=2)
    conversation = Conversation(limits)
    lines = [*itertools.chain.from_iterable(map(conversation.observe, sequence)), *conversation.finish()]
    summary = conversation.summary()
    frames = [record.frame for record in sequence if isinstance(record, TracedFrame)]
    shown = [frame for line in lines for frame in line.frames]
    # Only attachments that came too late for a packet that was given up are not shown.
    assert len(shown) <= len(frames)
    assert [frame for frame in map(repr, sorted(frames, key=repr)) if frame[0] != "b"] == [
        frame for frame in map(repr, sorted(shown, key=repr)) if frame[0] != "b"
    ]
    assert all(math.isfinite(line.time) and (line.since is None or line.since >= 0) for line in lines)
    assert len(summary.sessions) <= 2
    assert summary.fault_count == sum(line.kind is Kind.FAULT for line in lines)
    assert summary.to_server.count + summary.to_client.count == sum(bool(line.frames) for line in lines)
