"""The test client at work: events, acknowledgements, namespaces, frames, HTTP, over both transports."""

import pytest
import trio
from support.injection import at_every_moment
from trio.testing import wait_all_tasks_blocked

from trio_socketio import ConnectionRefused, HTTPResponse, Server
from trio_socketio.testing import ConnectError, ConnectionGone, Event, NotReceived, open_test_client, request

both = pytest.mark.parametrize("transport", ["websocket", "polling"])


def make_server(**options):
    """A server with a handler for whatever a client can do."""
    server = Server(**options)

    @server.on("echo")
    async def echo(ctx, *args):
        return args

    @server.on("tell")
    async def tell(ctx, event, *args):
        await ctx.emit(event, *args)

    @server.on("ask")
    async def ask(ctx, *args):
        return "you said", await ctx.call("question", *args)

    @server.on("message")
    async def message(ctx, *args):
        await ctx.send(["got", *args])

    @server.on("throw out")
    async def throw_out(ctx):
        await ctx.disconnect()

    @server.on("fail")
    async def fail(ctx):
        raise ValueError("on purpose")

    server.on("connect", lambda ctx, auth: None, namespace="/admin")

    @server.on("tell", namespace="/admin")
    async def tell_admin(ctx, event, *args):
        await ctx.emit(event, *args)

    @server.on("whoami", namespace="/admin")
    async def whoami(ctx):
        return ctx.sid

    @server.on("connect", namespace="/closed")
    async def refuse(ctx, auth):
        if auth != {"token": "right"}:
            raise ConnectionRefused("not you", {"auth": auth})

    return server


# Events.


