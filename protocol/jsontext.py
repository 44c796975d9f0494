"""The JSON text inside packets: compact and always sendable one way, strict and bounded the other way.

Encoding keeps one C encoder per purpose, because `json.dumps` builds a new one on every call. What leaves is always
valid UTF-8: lone surrogates are escaped, as JavaScript's ``JSON.stringify`` does, rather than failing at the socket.

Decoding must survive any text of a hostile peer, and must not behave differently when an application has raised the
interpreter's recursion limit or changed its limit on integer digits. What a C parser does not bound is bounded here:

- Nesting is measured *before* parsing. Most texts hold fewer brackets than the limit, which two counts prove. For the
  others, the text outside of strings is cut out with `str.replace` and `str.split` and only its brackets are looked
  at: a few linear passes at the speed of C, where a regular expression takes several times as long.
- Integers go through a hook that looks at their length first; texts too short to hold a long one are spared the hook.

The measure may be wrong about text that is not JSON (a backslash outside of a string), but only from the place on
where the parser stops anyway.

Calls share nothing but encoders and scanners, whose results do not depend on one another, so threads may use it freely.
"""

import json
import json.encoder
import json.scanner
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeAlias

from trio_socketio.protocol.errors import DecodeError, EncodeError, EncodeTypeError, EncodeValueError

JSON: TypeAlias = Any
"""A value that JSON can carry; in events and acknowledgements also bytes, at any depth."""

MAX_NESTING = 128
"""Levels of arrays and objects that a text may have. Real events have a handful. Python's parser takes one level of the
interpreter's stack for each, and this many fit beside any sane application (serde_json of Rust has the same limit)."""

MAX_INTEGER_DIGITS = 400
"""Digits that an integer may have. The largest double, all that a JavaScript peer can mean, has 309. The interpreter's
own limit cannot be set below 640, so it never comes into play, and 400 digits are converted in no time."""

