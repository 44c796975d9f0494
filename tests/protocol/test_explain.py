"""The anatomy of frames: nothing is lost, the decoders are agreed with, and the words are right."""

import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio_socketio.protocol import DecodeError, engineio, explain_engineio, explain_socketio, socketio
from trio_socketio.protocol import explain_payload as explain_payloads
from trio_socketio.protocol.explain import (
    Conversation,
    Layer,
    explain,
    explain_payload,
    explain_target,
    explain_websocket,
    is_broken,
)
from trio_socketio.protocol.explain_spans import Fault
from wsproto.frame_protocol import FrameProtocol

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
OPEN = (
    '0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],'
    '"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
)
MANY = 10_000
"""More parts than anybody reads; the number of spans stays far below what a frame could have."""


def from_table(frame):
    return bytes.fromhex(frame["$bytes"]) if isinstance(frame, dict) else frame


def joined(spans, whole):
    return type(whole)().join(span.content for span in spans)


def check(spans, whole):
    """What holds for every explanation."""
    assert joined(spans, whole) == whole
    assert all(span.content for span in spans) or (len(spans) == 1 and not whole)
    for span in spans:
        assert span.name
        assert span.meaning
        assert span.section
        assert "\n" not in span.meaning
    assert len(spans) < MANY
    return spans


def check_fault_is_last(spans):
    assert not any(span.fault for span in spans[:-1])
    return spans


def refusal(frame):
    """What the decoders have against a text frame by itself, or None; bytes may be what another frame has announced."""
    try:
        packet = engineio.decode_packet(frame)
        if packet.type is engineio.PacketType.OPEN:
            engineio.Handshake.from_json(packet.data)
        elif packet.type is engineio.PacketType.MESSAGE and isinstance(packet.data, str):
            socketio.Decoder().feed(packet.data)
    except DecodeError as error:
        return error
    return None


def names(spans):
    return [(span.content, span.name) for span in spans if span.name != "separator"]


def part(spans, content):
    return next(span for span in spans if span.content == content)


# Frames -----------------------------------------------------------------------------------------------------------------


def test_an_event_is_taken_into_its_parts():
    spans = check(explain('42/admin,7["hi",{"a":1}]'), '42/admin,7["hi",{"a":1}]')
    assert [(span.content, span.layer, span.name) for span in spans] == [
        ("4", Layer.ENGINEIO, "packet type"),
        ("2", Layer.SOCKETIO, "packet type"),
        ("/admin", Layer.SOCKETIO, "namespace"),
        (",", Layer.SOCKETIO, "separator"),
        ("7", Layer.SOCKETIO, "ack id"),
        ("[", Layer.JSON, "payload"),
        ('"hi"', Layer.JSON, "event name"),
        (",", Layer.JSON, "separator"),
        ('{"a":1}', Layer.JSON, "argument 1"),
        ("]", Layer.JSON, "separator"),
    ]
    assert spans[0].meaning == "4: a message, the payload of the layer above"
    assert spans[0].section == 'Engine.IO protocol, "Message"'
    assert spans[4].section == 'Socket.IO protocol, "Acknowledgement"'
    assert not is_broken(spans)


def test_the_query_of_a_namespace_is_a_part_of_its_own():
    spans = explain('40/admin?token=1,{"user":"me"}')
    assert names(spans)[2:] == [
        ("/admin", "namespace"),
        ("token=1", "query"),
        ("{", "payload"),
        ('"user":"me"', "user"),
    ]


def test_placeholders_are_found_at_any_depth():
    frame = '452-["e",{"a":[{"_placeholder":true,"num":0}],"b":{"num":1,"_placeholder":true}}]'
    spans = check(explain(frame), frame)
    found = [span for span in spans if span.name == "placeholder"]
    assert [span.content for span in found] == ['{"_placeholder":true,"num":0}', '{"num":1,"_placeholder":true}']
    assert found[0].meaning == "in argument 1: attachment 0 belongs here, a binary frame that follows"
    assert [span.content for span in spans if span.name == "argument 1"] == ['{"a":[', '],"b":', "}"]


