"""How often an emit, or a change of rooms, lets other tasks run."""

from typing import Final

import trio

EVERY: Final = 256
"""Packets after which the scheduler gets its turn: one for each emit and one for each of its recipients. Asking it costs as
much as a few small emits, and so many packets take a millisecond or two."""

SHARE: Final = EVERY // 2
"""Packets that a handler may always queue before it has to let others run, however many those before it have queued."""


class Pace:
    """Counts what the emits of a server have queued since other tasks have run, so that none keeps them all from it."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = EVERY
        """How many packets may still be queued. Whoever goes below zero calls `rest`."""

    @property
    def queued(self) -> int:
        """How many packets have been queued since the last `rested`."""
        return EVERY - self.left

    def rested(self) -> None:
        """Others have had their turn, or whoever calls this has noted what was `queued` and sees to it."""
        self.left = EVERY

    async def moved(self) -> None:
        """Count a client that has moved in or out of rooms, as much as a packet, and let others run if it is time for that."""
        self.left -= 1
        if self.left < 0:
            await self.rest()

    async def rest(self) -> None:
        """Let others run."""
        self.left = EVERY
        await trio.lowlevel.cancel_shielded_checkpoint()
