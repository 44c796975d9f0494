"""How test clients begin and end: who serves the server, what is refused, who waits for whom, and that nothing is left."""

import signal
import traceback
from contextlib import suppress

import pytest
import trio
from support.holdings import objects, settled
from support.injection import Injection, at_every_moment
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture

from trio_socketio import ConnectionRefused, Server, emit
from trio_socketio.testing import (
    ConnectionGone,
    Event,
    HandshakeRefused,
    NotReceived,
    StillRunning,
    open_test_client,
    request,
    serve_in_memory,
)

both = pytest.mark.parametrize("transport", ["websocket", "polling"])


def make_server(**options):
    """A server that keeps the reasons of those that have left."""
    server = Server(**options)
    server.reasons = []

    @server.on("echo")
    async def echo(ctx, *args):
        return args

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        await trio.sleep(0.5)
        server.reasons.append(reason)

    return server


class MishapError(Exception):
    """Raised by a test on purpose."""


# The handshake.


@both
async def test_headers_and_query_are_those_of_the_handshake(autojump_clock, transport):
    server = Server()
    seen = []

    @server.on("connect")
    async def connect(ctx, auth):
        seen.append((ctx.handshake.headers["cookie"], ctx.handshake.headers["x-a"], ctx.handshake.query["b"], auth))

    for headers in ({"cookie": "session=1", "X-A": "2"}, [("cookie", "session=1"), ("x-a", "2")]):
        for query in ({"b": "3 &"}, [("b", "3 &")]):
            async with open_test_client(server, auth={"c": 4}, headers=headers, query=query, transport=transport):
                assert seen.pop() == ("session=1", "2", "3 &", {"c": 4})


@both
async def test_the_host_may_be_another(autojump_clock, transport):
    server = Server()
    seen = []
    server.on("connect", lambda ctx, auth: seen.append(ctx.handshake.headers["host"]))
    async with open_test_client(server, headers={"Host": "chat.example"}, transport=transport) as client:
        assert seen == ["chat.example"]
        assert client.connected


@both
async def test_the_path_is_that_of_the_server(autojump_clock, transport):
    async with open_test_client(make_server(path="/live/"), transport=transport) as client:
        assert await client.call("echo", 1) == 1


@both
async def test_a_handshake_that_is_refused_has_status_and_body(autojump_clock, transport):
    async def deny(asked):
        raise ConnectionRefused("not for the client to read")

    server = make_server(allow_request=deny)
    with pytest.raises(HandshakeRefused) as caught:
        async with open_test_client(server, transport=transport):
            pytest.fail("it was refused")
    error = caught.value
    assert (error.status, error.body) == (403, b'{"code":4,"message":"Forbidden"}')
    assert error.message == "Forbidden"
    assert str(error) == 'the handshake was refused with status 403: {"code":4,"message":"Forbidden"}'
    assert not server.services


@both
async def test_a_page_of_another_origin_is_refused(autojump_clock, transport):
    for origin, allowed in (("http://127.0.0.1:3000", True), ("https://elsewhere.example", False)):
        client = open_test_client(Server(), headers={"origin": origin}, transport=transport)
        if allowed:
            async with client:
                pass
        else:
            with pytest.raises(HandshakeRefused):
                async with client:
                    pass


async def test_the_body_of_a_refusal_need_not_be_json():
    assert HandshakeRefused(503, b"").message == ""
    assert str(HandshakeRefused(503, b"")) == "the handshake was refused with status 503: without a body"
    assert HandshakeRefused(503, b"busy").message == "busy"
    assert HandshakeRefused(503, b"[1]").message == "[1]"


@both
async def test_a_handshake_is_not_awaited_for_ever(autojump_clock, transport):
    async def hesitate(asked):
        await trio.sleep_forever()

    with pytest.raises(NotReceived, match="^no answer to the handshake came within 5 s$"):
        async with open_test_client(make_server(allow_request=hesitate), transport=transport):
            pytest.fail("nobody answered")


async def test_there_are_two_transports(autojump_clock):
    with pytest.raises(ValueError, match="^transport is one of websocket, polling, not 'pigeon'$"):
        async with open_test_client(Server(), transport="pigeon"):
            pytest.fail("there is none")


