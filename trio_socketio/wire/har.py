"""Conversations in HAR files, as browsers' developer tools export them (HTTP Archive 1.2).

Which requests are Engine.IO's is said by their query: ``EIO`` and ``transport``. A polling request has its packets in
``request.postData.text`` and ``response.content.text``; a WebSocket has them in ``_webSocketMessages``, an extension
that Chromium began. All other entries are skipped and counted.

Such files are large, so they are read entry by entry, and never held as a whole. An entry holds everything that ever
happened on its connection, so a WebSocket's messages stand before the requests that were made meanwhile; they have to be
merged. Entries stand in the order in which they began, and nothing in an entry is older than its beginning. So once an
entry is read, all records up to its beginning can go out, and the others wait. In the usual file only the messages of
the WebSockets that were open at the same time ever wait. Should more wait than a small multiple of the largest entry, the
oldest go out early, and the order in time of different connections is no longer exact; within one connection it
always is. The same happens to a file whose entries are not in order.
"""

import base64
import heapq
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from trio_socketio.protocol import explain_payload, jsontext
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.explain_spans import Fault
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.trace import Sender, TracedFrame
from trio_socketio.wire.polling_bodies import frames_of, sid_of
from trio_socketio.wire.record import RecordingError
from trio_socketio.wire.values import Note, Record

try:
    import ijson  # type: ignore[import-untyped,import-not-found,unused-ignore]  # it has no types, and may be missing
except ImportError:  # an optional extra: servers do not need it
    ijson = None

HOW_TO_INSTALL = "HAR files are read with the package ijson, which is not installed: pip install 'trio-socketio[har]'"

_BUFFER = 64 * 1024
"""Bytes that are read and parsed at a time."""

_SMALLEST_WAITING = 4 * 1024 * 1024
"""Bytes of records that may always wait to be merged; small entries must not make the order inexact."""

_RECORD_OVERHEAD = 400
"""Bytes that a waiting record takes besides its frame, roughly."""

_MILLISECONDS = 1e11
"""Times from here on cannot be seconds since the epoch (that would be the year 5138): some tools write milliseconds."""

_LARGEST = 1e16
"""Numbers from here on are taken for missing: no time, status or opcode is that large."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_TEXT, _BINARY, _CLOSE, _CONTROL = 1, 2, 8, (9, 10)
"""The opcodes of a WebSocket's frames (RFC 6455, section 5.2)."""


class HarRecords(Iterator[Record]):
    """The records of a HAR file; made by `read_har`."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None] | None) -> None:
        self.entries = 0
        """Entries that were read so far."""
        self.skipped = 0
        """Those of them that are no Socket.IO."""
        self._file = _Source(file, progress)
        self._records = self._merged()

    def __next__(self) -> Record:
        """Return the next record.

        Raises:
            RecordingError: The file is no HAR, or ends too early, or ijson is not installed.
        """
        return next(self._records)

    def _merged(self) -> Iterator[Record]:
        order = itertools.count()  # keeps records of one moment in the order of the file
        waiting: list[tuple[float, int, Record, int]] = []
        size = 0
        largest = _SMALLEST_WAITING
        for entry in self._entries():
            self.entries += 1
            records = _records(entry)
            if records is None:
                self.skipped += 1
                continue
            began = _began(entry)
            while waiting and waiting[0][0] <= began:
                _, _, record, cost = heapq.heappop(waiting)
                size -= cost
                yield record
            before = size
            for record in records:
                cost = _cost(record)
                size += cost
                heapq.heappush(waiting, (record.time, next(order), record, cost))
            largest = max(largest, size - before)
            while size > 2 * largest:
                _, _, record, cost = heapq.heappop(waiting)
                size -= cost
                yield record
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _entries(self) -> Iterator[JSON]:
        """Yield the entries one at a time; each is parsed only when it is asked for."""
        if ijson is None:
            raise RecordingError(HOW_TO_INSTALL)
        try:
            yield from ijson.items(self._file, "log.entries.item", buf_size=_BUFFER)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise _broken(error) from error
        if not self.entries:
            self._check_is_har()

    def _check_is_har(self) -> None:
        """Tell a HAR file without entries from a JSON file of another kind."""
        self._file.rewind()
        reader: Any = ijson  # it is there: the entries have been read with it
        for prefix, event, _ in reader.parse(self._file, buf_size=_BUFFER):  # it was parsed before, so it is valid
            if (prefix, event) == ("log.entries", "start_array"):
                return
        raise RecordingError("The file is JSON, but no HAR: it has no list of entries in its log")


def read_har(file: BinaryIO, progress: Callable[[int], None] | None = None) -> HarRecords:
    """Read the Socket.IO traffic of a HAR file, in the order of time as far as memory allows.

    Answers other than 200, bodies that the file does not have and requests without an answer become notes.

    Args:
        file: The file, opened for bytes, at its beginning.
        progress: Called with the number of bytes read so far, about every 64 KiB.

    Returns:
        An iterator of the records that also counts the entries. It raises `RecordingError` when the file is no HAR,
        when it ends too early, and when ijson is not installed.
    """
    return HarRecords(file, progress)


class _Source:
    """A file that tells how far it was read, and has no byte order mark."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None] | None) -> None:
        self._file = file
        self._progress = progress
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if self._position == 0:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        self._position += len(data)
        if self._progress is not None and data:
            self._progress(self._position)
        return data

    def rewind(self) -> None:
        self._file.seek(0)
        self._position = 0
        self._progress = None