@pytest.mark.parametrize(
    "lookalike",
    [
        '42["e",{"_placeholder":true,"num":0}]',
        '451-["e",{"_placeholder":false,"num":0}]',
        '451-["e",{"_placeholder":true,"num":0,"_placeholder":1}]',
        '451-["e",{"a":"_placeholder","num":0}]',
    ],
)
def test_what_the_decoder_leaves_alone_is_no_placeholder(lookalike):
    spans = explain(lookalike)
    assert not is_broken(spans)
    assert "placeholder" not in {span.name for span in spans}


def test_an_escaped_key_makes_a_placeholder_too():
    assert "placeholder" in {span.name for span in explain(r'451-["e",{"\u005fplaceholder":true,"num":0}]')}


def test_the_open_packet_explains_each_key():
    spans = check(explain(OPEN), OPEN)
    assert [span.name for span in spans if span.name != "separator"] == [
        "packet type",
        "payload",
        "sid",
        "upgrades",
        "pingInterval",
        "pingTimeout",
        "maxPayload",
    ]
    assert part(spans, '"pingInterval":25000').meaning == "25000 ms, 25 s: how often the server sends a ping"
    assert "1,000,000 bytes" in part(spans, '"maxPayload":1000000').meaning


@pytest.mark.parametrize("digit", range(7))
def test_every_packet_type_of_both_layers_has_a_meaning(digit):
    for frame in (str(digit), f"4{digit}"):
        assert explain(frame)[-1].meaning.startswith(f"{digit}: ")


def test_probes_are_told_from_other_pings():
    assert "take over the session" in explain("2probe")[0].meaning
    assert "take over the session" in explain("3probe")[0].meaning
    assert "still there" in explain("2")[0].meaning


def test_a_packet_of_socketio_without_the_4_is_pointed_out():
    spans = explain('2["hi"]')
    assert not is_broken(spans)  # it is a ping with data, and nothing that a decoder refuses
    assert "without the 4" in spans[1].meaning


@pytest.mark.parametrize(
    ("frame", "fault", "words"),
    [
        ("", "", "empty"),
        ("hello", "hello", "There is no packet type 'h'"),
        ('["hi"]', '["hi"]', "42"),
        ("bAQ=ID", "AQ=ID", "not valid base64"),
        ("4", "4", "too early"),
        ("4hello", "hello", "from 0 to 6"),
        ('42["x"', '"x"', "too early"),
        ('42["x",]', None, "Usual is 42"),
        ('42["x"]tail', "tail", "more follows"),
        ('42/admin["x"]', '/admin["x"]', 'usual is 42/admin,["name"'),
        ('42["connect"]', '["connect"]', "reserved"),
        ("42{}", "{}", "must be an array"),
        ('43["x"]', '["x"]', "437"),
        ('451["x"]', '["x"]', "hyphen"),
        ('451-["e",{"_placeholder":true,"num":7}]', '["e",{"_placeholder":true,"num":7}]', "no attachment"),
        ('42["a"]\x1e42["b"]', '\x1e42["b"]', "polling payload"),
        ("41{}", "{}", "must be missing"),
        ("0{}", "{}", "sid"),
        ("0[]", "[]", "not an object"),
        (OPEN.replace(',"maxPayload":1000000', ""), None, "before Engine.IO 6.2"),
    ],
)
def test_a_broken_frame_says_where_and_what_is_usual(frame, fault, words):
    spans = check_fault_is_last(check(explain(frame), frame))
    assert spans[-1].fault
    assert words in spans[-1].meaning
    if fault is not None:
        assert spans[-1].content == fault


def test_bytes_in_a_text_frame_are_an_attachment_as_those_in_a_binary_frame_are():
    conversation = Conversation()
    conversation.explain('451-["e",{"_placeholder":true,"num":0}]')
    spans = check(conversation.explain("bAQID"), "bAQID")
    assert names(spans) == [("b", "packet type"), ("AQID", "attachment 0 of 1")]
    assert conversation.missing == 0
    spans = check_fault_is_last(check(conversation.explain("bAQID"), "bAQID"))
    assert spans[-1].fault, "nothing has announced another one"