@both
async def test_an_event_is_received_with_its_arguments(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        assert client.transport == transport
        await client.emit("tell", "news", 1, [2.5, None], {"three": "ü"})
        assert await client.receive() == Event("news", (1, [2.5, None], {"three": "ü"}), "/")


@both
async def test_bytes_travel_both_ways_wherever_they_are(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        data = bytes(range(256))
        await client.emit("tell", "file", {"parts": [data, b""]}, data)
        assert await client.receive() == Event("file", ({"parts": [data, b""]}, data))
        assert await client.call("echo", data, "text") == (data, "text")


@both
async def test_events_arrive_in_their_order(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        for number in range(50):
            await client.emit("tell", "number", number)
        assert [(await client.receive()).args for _ in range(50)] == [(number,) for number in range(50)]


@both
async def test_binary_packets_of_several_tasks_do_not_mix(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:

        async def call(number):
            data = bytes([number]) * 10_000 * number  # which the server does not read at once
            assert await client.call("echo", data, [data]) == (data, [data])

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(call, number)


@both
async def test_an_emit_that_is_cancelled_sends_its_packet_whole_or_not_at_all(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:

        async def scenario(injection):
            with trio.CancelScope() as scope:
                injection.begin(scope.cancel)
                await client.emit("tell", "data", b"1", b"2", b"3")
                injection.end()
            assert await client.call("echo", "still here") == "still here"
            assert client.received() in ([], [Event("data", (b"1", b"2", b"3"))])

        assert await at_every_moment(scenario) > 3


@both
async def test_send_is_an_event_named_message(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        await client.send("hello", 2)
        assert await client.receive() == Event("message", (["got", "hello", 2],))


async def test_expect_leaves_others_to_receive(autojump_clock):
    async with open_test_client(make_server()) as client:
        for name in ("first", "second", "third", "second"):
            await client.emit("tell", name)
        assert (await client.expect("second")).name == "second"
        assert [(await client.receive()).name for _ in range(3)] == ["first", "third", "second"]


async def test_expect_may_be_about_one_namespace(autojump_clock):
    async with open_test_client(make_server()) as client:
        await client.connect("/admin")
        await client.emit("tell", "news", "root")
        await client.emit("tell", "news", "admin", namespace="/admin")
        assert (await client.expect("news", namespace="/admin")) == Event("news", ("admin",), "/admin")
        assert (await client.expect("news")) == Event("news", ("root",))


async def test_received_takes_what_is_here(autojump_clock):
    async with open_test_client(make_server()) as client:
        assert client.received() == []
        await client.emit("tell", "a", 1)
        await client.emit("tell", "b", 2)
        await wait_all_tasks_blocked()
        assert client.received() == [Event("a", (1,)), Event("b", (2,))]
        assert client.received() == []


async def test_two_tasks_may_wait_at_once(autojump_clock):
    got = {}
    async with open_test_client(make_server()) as client:

        async def wait(name):
            got[name] = (await client.expect(name)).args

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "a")
            nursery.start_soon(wait, "b")
            await wait_all_tasks_blocked()
            await client.emit("tell", "b", 1)
            await client.emit("tell", "a", 2)
    assert got == {"a": (2,), "b": (1,)}


async def test_a_wait_that_is_cancelled_takes_nothing(autojump_clock):
    async with open_test_client(make_server()) as client:
        with trio.move_on_after(1) as scope:
            await client.expect("news")
        assert scope.cancelled_caught
        await client.emit("tell", "news")
        assert (await client.expect("news")).name == "news"


def test_an_event_reads_as_a_call():
    assert str(Event("chat", ("hi", 2))) == "chat('hi', 2)"
    assert str(Event("chat", (), "/admin")) == "chat() in /admin"
    assert Event("chat", (), "/", 3) == Event("chat")
    assert Event("chat", (), "/admin") != Event("chat")


# What does not come.


@both
async def test_not_received_lists_what_came_instead(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        await client.emit("tell", "other", 1, b"2")
        await client.emit("tell", "third")
        began = trio.current_time()
        with pytest.raises(AssertionError) as caught:
            await client.expect("chat", timeout=2.5)
        assert trio.current_time() - began == pytest.approx(2.5)
        assert type(caught.value) is NotReceived
        assert str(caught.value) == "no event 'chat' came within 2.5 s; here are: other(1, b'2'), third()"
        assert [each.name for each in client.received()] == ["other", "third"]


async def test_not_received_says_that_nothing_came(autojump_clock):
    async with open_test_client(make_server()) as client:
        with pytest.raises(NotReceived, match=r"^no event came within 5 s; no event is here$"):
            await client.receive()
        with pytest.raises(NotReceived, match=r"^no event 'chat' in /admin came within 1 s; no event is here$"):
            await client.expect("chat", namespace="/admin", timeout=1)


async def test_not_received_says_why_the_client_has_left(autojump_clock):
    async with open_test_client(make_server()) as client:
        await client.emit("throw out")
        with pytest.raises(
            NotReceived, match=r"no event 'chat' came within 5 s; no event is here; left '/': io server disconn"
        ):
            await client.expect("chat")


# Acknowledgements.


@both
async def test_call_returns_none_a_value_or_a_tuple(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        assert await client.call("echo") is None
        assert await client.call("echo", {"a": 1}) == {"a": 1}
        assert await client.call("echo", [1, 2]) == [1, 2]
        assert await client.call("echo", 1, 2) == (1, 2)


async def test_calls_that_overlap_get_their_own_answers(autojump_clock):
    server = Server()

    @server.on("after", concurrent=True)
    async def after(ctx, seconds):
        await trio.sleep(seconds)
        return seconds

    answers = []
    async with open_test_client(server) as client, trio.open_nursery() as nursery:

        async def call(seconds):
            answers.append((seconds, await client.call("after", seconds)))

        for seconds in (3, 1, 2):
            nursery.start_soon(call, seconds)
    assert answers == [(1, 1), (2, 2), (3, 3)]


async def test_a_call_that_is_not_acknowledged_fails(autojump_clock, caplog):
    async with open_test_client(make_server()) as client:
        with pytest.raises(NotReceived, match=r"^no acknowledgement of 'fail' came within 5 s; no event is here$"):
            await client.call("fail")
        assert "on purpose" in caplog.text
        assert await client.call("echo", 1) == 1


async def test_an_acknowledgement_that_comes_too_late_is_dropped(autojump_clock):
    server = Server()

    @server.on("slow")
    async def slow(ctx):
        await trio.sleep(2)
        return "late"

    async with open_test_client(server) as client:
        with pytest.raises(NotReceived):
            await client.call("slow", timeout=1)
        assert await client.call("slow", timeout=10) == "late"


async def test_a_call_fails_when_the_client_is_thrown_out(autojump_clock):
    async with open_test_client(make_server()) as client:
        began = trio.current_time()
        with pytest.raises(ConnectionGone, match=r"^the client is not in '/' any more: io server disconnect$"):
            await client.call("throw out")
        assert trio.current_time() == began


@both
async def test_the_server_can_call_the_client(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client, trio.open_nursery() as nursery:

        async def answer():
            event = await client.expect("question")
            assert event.wants_ack
            await client.acknowledge(event, *event.args, "more")

        nursery.start_soon(answer)
        assert await client.call("ask", b"bytes", 2) == ("you said", [b"bytes", 2, "more"])


async def test_only_an_event_that_wants_it_is_acknowledged(autojump_clock):
    async with open_test_client(make_server()) as client:
        await client.emit("tell", "news", 1)
        event = await client.receive()
        assert not event.wants_ack
        with pytest.raises(ValueError, match=r"^the server wants no acknowledgement of news\(1\)$"):
            await client.acknowledge(event, "thanks")


# Namespaces.


@both
async def test_a_client_may_be_in_several_namespaces(autojump_clock, transport):
    server = make_server()
    async with open_test_client(server, transport=transport) as client:
        assert await client.connect("/admin") == client.sids["/admin"]
        assert client.sids == {"/": server.sockets()[0], "/admin": server.sockets("/admin")[0]}
        assert client.sid == client.sids["/"]
        assert await client.call("whoami", namespace="/admin") == client.sids["/admin"]
        await client.emit("tell", "news", namespace="/admin")
        assert await client.receive() == Event("news", (), "/admin")


async def test_the_first_namespace_is_that_of_the_client(autojump_clock):
    async with open_test_client(make_server(), "/admin") as client:
        await client.connect()
        assert await client.call("whoami") == client.sid == client.sids["/admin"]


@both
async def test_a_refusal_of_a_namespace_is_an_error_with_its_data(autojump_clock, transport):
    server = make_server()
    with pytest.raises(ConnectError) as caught:
        async with open_test_client(server, "/closed", {"token": "wrong"}, transport=transport):
            pytest.fail("it was refused")
    error = caught.value
    assert (error.namespace, error.message, error.data) == ("/closed", "not you", {"auth": {"token": "wrong"}})
    assert str(error) == "the server refused '/closed': not you ({'auth': {'token': 'wrong'}})"
    async with open_test_client(server, "/closed", {"token": "right"}, transport=transport) as client:
        assert client.sid


async def test_a_client_that_was_refused_may_ask_again(autojump_clock):
    async with open_test_client(make_server(), connect=False) as client:
        with pytest.raises(ConnectError, match=r"^the server refused '/closed': not you \(\{'auth': None\}\)$"):
            await client.connect("/closed")
        assert await client.connect("/closed", {"token": "right"}) == client.sid
        with pytest.raises(ConnectError, match="^the server refused '/none': Invalid namespace$"):
            await client.connect("/none")


async def test_a_namespace_is_joined_once(autojump_clock):
    async with open_test_client(make_server()) as client:
        with pytest.raises(ValueError, match="the client is in '/' already"):
            await client.connect()


async def test_a_connect_handler_that_does_not_decide_is_not_awaited_for_ever(autojump_clock):
    server = Server(disconnect_grace=1)

    @server.on("connect")
    async def connect(ctx, auth):
        await trio.sleep(60)

    async with open_test_client(server, connect=False) as client:
        with pytest.raises(NotReceived, match=r"^no answer to the CONNECT to '/' came within 7 s; no event is here$"):
            await client.connect(timeout=7)


@both
async def test_a_client_leaves_a_namespace_and_comes_back(autojump_clock, transport):
    server = make_server()
    async with open_test_client(server, transport=transport) as client:
        await client.connect("/admin")
        before = client.sid
        await client.disconnect()
        assert await client.wait_disconnected() == "io client disconnect"
        await wait_all_tasks_blocked()
        assert server.sockets() == []
        assert server.sockets("/admin")
        with pytest.raises(ConnectionGone, match="^the client is not in '/' any more: io client disconnect$"):
            await client.emit("echo")
        assert client.connected
        assert await client.connect() != before
        assert await client.call("echo", 1) == 1
        await client.disconnect("/admin")
        assert await client.wait_disconnected("/admin") == "io client disconnect"


async def test_a_namespace_that_was_never_joined_is_named(autojump_clock):
    async with open_test_client(make_server()) as client:
        await client.connect("/admin")
        with pytest.raises(ConnectionGone, match="^the client is not in '/x', but in /, /admin$"):
            await client.emit("echo", namespace="/x")
    async with open_test_client(make_server(), connect=False) as client:
        with pytest.raises(ConnectionGone, match="^the client is not in '/', but in no namespace$"):
            await client.emit("echo")


@both
async def test_wait_disconnected_says_that_the_server_ended_it(autojump_clock, transport):
    async with open_test_client(make_server(), transport=transport) as client:
        await client.emit("throw out")
        assert await client.wait_disconnected() == "io server disconnect"
        assert client.connected
        assert client.sids == {}


async def test_wait_disconnected_does_not_wait_for_ever(autojump_clock):
    async with open_test_client(make_server()) as client:
        with pytest.raises(
            NotReceived, match="^the client was not disconnected from '/' within 3 s; no event is here$"
        ):
            await client.wait_disconnected(timeout=3)


# The connection.


@both
async def test_pings_are_answered_however_long_a_test_takes(autojump_clock, transport):
    server = make_server()
    async with open_test_client(server, transport=transport) as client:
        await trio.sleep(3600)
        assert await client.call("echo", 1) == 1
        assert client.connected
        pings = [frame async for frame in frames_here(client) if frame == "2"]
        assert len(pings) == 3600 // 25


@both
async def test_a_client_that_does_not_answer_pings_is_lost(autojump_clock, transport):
    server = make_server()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))
    async with open_test_client(server, transport=transport) as client:
        client.answers_pings = False
        await trio.sleep(44)
        assert client.connected
        reason = await client.wait_disconnected()
        assert reason == "transport close"
        assert reasons == ["ping timeout"]
        assert not client.connected
        with pytest.raises(ConnectionGone, match="^the connection is gone: transport close, the "):
            await client.emit("echo")
        with pytest.raises(ConnectionGone, match="^the connection is gone: transport close, the "):
            await client.connect("/admin")
        with pytest.raises(NotReceived, match="^no event came; no event is here; left '/': transport close; the conn"):
            await client.receive()


@both
async def test_what_came_before_the_end_is_still_received(autojump_clock, transport):
    server = make_server()

    @server.on("last words")
    async def last_words(ctx):
        await ctx.emit("goodbye", b"!")
        server.sessions[client.handshake.sid].close("forced close", "the test says so")

    async with open_test_client(server, transport=transport) as client:
        await client.emit("last words")
        assert await client.receive() == Event("goodbye", (b"!",))
        await client.wait_disconnected()
        assert not client.connected


async def test_hanging_up_is_a_lost_connection(autojump_clock):
    server = make_server()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))
    async with open_test_client(server) as client:
        await client.hang_up()
        assert await client.wait_disconnected() == "transport close"
        await wait_all_tasks_blocked()
        assert reasons == ["transport close"]


async def test_over_polling_a_lost_connection_is_noticed_when_a_ping_is_not_answered(autojump_clock):
    server = make_server()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append((reason, trio.current_time())))
    async with open_test_client(server, transport="polling") as client:
        await client.hang_up()
        await trio.sleep(60)
        assert reasons == [("ping timeout", pytest.approx(45))]


@both
async def test_closing_early_waits_for_the_disconnect_handler(autojump_clock, transport):
    server = make_server()
    reasons = []

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        await trio.sleep(3)
        reasons.append(reason)

    async with open_test_client(server, transport=transport) as client:
        await client.close()
        assert reasons == ["client namespace disconnect"]
        assert server.sessions == {}
        await client.close()
        with pytest.raises(ConnectionGone):
            await client.emit("echo")


# Frames.


async def frames_here(client):
    """Yield the frames that have come so far."""
    while True:
        try:
            yield await client.receive_frame(timeout=0)
        except NotReceived:
            return


@both
async def test_frames_are_seen_and_sent_as_they_are(autojump_clock, transport):
    async with open_test_client(make_server(), connect=False, transport=transport) as client:
        opening = await client.receive_frame()
        assert opening.startswith('0{"sid":"')
        assert client.handshake.sid in opening
        await client.send_frame("40")
        assert await client.receive_frame() == f'40{{"sid":"{client.sid}"}}'
        await client.send_frame('451-7["echo",{"_placeholder":true,"num":0}]')
        await client.send_frame(b"\x01\x02")
        assert await client.receive_frame() == '461-7[{"_placeholder":true,"num":0}]'
        assert await client.receive_frame() == b"\x01\x02"
        with pytest.raises(NotReceived, match="^no frame came within 5 s; "):
            await client.receive_frame()


@both
async def test_a_wrong_frame_costs_the_connection(autojump_clock, transport):
    server = make_server()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))
    async with open_test_client(server, transport=transport) as client:
        if transport == "websocket":
            await client.send_frame("9")
        else:
            with pytest.raises(
                ConnectionGone, match='a POST was answered with status 400: {"code":3,"message":"Bad req'
            ):
                await client.send_frame("9")
        await client.wait_disconnected()
        assert reasons == ["parse error"]


async def test_frames_are_for_events_as_well(autojump_clock):
    async with open_test_client(make_server()) as client:
        assert [frame async for frame in frames_here(client)][1:] == [f'40{{"sid":"{client.sid}"}}']
        await client.emit("tell", "news", 1)
        assert await client.receive_frame() == '42["news",1]'
        assert await client.receive() == Event("news", (1,))


# HTTP.


async def answer(asked):
    if asked.path == "/slow":
        await trio.sleep_forever()
    text = f"{asked.method} {asked.url} {asked.headers.get('x-test')} {asked.body.decode()}"
    return HTTPResponse(200, {"content-type": "text/plain", "x-server": "yes"}, text.encode())


async def test_a_client_reaches_the_http_handler(autojump_clock):
    async with open_test_client(make_server(http=answer)) as client:
        response = await client.request("POST", "/a?b=c", headers={"x-test": "1"}, body=b"body")
        assert response.status == 200
        assert response.headers["x-server"] == "yes"
        assert response.text == "POST http://127.0.0.1:3000/a?b=c 1 body"
        assert (await client.request("GET", "/d", headers=[("x-test", "2")])).body.endswith(b"/d 2 ")


async def test_the_http_handler_is_reached_without_a_client(autojump_clock):
    server = make_server(http=json_answer)
    assert (await request(server, "GET", "/metrics")).json() == {"connected": 0}
    async with open_test_client(server):
        assert (await request(server, "GET", "/metrics")).json() == {"connected": 0}
    assert not server.services


async def json_answer(asked):
    return HTTPResponse(200, {}, b'{"connected": 0}')


async def test_a_request_is_not_awaited_for_ever(autojump_clock):
    with pytest.raises(NotReceived, match=r"^GET /slow was not answered within 2 s$"):
        await request(make_server(http=answer, shutdown_grace=0.1), "GET", "/slow", timeout=2)


async def test_the_answer_to_what_nobody_handles_is_404(autojump_clock):
    response = await request(make_server(), "GET", "/nothing")
    assert (response.status, response.text) == (404, "Not found\n")
