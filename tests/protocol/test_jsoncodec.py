"""Other JSON libraries behave as the standard one does."""

import array
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import subprocess
import sys
import types
import typing
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from trio_socketio.protocol import DecodeError, EncodeTypeError, EncodeValueError, jsontext, socketio
from trio_socketio.protocol.jsoncodec import STANDARD, json_codec
from trio_socketio.protocol.socketio import Decoder, Packet, PacketType

orjson = pytest.importorskip("orjson")
msgspec = pytest.importorskip("msgspec")

LIBRARY = types.SimpleNamespace(dumps=json.dumps, loads=json.loads)
CODECS = {"orjson": json_codec("orjson"), "msgspec": json_codec("msgspec"), "an object": json_codec(LIBRARY)}

each_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())


def outcome(function, *arguments):
    """Return the result of a call, or the class and the sentence of its error."""
    try:
        return function(*arguments)
    except (DecodeError, EncodeTypeError, EncodeValueError) as error:
        return type(error), str(error)


def typed(value):
    """Return a value that differs where ``==`` sees no difference: 1, 1.0 and True, 0.0 and -0.0, the order of keys."""
    if isinstance(value, dict):
        return ["dict", *((key, typed(item)) for key, item in value.items())]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(typed, value)]
    return type(value).__name__, repr(value)


def parsed(result):
    """Return what encoding came to, with the value for its text: floats may be written in several ways."""
    if isinstance(result[0], str):
        text, attachments = result
        text.encode()
        return typed(jsontext.decode(text)), attachments
    return result


class Word(enum.StrEnum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


class Choice(enum.Enum):
    ONE = 1


class Flags(enum.Flag):
    ONE = 1


@dataclasses.dataclass
class Record:
    a: int = 1


class Point(typing.NamedTuple):
    x: int = 1


class Struct(msgspec.Struct):
    a: int = 1


class Text(str):
    __slots__ = ()


class Integer(int):
    pass


class Float(float):
    pass


class List(list):
    pass


class Dict(dict):
    pass


class Octets(bytes):
    pass


class Tuple(tuple):
    __slots__ = ()


class Buffer(bytearray):
    pass


class TextChoice(str, enum.Enum):  # noqa: UP042 - there are such classes, and they are another kind
    A = "a"


class IntegerChoice(int, enum.Enum):
    ONE = 1


class FloatChoice(float, enum.Enum):
    HALF = 0.5
    NOTHING = math.nan


class OctetsChoice(bytes, enum.Enum):
    A = b"a"


class BufferChoice(Buffer, enum.Enum):
    __hash__ = object.__hash__
    A = 2


class NamedOctets(bytes, enum.Enum):
    """Members whose values are JSON, whatever they are themselves."""

    __repr__ = object.__repr__

    def __new__(cls, octets, value):
        member = bytes.__new__(cls, octets)
        member._value_ = value
        return member

    TEXT = (b"t", "text")
    LIST = (b"l", [1, None])
    INFINITE = (b"i", math.inf)


class TupleChoice(tuple, enum.Enum):
    __slots__ = ()

    A = (1, 2)


class Whole(enum.IntFlag):
    ONE = 1
    TWO = 2


KINDS = [
    *(*TextChoice, *IntegerChoice, *FloatChoice, *OctetsChoice, *BufferChoice, *NamedOctets, *TupleChoice),
    *(Whole.ONE, Whole.ONE | Whole.TWO, Octets(b"x"), Buffer(b"x"), Tuple((1, 2)), array.array("i", [1, 2])),
    *({TextChoice.A: 1}, {IntegerChoice.ONE: 1}, {FloatChoice.HALF: 1}, {FloatChoice.NOTHING: 1}, {OctetsChoice.A: 1}),
    *({Octets(b"x"): 1}, {Tuple((1,)): 1}, {TupleChoice.A: 1}, {dt.date(2020, 1, 1): 1}, {Text("a"): 1}),
    *(memoryview(b"abc").cast("c"), memoryview(b"abc")[::2], {b"x"}, frozenset({1}), [set()]),
]
"""Kinds of what JSON knows, and their members."""
STRANGE = [
    *KINDS,
    *(Word.A, Number.ONE, Choice.ONE, Flags.ONE, Record(), Record, Point(), Struct(), msgspec.UNSET),
    *(msgspec.Raw(b"1"), orjson.Fragment(b"1"), uuid.UUID(int=1), decimal.Decimal("1.5"), 1j, object(), Ellipsis),
    *(
        dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        dt.date(2020, 1, 1),
        dt.time(1),
        dt.timedelta(1),
    ),
    *(
        Text("a"),
        Integer(1),
        Float(1.5),
        Float("nan"),
        List([1]),
        Dict(a=1),
        {1},
        frozenset(),
        range(3),
        iter([]),
        b"x".hex,
    ),
    *(
        {1: 2},
        {None: 1},
        {True: 1},
        {1.5: 1},
        {math.nan: 1},
        {Word.A: 1},
        {Number.ONE: 1},
        {(): 1},
        {b"a": 1},
        {uuid.UUID(int=1): 1},
    ),
    *(
        b"x",
        bytearray(b"x"),
        memoryview(b"x"),
        {"_placeholder": True, "num": 0},
        types.SimpleNamespace(),
        compile("1", "", "eval"),
    ),
]
EXTREMES = [
    *(0.0, -0.0, 5e-324, 1e16, 1e22, 1e-7, 1.7976931348623157e308, math.nan, math.inf, -math.inf),
    *(
        2**53,
        2**63,
        2**64,
        -(2**63),
        -(2**63) - 1,
        10**18,
        10**19,
        10**30,
        -1,
        "null",
        "NaN",
        "\x7f\xff",
        "\ud800",
        "\x00",
    ),
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(EXTREMES)


def values(leaves):
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.just("\ud800"), inner)
        ),
        max_leaves=15,
    )


