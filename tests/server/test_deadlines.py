import gc
import itertools
import math
import weakref

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.memory import serving
from trio.testing import MockClock
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.session import Session
from trio_socketio.server.net import deadlines as deadlines_module
from trio_socketio.server.net.deadlines import AT_ONCE, MOST_QUEUES, PAUSE, SPARE, Deadlines, Entry

from trio_socketio import Server


class Thing:
    """Something with a deadline that notes when it is ticked."""

    def __init__(self, deadlines, deadline=None, *, then=()):
        self.deadlines = deadlines
        self.next_deadline = deadline
        self.then = list(then)
        self.ticks = []
        self.entry = None
        self.schedule()

    def schedule(self):
        self.entry = self.deadlines.schedule(self, self.entry)

    def move(self, deadline):
        self.next_deadline = deadline
        self.schedule()

    def tick(self, now):
        self.ticks.append(now)
        if now >= (math.inf if self.next_deadline is None else self.next_deadline):
            self.next_deadline = self.then.pop(0) if self.then else None
        self.schedule()


@pytest.fixture
async def deadlines(autojump_clock):
    """Deadlines on a clock that begins at 0, with their task running."""
    assert trio.current_time() == 0
    it = Deadlines()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run)
        yield it
        nursery.cancel_scope.cancel()


async def test_a_thing_is_ticked_when_its_deadline_has_come(autojump_clock, deadlines):
    thing = Thing(deadlines, 5)
    await trio.sleep(4.9)
    assert thing.ticks == []
    await trio.sleep(100)
    assert thing.ticks == [5]
    assert len(deadlines) == 0


async def test_a_thing_without_a_deadline_is_never_ticked(autojump_clock, deadlines):
    thing = Thing(deadlines)
    assert thing.entry is None and len(deadlines) == 0
    await trio.sleep(1000)
    assert thing.ticks == []


async def test_things_are_ticked_in_the_order_of_their_deadlines(autojump_clock, deadlines):
    order = []

    class Named(Thing):
        def tick(self, now):
            order.append((self.name, now))
            super().tick(now)

    for name, deadline in [("c", 3), ("a", 1), ("d", 3), ("b", 2)]:
        Named(deadlines, deadline).name = name
    await trio.sleep(10)
    assert order == [("a", 1), ("b", 2), ("c", 3), ("d", 3)]


async def test_a_deadline_that_moves_later_needs_not_be_told_and_nothing_is_missed(autojump_clock, deadlines):
    thing = Thing(deadlines, 5, then=[10])
    thing.next_deadline = 7
    assert len(deadlines) == 1
    await trio.sleep(20)
    assert thing.ticks == [7, 10]


async def test_a_deadline_that_moves_earlier_is_kept(autojump_clock, deadlines):
    thing = Thing(deadlines, 50)
    await trio.sleep(1)
    thing.move(3)
    assert len(deadlines) == 1
    await trio.sleep(100)
    assert thing.ticks == [3], "the old place in the queue must not tick it again"


async def test_an_earlier_deadline_of_another_wakes_the_task(autojump_clock, deadlines):
    late, early = Thing(deadlines, 50), None
    await trio.sleep(1)
    early = Thing(deadlines, 2)
    await trio.sleep(5)
    assert (early.ticks, late.ticks) == ([2], [])


async def test_a_deadline_that_has_passed_is_ticked_at_once(autojump_clock, deadlines):
    await trio.sleep(10)
    thing = Thing(deadlines, 3)
    await trio.testing.wait_all_tasks_blocked()
    assert thing.ticks == [10]


async def test_a_thing_that_ends_is_ticked_no_more_and_let_go(autojump_clock, deadlines):
    thing = Thing(deadlines, 50)
    thing.move(None)
    assert thing.entry is None and len(deadlines) == 0
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None, "the queue must not keep an ended session alive until its old deadline"
    await trio.sleep(100)


async def test_a_thing_that_ends_may_begin_again(autojump_clock, deadlines):
    thing = Thing(deadlines, 50)
    thing.move(None)
    thing.move(60)
    await trio.sleep(100)
    assert thing.ticks == [60]


async def test_a_tick_may_end_others_and_begin_others(autojump_clock, deadlines):
    victim = Thing(deadlines, 1)
    born = []

    class Busy(Thing):
        def tick(self, now):
            super().tick(now)
            victim.move(None)
            born.append(Thing(deadlines, now))

    victim.move(None)
    victim.move(1)  # behind the other in the queue
    Busy(deadlines, 0.5)
    await trio.sleep(5)
    assert victim.ticks == []
    assert [thing.ticks for thing in born] == [[0.5]]


async def test_many_things_with_many_moves_are_each_ticked_on_time(autojump_clock, deadlines):
    things = [Thing(deadlines, 1 + n % 7, then=[10 + n % 5, 20 + n % 3]) for n in range(200)]
    for n, thing in enumerate(things):
        if n % 3 == 0:
            thing.move(0.5)
    await trio.sleep(100)
    for n, thing in enumerate(things):
        first = 0.5 if n % 3 == 0 else 1 + n % 7
        assert thing.ticks == [first, 10 + n % 5, 20 + n % 3]
    assert len(deadlines) == 0


