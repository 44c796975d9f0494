"""The traffic of a chat: many rooms in which somebody always says something."""

import time
from dataclasses import dataclass
from typing import Final

from comparison.clients import PATIENCE, Client, Population
from comparison.failure import BenchmarkError
from comparison.frames import Packet, sized
from comparison.generator import Outcome, gather, join


@dataclass(slots=True)
class _Room:
    """One room of a chat."""

    members: list[Client]
    turn: int = 0
    missing: int = 0
    """Bytes that are still to come for its members."""


class Chat:
    """Clients in rooms talk: in every room somebody says something, and when all members have it, the next one does.

    Messages have three lengths; every tenth is an event with an acknowledgement instead of one for the room.
    """

    SIZES: Final = (48, 96, 240)
    ACKNOWLEDGED: Final = 10

    def __init__(self, rooms: int) -> None:
        self._rooms = rooms
        self._requests: dict[tuple[int, int], bytes] = {}
        self._sizes = [0] * len(self.SIZES)
        ack = sized(64, "message-with-ack", id=7)
        self._ack = ack
        self._ack_size = 0

    def _name(self, number: int) -> str:
        return f"chat{number % self._rooms:03}"

    def prepare(self, population: Population) -> None:
        """Join, and learn how long the answers are."""
        clients = population.clients
        join(population, clients, lambda client: Packet(("join", self._name(client.number)), 1))
        for index, size in enumerate(self.SIZES):
            for room in range(self._rooms):
                self._requests[index, room] = sized(size, "to-room", self._name(room)).frames()
            packet = sized(size, "to-room", self._name(0))
            clients[0].send(packet.frames())
            delivery = Packet(("from-room", *packet.arguments[2:]))
            self._sizes[index] = len(gather(population, clients[:: self._rooms], delivery))
        answer = Packet(self._ack.arguments[1:], self._ack.id, acknowledges=True)
        self._ack_size = len(population.ask(clients[0], self._ack.frames(), answer))

    def drive(self, population: Population, seconds: float) -> Outcome:
        """See `Traffic`."""
        rooms = [_Room(population.clients[number :: self._rooms]) for number in range(self._rooms)]
        by_fd, poll, receive = population.by_fd, population.poll.poll, population.receive
        end = time.monotonic() + seconds
        delivered = sum(self._say(number, room) for number, room in enumerate(rooms))
        talking = len(rooms)
        while talking:
            events = poll(0.1)
            now = time.monotonic()
            if now > end + PATIENCE:
                raise BenchmarkError(f"{talking} rooms did not get what was said in them")
            for fd, _event in events:
                client = by_fd[fd]
                number = client.number % self._rooms
                room = rooms[number]
                room.missing -= receive(client)
                if room.missing == 0:
                    if now < end:
                        delivered += self._say(number, room)
                    else:
                        talking -= 1
                elif room.missing < 0:
                    raise BenchmarkError(f"room {number} got more than was said in it")
        return Outcome(delivered)

    def _say(self, number: int, room: _Room) -> int:
        """Have the next member of a room send something; return how many packets that makes the server send."""
        room.turn += 1
        sender = room.members[room.turn % len(room.members)]
        if room.turn % self.ACKNOWLEDGED == 0:
            room.missing = self._ack_size
            sender.send(self._ack.frames())
            return 1
        index = room.turn % len(self.SIZES)
        room.missing = self._sizes[index] * len(room.members)
        sender.send(self._requests[index, number])
        return len(room.members)
