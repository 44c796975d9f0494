"""No packet is lost or doubled across an upgrade, at any interleaving.

A client that follows the protocol and a driver of the session are joined by wires that hold what was sent until it arrives.
Each step of either is a small action; hypothesis chooses which of the possible ones comes next.
"""

from collections import deque
from enum import Enum, auto

from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.events import CloseReason, Conflict, Message, ProbeFailed, Upgraded
from trio_socketio.engine.outbound import Outbound
from trio_socketio.engine.session import HOLD, Session, State
from trio_socketio.protocol import engineio
from trio_socketio.protocol.engineio import Packet, PacketType

POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET


class Get(Enum):
    """Where the client's GET is."""

    NONE = auto()
    TRAVELS = auto()
    WAITS = auto()
    IS_ANSWERED = auto()
    """The driver has its answer and writes it."""
    RETURNS = auto()


class Post(Enum):
    """Where the client's POST is."""

    NONE = auto()
    TRAVELS = auto()
    IS_READ = auto()
    RETURNS = auto()


class Phase(Enum):
    """What the client knows about its WebSocket."""

    POLLS = auto()
    PROBES = auto()
    PAUSES = auto()
    """It has its 3probe: it lets its requests return, and begins no other."""
    UPGRADED = auto()


class World:
    """A session with its driver, and a client with its wires.

    Args:
        eager: The client sends 2probe and 5 back to back, whatever its GET does.
        per_poll: Packets per polling answer.
        outgoing: What the application sends, as Engine.IO messages.
        incoming: What the client sends.
    """

    def __init__(self, *, eager, per_poll, outgoing, incoming):
        config = EngineConfig(ping_interval=1, ping_timeout=1000, max_packets_per_poll=per_poll)
        self.now = 0.0
        self.session = Session("sid", config, POLLING, self.now)
        self.eager, self.per_poll = eager, per_poll
        self.to_send = deque(outgoing)  # by the application
        self.sent = []
        self.events = []
        # The driver.
        self.writing = []  # what the WebSocket has taken
        # The wires.
        self.payload = None  # the answer to the GET
        self.body = None
        self.frames_up = deque()
        self.frames_down = deque()
        # The client.
        self.get, self.post, self.phase = Get.NONE, Post.NONE, Phase.POLLS
        self.left_to_say = deque(incoming)
        self.said = []
        self.by_polling = []
        self.by_websocket = []
        self.arrived = []
        self.pings_answered = 0
        self.failures = 0
        # What happens next.
        self.held_up = set()
        self.smooth, self.rough = (
            [(getattr(self, f"can_{name}"), getattr(self, name)) for name in names]
            for names in (self.SMOOTH, self.ROUGH)
        )

    # The application.

    def can_application_sends(self):
        return bool(self.to_send)

    def application_sends(self):
        parts = self.to_send.popleft()
        self.sent.extend(parts)
        assert not self.session.send(Outbound.message(parts))

    # The GET.

    def can_client_gets(self):
        return self.get is Get.NONE and self.phase in (Phase.POLLS, Phase.PROBES)

    def client_gets(self):
        self.get = Get.TRAVELS

    def can_get_arrives(self):
        return self.get is Get.TRAVELS

    def get_arrives(self):
        events = self.session.poll(self.now)
        if events:
            assert list(events) == [Conflict()], "two GETs met, though the client sends one at a time"
            assert self.eager and self.session.transport is WEBSOCKET
            self.get = Get.RETURNS
        else:
            self.get = Get.WAITS

    def can_get_is_answered(self):
        return self.get is Get.WAITS

    def get_is_answered(self):
        if self.session.poll_refused:
            assert self.eager, "a client that pauses first is never refused"
            self.session.poll_aborted()
            self.get = Get.RETURNS
            return
        self.payload = self.session.take_payload()
        if self.payload is not None:
            self.get = Get.IS_ANSWERED

    def can_answer_is_written(self):
        return self.get is Get.IS_ANSWERED

    def answer_is_written(self):
        self.session.poll_done(written=True)
        self.get = Get.RETURNS

    def can_get_returns(self):
        return self.get is Get.RETURNS

    def get_returns(self):
        self.get = Get.NONE
        payload, self.payload = self.payload, None
        if payload is not None:
            packets = engineio.decode_payload(payload)
            assert len(packets) <= self.per_poll
            for packet in packets:
                self.client_takes(packet, self.by_polling)

    # What may go wrong with it.

    def can_answer_is_lost(self):
        return self.get is Get.IS_ANSWERED and self.failures < 4

    def answer_is_lost(self):
        self.failures += 1
        self.session.poll_done(written=False)
        self.payload = None
        self.get = Get.NONE

    def can_get_is_aborted(self):
        return self.get is Get.WAITS and self.failures < 4

    def get_is_aborted(self):
        self.failures += 1
        self.session.poll_aborted()
        self.get = Get.NONE

    # The POST.

    def can_client_posts(self):
        return self.post is Post.NONE and bool(self.left_to_say) and self.phase in (Phase.POLLS, Phase.PROBES)

    def client_posts(self):
        packets = [self.left_to_say.popleft() for _ in range(min(2, len(self.left_to_say)))]
        self.said.extend(packet.data for packet in packets if packet.type is PacketType.MESSAGE)
        self.body = engineio.encode_payload(packets)
        self.post = Post.TRAVELS

    def can_post_arrives(self):
        return self.post is Post.TRAVELS

    def post_arrives(self):
        assert list(self.session.post(self.now)) == []
        self.post = Post.IS_READ

    def can_post_is_read(self):
        return self.post is Post.IS_READ

    def post_is_read(self):
        self.session.post_done()
        self.server_takes(self.session.receive(self.body, POLLING, self.now))
        self.post = Post.RETURNS

    def can_post_returns(self):
        return self.post is Post.RETURNS

    def post_returns(self):
        self.post = Post.NONE

    # The WebSocket.

    def can_websocket_opens(self):
        # A client that upgrades before its POST has arrived has itself to blame when that is refused.
        return self.phase is Phase.POLLS and not (self.eager and self.post is Post.TRAVELS)

    def websocket_opens(self):
        assert self.session.attach(self.now)
        self.frames_up.clear()
        self.frames_down.clear()
        self.frames_up.append("2probe")
        self.phase = Phase.PROBES
        if self.eager:
            self.frames_up.append("5")
            self.phase = Phase.UPGRADED

    def can_frame_arrives(self):
        return bool(self.frames_up)

    def frame_arrives(self):
        self.server_takes(self.session.receive(self.frames_up.popleft(), WEBSOCKET, self.now))

    def can_websocket_takes(self):
        return not self.writing

    def websocket_takes(self):
        self.writing = list(self.session.take())

    def can_websocket_has_written(self):
        return bool(self.writing)

    def websocket_has_written(self):
        self.frames_down.extend(frame for outbound in self.writing for frame in outbound.frames)
        self.writing = []
        self.session.written()

    def can_client_reads_frame(self):
        return bool(self.frames_down)

    def client_reads_frame(self):
        packet = engineio.decode_packet(self.frames_down.popleft())
        if packet == Packet(PacketType.PONG, "probe"):
            if not self.eager:
                assert self.phase is Phase.PROBES
                self.phase = Phase.PAUSES
            return
        assert self.phase is Phase.UPGRADED, "a packet came through a WebSocket that only probes"
        self.client_takes(packet, self.by_websocket)

    def can_client_upgrades(self):
        return self.phase is Phase.PAUSES and self.get is Get.NONE and self.post is Post.NONE

    def client_upgrades(self):
        self.frames_up.append("5")
        self.phase = Phase.UPGRADED

    def can_client_sends_frame(self):
        return self.phase is Phase.UPGRADED and bool(self.left_to_say) and self.post is Post.NONE

    def client_sends_frame(self):
        packet = self.left_to_say.popleft()
        if packet.type is PacketType.MESSAGE:
            self.said.append(packet.data)
        self.frames_up.append(engineio.encode_packet(packet))

    def can_websocket_dies(self):
        return self.phase in (Phase.PROBES, Phase.PAUSES) and self.failures < 4

    def websocket_dies(self):
        self.failures += 1
        self.writing = []
        self.session.lost(CloseReason.TRANSPORT_CLOSE, "the WebSocket died while it probed")
        self.websocket_is_given_up()

    def websocket_is_given_up(self):
        self.frames_up.clear()
        self.frames_down.clear()
        self.writing = []
        self.phase = Phase.POLLS

    # Time.

    def can_time_passes(self):
        return True

    def time_passes(self):
        self.now += HOLD
        self.server_takes(self.session.tick(self.now))

    def can_upgrade_is_too_late(self):
        return self.phase in (Phase.PROBES, Phase.PAUSES) and self.failures < 4

    def upgrade_is_too_late(self):
        self.failures += 1
        self.now += 10
        events = self.session.tick(self.now)
        assert [type(event) for event in events] == [ProbeFailed]
        self.websocket_is_given_up()

    # Both ends.

    def client_takes(self, packet, where):
        assert packet.type in (PacketType.OPEN, PacketType.PING, PacketType.MESSAGE, PacketType.NOOP)
        if packet.type is PacketType.PING:
            self.pings_answered += 1
            self.left_to_say.appendleft(Packet(PacketType.PONG))
        elif packet.type is not PacketType.NOOP:
            where.append(packet)

    def server_takes(self, events):
        for event in events:
            if isinstance(event, Message):
                self.arrived.append(event.data)
            else:
                assert event == Upgraded(), event
            self.events.append(event)

    # Running.

    SMOOTH = (
        "application_sends",
        "get_arrives",
        "get_is_answered",
        "answer_is_written",
        "get_returns",
        "post_arrives",
        "post_is_read",
        "post_returns",
        "frame_arrives",
        "websocket_takes",
        "websocket_has_written",
        "client_reads_frame",
        "client_upgrades",
        "client_posts",
        "client_sends_frame",
        "client_gets",
        "time_passes",
    )
    ROUGH = ("answer_is_lost", "get_is_aborted", "websocket_dies", "upgrade_is_too_late", "websocket_opens")

    def step(self, choice):
        """Do one action that is possible; or hold one kind of action up, or let it go on, and do all others in turn."""
        if choice < 100:
            possible = [act for can, act in (*self.smooth, *self.rough) if can()]
            possible[choice % len(possible)]()
            return
        count = len(self.smooth)
        self.held_up ^= {choice % count}
        for index in range(choice, choice + count):
            can, act = self.smooth[index % count]
            if index % count not in self.held_up and can():
                act()

    def settle(self):
        """Let everything arrive; nothing goes wrong any more."""
        for _ in range(200):
            for can, act in self.smooth:
                if can():
                    act()
            if self.complete():
                return
        raise AssertionError(f"stuck: {self.phase}, {self.get}, {self.post}, {self.session.state}")

    def complete(self):
        received = self.by_polling + self.by_websocket
        return (
            not (self.to_send or self.left_to_say or self.frames_up or self.frames_down or self.writing)
            and self.post is Post.NONE
            and self.get in (Get.NONE, Get.WAITS)
            and len(received) > len(self.sent)
        )

    def check(self):
        opened, *messages = self.by_polling + self.by_websocket
        assert opened.type is PacketType.OPEN
        assert [packet.type for packet in messages] == [PacketType.MESSAGE] * len(messages)
        assert [packet.data for packet in messages] == self.sent, "from the server, something is lost or doubled"
        assert self.arrived == self.said, "from the client, something is lost or doubled"
        upgraded = self.phase is Phase.UPGRADED
        assert self.session.state in ((State.WEBSOCKET,) if upgraded else (State.POLLING, State.ATTACHED, State.PROBED))
        assert self.events.count(Upgraded()) == upgraded


