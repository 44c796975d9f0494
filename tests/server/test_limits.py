"""Each bound of a server: up to it all is well, over it what is documented happens, is counted, and is told without payloads."""

import logging

import pytest
import trio
from support.memory import MemoryListener, read_to_end, serving
from support.stage import staged
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import HOST, Peer, PeerError, Refused
from trio_socketio.protocol.socketio import Packet, PacketType
from trio_socketio.server.client import NOTICES
from trio_socketio.server.limits import Addresses, Bucket, holder_of

from trio_socketio import HTTPResponse, Limits, RateLimit, Server, TooManyAcks, TooManyRooms

SECRET = "s3cr3t"
"""What stands in every payload, and must not be in the log."""
TRANSPORTS = ["websocket", "polling"]
POLLING = "/socket.io/?EIO=4&transport=polling"

both_ways = pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
both_transports = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.DEBUG, logger="trio_socketio")


def told(caplog, limit):
    """The lines that are about a limit; no line has anything of a payload."""
    assert SECRET not in caplog.text
    return [record for record in caplog.records if getattr(record, "limit", None) == limit]


def check_reached(server, caplog, limit, times=1, *, lines=1, reason=None):
    """A limit was reached so often; one line of the log says so."""
    assert server.stats()["limits"] == ({limit: times} if times else {})
    records = told(caplog, limit)
    assert len(records) == lines
    if reason is not None:
        assert server.stats()["closes"] == {reason: 1}
        assert [record.reason for record in records] == [reason]


def with_echo(**options):
    server = Server(**{"ping_interval": 1000, **options})

    @server.on("echo")
    async def echo(ctx, *args):
        return args

    return server


async def ends(client):
    """Wait until the server has ended the session of a client."""
    with pytest.raises(PeerError):
        while True:
            await client.receive()


# What a session may cost.


@both_ways
@both_transports
@pytest.mark.parametrize("size", [999, 1000, 1001])
async def test_a_message_has_max_payload_bytes_at_most(autojump_clock, caplog, transport, sockets, size):
    server = with_echo(max_payload=1000)
    async with serving(server, sockets=sockets) as peer:
        client = await peer.join(transport=transport)
        frame = '421["echo","' + SECRET
        frame += "x" * (size - len(frame) - 2) + '"]'
        if size > 1000:
            if transport == "polling":
                response = await client.transport.post(frame)
                assert (response.status, response.header("connection")) == (413, "close")
            else:
                await client.transport.send(frame)
                assert (await client.transport.expect_close()).code == 1009
            check_reached(server, caplog, "max_payload", reason="transport error")
        else:
            await client.transport.send(frame)
            assert (await client.receive()).id == 1
            check_reached(server, caplog, "max_payload", 0, lines=0)


@both_transports
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_packet_has_max_attachments_at_most(autojump_clock, caplog, transport, count):
    server = with_echo(max_attachments=2)
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        if count <= 2:
            await client.emit("echo", *[b"x"] * count, id=1)
            assert (await client.receive()).data == [b"x"] * count
            check_reached(server, caplog, "max_attachments", 0, lines=0)
        else:
            await client.transport.send(f'45{count}-["echo","{SECRET}"]')
            await ends(client)
            check_reached(server, caplog, "max_attachments", reason="parse error")


@pytest.mark.parametrize("options", [{}, {"callback": lambda: None}])
async def test_a_packet_of_the_server_has_max_attachments_at_most(autojump_clock, options):
    """For a client that relays what it gets would end the connections of all whose parser allows no more, JavaScript's."""
    server = with_echo()
    async with serving(server) as peer:
        client = await peer.join()
        assert await server.emit("parts", *[b"x"] * 10, **options) == 1
        assert (await client.receive()).data == ["parts", *[b"x"] * 10]
        with pytest.raises(ValueError, match="11 attachments"):
            await server.emit("parts", *[b"x"] * 11, **options)
        with pytest.raises(ValueError, match="11 attachments"):
            await server.call("parts", *[b"x"] * 11, to=client.sids["/"])


async def test_an_acknowledgement_has_max_attachments_at_most(autojump_clock, caplog):
    server = with_echo()
    server.on("parts", lambda ctx, count: (b"x",) * count)
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("parts", 11, id=1)
        await client.emit("parts", 10, id=2)
        assert (await client.receive()).id == 2
    assert "11 attachments" in caplog.text


@pytest.mark.parametrize("size", [50, 51])
async def test_the_attachments_of_a_packet_have_max_payload_bytes_together(autojump_clock, caplog, size):
    server = with_echo(max_payload=100)
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("echo", b"x" * 50, b"x" * size, id=1)
        if size == 50:
            assert (await client.receive()).id == 1
            check_reached(server, caplog, "max_payload", 0, lines=0)
        else:
            await ends(client)
            check_reached(server, caplog, "max_payload", reason="parse error")


@both_transports
async def test_attachments_must_come_in_time(autojump_clock, caplog, transport):
    server = with_echo(limits=Limits(attachment_timeout=5))
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        announcement = '452-1["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        for _ in range(2):
            await client.transport.send(announcement)
            await trio.sleep(4.9)
            await client.transport.send(b"1")
            await client.transport.send(b"2")
            assert (await client.receive()).data == [b"1", b"2"]
            await trio.sleep(5)
        check_reached(server, caplog, "attachment_timeout", 0, lines=0)
        await client.transport.send(announcement)
        await client.transport.send(b"1")
        await trio.sleep(4.9)
        assert server.stats()["closes"] == {}
        await trio.sleep(0.2)
        check_reached(server, caplog, "attachment_timeout", reason="parse error")


