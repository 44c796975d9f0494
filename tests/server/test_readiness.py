"""Which sockets are ready: an epoll and a kqueue say the same, and a server that has neither does without."""

import errno
import select
import socket

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support import kqueue
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.server import service
from trio_socketio.server.net.readiness import READABLE, WRITABLE, EpollReadiness

from trio_socketio import Server

WAYS = [kqueue.open_kqueue, *([EpollReadiness] if hasattr(select, "epoll") else [])]


@pytest.fixture(params=WAYS)
def ready(request):
    """Nothing is watched yet."""
    it = request.param()
    yield it
    it.close()


@pytest.fixture
def pair():
    """The two ends of a connection, non-blocking."""
    ends = connected()
    yield ends
    for end in ends:
        end.close()


def connected():
    ends = socket.socketpair()
    for end in ends:
        end.settimeout(0)
    return ends


def fill(end):
    """Write until the kernel takes no more."""
    with pytest.raises(BlockingIOError):
        while True:
            end.send(bytes(65536))


def drain(end):
    """Read until there is no more."""
    with pytest.raises(BlockingIOError):
        while end.recv(1 << 20):
            pass


def said(ready, end):
    """Return what is said of a socket: whether it can be read, and whether it can be written."""
    flags = dict(ready.poll(100)).get(end.fileno(), 0)
    return bool(flags & ~WRITABLE), bool(flags & WRITABLE)


def test_nothing_is_said_of_a_socket_that_has_nothing_to_read(ready, pair):
    ready.register(pair[0].fileno())
    assert ready.poll(100) == []


