"""One connection of a peer: bytes out and in, each wait as long as the patience, and all of it written down."""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio
from trio_socketio.conformance.peer.errors import Closed, Silence
from trio_socketio.conformance.transcript import Transcript

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a connection to the server."""

HOST: Final = "127.0.0.1:3000"
RECEIVE_SIZE: Final = 64 * 1024


class Wire:
    """One connection to the server, and what is written down about it.

    Args:
        stream: The connection.
        number: Which one of its peer's it is.
        transcript: Where it is written down; by default in one of its own.
        patience: Seconds to wait for anything that should come.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        number: int = 1,
        transcript: Transcript | None = None,
        patience: float = math.inf,
    ) -> None:
        self.stream = stream
        self.patience = patience
        self._number = number
        self._transcript = Transcript() if transcript is None else transcript
        self._sending = trio.Lock()  # a pong, answered while something else is sent, waits its turn

    def note(self, content: str | bytes, what: str, *, sent: bool) -> None:
        """Write down what crossed the wire."""
        self._transcript.add(self._number, sent=sent, what=what, content=content)

    @contextmanager
    def patient(self, what: str) -> Iterator[None]:
        """Wait for something in the body, for as long as the patience lasts.

        Raises:
            Silence: It did not come.
        """
        with trio.move_on_after(self.patience) as scope:
            yield
        if scope.cancelled_caught:
            raise Silence(f"{what} within {self.patience:g} s")

    async def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            Closed: The server has closed the connection.
            Silence: It does not read.
        """
        try:
            with self.patient("the server did not read what was sent"):
                async with self._sending:
                    await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Closed(None, "the connection was closed while something was sent") from None

    async def receive(self) -> bytes:
        """Return some bytes; none when the server has ended the connection, in whatever way."""
        try:
            return bytes(await self.stream.receive_some(RECEIVE_SIZE))
        except trio.BrokenResourceError:
            return b""

    async def hang_up(self) -> None:
        """End the connection without a word."""
        self.note("hang up", "TCP", sent=True)
        await trio.aclose_forcefully(self.stream)
