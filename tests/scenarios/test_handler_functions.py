"""What applications do in handlers, one scenario for each function and each keyword that the field documents for them.

The scenarios follow the documented promises of Flask-SocketIO's handler functions, whose API this one re-creates; the names
of the events are made up. Each is a small application that clients use through memory.
"""

import pytest
import trio
from support.stage import staged
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import (
    ConnectionRefused,
    Namespace,
    Server,
    call,
    close_room,
    current_context,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)


@pytest.fixture
def server():
    """The application of one scenario: it has a chat's way into rooms, and a namespace "/chat"."""
    made = Server(ping_interval=1000)
    for namespace in "/", "/chat":

        @made.on("enter", namespace=namespace)
        async def enter(ctx, room):
            await join_room(room)

    return made


@pytest.fixture
async def stage(server):
    async with staged(server, namespaces=()) as found:
        yield found


async def crowd(stage, count=3, *namespaces):
    return [await stage.join(*namespaces) for _ in range(count)]


# Receiving.


async def test_a_message_without_a_name_arrives_as_the_event_message(server, stage):
    seen = []
    server.on("message", lambda ctx, data: seen.append(data))
    (a,) = await crowd(stage, 1)
    await a.emit("message", "hello")
    assert seen == ["hello"]


async def test_json_without_a_name_arrives_as_the_event_json(server, stage):
    seen = []
    server.on("json", lambda ctx, data: seen.append(data))
    (a,) = await crowd(stage, 1)
    await a.emit("json", {"a": [1, None, "x"]})
    assert seen == [{"a": [1, None, "x"]}]


@pytest.mark.parametrize(
    "data", ["text", 7, 1.5, True, None, ["list", 1], {"k": {"deep": []}}, b"\x00\xff", {"b": b"1"}]
)
async def test_an_event_carries_any_kind_of_data_there_and_back(server, stage, data):
    @server.on("my event")
    async def echo(ctx, value):
        await emit("my response", value)
        return value

    (a,) = await crowd(stage, 1)
    await a.emit("my event", data, ack_id=0)
    assert a.events() == [["my response", data]]
    assert a.acks() == [(0, [] if data is None else [data])]  # None is how a handler says that it returns nothing


async def test_an_event_carries_several_arguments(server, stage):
    @server.event
    async def my_event(ctx, first, second, third):
        await emit("got", third, second, first)

    (a,) = await crowd(stage, 1)
    await a.emit("my_event", 1, "2", [3])
    assert a.events() == [["got", [3], "2", 1]]


async def test_binary_and_text_arguments_mix(server, stage):
    @server.on("upload")
    async def upload(ctx, name, content, more):
        await emit("stored", {"name": name, "parts": [content, more["tail"]]})

    (a,) = await crowd(stage, 1)
    await a.emit("upload", "f", b"head", {"tail": b"tail"})
    assert a.events() == [["stored", {"name": "f", "parts": [b"head", b"tail"]}]]
    assert a.packets[-1].type is PacketType.BINARY_EVENT


async def test_a_handler_of_another_namespace_gets_only_the_events_of_its_own(server, stage):
    seen = []
    server.on("e", lambda ctx: seen.append(ctx.namespace), namespace="/chat")
    (a,) = await crowd(stage, 1, "/", "/chat")
    await a.emit("e")
    await a.emit("e", namespace="/chat")
    assert seen == ["/chat"]


async def test_the_catch_all_gets_every_other_event_with_its_name(server, stage):
    server.on("known", lambda ctx: "known")
    server.on("*", lambda ctx, *args: [ctx.event, *args])
    (a,) = await crowd(stage, 1)
    await a.emit("known", ack_id=0)
    await a.emit("unknown", 1, 2, ack_id=1)
    assert a.acks() == [(0, ["known"]), (1, [["unknown", 1, 2]])]


# What a handler returns.


