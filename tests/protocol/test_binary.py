"""Placeholders and attachments."""

import pytest
from trio_socketio.protocol import DecodeError, EncodeTypeError, EncodeValueError, binary


def test_binary_data_leaves_placeholders_in_order():
    text, attachments = binary.encode([b"a", {"x": (bytearray(b"b"), [memoryview(b"c")])}, b"a"])
    assert text == (
        '[{"_placeholder":true,"num":0},{"x":[{"_placeholder":true,"num":1},[{"_placeholder":true,"num":2}]]},'
        '{"_placeholder":true,"num":3}]'
    )
    assert attachments == (b"a", b"b", b"c", b"a")
    assert {type(attachment) for attachment in attachments} == {bytes}


def test_any_memoryview_is_its_bytes():
    assert binary.encode([memoryview(b"abcdef")[::2]])[1] == (b"ace",)
    assert binary.encode([memoryview(b"\x01\x02\x03\x04").cast("H")])[1] == (b"\x01\x02\x03\x04",)


def test_a_released_memoryview_cannot_be_sent():
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(EncodeValueError):
        binary.encode([view])


def test_bytes_cannot_be_keys():
    with pytest.raises(EncodeTypeError):
        binary.encode({b"key": 1})


def test_other_objects_beside_bytes_are_refused():
    with pytest.raises(EncodeTypeError, match="set"):
        binary.encode([b"", {1}])


@pytest.mark.parametrize(
    "lookalike",
    [
        {"_placeholder": True, "num": 0},
        {"_placeholder": True},
        {"num": 0, "_placeholder": True},
        {"a": [{"_placeholder": True}]},
    ],
)
def test_a_lookalike_of_a_placeholder_cannot_be_sent_beside_binary_data(lookalike):
    assert binary.encode([lookalike])[1] == ()
    with pytest.raises(EncodeValueError, match="_placeholder"):
        binary.encode([b"", lookalike])


@pytest.mark.parametrize(
    "harmless",
    [
        {"_placeholder": False},
        {"_placeholder": 1},
        {"_placeholder": "true"},
        {'x"_placeholder': True},
        {'{"_placeholder': True},
        {"\\": 1, "x_placeholder": True},
        '{"_placeholder":true',
        ',"_placeholder":true',
        '\\,"_placeholder":true',
        ["_placeholder", True],
    ],
)
def test_what_only_resembles_a_lookalike_can_be_sent(harmless):
    _, attachments = binary.encode([b"x", harmless])
    assert attachments == (b"x",)


def test_placeholders_are_found_and_filled_in_place():
    data = ["e", {"_placeholder": True, "num": 1}, {"k": [{"_placeholder": True, "num": 0}]}]
    slots = binary.find(data, 2)
    binary.fill(slots, [b"zero", b"one"])
    assert data == ["e", b"one", {"k": [b"zero"]}]


def test_a_placeholder_for_nothing_is_refused_with_the_position():
    with pytest.raises(DecodeError, match="1 attachment is announced at position 3"):
        binary.find([{"_placeholder": True, "num": 1}], 1, 3)