# Encoding


@each_codec
@given(value=st.lists(values(LEAVES)))
@example(value=[None, math.nan])
@example(value=["null", -math.inf, {"null": None}])
def test_a_value_is_encoded_as_the_standard_codec_encodes_it(codec, value):
    assert parsed(outcome(codec.encode, value)) == parsed(outcome(STANDARD.encode, value))


@each_codec
@given(value=st.lists(values(LEAVES | st.sampled_from(STRANGE)), min_size=1))
def test_what_is_no_json_value_is_treated_as_the_standard_codec_treats_it(codec, value):
    assert parsed(outcome(codec.encode, value)) == parsed(outcome(STANDARD.encode, value))


@each_codec
@pytest.mark.parametrize("strange", [*STRANGE, *EXTREMES], ids=lambda value: f"{type(value).__name__}-{value!r:.30}")
def test_every_strange_value_is_treated_as_the_standard_codec_treats_it(codec, strange):
    for value in ([strange], ["e", None, {"key": [strange]}], ("e", strange)):
        assert parsed(outcome(codec.encode, value)) == parsed(outcome(STANDARD.encode, value))


@each_codec
@given(value=st.lists(values(st.none() | st.booleans() | st.integers() | st.text())))
def test_without_floats_the_text_is_the_same(codec, value):
    if codec is not CODECS["an object"]:  # it writes ASCII and spaces
        assert outcome(codec.encode, value) == outcome(STANDARD.encode, value)


@each_codec
def test_circular_and_deep_values_are_refused(codec):
    circular = ["e"]
    circular.append({"again": circular})
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (circular, deep):
        with pytest.raises(EncodeValueError, match="contains itself"):
            codec.encode(value)


@each_codec
def test_a_value_nested_as_deep_as_the_standard_codec_can_is_encoded(codec):
    deep = []
    for _ in range(500):
        deep = [deep]
    assert codec.encode([deep, b""]) == STANDARD.encode([deep, b""])
    assert codec.encode([deep]) == STANDARD.encode([deep])


# Decoding