@pytest.mark.parametrize(
    ("result", "arguments"),
    [
        (None, []),
        ("one", ["one"]),
        (("one", 2), ["one", 2]),
        (["one", 2], [["one", 2]]),
        (b"1", [b"1"]),
        (False, [False]),
    ],
)
async def test_what_a_handler_returns_is_passed_to_the_callback_of_the_client(server, stage, result, arguments):
    server.on("ask", lambda ctx: result)
    (a,) = await crowd(stage, 1)
    await a.emit("ask", ack_id=5)
    assert a.acks() == [(5, arguments)]


async def test_a_client_that_wants_no_acknowledgement_gets_none(server, stage):
    server.on("ask", lambda ctx: "unwanted")
    (a,) = await crowd(stage, 1)
    await a.emit("ask")
    assert len(a.packets) == 1


# emit and send.


async def test_emit_replies_to_the_sender_alone(server, stage):
    @server.on("ping me")
    async def handler(ctx):
        assert await emit("pong") == 1

    a, b, _ = await crowd(stage)
    await a.emit("ping me")
    assert (a.events(), b.events()) == ([["pong"]], [])


async def test_emit_with_broadcast_reaches_everyone_the_sender_included(server, stage):
    @server.on("tell")
    async def handler(ctx, data):
        assert await emit("told", data, broadcast=True) == 3

    clients = await crowd(stage)
    await clients[0].emit("tell", 1)
    assert [client.events() for client in clients] == [[["told", 1]]] * 3


async def test_broadcast_without_self_reaches_everyone_else(server, stage):
    @server.on("tell")
    async def handler(ctx, data):
        await emit("told", data, broadcast=True, include_self=False)

    a, b, c = await crowd(stage)
    await a.emit("tell", 1)
    assert (a.events(), b.events(), c.events()) == ([], [["told", 1]], [["told", 1]])


async def test_emit_to_a_room_reaches_its_members_whether_or_not_the_sender_is_one(server, stage):
    @server.on("tell")
    async def handler(ctx, room):
        await emit("told", room, to=room)

    a, b, c = await crowd(stage)
    for client in b, c:
        await client.emit("enter", "red")
    await a.emit("tell", "red")
    await b.emit("tell", "red")
    assert (a.events(), b.events(), c.events()) == ([], [["told", "red"]] * 2, [["told", "red"]] * 2)


async def test_room_is_another_word_for_to(server, stage):
    @server.on("tell")
    async def handler(ctx):
        await emit("told", room="red", include_self=False)

    a, b, _ = await crowd(stage)
    for client in a, b:
        await client.emit("enter", "red")
    await a.emit("tell")
    assert (a.events(), b.events()) == ([], [["told"]])


async def test_emit_to_several_rooms_reaches_each_client_once(server, stage):
    @server.on("tell")
    async def handler(ctx):
        await emit("told", to=["red", "blue"])

    a, b, c = await crowd(stage)
    for client, room in (a, "red"), (b, "red"), (b, "blue"):
        await client.emit("enter", room)
    await a.emit("tell")
    assert [len(client.events()) for client in (a, b, c)] == [1, 1, 0]


async def test_a_sid_is_the_room_of_one_client(server, stage):
    @server.on("whisper")
    async def handler(ctx, sid, text):
        await emit("whispered", text, ctx.sid, to=sid)

    a, b, c = await crowd(stage)
    await a.emit("whisper", b.sid, "psst")
    assert (a.events(), b.events(), c.events()) == ([], [["whispered", "psst", a.sid]], [])


async def test_skip_sid_leaves_out_one_or_several(server, stage):
    @server.on("tell")
    async def handler(ctx, skip):
        await emit("told", broadcast=True, skip_sid=skip)

    a, b, c = await crowd(stage)
    await a.emit("tell", b.sid)
    assert [len(client.events()) for client in (a, b, c)] == [1, 0, 1]
    await a.emit("tell", [a.sid, b.sid])
    assert [len(client.events()) for client in (a, b, c)] == [1, 0, 2]