@both
async def test_without_connect_no_namespace_is_joined(autojump_clock, transport):
    server = make_server()
    async with open_test_client(server, connect=False, transport=transport) as client:
        await wait_all_tasks_blocked()
        assert server.sockets() == []
        assert client.sids == {}
        with pytest.raises(ConnectionGone, match="^the client is not in '/', but in no namespace$"):
            assert client.sid
    assert server.reasons == []


@both
async def test_a_server_that_does_not_speak_socketio_can_be_asked_for_frames(autojump_clock, transport):
    async with open_test_client(EngineFixture(), connect=False, transport=transport) as client:
        await client.receive_frame()
        await client.send_frame(b"\x00")
        assert await client.receive_frame() == b"\x00"


# Who serves.


@both
async def test_without_a_clock_of_its_own_it_takes_no_time(transport):
    server = make_server()
    async with open_test_client(server, transport=transport) as client:
        assert await client.call("echo", 1) == 1
    assert server.reasons == ["client namespace disconnect"]


async def test_clients_share_the_service_of_the_first(autojump_clock):
    server = make_server()
    async with open_test_client(server) as first:
        service = server.services
        assert len(service) == 1
        async with open_test_client(server) as second, open_test_client(server, transport="polling") as third:
            assert server.services == service
            assert set(server.sockets()) == {first.sid, second.sid, third.sid}
            await server.emit("news", 1)
            for client in (first, second, third):
                assert await client.receive() == Event("news", (1,))
    assert server.services == []


async def test_functions_of_the_module_mean_the_server_that_is_served(autojump_clock):
    server = make_server()
    async with open_test_client(server) as client:
        await emit("news", 1, broadcast=True)
        assert await client.receive() == Event("news", (1,))


async def test_two_servers_have_nothing_to_do_with_each_other(autojump_clock):
    one, other = make_server(), make_server()
    async with open_test_client(one) as client, open_test_client(other) as stranger:
        await one.emit("news")
        assert (await client.receive()).name == "news"
        await wait_all_tasks_blocked()
        assert stranger.received() == []


async def test_who_brought_the_service_waits_for_the_others(autojump_clock):
    server = make_server()
    steps = []

    async def guest(seconds, task_status):
        async with open_test_client(server) as client:
            task_status.started()
            await trio.sleep(seconds)
            assert await client.call("echo", seconds) == seconds
        steps.append(f"guest of {seconds} s has left")

    async with trio.open_nursery() as nursery:
        async with open_test_client(server):
            await nursery.start(guest, 3)
            await nursery.start(guest, 7)
        steps.append("service has ended")
        assert server.services == []
    assert steps == ["guest of 3 s has left", "guest of 7 s has left", "service has ended"]


@pytest.mark.parametrize("fails", [True, False])
async def test_if_who_brought_the_service_fails_it_ends_at_once(autojump_clock, fails):
    server = make_server()
    gone = []

    async def guest(task_status):
        async with open_test_client(server) as client:
            task_status.started()
            gone.append(await client.wait_disconnected(timeout=1000))

    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        with pytest.raises(MishapError) if fails else trio.CancelScope() as scope:
            async with open_test_client(server):
                await nursery.start(guest)
                if fails:
                    raise MishapError
                scope.cancel()
                await trio.sleep_forever()
        assert server.services == []
    assert gone == ["transport close"]
    assert trio.current_time() - began < 2
    assert server.reasons.count("server shutting down") == 1


async def test_while_the_service_waits_for_the_others_more_may_come(autojump_clock):
    server = make_server()

    async def guest(begin, seconds):
        await trio.sleep(begin)
        async with open_test_client(server) as client:
            await trio.sleep(seconds)
            assert await client.call("echo", 1) == 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest, 0, 10)
        nursery.start_soon(guest, 5, 10)
        async with open_test_client(server):
            await trio.sleep(1)
        assert trio.current_time() >= 15
        assert server.services == []