PARTS = st.lists(st.integers(0, 255).map(lambda n: bytes([n])), max_size=4)
NUMBERED = st.lists(PARTS, min_size=3, max_size=8).map(
    lambda blobs: [[f"message {n}", *more] for n, more in enumerate(blobs)]  # each text differs, so a double shows
)
SAID = st.integers(0, 6).map(lambda count: [Packet(PacketType.MESSAGE, f"said {n}") for n in range(count)])
CHOICES = st.lists(st.integers(0, 199), min_size=40, max_size=60)  # short lives reach nothing


def run(choices, *, eager, per_poll, outgoing, incoming):
    world = World(eager=eager, per_poll=per_poll, outgoing=outgoing, incoming=incoming)
    for choice in choices:
        world.step(choice)
        assert not world.session.ended
        assert world.session.next_deadline is not None
    world.settle()
    world.check()
    return world


@settings(max_examples=200)
@given(CHOICES, st.integers(1, 3), NUMBERED, SAID)
def test_nothing_is_lost_or_doubled_when_the_client_pauses_before_it_upgrades(choices, per_poll, outgoing, incoming):
    run(choices, eager=False, per_poll=per_poll, outgoing=outgoing, incoming=incoming)


@settings(max_examples=200)
@given(CHOICES, st.integers(1, 3), NUMBERED, SAID)
@example([], 1, [["message 0", b"\x00"]], [])
def test_nothing_is_lost_or_doubled_when_probe_and_upgrade_come_back_to_back(choices, per_poll, outgoing, incoming):
    run(choices, eager=True, per_poll=per_poll, outgoing=outgoing, incoming=incoming)


def test_the_interleavings_reach_upgrades_with_packets_on_both_transports():
    """The property above would be worth nothing if its actions never led through an upgrade."""
    outgoing = [[f"message {n}", b"\x00"] for n in range(8)]
    ways = {"polling", "websocket", "refused"}
    seen = set()
    for seed in range(200):
        choices = [(seed * 7919 + n * n * 31 + n * seed) % 199 for n in range(60)]
        world = run(choices, eager=seed % 2 == 0, per_poll=2, outgoing=outgoing, incoming=[])
        if len(world.by_polling) > 1 and world.by_websocket:
            seen |= {"polling", "websocket"}
        if world.failures:
            seen.add("refused")
    assert seen == ways