async def test_a_packet_right_behind_another_may_take_as_long(autojump_clock, caplog):
    server = with_echo(limits=Limits(attachment_timeout=5))
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("echo", b"1", id=1)
        await client.receive()
        await trio.sleep(4)
        await client.transport.send('451-["echo",{"_placeholder":true,"num":0}]')
        await trio.sleep(4.9)
        assert server.stats()["closes"] == {}
        await trio.sleep(5)
        check_reached(server, caplog, "attachment_timeout", reason="parse error")


async def test_attachments_that_the_server_does_not_read_are_not_late(autojump_clock, caplog):
    server = with_echo(limits=Limits(attachment_timeout=5, waiting_events=2), disconnect_grace=None)
    go_on = trio.Event()

    @server.on("wait")
    async def wait(ctx):
        await go_on.wait()

    async with serving(server) as peer:
        client = await peer.join()
        for _ in range(3):
            await client.emit("wait")
        await client.transport.send('451-1["echo",{"_placeholder":true,"num":0}]')
        await wait_all_tasks_blocked()
        await trio.sleep(30)
        go_on.set()
        await client.transport.send(b"1")
        assert (await client.receive()).data == [b"1"]
        assert server.stats()["closes"] == {}


class LockstepListener(MemoryListener):
    """Its connections have no buffer: what a client does not read blocks the server at once."""

    async def dial(self):
        ours, theirs = lockstep_stream_pair()
        await self._send.send(theirs)
        return ours


@pytest.mark.parametrize(
    ("options", "limit"),
    [({"max_buffered_bytes": 1000}, "max_buffered_bytes"), ({"max_buffered_packets": 10}, "max_buffered_packets")],
)
@both_transports
async def test_a_client_that_does_not_read_is_disconnected(autojump_clock, caplog, nursery, transport, options, limit):
    server = with_echo(**options)
    listener = LockstepListener(sockets=False)
    await nursery.start(server.serve_listeners, [listener])
    client = await Peer(listener.dial, host=HOST).join(transport=transport)
    await wait_all_tasks_blocked()
    sent = [server.emit_nowait("news", SECRET + "x" * 50) for _ in range(10)]
    assert sum(sent) == 10
    check_reached(server, caplog, limit, 0, lines=0)
    sent = [server.emit_nowait("news", SECRET + "x" * 50) for _ in range(10)]
    assert sum(sent) < 10
    check_reached(server, caplog, limit, reason="forced close")
    assert server.sockets() == []
    del client
    nursery.cancel_scope.cancel()


@both_transports
async def test_a_client_owes_max_pending_acks_at_most(autojump_clock, caplog, transport):
    server = with_echo(max_pending_acks=3)
    async with serving(server) as peer:
        await peer.join(transport=transport)
        for _ in range(3):
            assert await server.emit("ask", SECRET, callback=lambda *_: None) == 1
        check_reached(server, caplog, "max_pending_acks", 0, lines=0)
        with pytest.raises(TooManyAcks):
            await server.emit("ask", SECRET, callback=lambda *_: None)
        check_reached(server, caplog, "max_pending_acks")
        assert server.stats()["pending_acks"] == 3


@both_transports
async def test_who_joins_no_namespace_is_disconnected(autojump_clock, caplog, transport):
    server = with_echo(connect_timeout=5)
    async with serving(server) as peer:
        await peer.open_socketio(transport)
        await trio.sleep(4.9)
        check_reached(server, caplog, "connect_timeout", 0, lines=0)
        await trio.sleep(0.2)
        check_reached(server, caplog, "connect_timeout", reason="forced close")


async def test_an_upgrade_that_takes_too_long_is_given_up(autojump_clock, caplog):
    server = with_echo(upgrade_timeout=5)
    async with serving(server) as peer:
        client = await peer.join(transport="polling")
        websocket = await peer.upgrade(client.transport)
        await trio.sleep(4.9)
        check_reached(server, caplog, "upgrade_timeout", 0, lines=0)
        await websocket.expect_close()
        check_reached(server, caplog, "upgrade_timeout")
        assert server.stats()["sessions"] == {"polling": 1}


@both_ways
@both_transports
async def test_one_session_more_than_max_connections_is_refused(autojump_clock, caplog, transport, sockets):
    server = with_echo(max_connections=2)
    async with serving(server, sockets=sockets) as peer:
        client = await peer.join(transport=transport)
        await peer.join()
        check_reached(server, caplog, "max_connections", 0, lines=0)
        await refused(peer, transport)
        check_reached(server, caplog, "max_connections")
        await leave(client, transport)
        await peer.join(transport=transport)