def test_limits_of_servers_are_no_rules_of_the_protocol():
    conversation = Conversation()
    assert not is_broken(conversation.explain('4565-["e",{"_placeholder":true,"num":64}]'))
    assert not is_broken(conversation.explain(bytes(1_000_001)))
    assert conversation.missing == 64


@pytest.mark.parametrize("payload", ['"no"', '["x"]', "null", '{"message":"no"}', ""])
def test_a_refusal_of_socketio_2_carries_any_value(payload):
    for head in ("44", "44/a,"):
        assert not is_broken(check(explain(head + payload, revision=3), head + payload))


@pytest.mark.parametrize(("frame", "usual"), [("44{", '44"Not authorized"'), ("40[]", "40 or 40/admin?token=abc,")])
def test_hints_are_those_of_the_revision(frame, usual):
    assert explain(frame, revision=3)[-1].meaning.endswith(f"Usual is {usual}")
    assert "{" in explain(frame)[-1].meaning.rpartition("Usual is ")[2]


def test_a_fault_inside_a_string_cuts_the_string():
    frame = '42["e\n","b"]'
    spans = check(explain(frame), frame)
    assert [span.content for span in spans] == ["4", "2", "[", '"e', '\n","b"]']
    assert spans[-2].name == "event name"


def test_missing_attachments_are_no_fault():
    assert not is_broken(explain('451-["up",{"_placeholder":true,"num":0}]'))


def test_bytes_alone_are_an_attachment():
    (span,) = explain(b"\x01\x02\x03")
    assert (span.name, span.layer, span.fault) == ("attachment", Layer.SOCKETIO, False)
    assert span.meaning.startswith("3 bytes")
    assert explain(b"")[0].content == b""


def frames():
    json_text = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value, ensure_ascii=False))
    crumbs = st.sampled_from(
        [
            *"0123456789",
            *'[]{},:/?-" \\\n\x1e',
            '"e"',
            "/admin,",
            "12",
            "1-",
            '{"_placeholder":true,"num":0}',
            '{"num":1,"_placeholder":true}',
            '"connect"',
            "null",
            "é",
            "\ud83d",
            "NaN",
            "1e999",
            '"sid":',
        ]
    )
    near = st.lists(crumbs | json_text, max_size=12).map("".join)
    headed = st.tuples(st.sampled_from(["4", "42", "45", "451-", "43", "461-1", "40", "44", "0", "2"]), near).map(
        "".join
    )
    events = st.tuples(
        st.sampled_from(["42", "42/a,", "427", "452-/a,7", '451-["e",', '42["e",']),
        json_text,
        st.sampled_from(["", "]", "x"]),
    ).map("".join)
    return st.text(max_size=20) | near | headed | events


@settings(max_examples=1500)
@given(frames())
def test_a_text_frame_has_a_fault_exactly_if_the_decoders_refuse_it(frame):
    spans = check_fault_is_last(check(explain(frame), frame))
    error = refusal(frame)
    assert is_broken(spans) == (error is not None)
    check(explain(frame, revision=3), frame)


@settings(max_examples=300)
@given(st.integers(0, len(OPEN)), st.integers(0, len(OPEN)), st.text(max_size=3))
def test_a_damaged_handshake_has_a_fault_exactly_if_it_is_refused(start, end, instead):
    frame = OPEN[:start] + instead + OPEN[end:]
    assert is_broken(check(explain(frame), frame)) == (refusal(frame) is not None)


@given(st.binary(max_size=20), st.sampled_from([3, 4]))
def test_bytes_are_explained_whatever_they_are(data, revision):
    check(explain(data, revision=revision), data)
    check(explain_payload(data, revision=revision), data)
    check(explain_websocket(data, revision=revision), data)


@pytest.mark.parametrize("validity", ["valid", "invalid"])
def test_the_vectors_of_socketio_are_explained_as_they_are_decoded(validity):
    for vector in VECTORS["socketio"][validity]:
        conversation = Conversation()
        frames = [from_table(frame) for frame in vector["frames"]]
        frames = [f"4{frame}" if isinstance(frame, str) else frame for frame in frames]
        broken = [is_broken(check(conversation.explain(frame), frame)) for frame in frames]
        of_a_server = vector["name"].endswith("more attachments than the limit")  # and no rule of the protocol
        if validity == "valid" or of_a_server or (len(frames) == 1 and isinstance(frames[0], bytes)):
            assert not any(broken), vector
        else:
            assert broken[-1], vector
            assert not any(broken[:-1]), vector
            spans = explain(frames[-1])
            if len(frames) == 1 and vector["position"] < len(frames[-1]) - 1:
                before = sum(len(span.content) for span in spans[:-1]) - 1
                assert before in (vector["position"], vector.get("or")), vector


