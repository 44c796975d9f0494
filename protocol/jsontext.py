"""The JSON text inside packets: compact and always sendable one way, strict and bounded the other way.

Encoding keeps one C encoder per purpose, because `json.dumps` builds a new one on every call. What leaves is always
valid UTF-8: lone surrogates are escaped, as JavaScript's ``JSON.stringify`` does, rather than failing at the socket.

Decoding must survive any text of a hostile peer, and must not behave differently when an application has raised the
interpreter's recursion limit or changed its limit on integer digits. What a C parser does not bound is bounded here:

- Nesting is measured *before* parsing, unless the text is too short to have too many levels and close them. Most texts
  hold fewer brackets than the limit, which two counts prove. For the others, the text outside of strings is cut out
  with `str.replace` and `str.split` and only its brackets are looked at: a few linear passes at the speed of C, where a
  regular expression takes several times as long.
- Integers go through a hook that looks at their length first; texts that surely hold no long one are spared the hook.

Only text that is all right takes the short way through `decode`. For any other it is parsed anew, by code that knows
how to say what is wrong.

The measure may be wrong about text that is not JSON (a backslash outside of a string), but only from the place on
where the parser stops anyway.

Calls share nothing but encoders and scanners, whose results do not depend on one another, so threads may use it freely.
"""

import json
import json.encoder
import json.scanner
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
        return text if text.isascii() else escape_lone_surrogates(text)

    return encode


def refuse(value: Any) -> NoReturn:
    """Be the `default` of an encoder that knows nothing but JSON."""
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


encode = encoder(refuse)
"""Turn a value without binary data into JSON text."""

_NO_ESCAPE = bytes(ord("?") if byte < ord(" ") or byte in b'"\\' else byte for byte in range(256))
"""Changes every byte of UTF-8 text that JSON escapes, and no other."""

quote_short = json.encoder.encode_basestring
"""Return the JSON text of a string that has no lone surrogates; faster than `quote` for up to some 30 characters."""


def quote(text: str) -> str:
    """Return the JSON text of a string: what `encode` returns, for a long one in a third of its time.

    The C encoder looks at each character three times, whatever there is to escape. Usually there is nothing.
    """
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        return encode(text)
    if octets.translate(_NO_ESCAPE) == octets:
        return f'"{text}"'
    return quote_short(text)


def _encode_error(error: Exception) -> EncodeError:
    if isinstance(error, TypeError):
        return EncodeTypeError(f"The value cannot be sent: {error}")
    if isinstance(error, RecursionError):
        return EncodeValueError("The value cannot be sent: it contains itself, or is nested too deep")
    return EncodeValueError(f"The value cannot be sent: {error}")


