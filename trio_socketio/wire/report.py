"""What becomes of the records of a tap: lines for people, a recording, and the material of a page.

Nothing here is asynchronous. A terminal may take its time, so a `Report` is used from a thread of its own; a `Mailbox` is
where records wait for it.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import trio

from trio_socketio.protocol.trace import TracedFrame
from trio_socketio.wire import lines, page, preview
from trio_socketio.wire.conversation import Conversation
from trio_socketio.wire.line_filter import LineFilter
from trio_socketio.wire.record import HEADER, write_record
from trio_socketio.wire.values import Line, Note, Record

MAX_WAITING = 64 * 1024 * 1024
"""Bytes of records that wait to be shown; what comes while there are more is counted and left out."""

RECORD_COST = 300
"""Bytes that a record takes besides its content, about."""

RAW_LENGTH = 10_000
"""Characters of a frame that are shown as they are."""

RAW_BYTES = 64
"""Bytes of a binary frame that are shown."""


class Mailbox:
    """Records that wait, in order and within a bound. Putting one in never waits, so that forwarding never does."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._records: list[Record] = []
        self._size = 0
        self._omitted = 0
        self._open = True
        self._changed = trio.Event()

    def put(self, record: Record) -> None:
        """Add a record, or count it as left out when too many wait."""
        size = RECORD_COST + (len(record.frame) if isinstance(record, TracedFrame) else len(record.text))
        if self._records and self._size + size > self._limit:
            self._omitted += 1
            return
        if self._omitted:
            self._records.append(_omission(self._omitted, record.time))
            self._omitted = 0
        self._records.append(record)
        self._size += size
        self._changed.set()

    def close(self) -> None:
        """Say that nothing more comes; what waits can still be taken."""
        if self._omitted and self._records:
            self._records.append(_omission(self._omitted, self._records[-1].time))
        self._open = False
        self._changed.set()

    async def take(self) -> list[Record]:
        """Return all that wait, at least one; nothing at the end."""
        while self._open and not self._records:
            self._changed = trio.Event()
            await self._changed.wait()
        records, self._records, self._size = self._records, [], 0
        return records


def _omission(count: int, time: float) -> Note:
    what = "1 record was" if count == 1 else f"{count} records were"
    return Note(time, "", "", None, f"{what} left out, because the output did not keep up")


@dataclass(frozen=True, slots=True)
class Format:
    """How lines are shown."""

    color: bool = False
    width: int | None = None
    """The columns that there are; None for any."""
    raw: bool = False
    """Whether the frames are shown below their line."""


@dataclass(slots=True)
class Report:
    """Takes records and shows, records and keeps them."""

    show: Callable[[str], None] | None = None
    """Writes text that ends with a line's end; None to show nothing."""
    format: Format = field(default_factory=Format)
    choice: LineFilter = field(default_factory=LineFilter)
    """Which lines are shown; recording and page have them all."""
    recording: TextIO | None = None
    keep: bool = False
    """Whether lines are kept for a page, as many as one can have."""
    conversation: Conversation = field(default_factory=Conversation)
    kept: list[Line] = field(default_factory=list)
    omitted: int = 0
    """Lines that were not kept, because there were too many."""
    failure: OSError | None = None
    """Why the recording has stopped."""
    unheard: bool = False
    """Whether nobody reads what is shown any more, as at the other end of a pipe."""
    _kept_size: int = 0
    _start: float | None = None

    def begin(self) -> None:
        """Begin the recording."""
        self._write(HEADER)

    def take(self, records: Sequence[Record]) -> None:
        """Take records in order."""
        self._write("".join(map(write_record, records)))
        self._tell([line for record in records for line in self.conversation.observe(record)])

    def finish(self) -> None:
        """Say that nothing more comes."""
        self._tell(self.conversation.finish())

    def _tell(self, told: Sequence[Line]) -> None:
        if self.keep:
            for line in told:
                self._keep(line)
        if self.show is not None and (chosen := [line for line in told if self.choice.accepts(line)]):
            try:
                self.show("".join(map(self._shown, chosen)))
            except OSError:
                self.show = None
                self.unheard = True

    def _keep(self, line: Line) -> None:
        if self.omitted or len(self.kept) >= page.MAX_LINES or self._kept_size + line.size > page.MAX_BYTES:
            self.omitted += 1  # once one is missing all are: a diagram with holes would mislead
        else:
            self.kept.append(line)
            self._kept_size += line.size

    def _shown(self, line: Line) -> str:
        color, width = self.format.color, self.format.width
        text = ""
        if self._start is None:
            self._start = line.time
            text = lines.format_header(color=color, width=width, start=line.time) + "\n"
        text += lines.format_line(line, color=color, width=width, start=self._start) + "\n"
        if self.format.raw:
            text += "".join(f"    {_raw(frame)}\n" for frame in line.frames)
        return text

    def _write(self, text: str) -> None:
        if self.recording is None:
            return
        try:
            self.recording.write(text)
            self.recording.flush()
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError):  # it is written once more, to no avail, and then closed for good
                self.recording.close()
            self.recording = None


def _raw(frame: str | bytes) -> str:
    """Return a frame as it is, with escapes in place of what a terminal would obey."""
    if isinstance(frame, str):
        more = len(frame) - RAW_LENGTH
        return preview.printable(frame[:RAW_LENGTH]) + (f" … {more} more characters" if more > 0 else "")
    ellipsis = " …" if len(frame) > RAW_BYTES else ""
    return f"<{preview.count_of_bytes(len(frame))}> {frame[:RAW_BYTES].hex(' ')}{ellipsis}"