async def test_emit_uses_the_namespace_of_the_event_or_the_one_it_is_told(server, stage):
    @server.on("tell", namespace="/chat")
    async def handler(ctx):
        await emit("here")
        await emit("there", namespace="/")
        await emit("everywhere there", broadcast=True, namespace="/")

    a, b = await crowd(stage, 2, "/", "/chat")
    await a.emit("tell", namespace="/chat")
    assert a.events("/chat") == [["here"]]
    assert a.events("/") == [["there"], ["everywhere there"]]
    assert b.events("/") == [["everywhere there"]]
    assert b.events("/chat") == []


async def test_a_tuple_is_several_arguments(server, stage):
    @server.on("go")
    async def handler(ctx):
        await emit("my response", ("foo", "bar", {"json": 1}))

    (a,) = await crowd(stage, 1)
    await a.emit("go")
    assert a.events() == [["my response", "foo", "bar", {"json": 1}]]


async def test_send_sends_a_message_or_json(server, stage):
    @server.on("message")
    async def message(ctx, data):
        await send(data)
        await send({"was": data}, json=True)

    a, b = await crowd(stage, 2)
    await a.emit("message", "x")
    assert a.events() == [["message", "x"], ["json", {"was": "x"}]]
    assert b.events() == []


async def test_send_knows_the_keywords_of_emit(server, stage):
    answers = []

    @server.on("message", namespace="/chat")
    async def message(ctx, data):
        await send(data, to="red", include_self=False)
        await send(data, broadcast=True, skip_sid=[ctx.sid])
        await send(data, namespace="/", callback=lambda *args: answers.append(args))

    a, b = await crowd(stage, 2, "/", "/chat")
    for client in a, b:
        await client.emit("enter", "red", namespace="/chat")
    await a.emit("message", "x", namespace="/chat")
    assert (a.events("/chat"), b.events("/chat")) == ([], [["message", "x"], ["message", "x"]])
    assert (a.events("/"), b.events("/")) == ([["message", "x"]], [])
    await a.acknowledge(a.packets[-1].id, "seen")
    assert answers == [("seen",)]


async def test_the_server_emits_to_everyone_or_to_a_room_without_any_handler(server, stage):
    a, b, c = await crowd(stage)
    await c.emit("enter", "red")
    assert await server.emit("news", {"data": 42}) == 3
    assert await server.send("for the room", to="red") == 1
    assert await server.emit("not for b", skip_sid=b.sid) == 2
    await stage.settle()
    assert a.events() == [["news", {"data": 42}], ["not for b"]]
    assert b.events() == [["news", {"data": 42}]]
    assert c.events() == [["news", {"data": 42}], ["message", "for the room"], ["not for b"]]


async def test_ignore_queue_changes_nothing_for_a_server_that_runs_alone(server, stage):
    @server.on("go")
    async def handler(ctx):
        await emit("e", ignore_queue=True)
        await send("x", ignore_queue=True)
        return await call("ask", ignore_queue=True)

    (a,) = await crowd(stage, 1)
    await a.emit("go", ack_id=0)
    assert a.events() == [["e"], ["message", "x"], ["ask"]]
    await a.acknowledge(a.packets[-1].id, "yes")
    assert a.acks() == [(0, ["yes"])]


# Callbacks and call.


@pytest.mark.parametrize("arguments", [(), ("seen",), ("seen", 2), (["a", "list"],), (b"bytes",)])
async def test_a_callback_gets_what_the_client_acknowledged(server, stage, arguments):
    got = []

    @server.on("go")
    async def handler(ctx):
        await emit("my response", callback=lambda *args: got.append(args))

    (a,) = await crowd(stage, 1)
    await a.emit("go")
    kind = PacketType.BINARY_ACK if b"bytes" in arguments else PacketType.ACK
    await a.peer.send(Packet(kind, "/", list(arguments), a.packets[-1].id))
    await stage.settle()
    assert got == [arguments]


