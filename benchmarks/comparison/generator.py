"""The traffic of the loads over WebSockets.

Each kind of traffic is prepared once for a population, which also learns what the answers look like, and then driven for some
seconds, as often as wanted. Driving ends when the last answer has come, so that whatever the server did for these messages,
and nothing else, falls between the beginning and the end.
"""

import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from comparison.clients import PATIENCE, Client, Population
from comparison.failure import BenchmarkError
from comparison.frames import Packet, attachments_of, split, understand

MOST_MESSAGES: Final = 5_000_000
"""Messages after which driving ends even if there is time left."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of driving some traffic."""

    messages: int
    """What the cost is divided by: answers, deliveries, heartbeats, clients."""
    latencies: Sequence[float] = field(default=(), repr=False)
    """Seconds from when a message was due to when its answer had come, for traffic at a fixed rate."""
    lateness: float = 0.0
    """Seconds that the generator itself was late with them, at the 99th percentile."""


class Traffic(Protocol):
    """One kind of traffic."""

    def prepare(self, population: Population) -> None:
        """Do what comes before the first message, with a population that idles."""

    def drive(self, population: Population, seconds: float) -> Outcome:
        """Make traffic for some seconds, and wait for the last answer.

        Raises:
            BenchmarkError: An answer did not come, or was not what it should be.
        """


class Watch:
    """Compares what comes for the watched clients with one answer, repeated."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._twice = answer * 2

    def check(self, client: Client, got: memoryview) -> None:
        """Check what has come; the client's `rest` still says how much of an answer came before.

        Raises:
            BenchmarkError: It is not what should have come.
        """
        size = len(self._answer)
        start = client.rest
        expected = self._twice if len(got) <= size else self._answer * (len(got) // size + 2)
        if bytes(got) != expected[start : start + len(got)]:
            raise BenchmarkError(f"client {client.number} got {bytes(got[:200])!r}, which is not the answer expected")


class Echo:
    """Every client sends an event, and the next one when its answer has come, or keeps several in flight.

    Args:
        packet: What a client sends.
        answer: What it gets for it.
        clients: How many of the population take part; all if None.
        in_flight: Events that a client has under way.
    """

    def __init__(self, packet: Packet, answer: Packet, clients: int | None = None, in_flight: int = 1) -> None:
        self._packet = packet
        self._expected = answer
        self._count = clients
        self._requests = [packet.frames() * number for number in range(in_flight + 1)]
        self._answer = b""

    def prepare(self, population: Population) -> None:
        """Learn what the answer looks like."""
        self._answer = population.ask(population.clients[0], self._requests[1], self._expected)

    def drive(self, population: Population, seconds: float) -> Outcome:
        """See `Traffic`."""
        clients = population.clients[: self._count]
        requests, size, watch = self._requests, len(self._answer), Watch(self._answer)
        by_fd, poll, receive, view = population.by_fd, population.poll.poll, population.receive, population.view
        in_flight = len(requests) - 1
        outstanding = len(clients) * in_flight
        done = 0
        end = time.monotonic() + seconds
        for client in clients:
            client.rest = 0
            client.send(requests[in_flight])
        more = True
        while outstanding:
            events = poll(0.1)
            now = time.monotonic()
            more = more and now < end and done < MOST_MESSAGES
            if now > end + PATIENCE:
                raise BenchmarkError(f"{outstanding} answers did not come")
            for fd, event in events:
                client = by_fd[fd]
                if event != select.EPOLLIN and event & select.EPOLLOUT:
                    client.flush()
                    if not event & select.EPOLLIN:
                        continue
                count = receive(client)
                if client.watched:
                    watch.check(client, view[:count])
                answers, client.rest = divmod(client.rest + count, size)
                if answers:
                    done += answers
                    if answers > in_flight:
                        raise BenchmarkError(f"client {client.number} got {answers} answers to {in_flight} events")
                    if more:
                        client.send(requests[answers])
                    else:
                        outstanding -= answers
        return Outcome(done)


class Broadcast:
    """One client has the server send something to many, and again when all of them have it.

    Args:
        packet: What the first client sends.
        delivery: What the members get.
        members: How many clients they are, from the first on; all if None.
        joining: What every member sends before, to be a member; it asks for an acknowledgement.
    """

    def __init__(
        self, packet: Packet, delivery: Packet, members: int | None = None, joining: Packet | None = None
    ) -> None:
        self._request = packet.frames()
        self._expected = delivery
        self._count = members
        self._joining = joining
        self._delivery = b""

    def prepare(self, population: Population) -> None:
        """Join, and learn what a delivery looks like."""
        members = population.clients[: self._count]
        if self._joining is not None:
            joining = self._joining
            join(population, members, lambda _client: joining)
        members[0].send(self._request)
        self._delivery = gather(population, members, self._expected)

    def drive(self, population: Population, seconds: float) -> Outcome:
        """See `Traffic`."""
        members = population.clients[: self._count]
        size, watch = len(self._delivery), Watch(self._delivery)
        by_fd, poll, receive, view = population.by_fd, population.poll.poll, population.receive, population.view
        for client in members:
            client.rest = client.counted = 0
        sender = members[0]
        turns = 0
        began = time.monotonic()
        end = began + seconds
        while True:
            turns += 1
            missing = len(members) * size
            sender.send(self._request)
            while missing > 0:
                for fd, _event in poll(0.1):
                    client = by_fd[fd]
                    count = receive(client)
                    if client.watched:
                        client.rest = client.counted % size
                        watch.check(client, view[:count])
                    client.counted += count
                    missing -= count
                if missing > 0 and time.monotonic() > end + PATIENCE:
                    raise BenchmarkError(f"{missing} bytes of deliveries did not come")
            if time.monotonic() >= end:
                break
        wrong = [client.number for client in members if client.counted != turns * size]
        if wrong:
            raise BenchmarkError(f"clients {wrong[:10]} did not get exactly {turns} deliveries")
        return Outcome(turns * len(members))


class Steady:
    """The clients send events at a fixed rate, whether or not answers come, and time them.

    Args:
        packet: What a client sends.
        answer: What it gets for it.
        rate: Events in a second, of all clients together.
    """

    def __init__(self, packet: Packet, answer: Packet, rate: float) -> None:
        self._request = packet.frames()
        self._expected = answer
        self._rate = rate
        self._answer = b""

    def prepare(self, population: Population) -> None:
        """Learn what the answer looks like."""
        self._answer = population.ask(population.clients[0], self._request, self._expected)

    def drive(self, population: Population, seconds: float) -> Outcome:
        """See `Traffic`.

        The time of an event counts from when it was due, not from when it was sent, so that a server which stalls is not
        spared the events that should have come meanwhile. While events are due, this never sleeps: a timer would be late by
        more than what is measured.
        """
        clients, size, watch = population.clients, len(self._answer), Watch(self._answer)
        by_fd, poll, receive, view = population.by_fd, population.poll.poll, population.receive, population.view
        due: dict[int, deque[float]] = {client.fd: deque() for client in clients}
        latencies: list[float] = []
        lateness: list[float] = []
        for client in clients:
            client.rest = 0
        total = int(seconds * self._rate)
        sent = 0
        began = time.monotonic()
        while len(latencies) < total:
            now = time.monotonic()
            while sent < total and (moment := began + sent / self._rate) <= now:
                client = clients[sent % len(clients)]
                due[client.fd].append(moment)
                client.send(self._request)
                lateness.append(now - moment)
                sent += 1
            for fd, _event in poll(0 if sent < total else 0.1):
                client = by_fd[fd]
                count = receive(client)
                if client.watched:
                    watch.check(client, view[:count])
                answers, client.rest = divmod(client.rest + count, size)
                now = time.monotonic()
                latencies += [now - due[fd].popleft() for _ in range(answers)]
            if now > began + seconds + PATIENCE:
                raise BenchmarkError(f"{total - len(latencies)} answers did not come")
        lateness.sort()
        return Outcome(total, latencies, lateness[int(len(lateness) * 0.99)])


class Heartbeats:
    """The clients do nothing but answer pings.

    Args:
        interval: Seconds between two pings, which the server was started with. Driving takes as long, whatever it is told,
            so that every client is pinged once.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval

    def prepare(self, population: Population) -> None:
        """Nothing comes before."""

    def drive(self, population: Population, seconds: float) -> Outcome:  # noqa: ARG002  # see above
        """See `Traffic`."""
        return Outcome(population.idle(self._interval))


