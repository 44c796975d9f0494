"""Socket.IO over a session: what each packet of a client is answered with, and which packets end the connection."""

import json

import pytest
import trio
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import Peer, PeerError, WebSocketPeer

from trio_socketio import ConnectionRefused, Server


class Recorder:
    """A server whose handlers note what happens to them."""

    def __init__(self, **options) -> None:
        self.server = Server(**options)
        self.reasons: list[tuple[str, str]] = []
        self.events: list[tuple[str, ...]] = []
        self.answers: list[object] = []
        for namespace in ("/", "/custom"):
            self.server.on("connect", self.connect, namespace=namespace)
            self.server.on("disconnect", self.disconnect, namespace=namespace)
            self.server.on("*", self.anything, namespace=namespace)

    async def connect(self, ctx, auth):
        await trio.lowlevel.checkpoint()
        if auth == {"token": "bad"}:
            raise ConnectionRefused("not you", {"why": [1, 2]})
        if auth == {"token": "plain"}:
            raise ConnectionRefused("not you")
        if auth == {"token": "false"}:
            return False
        return None

    async def disconnect(self, ctx, reason):
        self.reasons.append((ctx.namespace, reason))

    async def anything(self, ctx, *args):
        self.events.append((ctx.namespace, ctx.event, *args))
        if ctx.event == "kick":
            await ctx.disconnect()
        if ctx.event == "ask":
            await ctx.emit("question", *args, callback=self.answered)
        return args

    def answered(self, *args):
        self.answers.append(args)


async def opened(peer: Peer) -> tuple[WebSocketPeer, str]:
    websocket = await peer.open_websocket()
    return websocket, json.loads((await websocket.receive())[1:])["sid"]


async def joined(peer: Peer, *namespaces: str) -> WebSocketPeer:
    websocket, _ = await opened(peer)
    for namespace in namespaces or ("/",):
        suffix = "" if namespace == "/" else namespace
        await websocket.send(f"40{suffix}")
        assert (await websocket.receive()).startswith(f"40{suffix}")
    return websocket


async def assert_alive(websocket: WebSocketPeer, namespace: str = "") -> None:
    await websocket.send(f'42{namespace}99["alive"]')
    assert await websocket.receive() == f"43{namespace}99[]"


# CONNECT.


@pytest.mark.parametrize(
    ("frame", "prefix"),
    [
        ("40", "40"),
        ("40{}", "40"),
        ('40{"token":"123"}', "40"),
        ("40/custom", "40/custom,"),
        ("40/custom,", "40/custom,"),
        ('40/custom,{"a":1}', "40/custom,"),
        ("40/custom?token=1,", "40/custom,"),
        ("40/custom?token=1&x=2", "40/custom,"),
        ('40/custom?token=1,{"a":1}', "40/custom,"),
    ],
)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_connect_is_answered_with_a_sid_of_the_namespace(autojump_clock, frame, prefix, transport):
    async with serving(Recorder().server) as peer:
        client = await peer.open_socketio(transport)
        await client.transport.send(frame)
        answer = await client.transport.receive()
        assert answer.startswith(prefix)
        payload = json.loads(answer[len(prefix) :])
        assert list(payload) == ["sid"]
        assert isinstance(payload["sid"], str)
        assert payload["sid"] != client.handshake.sid


async def test_each_namespace_has_a_sid_of_its_own(autojump_clock):
    async with serving(Recorder().server) as peer:
        client = await peer.join()
        await client.connect("/custom")
        assert len({client.handshake.sid, client.sids["/"], client.sids["/custom"]}) == 3


async def test_a_namespace_that_nobody_serves_is_invalid_and_the_connection_stays(autojump_clock):
    async with serving(Recorder().server) as peer:
        websocket, _ = await opened(peer)
        for frame in ("40/random", "40/random,", '40/random,{"a":1}', "40/random?x=1,"):
            await websocket.send(frame)
            assert await websocket.receive() == '44/random,{"message":"Invalid namespace"}'
        await websocket.send("40")
        assert (await websocket.receive()).startswith("40{")