async def test_a_wait_for_the_others_that_is_cancelled_ends_the_service(autojump_clock):
    server = make_server()
    gone = []

    async def guest(task_status):
        async with open_test_client(server) as client:
            task_status.started()
            gone.append(await client.wait_disconnected(timeout=1000))

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(10):
            async with open_test_client(server):
                await nursery.start(guest)
        assert server.services == []
        assert trio.current_time() < 12
    assert gone == ["transport close"]


async def test_after_the_service_has_ended_the_next_client_brings_another(autojump_clock):
    server = make_server()
    for _ in range(3):
        async with open_test_client(server) as client:
            assert await client.call("echo", 1) == 1
    assert server.reasons == ["client namespace disconnect"] * 3


def test_a_server_may_be_tested_in_several_runs():
    server = make_server()

    async def use():
        async with open_test_client(server) as client:
            assert await client.call("echo", 1) == 1

    trio.run(use)
    trio.run(use)


async def test_serve_in_memory_is_for_clients_of_concurrent_tasks(autojump_clock):
    server = make_server()

    async def use(seconds):
        await trio.sleep(seconds)
        async with open_test_client(server):
            await trio.sleep(1)

    async with serve_in_memory(server):
        service = server.services[0]
        async with trio.open_nursery() as nursery:
            for seconds in (0, 5, 10):
                nursery.start_soon(use, seconds)
        assert server.services == [service]
        async with serve_in_memory(server):
            assert server.services == [service]
        assert server.services == [service]
    assert server.services == []
    assert server.reasons == ["client namespace disconnect"] * 3


@both
async def test_the_end_of_serve_in_memory_is_a_shutdown(autojump_clock, transport):
    server = make_server()
    async with trio.open_nursery() as nursery:

        async def use(task_status):
            async with open_test_client(server, transport=transport) as client:
                task_status.started()
                assert await client.wait_disconnected(timeout=60) == "transport close"

        async with serve_in_memory(server):
            await nursery.start(use)
    assert server.reasons == ["server shutting down"]


@both
async def test_a_shutdown_can_be_watched_by_a_client(autojump_clock, transport):
    server = make_server()
    async with serve_in_memory(server) as service, open_test_client(server, transport=transport) as client:
        await service.shut_down()
        assert server.services == []
        assert server.reasons == ["server shutting down"]
        assert await client.wait_disconnected() == "transport close"
        with pytest.raises(
            ConnectionGone, match="^GET / was not answered: the server cannot be reached: the server is not"
        ):
            await client.request("GET", "/")
        with pytest.raises(
            ConnectionGone, match="the handshake failed: the server cannot be reached: the server is not"
        ):
            async with open_test_client(server, transport=transport):
                pytest.fail("nobody listens")


async def test_a_server_that_serves_elsewhere_too_can_be_tested(autojump_clock):
    server = make_server()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, "127.0.0.1", 0)
        async with open_test_client(server) as client:
            assert await client.call("echo", 1) == 1
        assert len(server.services) == 1
        nursery.cancel_scope.cancel()


# The end.


@both
async def test_at_the_end_the_disconnect_handler_has_ended(autojump_clock, transport):
    server = make_server()
    async with serve_in_memory(server):
        async with open_test_client(server, transport=transport):
            pass
        assert server.reasons == ["client namespace disconnect"]
        assert server.sessions == {}


@both
async def test_at_the_end_the_handlers_have_ended_too(autojump_clock, transport):
    server = make_server()
    ended = []

    @server.on("work")
    async def work(ctx):
        await trio.sleep(5)
        ended.append("handler")

    @server.on("watch")
    async def watch(ctx):
        async def task():
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(8)
                ended.append("task")

        ctx.start_soon(task)

    async with serve_in_memory(server):
        async with open_test_client(server, transport=transport) as client:
            await client.emit("watch")
            await client.emit("work")
        assert (ended, server.reasons) == (["handler", "task"], ["client namespace disconnect"])


async def test_every_namespace_is_left(autojump_clock):
    server = make_server()
    left = []
    server.on("disconnect", lambda ctx, reason: left.append((ctx.namespace, reason)), namespace="/x")
    async with serve_in_memory(server):
        async with open_test_client(server) as client:
            await client.connect("/x")
        assert left == [("/x", "client namespace disconnect")]
        assert server.reasons == ["client namespace disconnect"]