def test_the_vectors_of_engineio_are_explained():
    packets, payloads, handshakes = (VECTORS["engineio"][name] for name in ("packets", "payloads", "handshakes"))
    for vector in [*packets["valid"], *packets["invalid"]]:
        frame = from_table(vector["frame"])
        spans = check(explain(frame), frame)
        assert is_broken(spans) == (isinstance(frame, str) and refusal(frame) is not None)
    for vector in payloads["valid"]:
        check(explain_payload(vector["payload"]), vector["payload"])
    for vector in payloads["invalid"]:
        assert is_broken(check(explain_payload(vector["payload"]), vector["payload"]))
    for validity, broken in (("valid", False), ("invalid", True)):
        for vector in handshakes[validity]:
            frame = f"0{vector['json']}"
            assert is_broken(check(explain(frame), frame)) == broken, frame


@pytest.mark.parametrize("wrong", [None, 5, bytearray(b"4"), memoryview(b"4"), ["4"]])
def test_what_is_neither_text_nor_bytes_is_a_type_error(wrong):
    for function in (explain, explain_payload, explain_websocket, explain_target):
        with pytest.raises(TypeError):
            function(wrong)


def test_each_function_takes_what_it_says():
    with pytest.raises(TypeError, match="bytes, not str"):
        explain_websocket("81")
    with pytest.raises(TypeError, match="text, not bytes"):
        explain_target(b"/socket.io/")


@pytest.mark.parametrize("revision", [0, 2, 5, "4", None])
def test_an_unknown_revision_is_a_value_error(revision):
    for function, frame in ((explain, "2"), (explain_payload, "2"), (explain_websocket, b""), (explain_target, "/")):
        with pytest.raises(ValueError, match="3 and 4"):
            function(frame, revision=revision)
    with pytest.raises(ValueError, match="3 and 4"):
        Conversation(revision=revision)


# Conversations ----------------------------------------------------------------------------------------------------------


def test_attachments_are_numbered_behind_their_packet():
    conversation = Conversation()
    conversation.explain('452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    assert conversation.missing == 2
    (first,) = conversation.explain(b"\x00")
    assert conversation.missing == 1
    assert not is_broken(conversation.explain("2"))  # Engine.IO's own packets may come between
    (second,) = conversation.explain(b"\x01")
    assert [first.name, second.name] == ["attachment 0 of 2", "attachment 1 of 2"]
    assert conversation.missing == 0


def test_bytes_that_nobody_announced_are_a_fault_once_it_is_known_what_came_before():
    conversation = Conversation()
    assert not is_broken(conversation.explain(b"\x00"))
    conversation.explain('42["e"]')
    (span,) = conversation.explain(b"\x00")
    assert span.fault
    assert "no packet had announced" in span.meaning
    assert not is_broken(conversation.explain(b"\x00"))  # after a fault everything is possible again


def test_text_among_attachments_is_a_fault():
    conversation = Conversation()
    conversation.explain('451-["e"]')
    spans = conversation.explain('42["x"]')
    assert [span.content for span in spans] == ["4", '2["x"]']
    assert spans[-1].fault
    assert "1 missing" in spans[-1].meaning


# Polling payloads -------------------------------------------------------------------------------------------------------


def test_a_payload_is_taken_into_packets():
    payload = '451-["e",{"_placeholder":true,"num":0}]\x1ebAQID\x1e2'
    spans = check(explain_payload(payload), payload)
    assert not is_broken(spans)
    assert [span.content for span in spans if span.content == "\x1e"] == ["\x1e", "\x1e"]
    attachment = part(spans, "AQID")
    assert attachment.name == "attachment 0 of 1"
    assert "3 bytes" in attachment.meaning


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ("", ""),
        ("4x\x1e2", "x\x1e2"),
        ('42["a"\x1e2', '"a"\x1e2'),
        ("2\x1e", "\x1e"),
        ("2\x1e\x1e2", "\x1e2"),
        ("2\x1ebAQ=ID", "AQ=ID"),
        ('42["e"]\x1ebAQID\x1e2', "bAQID\x1e2"),
    ],
)
def test_a_fault_in_a_payload_takes_in_the_rest(payload, fault):
    spans = check_fault_is_last(check(explain_payload(payload), payload))
    assert spans[-1].fault
    assert spans[-1].content == fault