class Arrivals:
    """Clients connect, as many as are told, and stay."""

    def __init__(self, clients: int) -> None:
        self._clients = clients

    def prepare(self, population: Population) -> None:
        """Nothing comes before."""

    def drive(self, population: Population, seconds: float) -> Outcome:  # noqa: ARG002  # as many as were told
        """See `Traffic`."""
        population.join(self._clients)
        return Outcome(self._clients)


def join(population: Population, clients: Sequence[Client], packet: Callable[[Client], Packet]) -> None:
    """Have clients send a packet each, one after another, which the server acknowledges.

    Raises:
        BenchmarkError: It did not.
    """
    for client in clients:
        request = packet(client)
        population.ask(client, request.frames(), Packet((), request.id, acknowledges=True))


def gather(population: Population, clients: Sequence[Client], expected: Packet) -> bytes:
    """Wait until a packet has come for every one of some clients, and nothing else; return its bytes.

    Raises:
        BenchmarkError: Something else came, or nothing.
    """
    first = clients[0]
    inboxes: dict[int, bytearray] = {client.fd: bytearray() for client in clients}
    deadline = time.monotonic() + PATIENCE
    missing = set(inboxes)
    size = 0
    while missing:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{len(missing)} of {len(clients)} clients did not get {expected!r:.100}")
        for fd, _event in population.poll.poll(0.1):
            client = population.by_fd[fd]
            count = population.receive(client)
            if fd not in inboxes:
                raise BenchmarkError(f"client {client.number} got what was not meant for it")
            inboxes[fd] += population.view[:count]
            size = size or _size_of(inboxes[fd], expected)
        if size:
            missing = {fd for fd in missing if len(inboxes[fd]) < size}
    answer = bytes(inboxes[first.fd])
    if any(inbox != answer for inbox in inboxes.values()):
        raise BenchmarkError(f"not all clients got the same when {expected!r:.100} was sent to all of them")
    return answer


def _size_of(inbox: bytearray, expected: Packet) -> int:
    """Return how many bytes the expected packet takes on the wire, or 0 if it has not come wholly."""
    messages, taken = split(inbox)
    if not messages or len(messages) < 1 + attachments_of(messages[0]):
        return 0
    got = understand(messages)
    if got != expected:
        raise BenchmarkError(f"{got!r:.300} came where {expected!r:.300} was expected")
    return taken