_WHITESPACE = re.compile(r"[ \t\n\r]*")  # RFC 8259, section 2

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""What a Python string can hold and UTF-8 cannot."""

# Encoding ------------------------------------------------------------------------------------------------------------

_make_c_encoder = getattr(json.encoder, "c_make_encoder", None)


def encoder(default: Callable[[Any], JSON]) -> Callable[[JSON], str]:
    """Make a function that turns a value into compact JSON text.

    Tuples become arrays; the keys of dicts are treated as `json` treats them. There is no check for circular values:
    they end at the interpreter's recursion limit, and cost nothing when there are none.

    Args:
        default: Called for what JSON does not know; returns a value to take its place, or raises TypeError.

    Returns:
        The function. It raises `EncodeTypeError` and `EncodeValueError`, and what `default` raises besides.
    """
    if _make_c_encoder is None:
        plain = json.JSONEncoder(
            separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False, default=default
        )

        def chunks(value: JSON, _level: int) -> Iterable[str]:
            return plain.iterencode(value)

    else:
        # markers, default, encoder, indent, key separator, item separator, sort_keys, skipkeys, allow_nan
        chunks = _make_c_encoder(None, default, json.encoder.encode_basestring, None, ":", ",", False, False, False)  # noqa: FBT003
    join = "".join

    def encode(value: JSON) -> str:
        try:
            text = join(chunks(value, 0))
        except (TypeError, ValueError, RecursionError) as error:
            raise _encode_error(error) from error
        return text if text.isascii() else _escape_lone_surrogates(text)

    return encode


def refuse(value: Any) -> NoReturn:
    """Be the `default` of an encoder that knows nothing but JSON."""
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


encode = encoder(refuse)
"""Turn a value without binary data into JSON text."""


def _encode_error(error: Exception) -> EncodeError:
    if isinstance(error, TypeError):
        return EncodeTypeError(f"The value cannot be sent: {error}")
    if isinstance(error, RecursionError):
        return EncodeValueError("The value cannot be sent: it contains itself, or is nested too deep")
    return EncodeValueError(f"The value cannot be sent: {error}")


def _escape_lone_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # in JSON text only strings can hold them, so an escape is right wherever they stand
        return LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text


# Decoding ------------------------------------------------------------------------------------------------------------


class _LiteralError(ValueError):
    """A number or a word that the grammar or a limit forbids; the hooks of the parser do not learn where it stands."""

    def __init__(self, literal: str, why: str) -> None:
        super().__init__(why)
        self.literal = literal


def _float(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        raise _LiteralError(literal, "a number is too large for a double")
    return value


def _bounded_int(literal: str) -> int:
    if len(literal.removeprefix("-")) > MAX_INTEGER_DIGITS:
        raise _LiteralError(literal, f"an integer has more than {MAX_INTEGER_DIGITS} digits")
    return int(literal)


def _no_constant(literal: str) -> NoReturn:
    raise _LiteralError(literal, f"{literal} is not JSON")


def _scanner(parse_int: Callable[[str], int]) -> Callable[[str, int], tuple[JSON, int]]:
    hooks = json.JSONDecoder(parse_float=_float, parse_int=parse_int, parse_constant=_no_constant)
    # It is made from a decoder; typeshed says from a scanner.
    return json.scanner.make_scanner(hooks)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


_scan_short = _scanner(int)
_scan_long = _scanner(_bounded_int)


def decode(text: str, position: int = 0) -> JSON:
    """Parse the JSON text that begins at a position of a frame and fills the rest of it.

    Args:
        text: The whole frame.
        position: Where its JSON text begins.

    Raises:
        DecodeError: The text is not JSON (RFC 8259) or exceeds a limit; its position is one of the frame.
    """
    scan = _scan_short
    length = len(text) - position
    if length > MAX_NESTING:  # a shorter text has no room for too many brackets, nor for too many digits
        _check_nesting(text, position)
        if length > MAX_INTEGER_DIGITS:
            scan = _scan_long
    elif length <= 0:
        raise DecodeError("The frame ends where JSON text must follow", position)
    if text[position] <= " ":
        position = _skip_whitespace(text, position)
    try:
        value, end = scan(text, position)
    except (StopIteration, ValueError, RecursionError) as error:
        raise _decode_error(error, text, position) from error
    if end != len(text):
        end = _skip_whitespace(text, end)
        if end != len(text):
            raise DecodeError("The JSON text has ended, but more follows", end)
    return value


def _skip_whitespace(text: str, position: int) -> int:
    match = _WHITESPACE.match(text, position)
    return match.end() if match else position


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEPS))

# A string, ended or not, a bracket, or a number or word. There is a match at every quote, so nothing is tried twice.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]|[\w.+-]+', re.DOTALL)


def _check_nesting(text: str, position: int) -> None:
    if text.count("[", position) + text.count("{", position) <= MAX_NESTING:
        return
    unescaped = text[position:].replace("\\\\", "").replace('\\"', "")
    outside_strings = "".join(unescaped.split('"')[::2])
    depth = 0
    for bracket in outside_strings.encode("ascii", "replace").translate(None, _NO_BRACKETS):
        depth += _STEPS[bracket]
        if depth > MAX_NESTING:
            raise DecodeError(f"The JSON text is nested deeper than {MAX_NESTING} levels", _too_deep(text, position))


def _too_deep(text: str, position: int) -> int | None:
    """Find the bracket that goes one level too deep."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        depth += _STEPS.get(ord(text[token.start()]), 0)
        if depth > MAX_NESTING:
            return token.start()
    return None  # not JSON: a backslash outside of a string, which `_check_nesting` takes for an escape


def _decode_error(error: Exception, text: str, position: int) -> DecodeError:
    if isinstance(error, json.JSONDecodeError):
        problem = error.msg.removesuffix(" at")  # some of its messages expect the place behind them
        return DecodeError(f"The JSON text is not valid: {problem[:1].lower()}{problem[1:]}", error.pos)
    if isinstance(error, StopIteration):
        return DecodeError("The JSON text is not valid: a value is missing", error.value)
    if isinstance(error, _LiteralError):
        # The parser reads from left to right, so the first literal that looks like this one is the one.
        places = (token.start() for token in _TOKEN.finditer(text, position) if token[0] == error.literal)
        return DecodeError(f"The JSON text is not valid: {error}", next(places, None))
    return DecodeError(
        "The JSON text does not fit in what the application has left of the interpreter's stack", position
    )