@pytest.mark.parametrize(
    ("auth", "answer"),
    [
        ('{"token":"bad"}', '{"message":"not you","data":{"why":[1,2]}}'),
        ('{"token":"plain"}', '{"message":"not you"}'),
    ],
)
@pytest.mark.parametrize("namespace", ["", "/custom,"])
async def test_a_refused_client_is_told_why_and_the_connection_stays(autojump_clock, auth, answer, namespace):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket, _ = await opened(peer)
        await websocket.send(f"40{namespace}{auth}")
        assert await websocket.receive() == f"44{namespace}{answer}"
        await websocket.send(f"40{namespace}")
        assert (await websocket.receive()).startswith(f"40{namespace}{{")
        await assert_alive(websocket, namespace)
    assert recorder.reasons == [("/custom" if namespace else "/", "server shutting down")]


async def test_a_connect_handler_that_returns_false_refuses(autojump_clock):
    async with serving(Recorder().server) as peer:
        client = await peer.open_socketio()
        answer = await client.connect("/", {"token": "false"})
        assert answer.type.name == "CONNECT_ERROR"
        assert isinstance(answer.data["message"], str)


async def test_without_a_namespace_in_time_the_connection_is_closed(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        start = trio.current_time()
        client = await peer.open_socketio()
        with pytest.raises(PeerError):
            await client.receive()  # which answers pings
        assert trio.current_time() - start == pytest.approx(45, abs=0.01)
        assert not recorder.server.sessions


async def test_without_a_namespace_in_time_a_polling_session_is_closed_too(autojump_clock):
    server = Recorder(connect_timeout=1).server
    async with serving(server) as peer:
        session = await peer.open_polling()
        start = trio.current_time()
        assert await session.poll() == ["1"]
        assert trio.current_time() - start == pytest.approx(1, abs=0.01)
        assert (await session.get()).status == 400


async def test_a_client_that_was_only_refused_is_closed_in_the_end(autojump_clock):
    server = Recorder(connect_timeout=1).server
    async with serving(server) as peer:
        websocket, _ = await opened(peer)
        await websocket.send("40/random")
        await websocket.send('40{"token":"bad"}')
        await websocket.expect_close()
        assert len(websocket.frames) == 3
        assert not server.sessions


async def test_a_client_that_has_joined_stays(autojump_clock):
    server = Recorder(connect_timeout=1, ping_interval=100).server
    async with serving(server) as peer:
        websocket = await joined(peer, "/custom")
        await trio.sleep(50)
        await assert_alive(websocket, "/custom,")


# EVENT and ACK.


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        ('["hello"]', ("/", "hello")),
        ('["hello",1,"2",{"3":[true,null]}]', ("/", "hello", 1, "2", {"3": [True, None]})),
        ('["ü€😀","ü€😀"]', ("/", "ü€😀", "ü€😀")),
        ('[7,"numbers are names too"]', ("/", "7", "numbers are names too")),
        ('[ "spaces" , 1 ]', ("/", "spaces", 1)),
        ('[""]', ("/", "")),
    ],
)
async def test_an_event_reaches_its_handler(autojump_clock, payload, event):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer)
        await websocket.send(f"42{payload}")
        await assert_alive(websocket)
    assert recorder.events[0] == event


@pytest.mark.parametrize("ack_id", [0, 1, 456, 2**53 - 1])
@pytest.mark.parametrize("namespace", ["", "/custom,"])
async def test_an_event_with_an_id_is_acknowledged(autojump_clock, ack_id, namespace):
    async with serving(Recorder().server) as peer:
        websocket = await joined(peer, "/custom" if namespace else "/")
        await websocket.send(f'42{namespace}{ack_id}["hello",1,"2"]')
        assert await websocket.receive() == f'43{namespace}{ack_id}[1,"2"]'


async def test_a_query_string_is_no_part_of_a_namespaces_name(autojump_clock):
    async with serving(Recorder().server) as peer:
        websocket, _ = await opened(peer)
        await websocket.send("40/custom?token=1,")
        assert (await websocket.receive()).startswith("40/custom,{")
        await websocket.send('42/custom?token=1,5["hello"]')
        assert await websocket.receive() == "43/custom,5[]"
        await assert_alive(websocket, "/custom,")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_attachments_take_their_places(autojump_clock, transport):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        client = await peer.join(transport=transport)
        text = '452-9["e",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]'
        for frame in (text, b"\x01\x02", b""):
            await client.transport.send(frame)
        answer = await client.receive()
        assert answer.type.name == "BINARY_ACK"
        assert (answer.id, answer.data) == (9, [b"\x01\x02", {"deep": [b""]}])
    assert recorder.events == [("/", "e", b"\x01\x02", {"deep": [b""]})]


