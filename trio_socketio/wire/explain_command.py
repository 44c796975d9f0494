"""``trio-socketio explain``: frames from the command line or from standard input, taken apart.

A recording is a file; reading it is not the business of this module. Whoever adds the command may pass a function that does.
"""

import argparse
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from trio_socketio.program import forget_output
from trio_socketio.protocol.explain import Conversation, Span, explain_target, is_broken
from trio_socketio.wire.ansi import wants_color
from trio_socketio.wire.drawing import draw

EXIT_BROKEN = 1
"""The exit status when a frame breaks the protocol."""

EXIT_USAGE = 2
"""The exit status when there is nothing to explain, or an argument cannot be read."""

MAX_WIDTH = 120
"""Cells of a line, however wide the terminal is: longer lines are hard to read."""

OpenRecording = Callable[[Path, argparse.Namespace], int]
"""Explains the frames of a file with the options of the command, and returns the exit status."""

RECORDINGS = (".har", ".jsonl")
"""How the names of files end that are recordings."""

_TARGET = re.compile(r"(?:https?|wss?)://|[/?]", re.IGNORECASE)
_BINARY = re.compile(r"0[xX](?:[0-9a-fA-F]{2})+")
_NO_FILE = re.compile(r"(?:https?|wss?)://|4[0-6][0-9-]*/|.*[\"{?\0]", re.IGNORECASE | re.DOTALL)
"""What ends like the name of a recording and is a URL or a frame all the same, one with a namespace or JSON in it."""

_CONNECTORS = "│╰┬✗␞"
_MASKED = 0x80

_DESCRIPTION = """\
Take Engine.IO and Socket.IO frames apart and say what each part is. The frames
are the arguments, or without any the lines of standard input. Those of one call
belong to one side of one conversation, so that attachments are recognised
behind the packet that announces them. A frame that begins with http://, / or ?
is the URL of a request, and one that is 0x and hexadecimal digits is binary."""

_EPILOG = """\
exit status:
  0, or 1 if a frame breaks the protocol, or 2 if an argument cannot be read

with --json each frame is one line, an object with
  frame    the text, or {"hex": "..."} for bytes
  broken   whether it breaks the protocol
  spans    its parts: objects with content (in the form of frame), layer, name,
           meaning, section and fault

examples:
  trio-socketio explain '42/admin,7["hi",{"a":1}]'
  trio-socketio explain '451-["up",{"_placeholder":true,"num":0}]' --hex 0102ff
  trio-socketio explain --payload $'42["a"]\\x1e42["b"]'
  trio-socketio explain --websocket 81063270726f6265
  trio-socketio explain '/socket.io/?EIO=4&transport=polling'
"""


class Form(StrEnum):
    """What an argument is."""

    TEXT = "text"
    HEX = "hex"


class Color(StrEnum):
    """When colours are used."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", open_recording: OpenRecording | None = None
) -> None:
    """Register ``explain`` among the commands of a program.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
        open_recording: Called for an argument that names a file that ends in ``.har`` or ``.jsonl``.
    """
    command = commands.add_parser(
        "explain",
        help="what each part of a frame is",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = " or a recording (*.har, *.jsonl)" if open_recording else ""
    command.add_argument("text", nargs="*", action=_Collect, metavar="FRAME", help=f"a frame{files}")
    command.add_argument(
        "--hex",
        nargs="*",
        action=_Collect,
        metavar="FRAME",
        help="binary frames, as hexadecimal digits; without any behind it, all frames are such",
    )
    kinds = command.add_mutually_exclusive_group()
    kinds.add_argument("--payload", action="store_true", help="each frame is the body of a polling request or answer")
    kinds.add_argument(
        "--websocket", action="store_true", help="each frame is WebSocket frames as they cross the wire, in hexadecimal"
    )
    command.add_argument(
        "--revision", type=int, choices=(3, 4), default=4, help="of Engine.IO; 3 is that of Socket.IO 2 (default: 4)"
    )
    command.add_argument("--json", action="store_true", help="write JSON, one line for each frame")
    command.add_argument(
        "--color",
        type=Color,
        choices=list(Color),
        default=Color.AUTO,
        help="use colours (default: if a terminal shows them)",
    )
    command.set_defaults(frames=[], all_hex=False, verbose=False, run=partial(_run, open_recording))


class _Collect(argparse.Action):
    """Keeps the frames in the order in which they stand on the command line, text and hexadecimal ones alike."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the signature is argparse's
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        form = Form.HEX if option_string else Form.TEXT
        namespace.frames = [*namespace.frames, *((form, value) for value in values or ())]
        namespace.all_hex = namespace.all_hex or (form is Form.HEX and not values)