@settings(max_examples=500)
@given(st.lists(frames() | st.sampled_from(["b", "bAQID", "bA"]), max_size=4))
def test_a_payload_has_a_fault_exactly_if_the_decoders_refuse_a_packet(packets):
    payload = "\x1e".join(packets)
    spans = check_fault_is_last(check(explain_payload(payload), payload))
    conversation = Conversation()
    refused = False
    try:
        for packet in engineio.decode_payload(payload):
            frame = engineio.encode_packet(packet)
            refused = refused or is_broken(conversation.explain(frame))
    except DecodeError:
        refused = True
    assert is_broken(spans) == refused
    data = payload.encode("utf-8", "replace")
    check(explain_payload(data), data)


@given(st.text(max_size=30) | st.lists(st.sampled_from([*"0123456789:b4[]", "7:", '42["a"]', "😀"])).map("".join))
def test_payloads_of_revision_3_are_explained_whatever_they_are(payload):
    check_fault_is_last(check(explain_payload(payload, revision=3), payload))


def test_a_payload_of_revision_3_counts_as_javascript_does():
    spans = explain_payload('12:42["😀","é"]1:3', revision=3)
    assert not is_broken(spans)
    assert [span.content for span in spans if span.name == "length"] == ["12", "1"]
    assert is_broken(explain_payload("2:4😀", revision=3))  # the length ends inside of a character
    assert is_broken(explain_payload("8:42", revision=3))
    assert is_broken(explain_payload("0:", revision=3))


def test_a_binary_packet_of_revision_3_has_a_type():
    spans = explain_payload("6:b4AQID", revision=3)
    assert [span.content for span in spans] == ["6", ":", "b", "4", "AQID"]
    assert is_broken(explain_payload("5:bAQID", revision=3))
    assert [span.content for span in explain("b4AQID", revision=3)] == ["b", "4", "AQID"]
    assert is_broken(explain("bAQID", revision=3))
    assert [span.content for span in explain(b"\x04\x01", revision=3)] == [b"\x04", b"\x01"]
    assert is_broken(explain(b"\x01", revision=3))


def test_a_payload_of_bytes_in_revision_3_is_taken_apart():
    payload = b'\x00\x07\xff42["a"]\x00\x01\x00\xff451-["e","0"]\x01\x02\xff\x04\x09'
    spans = check(explain_payload(payload, revision=3), payload)
    assert is_broken(spans)  # the second packet has 13 bytes, not 10
    payload = b'\x00\x07\xff42["a"]\x00\x01\x03\xff451-["e","0"]\x01\x02\xff\x04\x09'
    spans = check(explain_payload(payload, revision=3), payload)
    assert not is_broken(spans)
    assert spans[-1].name == "attachment 0 of 1"


def test_in_revision_3_the_client_pings():
    assert "the client asks" in explain("2", revision=3)[0].meaning
    assert 'revision 3, "2 ping"' in explain("2", revision=3)[0].section
    handshake = '0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":5000}'
    assert not is_broken(explain(handshake, revision=3))
    assert is_broken(explain(handshake))


def test_a_payload_that_is_not_utf8_is_a_fault():
    spans = check(explain_payload(b"4\xff2"), b"4\xff2")
    assert [span.content for span in spans] == [b"4", b"\xff2"]
    assert spans[-1].fault


# Requests ---------------------------------------------------------------------------------------------------------------