@both_ways
@both_transports
async def test_one_session_more_than_an_address_may_have_is_refused(autojump_clock, caplog, transport, sockets):
    server = with_echo(limits=Limits(sessions_per_address=2))
    async with serving(server, sockets=sockets) as peer:
        client = await peer.join(transport=transport)
        await peer.join()
        check_reached(server, caplog, "sessions_per_address", 0, lines=0)
        await refused(peer, transport)
        check_reached(server, caplog, "sessions_per_address")
        await leave(client, transport)
        await peer.join(transport=transport)
        assert server.addresses.count("local") == len(server.addresses) == 2
    assert len(server.addresses) == 0


async def refused(peer, transport):
    """The server opens no session."""
    if transport == "polling":
        assert (await peer.request("GET", POLLING)).status == 503
    else:
        with pytest.raises(Refused) as refusal:
            await peer.open_websocket()
        assert refusal.value.status == 503


async def leave(client, transport):
    """End a session."""
    if transport == "polling":
        await client.transport.post("1")
    else:
        await client.transport.hang_up()
        await wait_all_tasks_blocked()


async def test_addresses_in_one_network_of_a_customer_are_one():
    assert holder_of("192.0.2.1") == "192.0.2.1"
    assert holder_of("local") == "local"
    assert holder_of("no: address") == "no: address"
    assert holder_of("2001:db8:1:2::1") == holder_of("2001:db8:1:2:ffff::5") == "2001:db8:1:2::/64"
    assert holder_of("2001:db8:1:3::1") == "2001:db8:1:3::/64"
    addresses = Addresses()
    addresses.enter("a", "2001:db8::1")
    addresses.enter("b", "2001:db8::2")
    assert addresses.count("2001:db8::3") == 2
    addresses.leave("a")
    addresses.leave("b")
    assert (addresses.count("2001:db8::3"), len(addresses)) == (0, 0)


@both_transports
async def test_a_session_is_in_so_many_namespaces_at_most(autojump_clock, caplog, transport):
    server = with_echo(limits=Limits(namespaces=3))
    server.namespace("/room-*")
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        for number in range(2):
            assert (await client.connect(f"/room-{number}")).type is PacketType.CONNECT
        check_reached(server, caplog, "namespaces", 0, lines=0)
        answer = await client.connect("/room-2")
        assert (answer.type, answer.data) == (PacketType.CONNECT_ERROR, {"message": "Too many namespaces"})
        check_reached(server, caplog, "namespaces")
        assert server.stats()["refusals"] == {"too many namespaces": 1}
        await client.send(Packet(PacketType.DISCONNECT, "/room-0"))
        assert (await client.connect("/room-2")).type is PacketType.CONNECT


@pytest.mark.parametrize("most", [1, 5])
async def test_only_the_latest_namespaces_that_the_server_ended_are_remembered(autojump_clock, most):
    server = with_echo(limits=Limits(namespaces=most))

    @server.on("connect", namespace="/room-*")
    def connect(ctx):
        return False

    async with serving(server) as peer:
        client = await peer.open_socketio()
        for number in range(20):
            await client.connect(f"/room-{number}")
        for number in range(20 - most, 20):
            await client.emit("late", namespace=f"/room-{number}")
        await wait_all_tasks_blocked()
        assert server.stats()["closes"] == {}
        await client.emit("too late", namespace=f"/room-{19 - most}")
        await wait_all_tasks_blocked()
        assert server.stats()["closes"] == {"parse error": 1}


async def test_a_client_is_in_so_many_rooms_at_most(autojump_clock, caplog):
    server = Server(ping_interval=1000, limits=Limits(rooms=3))
    async with staged(server) as stage:
        member = await stage.join()
        await stage.inside(member, lambda ctx: ctx.join_room(["a", "b", ctx.sid]))
        await stage.inside(member, lambda ctx: ctx.join_room("c"))
        await stage.inside(member, lambda ctx: ctx.join_room(["a", "b", "c"]))
        check_reached(server, caplog, "rooms", 0, lines=0)
        with pytest.raises(TooManyRooms, match="3 are allowed"):
            await stage.inside(member, lambda ctx: ctx.join_room(["a", "d"]))
        check_reached(server, caplog, "rooms")
        assert await stage.inside(member, lambda ctx: ctx.rooms()) == [member.sid, "a", "b", "c"]
        await stage.inside(member, lambda ctx: ctx.leave_room("a"))
        await stage.inside(member, lambda ctx: ctx.join_room("d"))
        another = await stage.join()
        await stage.inside(another, lambda ctx: ctx.join_room(["a", "b", "d"]))


async def test_the_rooms_that_a_connect_handler_joins_count(autojump_clock, caplog):
    server = Server(limits=Limits(rooms=2))
    failed = []

    @server.on("connect")
    async def connect(ctx):
        await ctx.join_room(["a", "b"])
        try:
            await ctx.join_room("c")
        except TooManyRooms as error:
            failed.append(error)

    async with serving(server) as peer:
        client = await peer.join()
        assert server.participants("b") == [client.sids["/"]]
        assert server.participants("c") == []
        assert len(failed) == 1
        check_reached(server, caplog, "rooms")


@both_transports
async def test_the_name_of_a_namespace_has_so_many_characters_at_most(autojump_clock, caplog, transport):
    server = with_echo(limits=Limits(name_length=10))
    server.namespace("/room-*")
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        for name in ("/room-123", "/room-1234"):
            assert (await client.connect(name)).type is PacketType.CONNECT
        check_reached(server, caplog, "name_length", 0, lines=0)
        answer = await client.connect("/room-12345")
        assert (answer.type, answer.data) == (PacketType.CONNECT_ERROR, {"message": "Invalid namespace"})
        check_reached(server, caplog, "name_length")