async def test_an_attachment_count_of_zero_is_a_complete_packet(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer)
        await websocket.send('450-7["e",1]')
        assert await websocket.receive() == "437[1]"
        await assert_alive(websocket)


async def test_a_clients_acknowledgement_reaches_the_callback_of_its_id(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer)
        await websocket.send('42["ask",1]')
        assert await websocket.receive() == '420["question",1]'
        await websocket.send('42["ask",2]')
        assert await websocket.receive() == '421["question",2]'
        await websocket.send('461-1["binary",{"_placeholder":true,"num":0}]')
        await websocket.send(b"\x00")
        await websocket.send('430["text"]')
        await websocket.send('430["again, which nobody waits for"]')
        await websocket.send('4377["nobody ever asked"]')
        await assert_alive(websocket)
        await wait_all_tasks_blocked()
    assert sorted(recorder.answers) == [("binary", b"\x00"), ("text",)]  # each in a task of its own


# DISCONNECT.


@pytest.mark.parametrize("frame", ["41/custom", "41/custom,"])
async def test_a_namespace_is_left_and_the_connection_stays(autojump_clock, frame):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer, "/", "/custom")
        await websocket.send(frame)
        await assert_alive(websocket)
        assert recorder.reasons == [("/custom", "client namespace disconnect")]
        await websocket.send("40/custom")
        assert (await websocket.receive()).startswith("40/custom,{")


async def test_after_the_main_namespace_is_left_a_ping_still_comes(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer)
        await websocket.send("41")
        for _ in range(4):
            assert await websocket.receive() == "2"
            await websocket.send("3")
        assert recorder.reasons == [("/", "client namespace disconnect")]
        await websocket.send("40")
        assert (await websocket.receive()).startswith("40{")


@pytest.mark.parametrize(
    "late", ['42["late"]', '425["late"]', "41", "430[]", '451-["late",{"_placeholder":true,"num":0}]']
)
async def test_what_comes_late_after_the_server_has_disconnected_is_dropped(autojump_clock, late):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer, "/", "/custom")
        await websocket.send('42["kick"]')
        assert await websocket.receive() == "41"
        await websocket.send(late)
        if late.startswith("45"):
            await websocket.send(b"\x00")
        await assert_alive(websocket, "/custom,")
        assert [event for event in recorder.events if "late" in event] == []
        assert recorder.reasons == [("/", "server namespace disconnect")]
        await websocket.send("40")
        assert (await websocket.receive()).startswith("40{")
        await assert_alive(websocket)


async def test_events_that_were_sent_before_the_answer_of_a_refusal_are_dropped(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer, "/custom")
        await websocket.send('40{"token":"plain"}')
        await websocket.send('42["eager"]')
        assert await websocket.receive() == '44{"message":"not you"}'
        await assert_alive(websocket, "/custom,")
    assert [event for event in recorder.events if "eager" in event] == []


# What ends the connection.

PLACEHOLDER = '{"_placeholder":true,"num":0}'