async def test_a_callback_may_emit_to_the_client_of_its_handler(server, stage):
    @server.on("invite")
    async def invite(ctx, sid):
        async def answered(answer):
            await emit("they said", answer, current_context().acked_by == sid)

        await emit("invitation", to=sid, callback=answered)

    a, b = await crowd(stage, 2)
    await a.emit("invite", b.sid)
    await b.acknowledge(b.packets[-1].id, "gladly")
    assert a.events() == [["they said", "gladly", True]]


async def test_call_waits_for_the_answer_of_the_sender(server, stage):
    @server.on("go")
    async def handler(ctx):
        return "you said", await call("status", {"data": 1})

    (a,) = await crowd(stage, 1)
    await a.emit("go", ack_id=0)
    assert a.events() == [["status", {"data": 1}]]
    await a.acknowledge(a.packets[-1].id, "fine")
    assert a.acks() == [(0, ["you said", "fine"])]


async def test_call_asks_another_client_in_another_namespace(server, stage):
    @server.on("go")
    async def handler(ctx, sid):
        return list(await call("status", to=sid, namespace="/chat"))

    (a,), (b,) = await crowd(stage, 1), await crowd(stage, 1, "/chat")
    await a.emit("go", b.sids["/chat"], ack_id=0)
    await b.acknowledge(b.packets[-1].id, 1, 2, namespace="/chat")
    assert a.acks() == [(0, [[1, 2]])]


async def test_call_raises_a_timeout_error_when_no_answer_comes(server, stage, autojump_clock):
    @server.on("go")
    async def handler(ctx):
        before = trio.current_time()
        with pytest.raises(TimeoutError):
            await call("status", timeout=3)
        return trio.current_time() - before

    (a,) = await crowd(stage, 1)
    await a.emit("go", ack_id=0)
    await trio.sleep(3)
    await stage.settle()
    ((_, (waited,)),) = a.acks()
    assert waited == pytest.approx(3)


# Rooms.


async def test_a_chat_tells_a_room_who_enters_and_leaves(server, stage):
    @server.on("join")
    async def join(ctx, data):
        await join_room(data["room"])
        await send(data["username"] + " has entered the room.", to=data["room"])

    @server.on("leave")
    async def leave(ctx, data):
        await leave_room(data["room"])
        await send(data["username"] + " has left the room.", to=data["room"])

    a, b, c = await crowd(stage)
    await a.emit("join", {"username": "ada", "room": "red"})
    await b.emit("join", {"username": "bob", "room": "red"})
    await a.emit("leave", {"username": "ada", "room": "red"})
    assert a.events() == [["message", "ada has entered the room."], ["message", "bob has entered the room."]]
    assert b.events() == [["message", "bob has entered the room."], ["message", "ada has left the room."]]
    assert c.events() == []


async def test_rooms_lists_the_own_sid_and_every_room(server, stage):
    @server.on("list")
    async def handler(ctx, sid=None):
        return rooms(sid)

    a, b = await crowd(stage, 2)
    await a.emit("enter", "red")
    await a.emit("enter", "blue")
    await a.emit("list", ack_id=0)
    await b.emit("list", a.sid, ack_id=0)
    assert a.acks() == b.acks()
    ((_, ((own, *others),)),) = a.acks()
    assert own == a.sid
    assert sorted(others) == ["blue", "red"]


async def test_other_clients_are_put_into_rooms_and_taken_out_by_their_sids(server, stage):
    @server.on("drag")
    async def drag(ctx, sid):
        await join_room("cellar", sid=sid)
        await join_room("cellar", sid=sid, namespace="/")
        inside = rooms(sid=sid, namespace="/")
        await leave_room("cellar", sid=sid, namespace="/")
        return inside, rooms(sid)

    a, b = await crowd(stage, 2)
    await a.emit("drag", b.sid, ack_id=0)
    assert a.acks() == [(0, [[b.sid, "cellar"], [b.sid]])]