async def test_it_can_be_cancelled_while_it_waits():
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Deadlines().run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()


async def test_it_sleeps_between_deadlines(mock_clock: MockClock):
    looks = 0

    class Watched(Thing):
        @property
        def next_deadline(self):
            nonlocal looks
            looks += 1
            return 10

        @next_deadline.setter
        def next_deadline(self, deadline):
            pass

    it = Deadlines()
    Watched(it)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run)
        for _ in range(5):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(1)
        assert looks == 1
        nursery.cancel_scope.cancel()


async def test_it_may_be_given_things_before_it_runs(autojump_clock):
    it = Deadlines()
    things = [Thing(it, deadline) for deadline in (7, 3)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run)
        await trio.sleep(100)
        assert [thing.ticks for thing in things] == [[7], [3]]
        nursery.cancel_scope.cancel()


# --- many of them ------------------------------------------------------------------------------------------------


def entries_alive():
    return sum(isinstance(it, Entry) for it in gc.get_objects())


@pytest.mark.parametrize("delay", [lambda n: 25, lambda n: 25 - n % 20, lambda n: 1000 - n % 1000])
async def test_a_hundred_thousand_short_lives_leave_nothing(autojump_clock, deadlines, delay):
    lasting = [Thing(deadlines, 100_000 + n) for n in range(10)]
    before, most = entries_alive(), 0
    for number in range(100_000):
        Thing(deadlines, number / 1000 + delay(number)).move(None)
        if number % 20_000 == 0:
            most = max(most, entries_alive())
    assert max(most, entries_alive()) - before < 100
    assert len(deadlines) == len(lasting)


async def test_others_get_their_turn_while_ten_thousand_are_met_at_once(autojump_clock, deadlines):
    things = [Thing(deadlines, 25) for _ in range(10_000)]
    met = []
    await trio.sleep_until(25)
    while not met or met[-1] < len(things):
        met.append(sum(bool(thing.ticks) for thing in things))
        await trio.lowlevel.checkpoint()
    steps = [after - before for before, after in itertools.pairwise(met)]
    assert max(steps) <= 2 * AT_ONCE, "trio runs the tasks of one round in any order"
    assert {tick for thing in things for tick in thing.ticks} == {25}


async def test_a_shutdown_does_not_wait_until_all_that_are_due_are_met(autojump_clock):
    it = Deadlines()
    things = [Thing(it, 25) for _ in range(10_000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run)
        await trio.sleep_until(25)
        nursery.cancel_scope.cancel()
    ticked = sum(bool(thing.ticks) for thing in things)
    assert ticked <= AT_ONCE
    assert len(it) == len(things) - ticked


async def test_deadlines_that_are_close_together_are_met_in_groups(autojump_clock, deadlines):
    things = [Thing(deadlines, 25 + n / 1000) for n in range(1000)]
    await trio.sleep(50)
    late = [thing.ticks[0] - (25 + n / 1000) for n, thing in enumerate(things)]
    assert min(late) >= 0
    assert max(late) <= PAUSE
    assert len({thing.ticks[0] for thing in things}) <= 1 / PAUSE + 1


async def test_delays_of_many_lengths_are_all_met(autojump_clock, deadlines):
    """More sources than there are queues, and as little order as can be."""
    things = [Thing(deadlines, deadline) for deadline in range(3 * MOST_QUEUES, 0, -1)]
    for thing in things[::2]:
        thing.move(None)
    await trio.sleep(100)
    assert [thing.ticks for thing in things] == [
        [] if n % 2 == 0 else [3 * MOST_QUEUES - n] for n in range(3 * MOST_QUEUES)
    ]


class Modelled:
    """A thing whose whole life is known before: what its deadline is after each tick."""

    def __init__(self, deadlines, log, name):
        self.deadlines, self.log, self.name = deadlines, log, name
        self.next_deadline = None
        self.later = []
        self.entry = None

    def move(self, deadline, later=()):
        self.next_deadline, self.later = deadline, list(later)
        self.entry = self.deadlines.schedule(self, self.entry)

    def tick(self, now):
        self.log.append((now, self.name))
        self.next_deadline = now + self.later.pop(0) if self.later else None
        self.entry = self.deadlines.schedule(self, self.entry)


TICK = 0.125
"""Longer than `PAUSE`, and exact in binary: no deadline is met late."""
DELAYS = st.integers(1, 40).map(lambda n: n * TICK)
THINGS = st.integers(0, 24)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), DELAYS),
        st.tuples(st.just("move"), THINGS, DELAYS, st.lists(DELAYS, max_size=3)),
        st.tuples(st.just("hear"), THINGS, DELAYS),
        st.tuples(st.just("end"), THINGS),
    ),
    max_size=80,
)