BAD_FRAMES: dict[str, list[str | bytes]] = {
    "no packet type": ["4abc"],
    "an empty packet": ["4"],
    "an unknown packet type": ['47["a"]'],
    "an event without a payload": ["42"],
    "an event whose payload is an object": ["42{}"],
    "an event whose payload is a string": ['42"a"'],
    "an empty event": ["42[]"],
    "an event without a name": ["42[null]"],
    "an event named true": ["42[true]"],
    "an event named by an object": ["42[{}]"],
    "an ack id that is none": ['42abc["a"]'],
    "an ack id out of range": ['429007199254740992["a"]'],
    "an endless ack id": ["42" + "9" * 5000 + '["a"]'],
    "an ack without id": ['43["x"]'],
    "an ack whose payload is an object": ["430{}"],
    "an ack without a payload": ["430"],
    "a reserved name": ['42["connect"]'],
    "another reserved name": ['42["disconnect"]'],
    "yet another reserved name": ['42["connect_error"]'],
    "a disconnect with a payload": ["41[]"],
    "a connect error": ['44{"message":"a"}'],
    "JSON that ends early": ['42["a"'],
    "JSON that goes on": ['42["a"]]'],
    "JSON that is none": ["42['a']"],
    "NaN": ['42["a",NaN]'],
    "JSON nested too deep": ['42["a",' + "[" * 5000 + "]" * 5000 + "]"],
    "nesting without an end": ["42" + "[" * 100_000],
    "an integer that is too long": ['42["a",' + "9" * 5000 + "]"],
    "a text frame in place of attachments": [f'451-["a",{PLACEHOLDER}]', '42["b"]'],
    "a packet in the middle of attachments": [f'452-["a",{PLACEHOLDER}]', b"\x00", '42["b"]'],
    "a binary frame that nobody announced": [b"\x00"],
    "one attachment too many": [f'451-["a",{PLACEHOLDER}]', b"\x00", b"\x00"],
    "a placeholder out of range": ['451-["a",{"_placeholder":true,"num":1}]', b"\x00"],
    "a placeholder with a negative number": ['451-["a",{"_placeholder":true,"num":-1}]', b"\x00"],
    "a placeholder with a text for a number": ['451-["a",{"_placeholder":true,"num":"0"}]', b"\x00"],
    "more attachments than the limit": [f'465-1["a",{PLACEHOLDER}]'.replace("465-", "4565-", 1)],
    "attachments without a count": ['45["a"]'],
    "attachments without a hyphen": ['451["a"]'],
    "an endless attachment count": ["45" + "9" * 5000 + '-["a"]'],
    "a negative attachment count": ['45-1-["a"]'],
    "an event for a namespace not joined": ['42/custom,["a"]'],
    "an ack for a namespace not joined": ["43/custom,0[]"],
    "a disconnect of a namespace not joined": ["41/custom"],
    "a second connect": ["40"],
    "a second connect with a payload": ['40{"token":"1"}'],
    "a connect to /custom whose payload is a list": ["40/custom,[]"],
    "a connect to /custom whose payload is a string": ['40/custom,"a"'],
    "a connect to /custom whose payload is null": ["40/custom,null"],
    "a connect to /custom whose payload is a number": ["40/custom,12"],
}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("frames", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_bad_frame_closes_the_connection_with_parse_error(autojump_clock, caplog, frames, transport):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        client = await peer.join(transport=transport)
        if isinstance(client.transport, WebSocketPeer):
            for frame in frames:
                await client.transport.send(frame)
            assert (await client.transport.expect_close()).code == 1008
        else:
            await client.transport.send(*frames)  # a good POST as far as Engine.IO goes
            assert (await client.transport.get()).status == 400
        await wait_all_tasks_blocked()
        assert recorder.reasons == [("/", "parse error")]
        assert "b" not in [event[1] for event in recorder.events]
        assert not recorder.server.sessions
        assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
        await peer.join()


@pytest.mark.parametrize(
    "frame",
    [
        '42["a"]',
        '42/custom,["a"]',
        "430[]",
        "41",
        "41/custom",
        "44{}",
        "40[]",
        '40"a"',
        "40null",
        "401{}",
        "40{",
        b"\x00",
    ],
)
async def test_anything_but_a_connect_first_closes_the_connection(autojump_clock, frame):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket, _ = await opened(peer)
        await websocket.send(frame)
        assert (await websocket.expect_close()).code == 1008
        assert not recorder.server.sessions
        assert not recorder.reasons
        assert not recorder.events


async def test_every_namespace_of_a_connection_sees_its_end(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        websocket = await joined(peer, "/", "/custom")
        await websocket.send("4abc")
        await websocket.expect_close()
        await wait_all_tasks_blocked()
        assert sorted(recorder.reasons) == [("/", "parse error"), ("/custom", "parse error")]
        assert not recorder.server.sockets()


async def test_what_came_before_a_bad_frame_in_the_same_post_still_counts(autojump_clock):
    recorder = Recorder()
    async with serving(recorder.server) as peer:
        client = await peer.join(transport="polling")
        response = await client.transport.post('42["first"]\x1e4abc\x1e42["last"]')
        assert response.status == 200
        assert (await client.transport.get()).status == 400
        await wait_all_tasks_blocked()
    assert recorder.events == [("/", "first")]


async def test_attachments_together_have_at_most_max_payload_bytes(autojump_clock):
    recorder = Recorder(max_payload=1000)
    async with serving(recorder.server) as peer:
        for size, alive in ((500, True), (501, False)):
            websocket = await joined(peer)
            await websocket.send('452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
            await websocket.send(bytes(500))
            await websocket.send(bytes(size))
            if alive:
                await assert_alive(websocket)
            else:
                assert (await websocket.expect_close()).code == 1008
