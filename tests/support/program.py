"""A process that a test talks to line by line, and that is gone when the test has ended."""

import signal
import subprocess
from contextlib import asynccontextmanager

import trio

START = 30.0
"""Seconds for a process to say or do something, on a slow machine."""


class Program:
    """A process that prints lines."""

    def __init__(self, process):
        self.process = process
        self._buffer = b""

    async def line(self):
        with trio.fail_after(START):
            while b"\n" not in self._buffer:
                chunk = await self.process.stdout.receive_some()
                assert chunk, (await self.process.stderr.receive_some()).decode()
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    async def ends(self, status=0, errors="", *, within=START):
        """See that it ends, and what it says on standard error."""
        with trio.fail_after(within):
            assert await self.process.wait() == status
            said = (await self.process.stderr.receive_some()).decode()
        assert errors in said if errors else said == "", said

    async def ends_well(self, number=signal.SIGINT, *, within=START):
        """Send a signal, and see that it ends as it should, without a word."""
        self.process.send_signal(number)
        await self.ends(within=within)


@asynccontextmanager
async def running(*command, stdin=subprocess.DEVNULL, **options):
    process = await trio.lowlevel.open_process(
        [*map(str, command)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )
    try:
        yield Program(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()
            for stream in process.stdin, process.stdout, process.stderr:
                if stream is not None:
                    await stream.aclose()