def model(steps):
    """Return who is ticked when: look at every thing at every moment."""
    state, log, now = {}, [], 0.0
    for step in [*steps, ("wait", 1000)]:
        if step[0] == "move":
            state[step[1]] = (now + step[2], step[3])
        elif step[0] == "hear" and step[1] in state:
            deadline, later = state[step[1]]
            state[step[1]] = (deadline + step[2], later)
        elif step[0] == "end":
            state.pop(step[1], None)
        elif step[0] == "wait":
            for moment in range(round(now / TICK) + 1, round((now + step[1]) / TICK) + 1):
                for name, (deadline, later) in list(state.items()):
                    if deadline == moment * TICK:
                        log.append((deadline, name))
                        state[name] = (deadline + later[0], later[1:]) if later else (None, [])
                        if not later:
                            del state[name]
            now += step[1]
    return log


@given(STEPS, st.sampled_from([1, 2, MOST_QUEUES]), st.sampled_from([0, SPARE]))
def test_everything_is_ticked_when_a_naive_model_says(steps, queues, spare):
    log = []

    async def main():
        it = Deadlines()
        things = [Modelled(it, log, name) for name in range(25)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.run)
            for step in [*steps, ("wait", 1000)]:
                if step[0] == "wait":
                    await trio.sleep(step[1])
                    await trio.testing.wait_all_tasks_blocked()
                elif step[0] == "move":
                    things[step[1]].move(trio.current_time() + step[2], step[3])
                elif step[0] == "hear" and things[step[1]].next_deadline is not None:
                    things[step[1]].next_deadline += step[2]  # later, which needs not be told
                elif step[0] == "end":
                    things[step[1]].move(None)
            assert len(it) == 0
            nursery.cancel_scope.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlines_module, "MOST_QUEUES", queues)
        patch.setattr(deadlines_module, "SPARE", spare)
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert [now for now, _ in log] == sorted(now for now, _ in log)
    assert sorted(log) == sorted(model(steps))


# --- with a session ----------------------------------------------------------------------------------------------


class Driven(Thing):
    """A WebSocket session as the server drives it: its deadline is looked at after ticks, not after every frame."""

    def __init__(self, deadlines, *, answers_after, **options):
        self.session = Session("sid", EngineConfig(**options), Transport.WEBSOCKET, trio.current_time())
        self.session.take()
        self.session.written()
        self.answers_after = answers_after
        self.pings = []
        super().__init__(deadlines)

    @property
    def next_deadline(self):
        return self.session.next_deadline

    @next_deadline.setter
    def next_deadline(self, deadline):
        pass

    def tick(self, now):
        self.ticks.append(now)
        self.session.tick(now)
        if self.session.take():
            self.session.written()
            self.pings.append(now)
        self.schedule()

    async def answer(self):
        seen = 0
        while True:
            await trio.sleep(0.5)
            if len(self.pings) > seen and trio.current_time() >= self.pings[-1] + self.answers_after:
                seen = len(self.pings)
                self.session.receive("3", Transport.WEBSOCKET, trio.current_time())


@pytest.mark.parametrize(("interval", "timeout"), [(25, 20), (5, 60), (10, 10)])
async def test_a_session_that_answers_is_pinged_once_per_interval(autojump_clock, deadlines, interval, timeout):
    driven = Driven(deadlines, answers_after=1, ping_interval=interval, ping_timeout=timeout)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driven.answer)
        await trio.sleep(interval * 4 + 2)
        nursery.cancel_scope.cancel()
    assert driven.pings == [interval, interval * 2, interval * 3, interval * 4]


@pytest.mark.parametrize(("interval", "timeout"), [(25, 20), (5, 60), (10, 10)])
async def test_a_session_that_is_silent_ends_on_time(autojump_clock, deadlines, interval, timeout):
    driven = Driven(deadlines, answers_after=math.inf, ping_interval=interval, ping_timeout=timeout)
    await trio.sleep(interval + timeout - 0.01)
    assert not driven.session.closed
    await trio.sleep(0.02)
    assert driven.session.closed
    assert driven.ticks[-1] == interval + timeout
    assert len(deadlines) == 0


# --- with a server -----------------------------------------------------------------------------------------------


async def test_a_ping_waits_behind_what_the_client_has_not_read(autojump_clock):
    server = Server(ping_interval=25, ping_timeout=1000, max_buffered_bytes=64 << 20)
    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        for number in range(100):
            await server.emit("part", number, "x" * 50_000)
        await trio.sleep(30)
        for number in range(100):
            assert (await client.event())[1] == number
        assert await client.transport.receive() == "2"
        await client.transport.send("3")
        await trio.sleep(25)
        assert await client.transport.receive() == "2"


async def test_a_hundred_clients_are_each_pinged_once_per_interval(autojump_clock):
    server = Server(ping_interval=25, ping_timeout=20)
    async with serving(server, sockets=True) as peer:
        clients = [await peer.join() for _ in range(100)]
        for _ in range(4):
            await trio.sleep(25)
            for client in clients:
                assert await client.transport.receive() == "2"
                await client.transport.send("3")
            await trio.testing.wait_all_tasks_blocked()
        assert len(server.services[0].deadlines) == len(clients)
        assert len(server.sessions) == len(clients)