async def test_the_name_of_a_room_has_so_many_characters_at_most(autojump_clock, caplog):
    server = Server(ping_interval=1000, limits=Limits(name_length=10))
    async with staged(server) as stage:
        member = await stage.join()
        await stage.inside(member, lambda ctx: ctx.join_room(["x" * 9, "x" * 10]))
        check_reached(server, caplog, "name_length", 0, lines=0)
        with pytest.raises(ValueError, match="11 characters"):
            await stage.inside(member, lambda ctx: ctx.join_room(["a", "x" * 11]))
        check_reached(server, caplog, "name_length")
        assert server.participants("a") == []


@both_transports
async def test_the_name_of_an_event_for_the_catch_all_has_so_many_characters_at_most(autojump_clock, caplog, transport):
    server = with_echo(limits=Limits(name_length=10))
    got = []
    server.on("a long name that is our own", lambda ctx, _: got.append("own"))
    server.on("*", lambda ctx, *_: got.append(len(ctx.event)))
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        for name in ("x" * 9, "x" * 10, "a long name that is our own", SECRET + "xxxxx"):
            await client.emit(name, SECRET)
        await client.emit("echo", id=1)
        assert (await client.receive()).id == 1
        assert got == [9, 10, "own"]
        check_reached(server, caplog, "name_length")


@both_transports
@pytest.mark.parametrize(
    ("payload", "limit"),
    [
        ('["echo",' + "[" * 127 + "]" * 127 + "]", None),
        ('["echo",' + "[" * 128 + f'"{SECRET}"' + "]" * 128 + "]", "json_nesting"),
        ('["echo",' + "1" * 400 + "]", None),
        ('["echo",' + "1" * 401 + "]", "json_integer_digits"),
    ],
)
async def test_json_has_so_many_levels_and_digits_at_most(autojump_clock, caplog, transport, payload, limit):
    server = with_echo()
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        if limit is None:
            await client.transport.send("421" + payload)
            assert (await client.receive()).id == 1
            assert server.stats()["limits"] == {}
        else:
            await client.transport.send("421" + payload)
            await ends(client)
            check_reached(server, caplog, limit, reason="parse error")


# Events that wait.


@both_transports
async def test_a_client_with_so_many_waiting_events_is_not_read(autojump_clock, caplog, transport):
    server = with_echo(limits=Limits(waiting_events=10), disconnect_grace=0)
    go_on = trio.Event()
    done = []

    @server.on("wait")
    async def wait(ctx, number):
        await go_on.wait()
        done.append(number)

    async with serving(server) as peer, trio.open_nursery() as nursery:
        client = await peer.join(transport=transport)
        for number in range(10):
            await client.emit("wait", number)
        await wait_all_tasks_blocked()
        check_reached(server, caplog, "waiting_events", 0, lines=0)

        async def send_more():
            for number in range(10, 40):
                await client.emit("wait", number)

        nursery.start_soon(send_more)
        await wait_all_tasks_blocked()
        [socket] = server.find_adapter("/").sockets.values()
        assert socket.client.waiting == 11 if transport == "polling" else socket.client.waiting > 10
        check_reached(server, caplog, "waiting_events")
        go_on.set()
        await trio.sleep(1)
        assert done == list(range(40))
        assert len(told(caplog, "waiting_events")) == 1


# The rate of events.


@both_ways
@both_transports
async def test_events_over_the_rate_are_handled_later(autojump_clock, caplog, transport, sockets):
    server = with_echo(rate_limit=RateLimit(2, burst=3))
    handled = []

    @server.on("count")
    async def count(ctx, number, secret):
        handled.append((number, trio.current_time()))

    async with serving(server, sockets=sockets) as peer:
        client = await peer.join(transport=transport)
        began = trio.current_time()
        for number in range(3):
            await client.emit("count", number, SECRET)
        await wait_all_tasks_blocked()
        assert [when - began for _, when in handled] == pytest.approx([0, 0, 0], abs=0.01)
        check_reached(server, caplog, "rate_limit", 0, lines=0)
        for number in range(3, 8):
            await client.emit("count", number, SECRET)
        await client.emit("echo", id=1)
        assert (await client.receive()).id == 1
        assert [number for number, _ in handled] == list(range(8))
        assert [when - began for _, when in handled[3:]] == pytest.approx([0.5, 1, 1.5, 2, 2.5], abs=0.01)
        check_reached(server, caplog, "rate_limit", 6)
        await trio.sleep(10)
        began = trio.current_time()
        for number in range(3):
            await client.emit("count", number, SECRET)
        await wait_all_tasks_blocked()
        assert trio.current_time() == pytest.approx(began, abs=0.01)
        assert len(handled) == 11
        check_reached(server, caplog, "rate_limit", 6)


async def test_who_sends_at_the_rate_is_never_held_back(autojump_clock, caplog):
    server = with_echo(rate_limit=RateLimit(3))
    async with serving(server) as peer:
        client = await peer.join()
        for number in range(100):
            await client.emit("echo", id=number)
            await client.receive()
            await trio.sleep(1 / 3)
        check_reached(server, caplog, "rate_limit", 0, lines=0)