def test_what_can_be_read_is_said_until_it_is_read(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    theirs.send(b"hello")
    for _ in range(3):
        assert ready.poll(100) == [(ours.fileno(), READABLE)]
    assert ours.recv(2) == b"he"
    assert ready.poll(100) == [(ours.fileno(), READABLE)]
    assert ours.recv(100) == b"llo"
    assert ready.poll(100) == []


def test_a_socket_that_was_not_registered_is_not_watched(ready, pair):
    pair[1].send(b"hello")
    assert ready.poll(100) == []


def test_room_for_more_is_said_only_to_who_waits_for_it(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    assert said(ready, ours) == (False, False)
    ready.modify(ours.fileno(), reads=True, writes=True)
    assert said(ready, ours) == (False, True)
    fill(ours)
    assert said(ready, ours) == (False, False)
    drain(theirs)
    assert said(ready, ours) == (False, True)
    ready.modify(ours.fileno(), reads=True, writes=False)
    assert said(ready, ours) == (False, False)


def test_both_are_said_at_once(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    ready.modify(ours.fileno(), reads=True, writes=True)
    theirs.send(b"hello")
    assert ready.poll(100) == [(ours.fileno(), READABLE | WRITABLE)]


def test_a_socket_may_be_watched_for_nothing_for_a_while(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    ready.modify(ours.fileno(), reads=False, writes=False)
    theirs.send(b"hello")
    assert ready.poll(100) == []
    ready.modify(ours.fileno(), reads=True, writes=False)
    assert said(ready, ours) == (True, False)


def test_a_socket_may_be_watched_for_room_alone(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    ready.modify(ours.fileno(), reads=False, writes=True)
    theirs.send(b"hello")
    assert ready.poll(100) == [(ours.fileno(), WRITABLE)]


@pytest.mark.parametrize("last", [b"", b"the last words"])
def test_the_end_of_a_connection_is_something_to_read(ready, pair, last):
    ours, theirs = pair
    ready.register(ours.fileno())
    theirs.send(last)
    theirs.close()
    assert said(ready, ours)[0]
    assert ours.recv(100) == last
    assert said(ready, ours)[0]


def test_the_end_of_a_connection_is_told_to_who_waits_for_room(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    ready.modify(ours.fileno(), reads=False, writes=True)
    fill(ours)
    theirs.close()
    assert any(said(ready, ours))


def test_an_end_that_came_while_nothing_was_watched_is_told_afterwards(ready, pair):
    ours, theirs = pair
    ready.register(ours.fileno())
    ready.modify(ours.fileno(), reads=False, writes=False)
    theirs.close()
    ready.modify(ours.fileno(), reads=True, writes=False)
    assert said(ready, ours)[0]


def test_at_most_as_many_as_wanted_are_told_and_the_others_follow(ready):
    pairs = [connected() for _ in range(12)]
    for ours, theirs in pairs:
        ready.register(ours.fileno())
        theirs.send(b"x")
    told = set()
    for _ in range(3):
        some = ready.poll(4)
        assert len(some) == 4
        told.update(descriptor for descriptor, _ in some)
    assert told == {ours.fileno() for ours, _ in pairs}, "whoever is served must not come before those who wait"
    for ours, theirs in pairs:
        ready.unregister(ours.fileno())
        ours.close()
        theirs.close()


@pytest.mark.parametrize(("reads", "writes"), [(True, False), (False, True), (True, True), (False, False)])
def test_after_the_end_of_the_watch_nothing_is_said_and_the_number_may_be_used_again(ready, reads, writes):
    ours, theirs = connected()
    number = ours.fileno()
    ready.register(number)
    ready.modify(number, reads=reads, writes=writes)
    theirs.send(b"hello")
    ready.unregister(number)
    assert ready.poll(100) == []
    ours.close()
    theirs.close()
    ours, theirs = connected()
    assert ours.fileno() == number
    ready.register(number)
    assert ready.poll(100) == [], "the new one is watched for input only"
    theirs.send(b"hello")
    assert ready.poll(100) == [(number, READABLE)]
    ours.close()
    theirs.close()


def test_what_is_not_open_cannot_be_watched(ready):
    ours, theirs = connected()
    number = ours.fileno()
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        ready.register(number)
    again = socket.socket(fileno=theirs.detach())
    ready.register(again.fileno())
    assert said(ready, again)[0], "its other end is closed"
    again.close()


async def test_trio_waits_for_all_of_them_at_once(ready, autojump_clock):
    pairs = [connected() for _ in range(5)]
    for ours, _ in pairs:
        ready.register(ours.fileno())
    woken = []

    async def wait():
        await trio.lowlevel.wait_readable(ready.fileno())
        woken.append(ready.poll(100))

    for ours, theirs in pairs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            theirs.send(b"x")
        assert woken.pop() == [(ours.fileno(), READABLE)]
        ours.recv(1)
        assert ready.poll(100) == []
    with trio.move_on_after(100) as scope:
        await wait()
    assert scope.cancelled_caught, "there is nothing to wake up for"
    for ours, theirs in pairs:
        ready.unregister(ours.fileno())
        ours.close()
        theirs.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.integers(0, 2), st.booleans(), st.booleans()),
        st.tuples(st.sampled_from(["send", "receive", "fill", "drain", "forget"]), st.integers(0, 2)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("way", WAYS)
@given(steps=STEPS)
def test_whatever_is_watched_and_happens_what_is_said_is_true(way, steps):
    ready = way()
    pairs = [connected() for _ in range(3)]
    watched = {}
    full = [False] * 3
    waiting = [0] * 3
    try:
        for name, number, *wanted in steps:
            ours, theirs = pairs[number]
            if name == "watch":
                if number not in watched:
                    ready.register(ours.fileno())
                ready.modify(ours.fileno(), reads=wanted[0], writes=wanted[1])
                watched[number] = tuple(wanted)
            elif name == "forget" and watched.pop(number, None) is not None:
                ready.unregister(ours.fileno())
            elif name == "send":
                theirs.send(b"x")
                waiting[number] += 1
            elif name == "receive" and waiting[number]:
                ours.recv(1)
                waiting[number] -= 1
            elif name == "fill" and not full[number]:
                fill(ours)
                full[number] = True
            elif name == "drain" and full[number]:
                drain(theirs)
                full[number] = False
            expected = {}
            for each, (reads, writes) in watched.items():
                flags = (READABLE if reads and waiting[each] else 0) | (WRITABLE if writes and not full[each] else 0)
                if flags:
                    expected[pairs[each][0].fileno()] = flags
            assert dict(ready.poll(100)) == expected
    finally:
        ready.close()
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


@pytest.mark.skipif(kqueue.SYSTEM, reason="the system has kqueues of its own")
def test_the_kqueue_of_these_tests_is_as_strict_as_a_real_one(pair):
    it = kqueue.kqueue()
    number = pair[0].fileno()
    add = kqueue.kevent(number, kqueue.KQ_FILTER_READ, kqueue.KQ_EV_ADD)
    delete = kqueue.kevent(number, kqueue.KQ_FILTER_READ, kqueue.KQ_EV_DELETE)
    with pytest.raises(OSError) as raised:  # noqa: PT011  # its number says it
        it.control([delete], 0, 0)
    assert raised.value.errno == errno.ENOENT
    it.control([add, add], 0, 0)
    it.control([delete], 0, 0)
    with pytest.raises(FileNotFoundError):
        it.control([delete], 0, 0)
    with pytest.raises(OSError, match="Invalid argument"):
        it.control([kqueue.kevent(number, kqueue.KQ_FILTER_READ, 0x20)], 0, 0)
    it.control([add, kqueue.kevent(number, kqueue.KQ_FILTER_WRITE, kqueue.KQ_EV_ADD)], 0, 0)
    pair[1].close()
    assert {(event.filter, event.flags) for event in it.control(None, 10, 0)} == {
        (kqueue.KQ_FILTER_READ, kqueue.KQ_EV_EOF),
        (kqueue.KQ_FILTER_WRITE, kqueue.KQ_EV_EOF),
    }
    it.close()


async def test_a_server_on_a_system_without_any_of_it_reads_each_socket_in_a_task(autojump_clock, monkeypatch):
    monkeypatch.setattr(service, "SUPPORTED", False)
    server = Server(ping_interval=25, ping_timeout=20)
    reasons = []

    @server.on("echo")
    async def echo(ctx, text):
        await ctx.emit("echoed", text, broadcast=True)
        return text

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        reasons.append(reason)

    async with serving(server, sockets=True) as peer:
        assert server.services[0].poller is None
        first, second = await peer.join(), await peer.join()
        third = await peer.join(transport="polling")
        for number in range(3):
            await first.emit("echo", f"text {number}", id=number)
            answers = [await first.receive(), await first.receive()]
            assert sorted(packet.data[-1] for packet in answers) == [f"text {number}"] * 2
            assert await second.event() == ["echoed", f"text {number}"]
            assert await third.event() == ["echoed", f"text {number}"]
        await second.transport.hang_up()
        await trio.sleep(25 + 20 + 1)
        assert sorted(reasons) == ["ping timeout", "ping timeout", "transport close"]
    assert not server.services