def escape_lone_surrogates(text: str) -> str:
    """Return JSON text that UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:  # in JSON text only strings can hold them, so an escape is right wherever they stand
        return LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text


# Decoding ------------------------------------------------------------------------------------------------------------


class _LiteralError(ValueError):
    """A number or a word that the grammar or a limit forbids; the hooks of the parser do not learn where it stands."""

    def __init__(self, literal: str, why: str, limit: str | None = None) -> None:
        super().__init__(why)
        self.literal = literal
        self.limit = limit


_INFINITY = float("inf")


def _float(literal: str) -> float:
    value = float(literal)
    if -_INFINITY < value < _INFINITY:
        return value
    raise _LiteralError(literal, "a number is too large for a double")


def _bounded_int(literal: str) -> int:
    if len(literal) > MAX_INTEGER_DIGITS and len(literal.removeprefix("-")) > MAX_INTEGER_DIGITS:
        raise _LiteralError(literal, f"an integer has more than {MAX_INTEGER_DIGITS} digits", "json_integer_digits")
    return int(literal)


def _no_constant(literal: str) -> NoReturn:
    raise _LiteralError(literal, f"{literal} is not JSON")


def _scanner(parse_int: Callable[[str], int]) -> Callable[[str, int], tuple[JSON, int]]:
    hooks = json.JSONDecoder(parse_float=_float, parse_int=parse_int, parse_constant=_no_constant)
    # It is made from a decoder; typeshed says from a scanner.
    return json.scanner.make_scanner(hooks)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


SHORT = 2 * MAX_NESTING + 1
"""Characters that have no room for too many levels, each of which is opened and closed, nor for too long an integer."""

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
    if length > SHORT:
        if "{" in text or text.find("[", position + 1) >= 0:  # many times as fast as counting them
            check_nesting(text, position)
            if length > MAX_INTEGER_DIGITS and may_hold_long_integer(text, position):
                scan = _scan_long
        elif length > MAX_INTEGER_DIGITS:
            scan = _scan_long
    try:
        value, end = scan(text, position)
    except (StopIteration, ValueError, RecursionError):
        pass
    else:
        if end == len(text):
            return value
    return _decode_carefully(text, position)


_ten_digits = re.compile("[0-9]{10}").search
_SAME_DIGIT = bytes.maketrans(b"123456789", b"000000000")
_TOO_LONG = b"0" * (MAX_INTEGER_DIGITS + 1)


def may_hold_long_integer(text: str, position: int) -> bool:
    """Whether there are so many digits in a row.

    Ten neighbours of every 37th character would be among them, which is found out fast. It is a prime number, so that
    rows of equally long numbers show all their characters.
    """
    if _ten_digits(text[position::37]) is None:
        return False
    return _TOO_LONG in text.encode("ascii", "replace").translate(_SAME_DIGIT)


def _decode_carefully(text: str, position: int) -> JSON:
    """Parse text that is no JSON, or is surrounded by whitespace."""
    if len(text) <= position:
        raise DecodeError("The frame ends where JSON text must follow", position)
    check_nesting(text, position)
    position = _skip_whitespace(text, position)
    try:
        value, end = _scan_long(text, position)
    except (StopIteration, ValueError, RecursionError) as error:
        raise _decode_error(error, text, position) from error
    end = _skip_whitespace(text, end)
    if end != len(text):
        raise DecodeError("The JSON text has ended, but more follows", end)
    return value


def _skip_whitespace(text: str, position: int) -> int:
    match = _WHITESPACE.match(text, position)
    return match.end() if match else position


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NEITHER = bytes(set(range(256)) - set(b'[]{}"'))

# A string, ended or not, a bracket, or a number or word. There is a match at every quote, so nothing is tried twice.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]|[\w.+-]+', re.DOTALL)


_USUAL_NESTING = 8
"""Levels up to which pairs of brackets are taken away, from the inside out. It is fast, but not for a thousand levels."""


def check_nesting(text: str, position: int) -> None:
    """Raise `DecodeError` if the text, from a position on, has more levels of arrays and objects than it may."""
    if text.count("[", position) + text.count("{", position) <= MAX_NESTING:
        return
    rest = text[position:]
    if "\\" in rest:
        rest = rest.replace("\\\\", "").replace('\\"', "")
    # What stands behind an even number of quotes is outside of strings, and stays so if two neighbours are taken away.
    brackets = rest.encode("ascii", "replace").translate(_ONE_KIND, _NEITHER).replace(b'""', b"")
    if b'"' in brackets:
        brackets = b"".join(brackets.split(b'"')[::2])
    pairs = brackets
    for _ in range(_USUAL_NESTING):
        pairs = pairs.replace(b"[]", b"")
    if not pairs:
        return
    depth = 0
    for bracket in brackets:
        depth += _STEPS[bracket]
        if depth > MAX_NESTING:
            detail = f"The JSON text is nested deeper than {MAX_NESTING} levels"
            raise DecodeError(detail, _too_deep(text, position), "json_nesting")


def _too_deep(text: str, position: int) -> int | None:
    """Find the bracket that goes one level too deep."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        depth += _STEPS.get(ord(text[token.start()]), 0)
        if depth > MAX_NESTING:
            return token.start()
    return None  # not JSON: a backslash outside of a string, which `check_nesting` takes for an escape


def _decode_error(error: Exception, text: str, position: int) -> DecodeError:
    if isinstance(error, json.JSONDecodeError):
        problem = error.msg.removesuffix(" at")  # some of its messages expect the place behind them
        return DecodeError(f"The JSON text is not valid: {problem[:1].lower()}{problem[1:]}", error.pos)
    if isinstance(error, StopIteration):
        return DecodeError("The JSON text is not valid: a value is missing", error.value)
    if isinstance(error, _LiteralError):
        # The parser reads from left to right, so the first literal that looks like this one is the one.
        places = (token.start() for token in _TOKEN.finditer(text, position) if token[0] == error.literal)
        return DecodeError(f"The JSON text is not valid: {error}", next(places, None), error.limit)
    return DecodeError(
        "The JSON text does not fit in what the application has left of the interpreter's stack", position
    )