def test_a_handshake_url_is_taken_into_its_parameters():
    target = "https://example.org:3000/socket.io/?EIO=4&transport=polling&sid=abc&t=N8hyd6w&room=a%20b#top"
    spans = check(explain_target(target), target)
    assert names(spans) == [
        ("https://", "scheme"),
        ("example.org:3000", "host"),
        ("/socket.io/", "path"),
        ("EIO=4", "EIO"),
        ("transport=polling", "transport"),
        ("sid=abc", "sid"),
        ("t=N8hyd6w", "t"),
        ("room=a%20b", "room"),
        ("#top", "fragment"),
    ]
    assert part(spans, "room=a%20b").meaning.startswith("a b: ")
    assert not is_broken(spans)


@pytest.mark.parametrize(
    ("target", "fault", "words"),
    [
        ("/socket.io/", "/socket.io/", "EIO is missing"),
        ("/socket.io/?transport=polling", "/socket.io/", "EIO is missing"),
        ("http://h?EIO=4", "h", "transport is missing"),
        ("?EIO=4", "?", "transport is missing"),
        ("?EIO=2&transport=polling", "EIO=2", "usual is EIO=4"),
        ("?EIO=3&transport=polling", "EIO=3", "Socket.IO 2"),
        ("?EIO=4&transport=flash", "transport=flash", "Transport unknown"),
        ("", "", "empty"),
    ],
)
def test_what_a_server_would_refuse_is_a_fault(target, fault, words):
    (found,) = [span for span in check(explain_target(target), target) if span.fault]
    assert found.content == fault
    assert words in found.meaning


def test_a_parameter_may_be_empty():
    target = "?EIO=4&&transport=polling&"
    spans = check(explain_target(target), target)
    assert [span.content for span in spans] == ["?", "EIO=4", "&", "&", "transport=polling", "&"]
    assert not is_broken(spans)


def test_revision_3_is_asked_for_with_another_number():
    assert not is_broken(explain_target("?EIO=3&transport=polling&b64=1&j=0", revision=3))
    assert is_broken(explain_target("?EIO=4&transport=polling", revision=3))


@given(st.text(max_size=40) | st.text(alphabet="htps:/?&=%20EIOransidtwe#4", max_size=60))
def test_targets_are_explained_whatever_they_are(target):
    check(explain_target(target), target)


# WebSocket frames -------------------------------------------------------------------------------------------------------


def sent(*, client, text=None, data=None):
    protocol = FrameProtocol(client=client, extensions=[])
    return bytes(protocol.send_data(data if text is None else text, fin=True))


@pytest.mark.parametrize("client", [True, False])
def test_a_websocket_frame_is_explained_by_what_it_carries(client):
    data = sent(client=client, text='42["hé",1]')
    spans = check(explain_websocket(data), data)
    heads = ["opcode", "length", "mask key"] if client else ["opcode", "length"]
    assert [span.name for span in spans if span.name != "separator"] == [
        *heads,
        "packet type",
        "packet type",
        "payload",
        "event name",
        "argument 1",
    ]
    assert '"hé"' in next(span for span in spans if span.name == "event name").meaning
    assert ("client" if client else "server") in spans[1].meaning


def test_attachments_are_found_in_the_frames_behind():
    data = sent(client=True, text='451-["e",{"_placeholder":true,"num":0}]') + sent(client=True, data=b"\x01\x02")
    spans = check(explain_websocket(data), data)
    assert spans[-1].name == "attachment 0 of 1"


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_lengths_of_every_form_are_read(size):
    data = sent(client=False, data=bytes(size))
    spans = check(explain_websocket(data), data)
    assert f"{size:,} bytes of payload" in spans[1].meaning
    assert not is_broken(spans)