def _broken(error: Exception) -> RecordingError:
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error).encode()
    what = next(iter(said.decode("utf-8", "replace").strip().splitlines()), "it is empty")
    if "premature EOF" in what or "ncomplete" in what:
        return RecordingError("The file ends too early: it is no complete HAR file")
    return RecordingError(f"The file is no HAR: it is not valid JSON ({what[:200]})")


def _cost(record: Record) -> int:
    return _RECORD_OVERHEAD + len(record.text if isinstance(record, Note) else record.frame)


# Entries -------------------------------------------------------------------------------------------------------------
#
# A HAR file is written by others, so nothing in it is trusted to be there or to be of the right type.


def _records(entry: JSON) -> list[Record] | None:
    """Return the records of an entry, or None if it is no Engine.IO."""
    query = parse_qs(urlsplit(_url(entry)).query)
    transport = query.get("transport", [""])[0]
    if "EIO" not in query or transport not in ("polling", "websocket"):
        return None
    sid = query.get("sid", [""])[0]
    revision_3 = query["EIO"][0] == "3"
    if transport == "websocket":
        return _websocket(entry, sid, revision_3=revision_3)
    return _polling(entry, sid, revision_3=revision_3)


def _url(entry: JSON) -> str:
    url = _text(_get(entry, "request", "url"))
    try:
        urlsplit(url)
    except ValueError:  # brackets in the wrong place
        return ""
    return url


def _polling(entry: JSON, sid: str, *, revision_3: bool) -> list[Record]:
    method = _text(_get(entry, "request", "method")).upper() or "GET"
    if method == "OPTIONS":  # a browser asking for leave; no part of the session
        return []
    began = _began(entry)
    ended = began + max(0.0, _number(_get(entry, "time")) / 1000)
    sent = min(began + _preparation(entry), ended)
    frames = _revision_3_frames if revision_3 else frames_of
    records: list[Record] = []

    posted = _text(_get(entry, "request", "postData", "text"))
    if method == "POST" and posted:
        records += [TracedFrame(sent, sid, "polling", Sender.CLIENT, frame) for frame in frames(posted)]
    elif method == "POST":
        records.append(Note(sent, sid, "polling", Sender.CLIENT, "The body of a POST is not in the file"))

    status = int(_number(_get(entry, "response", "status")))
    body = _body(entry)
    if status == 0:
        why = _text(_get(entry, "response", "_error"))
        text = f"A {method} got no answer" + (f": {why}" if why else "")
        records.append(Note(ended, sid, "polling", None, text))
    elif status != 200:
        text = f"HTTP {status} answered a {method}{_reason(body)}"
        records.append(Note(ended, sid, "polling", Sender.SERVER, text))
    elif method != "POST" and not body:
        records.append(Note(ended, sid, "polling", Sender.SERVER, f"The answer of a {method} is not in the file"))
    elif method != "POST":
        answer = list(frames(body))
        if not sid and isinstance(answer[0], str):
            sid = sid_of(answer[0])
        records += [TracedFrame(ended, sid, "polling", Sender.SERVER, frame) for frame in answer]
    return records


