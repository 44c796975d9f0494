"""The table of wire vectors, both ways."""

import json
from pathlib import Path

import pytest
from trio_socketio.protocol import DecodeError, engineio, socketio


def _from_table(value):
    """Replace what stands for bytes in the table."""
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return bytes.fromhex(value["$bytes"])
        return {key: _from_table(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_table(item) for item in value]
    return value


TABLE = _from_table(json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8")))
SOCKETIO, ENGINEIO = TABLE["socketio"], TABLE["engineio"]


def _names(vectors):
    return [vector["name"].replace(" ", "-") for vector in vectors]


def _socketio_packet(fields):
    return socketio.Packet(**{**fields, "type": socketio.PacketType[fields["type"]]})


def _engineio_packet(fields):
    return engineio.Packet(engineio.PacketType[fields[0]], fields[1])


def _feed_all(decoder, frames):
    *first, last = [decoder.feed(frame) for frame in frames]
    assert first == [None] * len(first)
    return last


def test_the_table_has_what_it_is_for():
    assert len(SOCKETIO["valid"]) + len(SOCKETIO["invalid"]) >= 60
    assert {vector["packet"]["type"] for vector in SOCKETIO["valid"]} == set(socketio.PacketType.__members__)
    for vectors in SOCKETIO.values():
        assert len(set(_names(vectors))) == len(vectors)


@pytest.mark.parametrize("vector", SOCKETIO["valid"], ids=_names(SOCKETIO["valid"]))
def test_valid_frames_are_decoded(vector):
    decoder = socketio.Decoder()
    assert _feed_all(decoder, vector["frames"]) == _socketio_packet(vector["packet"])
    assert not decoder.pending


@pytest.mark.parametrize("vector", [vector for vector in SOCKETIO["valid"] if not vector.get("one_way")])
def test_packets_are_encoded_as_the_table_says(vector):
    packet = _socketio_packet(vector["packet"])
    assert socketio.encode(packet) == vector["frames"]


@pytest.mark.parametrize("vector", SOCKETIO["invalid"], ids=_names(SOCKETIO["invalid"]))
def test_invalid_frames_are_refused_and_the_decoder_is_as_new(vector):
    decoder = socketio.Decoder()
    *before, last = vector["frames"]
    for frame in before:
        decoder.feed(frame)
    with pytest.raises(DecodeError) as caught:
        decoder.feed(last)
    position = caught.value.position
    assert position in (vector["position"], vector.get("or"))  # Python 3.13 blames the comma, not what follows it
    assert str(caught.value).endswith(f" at position {position}")
    assert not decoder.pending
    assert decoder.feed('2["next"]') == socketio.Packet(socketio.PacketType.EVENT, data=["next"])


@pytest.mark.parametrize("vector", ENGINEIO["packets"]["valid"])
def test_valid_engineio_frames_go_both_ways(vector):
    packet = _engineio_packet(vector["packet"])
    assert engineio.decode_packet(vector["frame"]) == packet
    assert vector.get("one_way") or engineio.encode_packet(packet) == vector["frame"]


@pytest.mark.parametrize("vector", ENGINEIO["packets"]["invalid"])
def test_invalid_engineio_frames_are_refused(vector):
    with pytest.raises(DecodeError) as caught:
        engineio.decode_packet(vector["frame"])
    assert caught.value.position == vector["position"]


@pytest.mark.parametrize("vector", ENGINEIO["payloads"]["valid"])
def test_valid_payloads_go_both_ways(vector):
    packets = [_engineio_packet(fields) for fields in vector["packets"]]
    assert engineio.decode_payload(vector["payload"]) == packets
    assert vector.get("one_way") or engineio.encode_payload(packets) == vector["payload"]


@pytest.mark.parametrize("vector", ENGINEIO["payloads"]["invalid"])
def test_invalid_payloads_are_refused(vector):
    with pytest.raises(DecodeError) as caught:
        engineio.decode_payload(vector["payload"])
    assert caught.value.position == vector["position"]


@pytest.mark.parametrize("vector", ENGINEIO["handshakes"]["valid"])
def test_valid_handshakes_go_both_ways(vector):
    sid, upgrades, *figures = vector["fields"]
    handshake = engineio.Handshake(sid, tuple(upgrades), *figures)
    assert engineio.Handshake.from_json(vector["json"]) == handshake
    assert handshake.to_json() == vector["json"]


@pytest.mark.parametrize("vector", ENGINEIO["handshakes"]["invalid"])
def test_invalid_handshakes_are_refused(vector):
    with pytest.raises(DecodeError) as caught:
        engineio.Handshake.from_json(vector["json"])
    assert caught.value.position == vector["position"]