async def test_close_room_takes_everyone_out_and_disconnects_nobody(server, stage):
    @server.on("close")
    async def handler(ctx, room):
        await close_room(room)
        return await emit("anybody?", to=room), await emit("still here", broadcast=True)

    clients = await crowd(stage)
    for client in clients:
        await client.emit("enter", "red")
    await clients[0].emit("close", "red", ack_id=0)
    assert clients[0].acks() == [(0, [0, 3])]
    assert [client.events() for client in clients] == [[["still here"]]] * 3


async def test_a_room_of_another_namespace_is_closed_by_naming_it(server, stage):
    @server.on("close")
    async def handler(ctx):
        await close_room("red", namespace="/chat")
        return server.participants("red"), server.participants("red", "/chat")

    (a,) = await crowd(stage, 1, "/", "/chat")
    for namespace in "/", "/chat":
        await a.emit("enter", "red", namespace=namespace)
    await a.emit("close", ack_id=0)
    assert a.acks() == [(0, [[a.sid], []])]


async def test_a_client_that_leaves_is_in_no_room_any_more(server, stage):
    a, b = await crowd(stage, 2)
    for client in a, b:
        await client.emit("enter", "red")
    await a.hang_up()
    assert server.participants("red") == [b.sid]


# Coming and going.


async def test_a_connect_handler_greets_and_gets_the_auth_of_the_client(server, stage):
    @server.on("connect")
    async def connect(ctx, auth):
        await emit("my response", {"data": "Connected", "auth": auth})

    a, b = await stage.join(auth={"token": "t"}), await stage.join()
    assert a.events() == [["my response", {"data": "Connected", "auth": {"token": "t"}}]]
    assert b.events() == [["my response", {"data": "Connected", "auth": None}]]
    assert a.packets[0].type is PacketType.CONNECT


async def test_a_connect_handler_without_a_parameter_for_it_need_not_care_for_auth(server, stage):
    @server.on("connect")
    async def connect(ctx):
        await emit("welcome")

    a = await stage.join(auth={"token": "t"})
    assert a.events() == [["welcome"]]


@pytest.mark.parametrize(
    ("refuse", "payload"),
    [
        (None, {"message": "Connection rejected by server"}),
        (ConnectionRefused("unauthorized!"), {"message": "unauthorized!"}),
        (ConnectionRefused("full", {"retry": 5}), {"message": "full", "data": {"retry": 5}}),
    ],
)
async def test_a_connect_handler_refuses_and_the_client_learns_why(server, stage, refuse, payload):
    gone = []
    server.on("disconnect", lambda ctx: gone.append(ctx.sid))

    @server.on("connect")
    async def connect(ctx):
        await join_room("red")
        if refuse is None:
            return False
        raise refuse

    a = await stage.join()
    assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", payload)]
    assert server.sockets() == server.participants("red") == gone == []


async def test_connecting_and_leaving_happens_in_each_namespace_by_itself(server, stage):
    seen = []
    for namespace in "/", "/chat":
        server.on("connect", lambda ctx: seen.append(("came", ctx.namespace)), namespace=namespace)
        server.on("disconnect", lambda ctx, reason: seen.append((reason, ctx.namespace)), namespace=namespace)
    (a,) = await crowd(stage, 1, "/", "/chat")
    await a.leave("/chat")
    await a.hang_up()
    assert seen == [
        ("came", "/"),
        ("came", "/chat"),
        ("client namespace disconnect", "/chat"),
        ("transport close", "/"),
    ]


