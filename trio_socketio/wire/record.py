r"""Recordings of a conversation: JSON Lines, one record each, so that a crash costs no more than the last line.

::

    {"trio-socketio-recording":1}
    {"time":1700000000.25,"sid":"Vx3k","transport":"websocket","sender":"client","text":"42[\"hello\"]"}
    {"time":1700000000.5,"sid":"Vx3k","transport":"websocket","sender":"server","base64":"AAEC"}
    {"time":1700000001.0,"sid":"Vx3k","transport":"websocket","sender":null,"note":"The connection was lost"}

The text is UTF-8. Times are seconds since the epoch. Readers ignore keys that they do not know.
"""

import base64
import math
from collections.abc import Iterable, Iterator

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.errors import DecodeError, SocketIOError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.trace import Sender, TracedFrame
from trio_socketio.wire.values import Note, Record

VERSION = 1
"""The version that is written, and the only one that is read."""

MARK = "trio-socketio-recording"
"""The key of the first line by which a recording is known; its value is the version."""

HEADER = jsontext.encode({MARK: VERSION}) + "\n"
"""The first line of a recording, with its end."""


class RecordingError(SocketIOError):
    """A file that should hold a conversation does not.

    Args:
        message: A sentence without a full stop.
        line: Where in the file, counted from 1, or None when no line is to blame.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message, line)
        self.message = message
        self.line = line

    def __str__(self) -> str:
        return self.message if self.line is None else f"{self.message} (line {self.line})"


def write_record(record: Record) -> str:
    """Return the line of a record, with its end. A recording is `HEADER` and then such lines."""
    values: dict[str, JSON] = {
        "time": record.time,
        "sid": record.sid,
        "transport": record.transport,
        "sender": record.sender,
    }
    if isinstance(record, Note):
        values["note"] = record.text
    elif isinstance(record.frame, str):
        values["text"] = record.frame
    else:
        values["base64"] = base64.b64encode(record.frame).decode("ascii")
    return jsontext.encode(values) + "\n"


def read_records(lines: Iterable[str]) -> Iterator[Record]:
    """Read a recording.

    A last line that breaks off, as a crash leaves it, is left out, and a note says so. Blank lines are passed over.

    Args:
        lines: The lines of the file, with or without their ends. Opened with ``encoding="utf-8"`` and
            ``errors="surrogateescape"``, a file that is no text gives a `RecordingError` as well.

    Raises:
        RecordingError: It is no recording, or one of another version, or a line is broken.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise RecordingError("The file is empty; a recording begins with a header")
    _check_header(first[1])
    time = 0.0
    for number, line in numbered:
        try:
            record = _record(line, number)
        except RecordingError:
            if line.endswith("\n") or next(numbered, None) is not None:
                raise
            yield Note(time, "", "", None, f"The recording breaks off in line {number}, which is left out")
            return
        time = record.time
        yield record


def _check_header(line: str) -> None:
    try:
        header = jsontext.decode(line)
    except DecodeError:
        header = None
    if not isinstance(header, dict) or MARK not in header:
        raise RecordingError(f"The file is no recording: its first line is not a header such as {HEADER.strip()}", 1)
    version = header[MARK]
    if version != VERSION or isinstance(version, bool):
        raise RecordingError(f"The recording has version {version!r:.40}, and this program reads version {VERSION}", 1)


def _record(line: str, number: int) -> Record:
    try:
        values = jsontext.decode(line)
    except DecodeError as error:
        raise RecordingError(f"The line is no JSON: {error}", number) from error
    if not isinstance(values, dict):
        raise RecordingError("The record is not an object", number)
    if jsontext.LONE_SURROGATE.search(line):
        raise RecordingError("The line is not UTF-8", number)
    time = values.get("time")
    if not isinstance(time, (int, float)) or isinstance(time, bool) or not _is_finite(time):
        raise RecordingError("The record has no time in seconds", number)
    sid, transport = _text(values, "sid", number), _text(values, "transport", number)
    sender = _sender(values, number)
    if "note" in values:
        return Note(float(time), sid, transport, sender, _text(values, "note", number))
    if sender is None:
        raise RecordingError("The frame has no sender", number)
    return TracedFrame(float(time), sid, transport, sender, _frame(values, number))


def _is_finite(time: float) -> bool:
    try:
        return math.isfinite(time)
    except OverflowError:  # an integer too large for a double
        return False


def _text(values: dict[str, JSON], key: str, number: int) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise RecordingError(f"The {key} of the record is not a string", number)
    return value


def _sender(values: dict[str, JSON], number: int) -> Sender | None:
    sender = values.get("sender")
    if sender is None:
        return None
    if sender not in tuple(Sender):
        raise RecordingError(f"The sender of the record is {sender!r:.40}, neither client nor server", number)
    return Sender(sender)


def _frame(values: dict[str, JSON], number: int) -> str | bytes:
    if "text" in values:
        return _text(values, "text", number)
    if "base64" not in values:
        raise RecordingError("The record has neither text nor base64 nor a note", number)
    text = _text(values, "base64", number)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise RecordingError("The frame is not valid base64", number) from error