async def test_a_handler_that_never_ends_is_reported(autojump_clock):
    server = make_server(disconnect_grace=None, shutdown_grace=1)

    @server.on("stay")
    async def stay(ctx):
        await trio.sleep_forever()

    with pytest.raises(StillRunning, match="^the server has not finished with the client 60 s after it left$"):
        async with open_test_client(server) as client:
            await client.emit("stay")
    assert server.services == []


async def test_a_handler_has_its_grace_twice(autojump_clock):
    server = Server(disconnect_grace=20)
    ended = []

    @server.on("stay")
    async def stay(ctx):
        await trio.sleep_forever()

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        await trio.sleep(19)
        ended.append(trio.current_time())

    async with open_test_client(server) as client:
        await client.emit("stay")
        began = trio.current_time()
    assert ended == [pytest.approx(began + 39)]


async def test_a_client_that_was_thrown_out_waits_as_well(autojump_clock):
    server = make_server()

    @server.on("throw out")
    async def throw_out(ctx):
        await ctx.disconnect()

    async with serve_in_memory(server):
        async with open_test_client(server) as client:
            await client.emit("throw out")
            await client.wait_disconnected()
        assert server.reasons == ["server namespace disconnect"]


@both
@pytest.mark.parametrize("closed", [True, False])
async def test_who_has_hung_up_says_nothing_more_and_the_end_waits_until_the_server_has_noticed(
    autojump_clock, transport, closed
):
    server = make_server(ping_interval=40, ping_timeout=30)
    async with serve_in_memory(server):
        began = trio.current_time()
        async with open_test_client(server, transport=transport) as client:
            await client.hang_up()
            if closed:
                await client.close()
        reason, seconds = {"websocket": ("transport close", 0.5), "polling": ("ping timeout", 70.5)}[transport]
        assert server.reasons == [reason]
        assert trio.current_time() - began == pytest.approx(seconds)
        assert server.sessions == {}


async def test_what_waits_to_be_posted_is_not_posted_after_hanging_up(autojump_clock):
    server = make_server()
    got = []

    @server.on("note")
    async def note(ctx, *args):
        got.append(args)

    async with open_test_client(server, transport="polling") as client, trio.open_nursery() as nursery:

        async def tell(number):
            with suppress(ConnectionGone):
                await client.emit("note", number)

        for number in range(10):  # a session has one POST at a time: the others wait for the first
            nursery.start_soon(tell, number)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        await client.hang_up()
    assert len(got) <= 1


@both
async def test_a_failure_after_hanging_up_says_nothing_either(autojump_clock, transport):
    server = make_server()
    async with serve_in_memory(server):
        with pytest.raises(MishapError):
            async with open_test_client(server, transport=transport) as client:
                await client.hang_up()
                raise MishapError
        await trio.sleep(60)
        assert server.reasons == ["transport close" if transport == "websocket" else "ping timeout"]


# What the block raises.