def _run(open_recording: OpenRecording | None, options: argparse.Namespace) -> int:
    if not options.frames and sys.stdin.isatty():
        return _refuse("there is no frame, neither as an argument nor on standard input")
    return _explain_all(options.frames or _lines(), open_recording, options)


def _lines() -> Iterator[tuple[Form, str]]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # what is not UTF-8 is shown, and does not end the program
    for line in sys.stdin:
        if frame := line.rstrip("\r\n"):
            yield Form.TEXT, frame


def _explain_all(
    frames: Iterable[tuple[Form, str]], open_recording: OpenRecording | None, options: argparse.Namespace
) -> int:
    explainer = _Explainer(options)
    write = _write_json if options.json else _Draftsman(options.color)
    status = 0
    for form, text in frames:
        if form is Form.TEXT and _names_recording(text):
            if open_recording is None:
                return _refuse(f"recordings such as {text} cannot be read")
            status = max(status, open_recording(Path(text), options))
            continue
        try:
            frame, spans = explainer.explain(Form.HEX if options.all_hex else form, text)
        except ValueError:
            return _refuse(f"{text[:40]!r} is not hexadecimal")
        if is_broken(spans):
            status = max(status, EXIT_BROKEN)
        try:
            write(frame, spans)
        except BrokenPipeError:  # whoever read the output has seen enough
            forget_output()
            return status
    if not options.json and explainer.missing:
        attachments = "One attachment" if explainer.missing == 1 else f"{explainer.missing} attachments"
        print(f"\n{attachments} of the last packet did not follow; binary frames are given with --hex.")
    return status


def _names_recording(text: str) -> bool:
    """Whether an argument means a file, be it there or not."""
    return text.lower().endswith(RECORDINGS) and (os.path.lexists(text) or not _NO_FILE.match(text))


def _refuse(message: str) -> int:
    print(f"trio-socketio explain: {message}", file=sys.stderr)
    return EXIT_USAGE


class _Explainer:
    """Explains the frames of one call, which belong together."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._by_server = Conversation(revision=options.revision)
        self._by_client = Conversation(revision=options.revision)
        """Only WebSocket frames say who has sent them."""

    @property
    def missing(self) -> int:
        """How many attachments did not come."""
        return self._by_server.missing + self._by_client.missing

    def explain(self, form: Form, text: str) -> tuple[str | bytes, list[Span]]:
        """Return the next frame and its parts.

        Raises:
            ValueError: It should be hexadecimal and is not.
        """
        options = self._options
        frame = _bytes(text) if form is Form.HEX or options.websocket or _BINARY.fullmatch(text) else text
        if options.websocket and isinstance(frame, bytes):
            masked = len(frame) > 1 and bool(frame[1] & _MASKED)
            return frame, (self._by_client if masked else self._by_server).explain_websocket(frame)
        if isinstance(frame, str) and _TARGET.match(frame):
            return frame, explain_target(frame, revision=options.revision)
        conversation = self._by_server
        return frame, conversation.explain_payload(frame) if options.payload else conversation.explain(frame)


def _bytes(text: str) -> bytes:
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    return bytes.fromhex(digits.replace(":", " "))


class _Draftsman:
    """Writes drawings, with an empty line between them."""

    def __init__(self, color: Color) -> None:
        self._color = wants_color(color, sys.stdout)
        self._ascii_only = not _can_write(_CONNECTORS, sys.stdout)
        self._width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
        self._first = True

    def __call__(self, _frame: str | bytes, spans: Sequence[Span]) -> None:
        drawing = draw(spans, width=self._width, color=self._color, ascii_only=self._ascii_only)
        print(drawing if self._first else f"\n{drawing}", flush=True)
        self._first = False


def _can_write(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _write_json(frame: str | bytes, spans: Sequence[Span]) -> None:
    parts = [
        {
            "content": _json_of(span.content),
            "layer": span.layer,
            "name": span.name,
            "meaning": span.meaning,
            "section": span.section,
            "fault": span.fault,
        }
        for span in spans
    ]
    print(json.dumps({"frame": _json_of(frame), "broken": is_broken(spans), "spans": parts}), flush=True)


def _json_of(content: str | bytes) -> str | dict[str, str]:
    return content if isinstance(content, str) else {"hex": content.hex()}
