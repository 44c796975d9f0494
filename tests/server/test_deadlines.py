import gc
import math
import weakref

import pytest
import trio
from trio.testing import MockClock
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.session import Session
from trio_socketio.server.net.deadlines import Deadlines


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


async def test_a_deadline_that_moves_later_is_looked_at_again_and_nothing_is_missed(autojump_clock, deadlines):
    thing = Thing(deadlines, 5, then=[10])
    thing.move(7)
    assert len(deadlines) == 1
    await trio.sleep(20)
    assert thing.ticks == [5, 7, 10], "the look at 5 is the price of a move that costs nothing"


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


async def test_the_clock_that_is_passed_decides_what_is_due(mock_clock: MockClock):
    time = 0.0
    it = Deadlines(clock=lambda: time)
    thing = Thing(it, 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run)
        await trio.testing.wait_all_tasks_blocked()
        assert thing.ticks == []
        time = 6.0
        Thing(it, 1)  # an earlier deadline makes the task look
        await trio.testing.wait_all_tasks_blocked()
        assert thing.ticks == [6.0]
        nursery.cancel_scope.cancel()


async def test_it_can_be_cancelled_while_it_waits():
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Deadlines().run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()


async def test_it_sleeps_between_deadlines(mock_clock: MockClock):
    looks = 0

    def clock():
        nonlocal looks
        looks += 1
        return trio.current_time()

    it = Deadlines(clock)
    Thing(it, 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run)
        for _ in range(5):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(1)
        assert looks == 1
        nursery.cancel_scope.cancel()


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