async def test_disconnect_ends_the_connection_of_the_sender_after_a_last_word(server, stage):
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))

    @server.on("message")
    async def message(ctx, data):
        await send("you are banned")
        await disconnect()

    a, b = await crowd(stage, 2)
    await a.emit("message", "hi")
    assert [p.type for p in a.packets] == [PacketType.CONNECT, PacketType.EVENT, PacketType.DISCONNECT]
    assert reasons == ["server namespace disconnect"]
    assert server.sockets() == [b.sid]


async def test_disconnect_ends_another_client_in_the_namespace_that_is_named(server, stage):
    @server.on("kick")
    async def kick(ctx, sid):
        await disconnect(sid=sid, namespace="/chat", ignore_queue=True)

    a, b = await crowd(stage, 2, "/", "/chat")
    await a.emit("kick", b.sids["/chat"])
    assert b.types("/chat") == [PacketType.CONNECT, PacketType.DISCONNECT]
    assert server.sockets("/") == [a.sid, b.sid]
    assert server.sockets("/chat") == [a.sids["/chat"]]


async def test_the_disconnect_handler_tells_the_rooms_of_the_client(server, stage):
    @server.on("disconnect")
    async def bye(ctx):
        for room in rooms()[1:]:
            await emit("left", ctx.sid, to=room)

    a, b = await crowd(stage, 2)
    for client in a, b:
        await client.emit("enter", "red")
    await a.hang_up()
    assert b.events() == [["left", a.sid]]


# Errors.


async def test_error_handlers_serve_their_namespace_and_the_default_all_others(server, stage):
    @server.on_error
    async def default(ctx, error):
        await emit("default", str(error))

    @server.namespace("/chat").on_error
    def of_the_chat(ctx, error):
        return [ctx.event, str(error)]

    for namespace in "/", "/chat", "/other":

        @server.on("fail", namespace=namespace)
        def fail(ctx, why):
            raise RuntimeError(why)

    (a,) = await crowd(stage, 1, "/", "/chat", "/other")
    for namespace in "/", "/chat", "/other":
        await a.emit("fail", "oops", namespace=namespace, ack_id=0)
    assert a.events("/") == a.events("/other") == [["default", "oops"]]
    assert a.acks("/chat") == [(0, [["fail", "oops"]])]


async def test_a_failing_handler_without_error_handler_is_logged_and_the_connection_goes_on(server, stage, caplog):
    @server.on("fail")
    async def fail(ctx):
        raise RuntimeError("oops")

    server.on("ok", lambda ctx: "ok")
    (a,) = await crowd(stage, 1)
    await a.emit("fail", ack_id=0)
    await a.emit("ok", ack_id=1)
    assert a.acks() == [(1, ["ok"])]
    assert "oops" in caplog.text


async def test_what_a_callback_raises_goes_to_the_error_handler(server, stage):
    @server.on_error
    async def on_error(ctx, error):
        await emit("sorry", type(error).__name__)

    @server.on("go")
    async def handler(ctx):
        await emit("ask", callback=lambda answer: 1 / answer)

    (a,) = await crowd(stage, 1)
    await a.emit("go")
    await a.acknowledge(a.packets[-1].id, 0)
    assert a.events()[-1] == ["sorry", "ZeroDivisionError"]


# Class-based namespaces.


class Game(Namespace):
    def __init__(self, name):
        super().__init__(name)
        self.log = []

    def on_connect(self, ctx, auth):
        if auth == {"banned": True}:
            raise ConnectionRefused("banned")
        self.log.append("connect")

    def on_disconnect(self, ctx, reason):
        self.log.append(reason)

    async def on_my_event(self, ctx, data):
        await emit("my_response", data)
        await self.emit("my_response", data)
        await self.send(data, broadcast=True, include_self=False)
        return "done"

    async def on_room(self, ctx, room):
        await self.join_room(room)
        joined = self.rooms()
        await self.leave_room(room)
        await self.join_room([room, "other"])
        await self.close_room(room)
        return joined[1:], self.rooms()[1:]

    async def on_ask(self, ctx):
        return await self.call("question")

    async def on_quit(self, ctx):
        await self.disconnect()

    def helper(self):
        raise AssertionError("not an event")


