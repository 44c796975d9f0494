"""How often an emit lets other tasks run."""

from typing import Final

import trio

EVERY: Final = 32
"""Emits after which the scheduler gets its turn. Asking it costs as much as a small emit; 32 take about a millisecond at most."""


class Pace:
    """Counts the emits of a server, so that none of its tasks keeps all others from running."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    async def step(self) -> None:
        """Count one more; now and then this is a checkpoint."""
        self._count += 1
        if self._count >= EVERY:
            self._count = 0
            await trio.lowlevel.cancel_shielded_checkpoint()