@both_transports
@pytest.mark.parametrize("event", ["echo", "an event that nobody handles"])
async def test_a_flood_over_the_rate_is_not_read(autojump_clock, caplog, transport, event):
    server = with_echo(rate_limit=RateLimit(1), limits=Limits(waiting_events=5), disconnect_grace=0)
    sent = []
    async with serving(server) as peer, trio.open_nursery() as nursery:
        client = await peer.join(transport=transport)

        async def flood():
            for number in range(1000):
                await client.emit(event, "x" * 10_000)
                sent.append(number)

        if transport == "polling":
            nursery.start_soon(flood)
            await wait_all_tasks_blocked()
            assert len(sent) == 6
            await trio.sleep(10)
            assert 10 < len(sent) < 20
        else:
            for _ in range(1000):
                await client.emit(event, "x" * 10_000)
            await wait_all_tasks_blocked()
            [socket] = server.find_adapter("/").sockets.values()
            assert 5 < socket.client.waiting < 50
        assert server.stats()["limits"]["waiting_events"] >= 1
        assert len(told(caplog, "rate_limit")) == 1
        nursery.cancel_scope.cancel()


async def test_acknowledgements_are_read_while_events_wait_for_their_turn(autojump_clock):
    server = with_echo(rate_limit=RateLimit(0.01))
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("echo")
        await client.emit("echo")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.emit, "ask")
            question = trio.Event()

            async def ask():
                assert await server.call("ask", to=client.sids["/"], timeout=5) == "yes"
                question.set()

            nursery.start_soon(ask)
            while (packet := await client.receive()).id is None:
                pass
            await client.send(Packet(PacketType.ACK, "/", ["yes"], packet.id))
            with trio.fail_after(5):
                await question.wait()


@both_transports
async def test_the_session_of_who_is_over_the_rate_can_be_ended(autojump_clock, caplog, transport):
    server = with_echo(rate_limit=RateLimit(1, burst=3, close=True))
    handled = []
    server.on("count", lambda ctx, *_: handled.append(1))
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        for _ in range(3):
            await client.emit("count", SECRET)
        await wait_all_tasks_blocked()
        check_reached(server, caplog, "rate_limit", 0, lines=0)
        await client.emit("count", SECRET)
        await wait_all_tasks_blocked()
        check_reached(server, caplog, "rate_limit", reason="forced close")
        assert len(handled) == 3


async def test_events_that_wait_for_their_turn_are_dropped_when_the_client_leaves(autojump_clock):
    server = with_echo(rate_limit=RateLimit(0.01, burst=2), disconnect_grace=None)
    handled = []
    server.on("count", lambda ctx: handled.append("count"))
    server.on("disconnect", lambda ctx: handled.append("disconnect"))
    async with serving(server) as peer:
        client = await peer.join()
        for _ in range(5):
            await client.emit("count")
        began = trio.current_time()
        await client.transport.hang_up()
        await wait_all_tasks_blocked()
        assert handled == ["count", "count", "disconnect"]
        assert trio.current_time() - began < 1


async def test_what_a_client_does_again_and_again_is_told_once(autojump_clock, caplog):
    server = with_echo(limits=Limits(namespaces=1))
    server.namespace("/x")
    async with serving(server) as peer:
        client = await peer.join()
        for _ in range(5):
            assert (await client.connect("/x")).type is PacketType.CONNECT_ERROR
        check_reached(server, caplog, "namespaces", 5)


def noticed(caplog, words):
    """The lines at more than DEBUG level with these words."""
    return [record for record in caplog.records if words in record.getMessage() and record.levelno >= logging.INFO]


@both_transports
async def test_namespaces_that_nobody_serves_are_told_once_each_and_not_without_end(autojump_clock, caplog, transport):
    server = Server(ping_interval=1000)
    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        for _ in range(3):
            assert (await client.connect("/a")).type is PacketType.CONNECT_ERROR
        assert (await client.connect("/b")).type is PacketType.CONNECT_ERROR
        assert [record.levelname for record in noticed(caplog, "nobody serves")] == ["INFO", "INFO"]
        for number in range(100):
            await client.connect(f"/{number}")
        assert len(noticed(caplog, "nobody serves")) == NOTICES
        assert server.stats()["refusals"] == {"invalid namespace": 104}
        other = await peer.join(transport=transport)
        await other.connect("/a")
        assert len(noticed(caplog, "nobody serves")) == NOTICES + 1, "each session has lines of its own"


@both_transports
async def test_events_with_arguments_that_no_handler_takes_are_told_once_each_and_counted(
    autojump_clock, caplog, transport
):
    server = with_echo()

    @server.on("one")
    async def one(ctx, argument):
        raise AssertionError

    @server.on("*")
    async def other(ctx):
        raise AssertionError

    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        for _ in range(3):
            await client.emit("one")
            await client.emit("one", SECRET, SECRET)
        await client.emit("echo", id=1)
        assert (await client.receive()).type is PacketType.ACK
        [record] = noticed(caplog, "arguments")
        assert (record.levelname, record.name) == ("WARNING", "trio_socketio.sockets")
        assert record.getMessage().startswith("the event 'one' came with 0 arguments, which ")
        for number in range(100):
            await client.emit(f"other {number}", SECRET)
        await client.emit("echo", id=2)
        assert (await client.receive()).type is PacketType.ACK
        assert len(noticed(caplog, "arguments")) == NOTICES
        assert server.stats()["refusals"] == {"wrong number of arguments": 106}
        assert SECRET not in caplog.text


