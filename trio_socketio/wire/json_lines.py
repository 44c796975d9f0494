"""Lines and summaries as JSON, one object per line of text, for programs.

Bytes become ``{"base64": "..."}``. Everything else has the names and the form of `Line` and `Summary`.
"""

import base64
import dataclasses
from typing import Any

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.wire.summary import Summary
from trio_socketio.wire.values import Line


def json_of_line(line: Line) -> str:
    """Return a line as a JSON object, without the line's end."""
    return _encode({field.name: getattr(line, field.name) for field in dataclasses.fields(line)})


def json_of_summary(summary: Summary) -> str:
    """Return a summary as a JSON object with the single key ``summary``, without the line's end."""
    return _encode({"summary": dataclasses.asdict(summary)})


def _bytes_as_base64(value: Any) -> JSON:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return jsontext.refuse(value)


_encode = jsontext.encoder(_bytes_as_base64)
