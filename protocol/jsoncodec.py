"""Which library makes JSON text of payloads and reads it: the standard one, or a faster one with the same behaviour.

A `JSONCodec` is what `socketio.encode` and the `Decoder` work with; `json_codec` makes one from the option that an
application gives. What is on the wire, and which error is raised, do not depend on the choice: a library gets only
values and texts of which it is known to make what the standard codec makes, up to the form of floats (``1e16`` and
``1e+16`` are one number). Everything else goes to the standard codec, and so does what the library refuses, so that
every error is raised by the same code. What the libraries would otherwise do differently:

- orjson writes null for NaN and infinity, and members of enums, UUIDs and its own fragments as if they were JSON; it reads
  integers of more than 64 bits as floats.
- msgspec writes bytes as base64, null for NaN and infinity, and dates, decimals, sets and structs as if they were JSON; it
  reads integers of any length.
- Both bound nesting differently, and refuse lone surrogates, which JavaScript sends.
"""

import marshal
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from trio_socketio.protocol import binary, jsontext
from trio_socketio.protocol.jsontext import JSON

Encode = Callable[[JSON], tuple[str, tuple[bytes, ...]]]
Decode = Callable[[str, int], JSON]


@dataclass(frozen=True, slots=True)
class JSONCodec:
    """How the payloads of events and acknowledgements become text, and back."""

    encode: Encode
    """Takes a value; returns its JSON text and the attachments. Raises as `binary.encode`."""
    decode: Decode
    """Takes a frame and the position of the JSON text in it; returns the value. Raises as `jsontext.decode`."""


STANDARD = JSONCodec(binary.encode, jsontext.decode)
"""The standard library's `json`."""


class JSONLibrary(Protocol):
    """A JSON library of the application's choice: a module or another object with these two functions.

    Whatever they raise, the standard codec has the last word. They are spared what libraries differ about: ``dumps`` gets
    nothing but lists, tuples, dicts with strings as keys, strings, integers, finite floats, booleans and None, no
    subclasses of these; ``loads`` gets no text with ``NaN``, ``Infinity``, exponents, long integers or too deep nesting.
    """

    def dumps(self, value: Any, /) -> str | bytes:
        """Return the JSON text of a value, without needless whitespace; bytes are UTF-8."""
        ...

    def loads(self, text: str, /) -> Any:
        """Return the value of a JSON text as `json.loads` does; raise whatever exception if RFC 8259 forbids it."""
        ...


def json_codec(library: str | JSONLibrary) -> JSONCodec:
    """Return the codec that an option stands for.

    Args:
        library: ``"json"``, ``"orjson"`` or ``"msgspec"``, or the module (``json``, ``orjson``, ``msgspec.json``);
            any other `JSONLibrary`.

    Raises:
        ImportError: The library is not installed.
        ValueError: No library has that name.
        TypeError: It is neither a name nor an object with ``dumps`` and ``loads``.
    """
    name = library.__name__.partition(".")[0] if isinstance(library, ModuleType) else library
    make = _KNOWN.get(name) if isinstance(name, str) else None
    if make is not None:
        return make()
    if isinstance(library, str):
        raise ValueError(f"json is one of {', '.join(map(repr, _KNOWN))} or an object, not {library!r:.100}")  # noqa: TRY004
    if not all(callable(getattr(library, function, None)) for function in ("dumps", "loads")):
        raise TypeError(f"json is the name of a library or an object with dumps and loads, not {library!r:.100}")
    return JSONCodec(_encode_with(_dump_plain(library.dumps)), _decode_with(library.loads, _differs_between_libraries))


def _import(module: str) -> Any:
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        needs = f"json={package!r} needs the package {package}: pip install 'trio-socketio[{package}]'"
        raise ImportError(needs, name=package) from error


def _orjson() -> JSONCodec:
    orjson = _import("orjson")
    option = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
    dumps = orjson.dumps

    def dump(value: JSON) -> bytes | None:
        packed = marshal.dumps(value, _MARSHAL_VERSION)
        if _SHARED_BUFFER in packed and not _is_plain(value):
            return None
        text: bytes = dumps(value, None, option)
        if (0x7F in packed or 0xFF in packed) and b"null" in text and _infinity(packed) is not None:
            return None
        return text

    return JSONCodec(_encode_with(dump), _decode_with(orjson.loads, _may_exceed_64_bits))


def _msgspec() -> JSONCodec:
    msgspec = _import("msgspec.json")
    return JSONCodec(
        _encode_with(_dump_plain(msgspec.Encoder().encode)),
        _decode_with(msgspec.Decoder().decode, jsontext.may_hold_long_integer),
    )