@pytest.fixture
def game(server):
    return server.register(Game("/game"))


async def test_a_class_handles_the_events_of_its_namespace_and_ignores_unknown_ones(stage, game):
    a, b = await crowd(stage, 2, "/game")
    await a.emit("my_event", 1, namespace="/game", ack_id=0)
    await a.emit("helper", namespace="/game", ack_id=1)
    await a.emit("unknown", namespace="/game", ack_id=2)
    assert a.events("/game") == [["my_response", 1], ["my_response", 1]]
    assert b.events("/game") == [["message", 1]]
    assert a.acks("/game") == [(0, ["done"])]


async def test_a_class_refuses_clients_and_is_told_when_they_leave(stage, game):
    banned = await stage.join("/game", auth={"banned": True})
    assert banned.packets == [Packet(PacketType.CONNECT_ERROR, "/game", {"message": "banned"})]
    (a,) = await crowd(stage, 1, "/game")
    await a.emit("quit", namespace="/game")
    assert a.types("/game") == [PacketType.CONNECT, PacketType.DISCONNECT]
    assert game.log == ["connect", "server namespace disconnect"]


async def test_the_methods_of_a_class_default_to_its_namespace(stage, game):
    (a,) = await crowd(stage, 1, "/", "/game")
    await a.emit("room", "red", namespace="/game", ack_id=0)
    await a.emit("ask", namespace="/game", ack_id=1)
    await a.acknowledge(a.packets[-1].id, 42, namespace="/game")
    assert a.acks("/game") == [(0, [["red"], ["other"]]), (1, [42])]
    assert a.types("/") == [PacketType.CONNECT]


async def test_a_class_and_a_function_handle_events_of_one_namespace_side_by_side(server, stage, game):
    server.on("by function", lambda ctx: "function", namespace="/game")
    (a,) = await crowd(stage, 1, "/game")
    await a.emit("by function", namespace="/game", ack_id=0)
    await a.emit("my_event", 1, namespace="/game", ack_id=1)
    assert a.acks("/game") == [(0, ["function"]), (1, ["done"])]


# The context.


async def test_a_handler_knows_who_asks_where_and_how(server, stage):
    @server.on("who", namespace="/chat")
    async def who(ctx):
        return [ctx.sid, ctx.namespace, ctx.event, ctx.transport, ctx.handshake.query["transport"]]

    a = await stage.join("/chat", transport="polling")
    await a.emit("who", namespace="/chat", ack_id=0)
    assert a.acks("/chat") == [(0, [[a.sids["/chat"], "/chat", "who", "polling", "polling"]])]


async def test_what_a_handler_stores_is_there_for_the_next_one_of_the_same_client(server, stage):
    @server.on("connect")
    def connect(ctx, auth):
        ctx.data["name"] = auth

    server.on("name", lambda ctx: ctx.data["name"])
    a, b = await stage.join(auth={"n": "ada"}), await stage.join(auth={"n": "bob"})
    for client in a, b:
        await client.emit("name", ack_id=0)
    assert (a.acks(), b.acks()) == ([(0, [{"n": "ada"}])], [(0, [{"n": "bob"}])])


async def test_a_background_task_of_a_handler_emits_to_the_same_client(server, stage, autojump_clock):
    @server.on("count down")
    async def count_down(ctx, start):
        async def count():
            for number in range(start, 0, -1):
                await emit("count", number)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
        await emit("lift-off", broadcast=True)

    a, b = await crowd(stage, 2)
    await a.emit("count down", 2)
    await trio.sleep(2)
    await stage.settle()
    assert a.events() == [["count", 2], ["count", 1], ["lift-off"]]
    assert b.events() == [["lift-off"]]