def test_the_end_of_a_connection_has_a_code_and_a_reason():
    data = bytes(FrameProtocol(client=True, extensions=[]).close(1009, "too big"))
    spans = check(explain_websocket(data), data)
    assert [span.name for span in spans[-2:]] == ["close code", "reason"]
    assert spans[-2].meaning.startswith("1009: ")
    assert spans[-1].meaning.startswith("too big: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no frame"),
        ("83 00", "reserved"),
        ("91 00", "reserved bit"),
        ("09 00", "nor in fragments"),
        ("89 7e 00 7e", "at most 125"),
        ("82 7e 00 05 00 00 00 00 00", "fewest bytes"),
        ("82 7f 80 00 00 00 00 00 00 00", "too large"),
        ("81", "cut short in the length"),
        ("81 7e 00", "cut short in the length"),
        ("81 85 00", "cut short in the mask key"),
        ("81 05 34", "4 bytes of the payload missing"),
        ("81 02 34 ff", "not UTF-8"),
        ("81 00", "empty"),
        ("88 01 03", "no code"),
        ("88 02 03 ed", "1005"),
        ("88 03 03 e8 ff", "not UTF-8"),
        ("81 02 34 39", "There is no packet type '9'"),
    ],
)
def test_a_broken_websocket_frame_says_what_is_wrong(text, words):
    data = bytes.fromhex(text)
    spans = check_fault_is_last(check(explain_websocket(data), data))
    assert spans[-1].fault
    assert words in spans[-1].meaning


@pytest.mark.parametrize(
    "text", ["01 02 34 32", "80 01 5d", "c1 02 aa 56", "89 00", "8a 01 00", "88 00", "82 00", "88 02 0b b8"]
)
def test_frames_that_carry_no_whole_message_are_no_fault(text):
    data = bytes.fromhex(text)
    assert not is_broken(check(explain_websocket(data), data))


# Size -------------------------------------------------------------------------------------------------------------------