_KNOWN: dict[str, Callable[[], JSONCodec]] = {"json": lambda: STANDARD, "orjson": _orjson, "msgspec": _msgspec}

# Encoding ------------------------------------------------------------------------------------------------------------

_Dump = Callable[[JSON], str | bytes | None]
"""Makes JSON text of a value, or returns None or raises any exception if the standard codec should."""


def _encode_with(dump: _Dump) -> Encode:
    def encode(value: JSON) -> tuple[str, tuple[bytes, ...]]:
        text: str | bytes | None
        try:
            text = dump(value)
            if isinstance(text, bytes):
                return text.decode(), ()
        except Exception:  # noqa: BLE001 - a foreign library's; if the value is at fault, the standard codec says so
            text = None
        if isinstance(text, str):
            return text if text.isascii() else jsontext.escape_lone_surrogates(text), ()
        return binary.encode(value)

    return encode


# What `marshal` writes tells whether orjson may be trusted with a value. It knows the built-in types and nothing else, no
# subclasses, and raises for all that orjson would write beyond them; it takes a third of the time of a look at each value
# from Python. A double is in there as "g", with or without the highest bit, and eight bytes, the least significant one
# first. In NaN and infinity all bits of the exponent are set. What looks like one may be part of something else.
#
# One thing it does not tell: whatever has a buffer is written like bytes. orjson refuses all of these but a member of an enum, of
# which it writes the value. There is such a member once in its class and once in the data, so it is written with the highest
# bit set, as everything that may be written again.
_MARSHAL_VERSION = 4
_SHARED_BUFFER = ord("s") | 0x80
_infinity = re.compile(rb"[g\xe7].{6}[\xf0-\xff][\x7f\xff]", re.DOTALL).search

_ATOMS = frozenset({str, int, bool, type(None)})
_CONTAINERS = frozenset({list, tuple, dict})
_MAX_CONTAINERS = 100_000
"""A value that contains itself never comes to an end."""


def _dump_plain(dumps: Callable[[JSON], str | bytes]) -> _Dump:
    return lambda value: dumps(value) if _is_plain(value) else None


def _is_plain(value: JSON) -> bool:
    """Whether an array consists of what JSON knows: built-in types, no subclasses, strings as keys, finite numbers."""
    if type(value) is not list and type(value) is not tuple:
        return False
    containers: list[JSON] = [value]
    for container in containers:
        if type(container) is dict:
            for key in container:
                if type(key) is not str:
                    return False
            items = container.values()
        else:
            items = container
        for item in items:
            kind = type(item)
            if kind in _ATOMS:
                continue
            if kind in _CONTAINERS:
                containers.append(item)
            elif kind is not float or item - item != 0:  # infinity minus itself is not a number
                return False
        if len(containers) > _MAX_CONTAINERS:
            return False
    return True


# Decoding ------------------------------------------------------------------------------------------------------------

_WORTHWHILE = 96
"""Characters of a text from which on a library saves more time than the checks take, unless it is one flat array."""


def _decode_with(loads: Callable[[str], JSON], differs: Callable[[str, int], bool]) -> Decode:
    def decode(text: str, position: int) -> JSON:
        length = len(text) - position
        if length < _WORTHWHILE or not ("{" in text or text.find("[", position + 1) >= 0):
            return jsontext.decode(text, position)
        if length > jsontext.SHORT:
            jsontext.check_nesting(text, position)
        try:
            if not differs(text, position):
                return loads(text[position:])
        except Exception:  # noqa: BLE001, S110 - a foreign library's; if the text is at fault, the standard codec says so
            pass
        return jsontext.decode(text, position)

    return decode


_SAME_DIGIT = bytes.maketrans(b"123456789", b"000000000")
_SAME_EXPONENT = bytes.maketrans(b"123456789E", b"000000000e")
_LONG = b"0" * 19
"""Digits of the shortest integers that do not fit in 64 bits."""


def _may_exceed_64_bits(text: str, position: int) -> bool:
    """Whether there are so many digits in a row. Three neighbours of every sixth character would be among them."""
    if b"000" not in text[position :: len(_LONG) // 3].encode().translate(_SAME_DIGIT):
        return False
    return _LONG in text.encode().translate(_SAME_DIGIT)


def _differs_between_libraries(text: str, position: int) -> bool:  # noqa: ARG001 - the head of the frame does no harm
    octets = text.encode().translate(_SAME_EXPONENT)
    return _LONG in octets or b"0e" in octets or b"NaN" in octets or b"Infinity" in octets