@both
@pytest.mark.parametrize("served", [True, False])
async def test_an_exception_comes_out_as_itself(autojump_clock, transport, served):
    server = make_server()
    cause = ValueError("cause")
    for error in (MishapError("one"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            if served:
                async with serve_in_memory(server), open_test_client(server, transport=transport):
                    raise error from cause
            else:
                async with open_test_client(server, transport=transport), open_test_client(server):
                    raise error from cause
        assert caught.value is error
        assert error.__cause__ is cause
        assert error.__context__ is None
        assert "trio/_core" not in "".join(traceback.format_exception(error))


async def test_a_group_of_the_block_stays_a_group(autojump_clock):
    with pytest.raises(ExceptionGroup) as caught:
        async with open_test_client(make_server()):
            raise ExceptionGroup("of the test", [MishapError()])
    assert caught.value.message == "of the test"
    assert [type(each) for each in caught.value.exceptions] == [MishapError]


async def test_two_exceptions_come_out_as_a_group(autojump_clock, monkeypatch):
    server = make_server()

    async def broken(listeners, *, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise MishapError("of the server")

    monkeypatch.setattr(server, "serve_listeners", broken)
    with pytest.raises(ExceptionGroup) as caught:
        async with serve_in_memory(server):
            raise ValueError("of the test")
    assert sorted(map(str, caught.value.exceptions)) == ["of the server", "of the test"]


class EndError(BaseException):
    """Raised by a handler on purpose; no server survives it."""


@both
@pytest.mark.parametrize("served", [True, False])
async def test_what_ends_the_server_comes_out_although_the_client_expects_the_end(autojump_clock, transport, served):
    server = make_server()

    @server.on("end")
    async def end(ctx):
        raise EndError

    async def use():
        async with open_test_client(server, transport=transport) as client:
            with suppress(ConnectionGone):  # over polling, the answer to the POST does not come any more
                await client.emit("end")
            await client.wait_disconnected()

    with pytest.RaisesGroup(EndError, flatten_subgroups=True):
        if served:
            async with serve_in_memory(server):
                await use()
        else:
            await use()


async def test_ctrl_c_in_a_handler_comes_out():
    server = make_server()

    @server.on("work")
    async def work(ctx):
        signal.raise_signal(signal.SIGINT)

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with open_test_client(server) as client:
            await client.emit("work")
            await client.wait_disconnected()


@both
async def test_after_a_failure_a_handler_has_half_of_the_time_of_a_shutdown(autojump_clock, transport):
    server = make_server(shutdown_grace=8)

    @server.on("stay")
    async def stay(ctx):
        await trio.sleep_forever()

    began = trio.current_time()
    with pytest.raises(MishapError):
        async with open_test_client(server, transport=transport) as client:
            await client.emit("stay")
            await wait_all_tasks_blocked()
            raise MishapError
    assert trio.current_time() - began == pytest.approx(4.5)  # and half a second for the disconnect handler
    assert len(server.reasons) == 1


@both
async def test_after_a_failure_nobody_waits_for_the_server(autojump_clock, transport):
    server = make_server()
    async with serve_in_memory(server):
        with pytest.raises(MishapError):
            async with open_test_client(server, transport=transport):
                raise MishapError
        assert server.reasons == []
        await trio.sleep(1)
        assert server.reasons == ["transport close"]


# Nothing is left.


@both
@pytest.mark.parametrize("served", [True, False])
async def test_a_cancellation_at_any_moment_leaves_nothing(autojump_clock, caplog, transport, served):
    server = make_server(disconnect_grace=2)
    before = await objects()

    async def talk():
        async with open_test_client(server, transport=transport) as client:
            assert await client.call("echo", b"1") == b"1"

    async def scenario(injection: Injection):
        tasks = trio.lowlevel.current_statistics().tasks_living
        began = trio.current_time()
        with trio.CancelScope() as scope:
            injection.begin(scope.cancel)
            await talk()
            injection.end()
        assert trio.current_time() - began < 4
        if not served:
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            assert server.services == []
            assert server.sessions == {}

    if served:
        async with serve_in_memory(server):
            empty = await settled(server.services[0])

            async def settling(injection):
                await scenario(injection)
                await trio.sleep(5)
                assert await settled(server.services[0]) == empty

            moments = await at_every_moment(settling)
    else:
        moments = await at_every_moment(scenario)
    assert moments > 20
    assert await objects() <= before
    assert not [record for record in caplog.records if record.levelname not in ("INFO", "DEBUG")]


async def test_a_request_that_is_cancelled_leaves_nothing(autojump_clock):
    server = Server()

    async def scenario(injection):
        with trio.CancelScope() as scope:
            injection.begin(scope.cancel)
            assert (await request(server, "GET", "/")).status == 404
            injection.end()
        assert server.services == []

    assert await at_every_moment(scenario) > 5


async def test_nothing_is_left_of_forty_clients(autojump_clock):
    server = make_server()
    before = await objects()
    async with serve_in_memory(server):
        empty = await settled(server.services[0])

        async def use(number):
            async with open_test_client(server, transport=["websocket", "polling"][number % 2]) as client:
                assert await client.call("echo", number) == number

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(use, number)
        assert await settled(server.services[0]) == empty
        assert len(server.reasons) == 40
    assert await objects() <= before
