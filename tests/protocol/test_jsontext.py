"""JSON text: compact and sendable one way, strict and bounded the other way."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol import DecodeError, EncodeTypeError, EncodeValueError, jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@contextmanager
def stack_left(frames):
    """Leave room for this many calls, from the caller on."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def int_digits(limit):
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(limit)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


# Encoding


@given(VALUES)
def test_what_was_encoded_is_decoded(value):
    text = jsontext.encode(value)
    text.encode()
    assert jsontext.decode(text) == value


@given(VALUES)
def test_the_text_is_what_the_standard_library_writes(value):
    expected = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert json.loads(jsontext.encode(value)) == json.loads(expected)
    if not any("\ud800" <= character <= "\udfff" for character in expected):
        assert jsontext.encode(value) == expected


@given(VALUES)
def test_the_text_is_the_same_without_the_c_encoder(value):
    text = jsontext.encode(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsontext, "_make_c_encoder", None)
        encode = jsontext.encoder(jsontext.refuse)
    assert encode(value) == text


def test_tuples_are_arrays_and_keys_are_strings():
    assert jsontext.encode(({1: (2, 3), None: True, 1.5: "ä"},)) == '[{"1":[2,3],"null":true,"1.5":"ä"}]'


def test_enums_of_numbers_are_numbers():
    class Color(IntEnum):
        RED = 1

    assert jsontext.encode([Color.RED]) == "[1]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_cannot_be_sent(value):
    with pytest.raises(EncodeValueError):
        jsontext.encode(["e", {"x": [value]}])
    with pytest.raises(EncodeValueError):
        jsontext.encode({value: 1})


@pytest.mark.parametrize(("value", "name"), [({1, 2}, "set"), (object(), "object"), (1j, "complex"), (b"", "bytes")])
def test_the_error_names_the_type_without_json_form(value, name):
    with pytest.raises(EncodeTypeError, match=rf"\b{name}\b"):
        jsontext.encode(["e", {"x": value}])


def test_keys_that_are_no_json_keys_are_refused():
    with pytest.raises(EncodeTypeError, match="tuple"):
        jsontext.encode({(1, 2): 3})


def test_circular_values_are_refused_and_leave_nothing_behind():
    circular = ["e"]
    circular.append({"again": circular})
    for _ in range(3):
        with pytest.raises(EncodeValueError, match="contains itself"):
            jsontext.encode(circular)
    del circular[1]
    assert jsontext.encode(circular) == '["e"]'


def test_a_value_nested_beyond_the_stack_is_refused():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EncodeValueError, match="too deep"):
        jsontext.encode(deep)


def test_an_integer_longer_than_the_interpreter_converts_is_refused():
    with int_digits(640), pytest.raises(EncodeValueError):
        jsontext.encode(["e", 10**700])


def test_lone_surrogates_are_escaped_and_nothing_else():
    assert jsontext.encode(["ä\ud83d\n😀", {"\udfff": 1}]) == r'["ä\ud83d\n😀",{"\udfff":1}]'
    assert jsontext.decode(jsontext.encode("\ud83d\ude00")) == "😀"  # as two halves, which JSON cannot tell from one


# Decoding


@pytest.mark.parametrize("text", ["[", "[]]", "", " ", "nul", "[1,]", "{1:2}", "'a'", "[1 2]", "\ufeff[]", '{"a":1,}'])
def test_what_is_not_json_is_refused(text):
    with pytest.raises(DecodeError):
        jsontext.decode(text)


def test_positions_count_from_the_start_of_the_frame():
    with pytest.raises(DecodeError) as caught:
        jsontext.decode('42/ns,  ["a", nul]', 6)
    assert caught.value.position == 14


def test_the_position_of_a_refused_number_is_not_that_of_the_same_text_in_a_string():
    with pytest.raises(DecodeError) as caught:
        jsontext.decode(r'["1e999","\"1e999",1e999,1e999]')
    assert caught.value.position == 19


def nested(levels, opening="[", closing="]"):
    return opening * levels + closing * levels