def _websocket(entry: JSON, sid: str, *, revision_3: bool) -> list[Record]:
    began = _began(entry)
    messages = _get(entry, "_webSocketMessages")
    messages = messages if isinstance(messages, list) else []
    if not sid:
        sid = next((found for message in messages if (found := sid_of(_text(_get(message, "data"))))), "")
    records: list[Record] = []
    status = int(_number(_get(entry, "response", "status")))
    if status not in (0, 101, 200):  # 200 is what HTTP/2 says (RFC 8441, section 5)
        text = f"HTTP {status} refused the WebSocket{_reason(_body(entry))}"
        records.append(Note(began, sid, "websocket", Sender.SERVER, text))
    elif not messages:
        text = "There are no messages of the WebSocket in the file"
        records.append(Note(began, sid, "websocket", None, text))
    for message in messages:
        record = _message(message, began, sid, revision_3=revision_3)
        if record is not None:
            records.append(record)
    return records


def _message(message: JSON, began: float, sid: str, *, revision_3: bool) -> Record | None:
    """Return the record of one WebSocket message; None for the pings and pongs of WebSocket itself."""
    time = _number(_get(message, "time"))
    time = time / 1000 if time >= _MILLISECONDS else time or began
    direction, data = _get(message, "type"), _text(_get(message, "data"))
    if direction == "error":
        return Note(time, sid, "websocket", None, f"The WebSocket failed: {data}" if data else "The WebSocket failed")
    sender = Sender.CLIENT if direction == "send" else Sender.SERVER
    opcode = int(_number(_get(message, "opcode"))) or _TEXT
    if opcode in _CONTROL:
        return None
    if opcode == _CLOSE:
        return Note(time, sid, "websocket", sender, f"The {sender} closed the WebSocket")
    if opcode == _TEXT:
        return TracedFrame(time, sid, "websocket", sender, data)
    try:
        content = base64.b64decode(data, validate=True)
    except ValueError:
        return Note(time, sid, "websocket", sender, "A binary message is not in the file: what is there is no base64")
    if revision_3:
        content = content.removeprefix(b"\x04")  # there a type byte stands before the message
    return TracedFrame(time, sid, "websocket", sender, content)


def _revision_3_frames(text: str) -> Iterator[str | bytes]:
    """Take a polling body of revision 3 in its text form apart; what is broken stays as it is."""
    for part in explain_payload.split(text, 3):
        if isinstance(part, Fault):
            yield text[part.position :]
            return
        packet = text[part.start : part.end]
        yield from frames_of(packet.replace("b4", "b", 1) if packet.startswith("b4") else packet)


def _began(entry: JSON) -> float:
    text = _text(_get(entry, "startedDateTime"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _preparation(entry: JSON) -> float:
    """Return the seconds that passed until the request was sent; ``ssl`` is part of ``connect``."""
    phases = ("blocked", "dns", "connect", "send")
    return sum(max(0.0, _number(_get(entry, "timings", phase))) for phase in phases) / 1000


def _body(entry: JSON) -> str:
    content = _get(entry, "response", "content")
    text = _text(_get(content, "text"))
    if _get(content, "encoding") != "base64":
        return text
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def _reason(body: str) -> str:
    """Return what the JSON body of a refusal says, as the end of a sentence."""
    try:
        message = _get(jsontext.decode(body), "message")
    except DecodeError:
        return ""
    return f": {message:.200}" if isinstance(message, str) else ""


def _get(value: JSON, *path: str) -> Any:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST:
        return float(value)
    return 0.0
