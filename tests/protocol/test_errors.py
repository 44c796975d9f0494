"""The tree of errors, and what their sentences say."""

import pickle

import pytest
from trio_socketio.protocol import (
    DecodeError,
    EncodeError,
    EncodeTypeError,
    EncodeValueError,
    ProtocolError,
    SocketIOError,
    socketio,
)


def test_every_error_can_be_caught_by_the_base():
    assert issubclass(ProtocolError, SocketIOError)
    assert issubclass(DecodeError, ProtocolError)
    assert issubclass(EncodeError, ProtocolError)
    assert issubclass(EncodeValueError, (EncodeError, ValueError))
    assert issubclass(EncodeTypeError, (EncodeError, TypeError))
    assert not issubclass(DecodeError, (ValueError, TypeError))


def test_a_decode_error_says_where():
    error = DecodeError("The packet is empty", 7)
    assert str(error) == "The packet is empty at position 7"
    assert error.position == 7


def test_a_decode_error_without_a_place_is_just_the_sentence():
    error = DecodeError("The attachments are too large")
    assert str(error) == "The attachments are too large"
    assert error.position is None


def test_a_decode_error_survives_pickling():
    error = pickle.loads(pickle.dumps(DecodeError("The packet is empty", 7)))
    assert str(error) == "The packet is empty at position 7"
    assert error.position == 7


def test_the_cause_is_kept():
    with pytest.raises(DecodeError) as decoding:
        socketio.Decoder().feed('2["e",]')
    assert decoding.value.__cause__ is not None
    with pytest.raises(EncodeTypeError) as encoding:
        socketio.encode(socketio.Packet(socketio.PacketType.EVENT, data=["e", object()]))
    assert isinstance(encoding.value.__cause__, TypeError)