MEGABYTE = 1_000_000
HUGE = {
    "one string": '42["e","' + "x" * MEGABYTE + '"]',
    "many arguments": '42["e"' + ",0" * (MEGABYTE // 2) + "]",
    "many arguments, cut short": '42["e"' + ",0" * (MEGABYTE // 2),
    "one array": '42["e",[' + ",".join("0" * (MEGABYTE // 2)) + "]]",
    "many objects": '451-["e",[' + ",".join(["{}"] * (MEGABYTE // 3)) + "]]",
    "many escapes": '42["e","' + r"\n" * (MEGABYTE // 2) + '"]',
    "too deep": '42["e",' + "[" * MEGABYTE,
    "deep enough": '42["e",' + "[" * 126 + "0" * 300 + "]" * 126 + "]",
    "many placeholders": '451-["e"' + ',{"_placeholder":true,"num":0}' * 30_000 + "]",
    "many members": "40{" + ",".join(f'"k{number}":0' for number in range(90_000)) + "}",
    "many digits": "42" + "1" * MEGABYTE,
    "a long namespace": "42/" + "a" * MEGABYTE,
    "whitespace": '42["e"' + " " * MEGABYTE + "]",
    "open quotes": '42["e",' + '"' * MEGABYTE,
    "backslashes": '42["e","' + "\\" * MEGABYTE,
    "no packet": "x" * MEGABYTE,
}


@pytest.mark.parametrize("frame", HUGE.values(), ids=[name.replace(" ", "-") for name in HUGE])
def test_a_large_frame_takes_linear_time_and_a_bounded_number_of_spans(frame):
    begin = time.process_time()
    spans = check(explain(frame), frame)
    assert time.process_time() - begin < 5  # seconds; it takes less than one where nothing else runs
    assert len(spans) < 2_100
    assert is_broken(spans) == (refusal(frame) is not None)
    assert max(len(span.meaning) for span in spans) < 600


def test_of_very_many_arguments_the_last_are_left_whole():
    frame = HUGE["many arguments"]
    spans = explain(frame)
    assert spans[-1].name == "rest"
    assert part(spans, '"e"').name == "event name"
    assert "argument 900" in {span.name for span in spans}


@pytest.mark.parametrize("revision", [3, 4])
def test_a_payload_with_very_many_packets_does_not_blow_up(revision):
    packets = ['42["a",1]'] * 1000 + ["2"] * 50_000
    payload = "\x1e".join(packets) if revision == 4 else "".join(f"{len(packet)}:{packet}" for packet in packets)
    spans = check(explain_payload(payload, revision=revision), payload)
    assert spans[-1].name == "rest"
    assert not is_broken(spans)
    broken = f"{payload}\x1e42[" if revision == 4 else f"{payload}3:42["
    spans = check_fault_is_last(check(explain_payload(broken, revision=revision), broken))
    assert spans[-1].fault


def test_the_interpreters_recursion_limit_does_not_matter():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        frame = '42["e",' + "[" * 100 + "]" * 100 + "]"
        explain(frame)
    finally:
        sys.setrecursionlimit(limit)


# Rare parts -------------------------------------------------------------------------------------------------------------


def test_a_binary_message_of_revision_3_may_be_empty():
    (span,) = check(explain(b"\x04", revision=3), b"\x04")
    assert span.name == "packet type"
    assert not span.fault


def test_a_text_packet_that_is_no_utf8_is_a_fault_in_the_byte_form():
    payload = b"\x00\x03\xff42\xff"
    spans = check_fault_is_last(check(explain_payload(payload, revision=3), payload))
    assert (spans[-1].content, spans[-1].fault) == (b"\xff", True)
    assert "not UTF-8" in spans[-1].meaning


@pytest.mark.parametrize("packet", [b"", b"4x"], ids=["an empty packet", "a packet that is cut short"])
def test_a_length_that_is_not_right_is_a_fault_in_the_byte_form(packet):
    payload = b"\x00" + bytes([len(packet) * 2]) + b"\xff" + packet
    spans = check_fault_is_last(check(explain_payload(payload, revision=3), payload))
    assert spans[-1].fault
    assert "empty or longer" in spans[-1].meaning


@pytest.mark.parametrize(("packet", "broken"), [("bAAE=", False), ("bAAE", False), ("bAAE=A", True)])
def test_binary_packets_behind_very_many_others_are_still_judged(packet, broken):
    payload = "\x1e".join(['42["a",1]'] * 1000 + ['451-["e",{"_placeholder":true,"num":0}]', packet])
    spans = check_fault_is_last(check(explain_payload(payload), payload))
    assert is_broken(spans) is broken


def test_of_very_many_websocket_frames_the_last_are_left_whole():
    data = b"\x81\x012" * 3000
    spans = check(explain_websocket(data), data)
    assert spans[-1].name == "rest"


def test_of_very_many_parameters_the_last_are_left_whole():
    target = "/?" + "&".join(["a=b"] * 3000)
    spans = check(explain_target(target), target)
    assert spans[-1].name == "rest"


def test_a_url_says_whether_a_session_is_upgraded():
    (transport,) = [
        span for span in explain_target("/?EIO=4&transport=websocket&sid=x") if "=websocket" in span.content
    ]
    assert "take over" in transport.meaning


def test_the_ids_of_a_grant_are_explained():
    spans = explain('40{"sid":"x","pid":"y"}')
    assert "private id" in part(spans, '"pid":"y"').meaning


def test_a_key_that_is_no_json_is_shown_as_it_stands():
    frame = '40{"a\\q":1}'
    spans = check_fault_is_last(check(explain(frame), frame))
    assert spans[-1].fault


def test_a_placeholder_inside_of_a_placeholder_is_not_one():
    inner = '{"_placeholder":true,"num":0}'
    outer = f'{{"a":{inner},"_placeholder":true,"num":0}}'
    frame = f'451-["e",{outer}]'
    spans = check(explain(frame), frame)
    assert not is_broken(spans)
    assert part(spans, outer).name == "placeholder"


@pytest.mark.parametrize("revision", [3, 4])
def test_the_layers_below_find_parts_by_themselves(revision):
    assert [piece.end for piece in explain_engineio.pieces("2", revision)] == [1]
    assert [piece.end for piece in explain_engineio.pieces("2probe", revision)] == [1, 6]
    assert list(explain_engineio.pieces("x", revision)) == []
    assert [piece.end for piece in explain_socketio.pieces("1")] == [1]
    (fault,) = explain_payloads.split("x", 3)
    assert isinstance(fault, Fault)
    *_, fault = explain_payloads.split("1:29:2", 3)
    assert isinstance(fault, Fault)
    *_, fault = explain_payloads.split_bytes(b"\x00\x01\xff2x")
    assert isinstance(fault, Fault)
    *_, fault = explain_payloads.split_bytes(b"\x00\x01\xff2\x00\x09\xff2")
    assert isinstance(fault, Fault)