async def test_a_limit_is_told_although_a_client_has_done_many_other_things(autojump_clock, caplog):
    server = with_echo(limits=Limits(name_length=10))
    async with serving(server) as peer:
        client = await peer.join()
        for number in range(2 * NOTICES):
            await client.connect(f"/{number}")
        await client.connect("/" + "x" * 10)
        check_reached(server, caplog, "name_length")


async def test_the_sockets_of_a_client_have_buckets_of_their_own_and_keep_them(autojump_clock):
    server = with_echo(rate_limit=RateLimit(1, burst=2))
    handled = []
    for namespace in ("/", "/x"):
        server.on("count", lambda ctx: handled.append((ctx.namespace, trio.current_time())), namespace=namespace)
    async with serving(server) as peer:
        client = await peer.join()
        await client.connect("/x")
        began = trio.current_time()
        for namespace in ("/", "/x"):
            await client.emit("count", namespace=namespace)
            await client.emit("count", namespace=namespace)
        await client.send(Packet(PacketType.DISCONNECT, "/x"))
        await client.connect("/x")
        await client.emit("count", namespace="/x")
        await trio.sleep(5)
        assert [(namespace, round(when - began, 1)) for namespace, when in handled] == [
            ("/", 0),
            ("/", 0),
            ("/x", 0),
            ("/x", 0),
            ("/x", 1),
        ]


async def test_only_so_many_buckets_are_kept_as_there_may_be_namespaces(autojump_clock):
    server = with_echo(rate_limit=RateLimit(0.001, burst=2), limits=Limits(namespaces=3))
    server.on("count", lambda _ctx: None, namespace="/room-*")
    async with serving(server) as peer:
        client = await peer.open_socketio()
        for number in range(10):
            await client.connect(f"/room-{number}")
            await client.emit("count", namespace=f"/room-{number}")
            await client.send(Packet(PacketType.DISCONNECT, f"/room-{number}"))
        await wait_all_tasks_blocked()
        [live] = server.sessions.values()
        assert set(live.client._buckets) == {"/room-7", "/room-8", "/room-9"}


