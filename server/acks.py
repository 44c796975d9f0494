"""The acknowledgements that one socket owes (Socket.IO protocol, "Acknowledgement")."""

from collections.abc import Sequence
from typing import Protocol

import trio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server.errors import Disconnected, TooManyAcks


class Pending(Protocol):
    """Somebody who waits for an acknowledgement. Exactly one of the two is called, once, and neither blocks."""

    def answered(self, sid: str, arguments: Sequence[JSON]) -> None:
        """The client acknowledged with these arguments."""
        ...

    def dropped(self) -> None:
        """The client left first."""
        ...


class Debtor(Protocol):
    """Who owes the acknowledgements."""

    def reached(self, limit: str, message: str, *args: object) -> None:
        """It owes too many."""
        ...


class AckTable:
    """Who waits for which ack id of one socket. Ids count up from 0 and are never used again.

    Args:
        limit: How many may be owed at once.
        debtor: Who owes them.
        sid: The id of the socket, for messages.
    """

    __slots__ = ("_debtor", "_limit", "_next", "_pending", "_sid")

    def __init__(self, limit: int, debtor: Debtor, sid: str) -> None:
        self._limit = limit
        self._debtor = debtor
        self._sid = sid
        self._next = 0
        self._pending: dict[int, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def check(self) -> None:
        """See whether there is room for one more.

        Raises:
            TooManyAcks: The client owes as many as it may.
        """
        if len(self._pending) >= self._limit:
            self._debtor.reached("max_pending_acks", "a client owes %d acknowledgements already", len(self._pending))
            raise TooManyAcks(
                f"the client {self._sid} owes {len(self._pending)} acknowledgements, the most that max_pending_acks allows"
            )

    def register(self, pending: Pending) -> int:
        """Return a fresh ack id whose acknowledgement goes to ``pending``.

        Raises:
            TooManyAcks: The client owes as many as it may.
        """
        self.check()
        ack_id = self._next
        self._next += 1
        self._pending[ack_id] = pending
        return ack_id

    def resolve(self, ack_id: int, sid: str, arguments: Sequence[JSON]) -> bool:
        """Hand an acknowledgement to who waits for it; return whether anybody did."""
        pending = self._pending.pop(ack_id, None)
        if pending is None:
            return False
        pending.answered(sid, arguments)
        return True

    def forget(self, ack_id: int) -> None:
        """Stop waiting for an ack id; an answer that still comes is an unknown one."""
        self._pending.pop(ack_id, None)

    def drop_all(self) -> None:
        """Tell everyone who waits that the client has left."""
        pending, self._pending = self._pending, {}
        for waiting in pending.values():
            waiting.dropped()


class Answer:
    """A `Pending` that a task awaits."""

    __slots__ = ("_arguments", "_arrived")

    def __init__(self) -> None:
        self._arrived = trio.Event()
        self._arguments: Sequence[JSON] | None = None

    def answered(self, sid: str, arguments: Sequence[JSON]) -> None:  # noqa: ARG002  # who answered is known to the caller
        """Keep the arguments and wake the task."""
        self._arguments = arguments
        self._arrived.set()

    def dropped(self) -> None:
        """Wake the task with nothing."""
        self._arrived.set()

    async def wait(self) -> JSON:
        """Return None, the value, or a tuple, for none, one or several acknowledged arguments.

        Raises:
            Disconnected: The client left first.
        """
        await self._arrived.wait()
        if self._arguments is None:
            raise Disconnected("the client left before it acknowledged")
        if len(self._arguments) <= 1:
            return self._arguments[0] if self._arguments else None
        return tuple(self._arguments)
