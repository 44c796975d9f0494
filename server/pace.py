"""How often an emit lets other tasks run."""

from typing import Final

import trio

EVERY: Final = 32
"""Emits after which the scheduler gets its turn. Asking it costs as much as a small emit; 32 take about a millisecond at most."""


class Pace:
    """Counts the emits of a server, so that none of its tasks keeps all others from running."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = EVERY
        """How many emits may still follow each other. Whoever takes the last one calls `rest`."""

    async def rest(self) -> None:
        """Let others run, after `EVERY` emits."""
        self.left = EVERY
        await trio.lowlevel.cancel_shielded_checkpoint()