async def test_a_bucket_gives_tokens_at_its_rate():
    bucket = Bucket(RateLimit(10, burst=3), 0)
    assert bucket.full(0)
    assert [bucket.take(0) for _ in range(3)] == [0, 0, 0]
    assert not bucket.full(0.29)
    assert bucket.full(0.31)
    assert [bucket.take(0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert bucket.take(0.4) == 0.4
    assert [bucket.take(100) for _ in range(4)] == pytest.approx([100, 100, 100, 100.1])


# Volatile events.


async def test_a_volatile_event_is_dropped_while_a_websocket_has_unread_packets(autojump_clock, caplog, nursery):
    server = with_echo()
    listener = LockstepListener(sockets=False)
    await nursery.start(server.serve_listeners, [listener])
    peer = Peer(listener.dial, host=HOST)
    slow, fast = await peer.join(), await peer.join()
    assert await server.emit("news", SECRET, to=slow.sids["/"], volatile=True) == 1
    await wait_all_tasks_blocked()
    assert await server.emit("news", SECRET, volatile=True) == 1
    assert await fast.event() == ["news", SECRET]
    assert server.emit_nowait("news", SECRET, to=slow.sids["/"], volatile=True) == 0
    assert await server.send(SECRET, to=slow.sids["/"], volatile=True) == 0
    assert server.stats()["events_dropped"] == 3
    assert server.stats()["events_out"] == 2
    assert await slow.event() == ["news", SECRET]
    await wait_all_tasks_blocked()
    assert await server.emit("late", volatile=True) == 2
    assert await slow.event() == ["late"]
    assert SECRET not in caplog.text
    nursery.cancel_scope.cancel()


async def test_volatile_events_to_a_plain_socket_are_dropped_once_the_kernel_takes_no_more(autojump_clock):
    server = with_echo()
    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        sent = sum([await server.emit("news", "x" * 10_000, volatile=True) for _ in range(500)])
        assert 0 < sent < 500
        assert server.stats()["events_dropped"] == 500 - sent
        assert server.stats()["buffered_bytes"] < 20_000
        assert server.stats()["closes"] == {}
        for _ in range(sent):
            assert (await client.event())[0] == "news"
        assert await server.emit("late", volatile=True) == 1
        assert await client.event() == ["late"]


async def test_several_volatile_events_in_a_row_leave_together(autojump_clock):
    server = with_echo()

    @server.on("ask")
    async def ask(ctx):
        return [await ctx.emit("news", number, volatile=True) for number in range(5)]

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("ask", id=1)
        assert [await client.event() for _ in range(5)] == [["news", number] for number in range(5)]
        assert (await client.receive()).data == [[1] * 5]


@both_ways
async def test_a_volatile_event_needs_a_pending_get_that_has_room(autojump_clock, sockets):
    server = with_echo(max_packets_per_poll=3)
    async with serving(server, sockets=sockets) as peer:
        client = await peer.join(transport="polling")
        assert await server.emit("news", 0, volatile=True) == 0
        async with trio.open_nursery() as nursery:
            got = []

            async def poll():
                got.extend(await client.transport.poll())

            nursery.start_soon(poll)
            await wait_all_tasks_blocked()
            assert [server.emit_nowait("news", number, volatile=True) for number in range(5)] == [1, 1, 1, 0, 0]
        assert got == [f'42["news",{number}]' for number in range(3)]
        assert await server.emit("news", 5, volatile=True) == 0
        assert server.stats()["events_dropped"] == 4
        assert server.stats()["buffered_bytes"] == 0


async def test_a_volatile_event_does_not_overtake(autojump_clock):
    server = with_echo()
    async with serving(server) as peer:
        client = await peer.join(transport="polling")
        await server.emit("first")
        assert await server.emit("volatile", volatile=True) == 0
        await server.emit("second")
        assert await client.event() == ["first"]
        assert await client.event() == ["second"]


@both_transports
async def test_a_volatile_event_of_a_connect_handler_is_dropped(autojump_clock, transport):
    server = with_echo()
    counts = []

    @server.on("connect")
    async def connect(ctx):
        counts.append(await ctx.emit("volatile", volatile=True))
        await ctx.emit("news")

    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        assert await client.event() == ["news"]
        assert counts == [0]
        assert server.stats()["events_dropped"] == 1


async def test_nobody_owes_an_acknowledgement_of_a_volatile_event_that_was_dropped(autojump_clock):
    server = with_echo()
    answers = []
    async with serving(server) as peer:
        polling = await peer.join(transport="polling")
        client = await peer.join()
        assert await server.emit("ask", volatile=True, callback=answers.append) == 1
        assert server.stats()["pending_acks"] == 1
        question = await client.receive()
        await client.send(Packet(PacketType.ACK, "/", ["yes"], question.id))
        await wait_all_tasks_blocked()
        assert answers == ["yes"]
        assert server.stats()["pending_acks"] == 0
        del polling


# What a connection may cost.


@both_ways
@pytest.mark.parametrize(("extra", "status"), [(-1, b"200"), (0, b"200"), (1, b"431")])
async def test_a_head_has_so_many_bytes_at_most(autojump_clock, caplog, sockets, extra, status):
    server = with_echo(limits=Limits(head_bytes=1000))
    async with serving(server, sockets=sockets) as peer:
        stream = await peer.dial()
        head = f"GET {POLLING} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {SECRET}"
        head += "x" * (996 + extra - len(head)) + "\r\n\r\n"
        await stream.send_all(head.encode())
        assert (await read_to_end(stream))[9:12] == status
        check_reached(server, caplog, "head_bytes", *((0,) if status == b"200" else (1,)), lines=status != b"200")


@both_ways
async def test_a_first_line_that_is_too_long_is_answered_414(autojump_clock, caplog, sockets):
    server = with_echo(limits=Limits(head_bytes=1000))
    async with serving(server, sockets=sockets) as peer:
        stream = await peer.dial()
        await stream.send_all(b"GET /" + b"x" * 1100)
        assert (await read_to_end(stream))[9:12] == b"414"
        check_reached(server, caplog, "head_bytes")


@both_ways
async def test_a_head_must_come_in_time(autojump_clock, caplog, sockets):
    server = with_echo(limits=Limits(head_timeout=5))
    async with serving(server, sockets=sockets) as peer:
        stream = await peer.dial()
        await stream.send_all(f"GET {POLLING} HTTP/1.1\r\nHost: x\r\nX: {SECRET}".encode())
        await trio.sleep(4.9)
        check_reached(server, caplog, "head_timeout", 0, lines=0)
        assert (await read_to_end(stream))[9:12] == b"408"
        check_reached(server, caplog, "head_timeout")


@both_ways
async def test_a_body_must_come_in_time(autojump_clock, caplog, sockets):
    server = with_echo(limits=Limits(body_timeout=5))
    async with serving(server, sockets=sockets) as peer:
        session = await peer.open_polling()
        stream = await peer.dial()
        head = f"POST {session.target()} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        await stream.send_all(f'{head}42["{SECRET}'.encode())
        await trio.sleep(4.9)
        check_reached(server, caplog, "body_timeout", 0, lines=0)
        assert (await read_to_end(stream))[9:12] == b"408"
        check_reached(server, caplog, "body_timeout")
        assert server.stats()["sessions"] == {"polling": 1}


async def test_a_body_beside_socketio_has_max_payload_bytes_at_most(autojump_clock, caplog):
    server = with_echo(max_payload=1000)
    async with serving(server) as peer:
        assert (await peer.request("POST", "/elsewhere", body=b"x" * 1000)).status == 404
        check_reached(server, caplog, "max_payload", 0, lines=0)
        assert (await peer.request("POST", "/elsewhere", body=b"x" * 1001)).status == 413
        check_reached(server, caplog, "max_payload")


@both_ways
async def test_an_answer_must_be_read_in_time(autojump_clock, caplog, nursery, sockets):
    server = with_echo(limits=Limits(write_timeout=5), max_payload=5_000_000, max_buffered_bytes=50_000_000)
    listener = MemoryListener(sockets=True) if sockets else LockstepListener(sockets=False)
    await nursery.start(server.serve_listeners, [listener])
    peer = Peer(listener.dial, host=HOST)
    client = await peer.join(transport="polling")
    await server.emit("news", SECRET + "x" * 4_000_000)
    stream = await peer.dial()
    await stream.send_all(f"GET {client.transport.target()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await trio.sleep(4.9)
    check_reached(server, caplog, "write_timeout", 0, lines=0)
    await trio.sleep(0.2)
    check_reached(server, caplog, "write_timeout")
    assert (await client.event())[0] == "news"  # goes with the next
    await trio.aclose_forcefully(stream)
    nursery.cancel_scope.cancel()


@both_ways
async def test_a_connection_without_a_request_is_closed(autojump_clock, caplog, sockets):
    server = with_echo(limits=Limits(keep_alive=5))
    async with serving(server, sockets=sockets) as peer:
        async with peer.http() as connection:
            for _ in range(3):
                await trio.sleep(4.9)
                assert (await connection.request("GET", POLLING)).status == 200
            check_reached(server, caplog, "keep_alive", 0, lines=0)
            began = trio.current_time()
            assert await connection.stream.receive_some() == b""
            assert trio.current_time() - began == pytest.approx(5, abs=0.1)
        check_reached(server, caplog, "keep_alive")
        assert [record.levelno for record in told(caplog, "keep_alive")] == [logging.DEBUG]


@both_ways
async def test_the_last_request_of_a_connection_says_so(autojump_clock, caplog, sockets):
    server = with_echo(limits=Limits(requests_per_connection=3))
    async with serving(server, sockets=sockets) as peer:
        async with peer.http() as connection:
            for _ in range(2):
                assert (await connection.request("GET", POLLING)).header("connection") is None
            check_reached(server, caplog, "requests_per_connection", 0, lines=0)
            assert (await connection.request("GET", POLLING)).header("connection") == "close"
            assert await connection.stream.receive_some() == b""
        check_reached(server, caplog, "requests_per_connection")


@both_ways
async def test_the_last_request_may_be_one_that_waits_or_one_beside_socketio(autojump_clock, sockets):
    server = with_echo(limits=Limits(requests_per_connection=2))
    async with serving(server, sockets=sockets) as peer:
        client = await peer.join(transport="polling")
        async with peer.http() as connection, trio.open_nursery() as nursery:
            await connection.request("GET", POLLING)
            answers = []

            async def poll():
                answers.append(await connection.request("GET", client.transport.target()))

            nursery.start_soon(poll)
            await wait_all_tasks_blocked()
            await server.emit("news")
        assert [(answer.header("connection"), answer.text) for answer in answers] == [("close", '42["news"]')]
        async with peer.http() as connection:
            assert (await connection.request("GET", POLLING)).header("connection") is None
            assert (await connection.request("GET", "/elsewhere")).header("connection") == "close"


@both_ways
async def test_the_last_answer_may_be_streamed(autojump_clock, sockets):
    async def chunks():
        yield b"in "
        yield b"parts"

    async def http(request):
        return HTTPResponse(200, {}, chunks())

    async with (
        serving(Server(http=http, limits=Limits(requests_per_connection=2)), sockets=sockets) as peer,
        peer.http() as connection,
    ):
        answers = [await connection.request("GET", "/") for _ in range(2)]
        assert [(answer.text, answer.header("connection")) for answer in answers] == [
            ("in parts", None),
            ("in parts", "close"),
        ]
        assert await connection.stream.receive_some() == b""


@both_ways
async def test_a_websocket_may_follow_on_the_last_request(autojump_clock, sockets):
    server = with_echo(limits=Limits(requests_per_connection=1))
    async with serving(server, sockets=sockets) as peer:
        client = await peer.join()
        await client.emit("echo", id=1)
        assert (await client.receive()).id == 1


# What the options may be.


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Limits(keep_alive=0), ValueError, "keep_alive is 0"),
        (lambda: Limits(head_timeout="5"), TypeError, "head_timeout"),
        (lambda: Limits(namespaces=0), ValueError, "namespaces is 0"),
        (lambda: Limits(rooms=1.5), TypeError, "rooms"),
        (lambda: Limits(requests_per_connection=0), ValueError, "requests_per_connection"),
        (lambda: Limits(sessions_per_address="1"), TypeError, "sessions_per_address"),
        (lambda: RateLimit(0), ValueError, "events_per_second is 0"),
        (lambda: RateLimit(float("inf")), ValueError, "finite"),
        (lambda: RateLimit(float("nan")), ValueError, "finite"),
        (lambda: RateLimit("1"), TypeError, "events_per_second"),
        (lambda: RateLimit(1, 0), ValueError, "burst is 0"),
        (lambda: RateLimit(1, 1, "no"), TypeError, "close must be True or False, not 'no'"),
        (lambda: Server(limits={"rooms": 1}), TypeError, "limits are"),
        (lambda: Server(rate_limit=5), TypeError, "rate_limit is"),
    ],
)
def test_values_that_make_no_sense_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_the_shortest_time_of_a_connection_is_how_often_it_is_looked_at():
    assert Limits().look == 20
    assert Limits(keep_alive=5).look == 5
    assert Limits(write_timeout=3, keep_alive=5).look == 3