JSON_TEXT = st.text(st.sampled_from('[]{}",:\\ \n0123456789.eE+-tfnaulrsNIy\ud800é\x00'), max_size=60)
LITERALS = st.sampled_from(
    [
        *(
            "-0",
            "-0.0",
            "0e5",
            "1e999",
            "-1e999",
            "1E999",
            "1e-999",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e5",
            "01",
            "1.",
            ".5",
            "-",
        ),
        *(
            "9" * 17,
            "9" * 18,
            "9" * 19,
            "-" + "9" * 19,
            str(2**64),
            "9" * 20,
            "9" * 400,
            "9" * 401,
            "9" * 310 + ".0",
            "9" * 401 + ".0",
        ),
        *("1" * 309 + "e-5", "4.9e-324", "2.4703282292062328e-324", "1.7976931348623159e308", "0." + "0" * 400 + "1"),
        *(
            r'"\ud800"',
            '"\ud800"',
            r'"\ud83d\ude00"',
            r'"\ude00\ud83d"',
            r'"\x"',
            r'"\u12"',
            '"\x1f"',
            '"\x7f"',
            '"\u2028"',
            '"',
            "'a'",
        ),
        *(
            '{"a":1,"b":2,"a":3}',
            "{1:2}",
            "[1,]",
            '{"a":1,}',
            "tru",
            "null",
            "[[]]",
            "\ufeff",
            "٣",
            "\x00",
            "// a",
            "1 2",
        ),
        *('"' + "9" * 500 + '"', '"1e999 NaN"'),
    ]
)
PADDING = " " + json.dumps({"x": "x" * 100}) + ","
"""Makes a text worth a library."""


def agree(codec, text):
    for attempt in (text, f"[{PADDING}{text}]", f'["e",{PADDING}{{"key":[{text}, {text}]}}]', f"[{PADDING}1]{text}"):
        assert typed(outcome(codec.decode, attempt, 0)) == typed(outcome(STANDARD.decode, attempt, 0))
        frame = f"42/ns,17{attempt}"
        assert typed(outcome(codec.decode, frame, 8)) == typed(outcome(STANDARD.decode, frame, 8))


@each_codec
@given(text=JSON_TEXT | st.lists(LITERALS, min_size=1, max_size=3).map(",".join))
def test_any_text_is_decoded_as_the_standard_codec_decodes_it(codec, text):
    agree(codec, text)


@each_codec
@given(value=values(LEAVES))
def test_what_was_encoded_is_decoded_as_the_standard_codec_decodes_it(codec, value):
    agree(codec, json.dumps(value))
    agree(codec, json.dumps(value, ensure_ascii=False, indent=1))


@each_codec
@pytest.mark.parametrize("padding", range(20))
@pytest.mark.parametrize("digits", [17, 18, 19, 20, 38, 400, 401])
def test_integers_survive_wherever_they_stand(codec, padding, digits):
    agree(codec, f"[{' ' * padding}-{'9' * digits}]")
    agree(codec, f"[{' ' * padding}{'9' * digits}]")