@pytest.mark.parametrize("prefix", ["", "42"])
def test_nesting_up_to_the_limit_is_fine_and_one_more_is_not(prefix):
    value = jsontext.decode(prefix + nested(jsontext.MAX_NESTING), len(prefix))
    for _ in range(jsontext.MAX_NESTING - 1):
        (value,) = value
    assert value == []
    with pytest.raises(DecodeError, match="deeper than 128") as caught:
        jsontext.decode(prefix + nested(jsontext.MAX_NESTING + 1), len(prefix))
    assert caught.value.position == len(prefix) + jsontext.MAX_NESTING


def test_objects_count_as_levels():
    text = '{"a":' * 128 + "[]" + "}" * 128
    with pytest.raises(DecodeError, match="deeper than 128") as caught:
        jsontext.decode(text)
    assert caught.value.position == text.index("[")


def test_brackets_in_strings_are_no_levels():
    strings = ["[" * 500, '\\"[{' * 500, "\\", '"', '\\\\"' + "{" * 500]
    assert jsontext.decode(json.dumps(strings)) == strings


def test_brackets_side_by_side_are_no_levels():
    assert jsontext.decode("[" + ",".join(["[{}]"] * 1000) + "]") == [[{}]] * 1000


@given(
    st.lists(st.sampled_from(["[", "]", "{", "}", '"', "\\", "a", ",", "\\\\", '\\"']), max_size=300),
    st.integers(100, 140),
)
def test_no_arrangement_of_quotes_and_backslashes_hides_a_level(pieces, levels):
    before = json.dumps("".join(pieces))
    deep = f"[{before},{nested(levels)}]"
    if levels + 1 > jsontext.MAX_NESTING:
        with pytest.raises(DecodeError) as caught:
            jsontext.decode(deep)
        assert caught.value.position == len(before) + 2 + jsontext.MAX_NESTING - 1
    else:
        assert jsontext.decode(deep) == json.loads(deep)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 200_000,
        '["' + '\\"' * 500_000,
        '["' + "\\" * 1_000_001,
        "[" + "[]," * 330_000,
        "[" + "9" * 1_000_000 + "]",
        "[-" + "9" * 1_000_000 + "]",
        "[1" + "0" * 1_000_000 + ".5]",
        "[" + ('"' + "9" * 400 + '",') * 2_000,
        '"' * 1_000_000,
    ],
    ids=lambda text: f"{text[:4]}...{text[-4:]}",
)
def test_a_megabyte_of_malice_is_refused_quickly(text):
    started = time.process_time()
    with pytest.raises(DecodeError):
        jsontext.decode(text)
    assert time.process_time() - started < 20, (
        "it takes some hundredths of a second; steps for each pair of characters would take hours"
    )


@pytest.mark.parametrize("digits_limit", [640, 4300, 0])
def test_long_integers_do_not_depend_on_the_limit_of_the_interpreter(digits_limit):
    longest = "9" * jsontext.MAX_INTEGER_DIGITS
    with int_digits(digits_limit):
        assert jsontext.decode(f"[{longest},-{longest}]") == [int(longest), -int(longest)]
        for text in (f"[1,{longest}0]", f"[1,-{longest}0]"):
            with pytest.raises(DecodeError, match="400 digits") as caught:
                jsontext.decode(text)
            assert caught.value.position == 3
        assert jsontext.decode(f'["{longest}0"]') == [f"{longest}0"]


@pytest.mark.parametrize("left", range(30, 230, 10))
def test_little_room_on_the_stack_is_never_more_than_a_decode_error(left):
    text = nested(jsontext.MAX_NESTING)
    result = None
    with stack_left(left):
        try:
            result = jsontext.decode(text)
        except DecodeError as error:
            result = error
    assert isinstance(result, list) or "stack" in str(result)


def test_a_raised_recursion_limit_does_not_raise_the_limit_on_nesting():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000_000)
    try:
        with pytest.raises(DecodeError, match="deeper"):
            jsontext.decode(nested(500_000))
    finally:
        sys.setrecursionlimit(before)


def test_threads_do_not_disturb_one_another():
    def work(number):
        value = ["e", {"key": [number, 1.5, "ä"] * 50, "n": {str(number): number}}]
        return all(jsontext.decode(jsontext.encode(value)) == value for _ in range(200))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(16)))


def test_text_that_is_no_json_may_be_too_deep_at_no_place_in_particular():
    with pytest.raises(DecodeError, match="nested deeper") as caught:
        jsontext.decode('[\\"' + "[" * 300)
    assert caught.value.position is None