@each_codec
@pytest.mark.parametrize("levels", [127, 128, 129, 500, 100_000])
def test_nesting_has_the_same_limit(codec, levels):
    for text in ("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels, "[" * levels):
        assert outcome(codec.decode, text, 0) == outcome(STANDARD.decode, text, 0)


# Choosing


def test_a_codec_is_chosen_by_name_or_by_module():
    assert json_codec("json") is json_codec(json) is STANDARD
    for name, module in (("orjson", orjson), ("msgspec", msgspec.json)):
        for chosen in (json_codec(name), json_codec(module)):
            assert chosen is not STANDARD
            assert chosen.encode([1.5, {"a": b""}]) == STANDARD.encode([1.5, {"a": b""}])


def test_what_names_no_library_is_refused():
    with pytest.raises(ValueError, match="'json', 'orjson', 'msgspec' or an object, not 'ujson'"):
        json_codec("ujson")
    for wrong in (None, 5, object(), types.SimpleNamespace(dumps=json.dumps), types.SimpleNamespace(dumps=1, loads=2)):
        with pytest.raises(TypeError, match="dumps and loads"):
            json_codec(wrong)


@pytest.mark.parametrize("name", ["orjson", "msgspec"])
def test_the_error_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, f"{name}.json", None)
    with pytest.raises(ImportError, match=rf"pip install 'trio-socketio\[{name}\]'") as caught:
        json_codec(name)
    assert caught.value.name == name


def test_nothing_is_imported_that_was_not_asked_for():
    code = "import sys, trio_socketio; sys.exit(bool({'orjson', 'msgspec'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Broken:
    """Fails at everything, or returns what is no text."""

    def __init__(self, result):
        self.result = result

    def dumps(self, value):
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def loads(self, text):
        raise RuntimeError("out of order")


@pytest.mark.parametrize(
    "result", [RuntimeError(), RecursionError(), MemoryError(), None, 5, b"\xff", bytearray(b"[]")]
)
def test_a_library_that_fails_is_replaced_by_the_standard_one(result):
    codec = json_codec(Broken(result))
    text = '["e",' + PADDING + "1]"
    assert codec.encode(["e", 1]) == ('["e",1]', ())
    assert codec.decode(text, 0) == json.loads(text)
    with pytest.raises(EncodeTypeError, match="object"):
        codec.encode([object()])
    with pytest.raises(DecodeError):
        codec.decode(text[:-1], 0)


def test_an_object_is_given_nothing_that_libraries_differ_about():
    class Recorder:
        def __init__(self):
            self.seen = []

        def dumps(self, value):
            self.seen.append(value)
            return json.dumps(value)

        def loads(self, text):
            self.seen.append(text)
            return json.loads(text)

    recorder = Recorder()
    codec = json_codec(recorder)
    for strange in (*STRANGE, math.nan, math.inf):
        outcome(codec.encode, ["e", {"key": [strange]}])
    assert recorder.seen == [["e", {"key": [{"_placeholder": True, "num": 0}]}]]
    recorder.seen.clear()
    for literal in ("9" * 19, "1e5", "1E5", "NaN", "-Infinity", "[" * 129 + "]" * 129):
        outcome(codec.decode, f"[{PADDING}{literal}]", 0)
    assert recorder.seen == []
    codec.encode(["e", {"key": [1, 1.5, None, True, "é"]}])
    codec.decode(f"[{PADDING}1.5]", 0)
    assert len(recorder.seen) == 2


# In packets


@each_codec
def test_packets_are_encoded_and_decoded_with_it(codec):
    data = ["e", {"key": [1.5, None, "é" * 100], "more": [{"n": number} for number in range(20)]}]
    packet = Packet(PacketType.EVENT, "/a", data, 5)
    frames = socketio.encode(packet)
    for made in (
        socketio.encode(packet, codec),
        socketio.encode_event("/a", "e", data[1:], 5, codec),
        socketio.Template.of(Packet(PacketType.EVENT, "/a", data), codec).frames(5),
    ):
        assert Decoder(json=codec).feed(made[0]) == Decoder().feed(made[0]) == packet
        assert codec is CODECS["an object"] or made == frames
    (acknowledgement,) = socketio.encode_ack("/", 5, data[1:], codec)
    assert Decoder(json=codec).feed(acknowledgement).data == data[1:]


@each_codec
def test_attachments_travel_as_ever(codec):
    data = ["e", {"key": [b"1" * 200, {"more": bytearray(b"2")}]}, memoryview(b"3")]
    frames = socketio.encode_event("/", "e", data[1:], None, codec)
    assert frames == socketio.encode_event("/", "e", data[1:])
    decoder = Decoder(json=codec)
    assert [decoder.feed(frame) for frame in frames][-1].data == ["e", {"key": [b"1" * 200, {"more": b"2"}]}, b"3"]


@each_codec
def test_what_is_no_array_is_left_to_the_standard_codec(codec):
    for value in ({"a": [1, None]}, "text", 1):
        assert codec.encode(value) == STANDARD.encode(value)
