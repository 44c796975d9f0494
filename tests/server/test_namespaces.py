"""Namespaces: objects, classes, patterns, and which of them serves a name."""

import re

import pytest
from support.stage import staged
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import ConnectionRefused, Namespace, Server


async def test_a_namespace_object_registers_and_reaches_its_clients(autojump_clock):
    server = Server()
    chat = server.namespace("/chat")
    log = []
    chat.use(lambda ctx: log.append("middleware"))
    chat.on("connect", lambda ctx: log.append("connect"))
    chat.on("talk", lambda ctx, text: f"heard {text}")
    assert server.namespace("/chat") is chat
    async with staged(server) as stage:
        a, b = await stage.join("/chat"), await stage.join("/")
        await a.emit("talk", "hi", namespace="/chat", ack_id=0)
        assert a.acks("/chat") == [(0, ["heard hi"])]
        assert log == ["middleware", "connect"]
        assert await chat.emit("e") == 1
        await chat.join_room("r", a.sids["/chat"])
        assert await chat.emit("e", to="r") == 1
        assert chat.rooms(a.sids["/chat"]) == [a.sids["/chat"], "r"]
        await chat.disconnect(a.sids["/chat"])
        await stage.settle()
        assert a.types("/chat")[-1] is PacketType.DISCONNECT
        assert b.events() == []


async def test_a_namespace_object_means_its_own_namespace_in_a_handler_of_another(autojump_clock):
    server = Server()
    chat = server.namespace("/chat")
    async with staged(server) as stage:
        a, b = await stage.join("/", "/chat"), await stage.join("/chat")
        assert await stage.inside(a, lambda ctx: chat.emit("all")) == 2
        assert await stage.inside(a, lambda ctx: chat.emit("others", include_self=False)) == 1
        assert await stage.inside(a, lambda ctx: chat.rooms()) == [a.sids["/chat"]]
        assert (a.events("/chat"), b.events("/chat")) == ([["all"]], [["all"], ["others"]])


async def test_a_class_means_its_own_namespace_in_a_handler_of_another(autojump_clock):
    class Chat(Namespace):
        pass

    server = Server()
    chat = server.register(Chat("/chat"))
    async with staged(server) as stage:
        a, b = await stage.join("/", "/chat"), await stage.join("/chat")
        assert await stage.inside(a, lambda ctx: chat.emit("all", broadcast=True)) == 2
        assert await stage.inside(a, lambda ctx: chat.emit("others", broadcast=True, include_self=False)) == 1
        assert await stage.inside(a, lambda ctx: chat.emit("self")) == 1
        assert await stage.inside(a, lambda ctx: chat.emit("to", to=b.sids["/chat"])) == 1
        await stage.inside(a, lambda ctx: chat.join_room("r"))
        assert await stage.inside(a, lambda ctx: chat.rooms()) == [a.sids["/chat"], "r"]
        assert a.events("/chat") == [["all"], ["self"]]
        assert b.events("/chat") == [["all"], ["others"], ["to"]]
        assert a.events("/") == []
        elsewhere = await stage.join("/")
        with pytest.raises(RuntimeError, match="has not joined '/chat'"):
            await stage.inside(elsewhere, lambda ctx: chat.emit("self"))


async def test_a_class_that_serves_a_pattern_must_be_told_which_namespace_in_a_handler_of_another(autojump_clock):
    class Game(Namespace):
        pass

    server = Server()
    games = server.register(Game("/game-*"))
    async with staged(server) as stage:
        a = await stage.join("/", "/game-1")
        with pytest.raises(ValueError, match="namespace="):
            await stage.inside(a, lambda ctx: games.emit("e", broadcast=True))
        assert await stage.inside(a, lambda ctx: games.emit("e", namespace="/game-1", broadcast=True)) == 1


async def test_the_methods_of_a_class_are_its_handlers(autojump_clock):
    server = Server()
    log = []

    class Base(Namespace):
        def on_inherited(self, ctx):
            return "inherited"

    class Chat(Base):
        def __init__(self, name, greeting):
            super().__init__(name)
            self.greeting = greeting

        async def on_connect(self, ctx, auth):
            await ctx.emit("welcome", self.greeting)

        async def on_talk(self, ctx, text):
            await self.emit("talk", text, broadcast=True)
            return "ok"

        def on_fail(self, ctx):
            raise LookupError("on purpose")

        def on_error(self, ctx, error):
            return f"failed: {error}"

        def on_disconnect(self, ctx, reason):
            log.append(reason)

    chat = server.register(Chat("/chat", "hello"))
    assert server.namespace("/chat") is chat
    async with staged(server) as stage:
        a, b = await stage.join("/chat"), await stage.join("/chat")
        await a.emit("talk", "hi", namespace="/chat", ack_id=0)
        await a.emit("fail", namespace="/chat", ack_id=1)
        await a.emit("inherited", namespace="/chat", ack_id=2)
        await a.leave("/chat")
        assert a.events("/chat") == [["welcome", "hello"], ["talk", "hi"]]
        assert b.events("/chat") == [["welcome", "hello"], ["talk", "hi"]]
        assert a.acks("/chat") == [(0, ["ok"]), (1, ["failed: on purpose"]), (2, ["inherited"])]
        assert log == ["client namespace disconnect"]


async def test_handlers_of_a_class_and_of_functions_share_one_table_and_the_latest_counts(autojump_clock):
    server = Server()

    class Chat(Namespace):
        def on_one(self, ctx):
            return "class"

        def on_two(self, ctx):
            return "class"

    chat = server.register(Chat("/chat"))
    chat.on("two", lambda ctx: "function")
    server.on("*", lambda ctx: "catch-all", namespace="/chat")
    async with staged(server) as stage:
        a = await stage.join("/chat")
        for number, name in enumerate(("one", "two", "three")):
            await a.emit(name, namespace="/chat", ack_id=number)
        assert a.acks("/chat") == [(0, ["class"]), (1, ["function"]), (2, ["catch-all"])]


def test_a_class_cannot_take_over_a_namespace_that_has_handlers():
    server = Server()
    server.on("e", lambda ctx: None, namespace="/chat")

    class Chat(Namespace):
        pass

    server.on("e", lambda ctx: None, namespace="/chat-*")
    for name in ("/chat", "/chat-*"):
        with pytest.raises(ValueError, match="has handlers already"):
            server.register(Chat(name))
    registered = server.register(Chat("/other"))
    with pytest.raises(RuntimeError, match="registered already"):
        Server().register(registered)
    with pytest.raises(RuntimeError, match="not registered"):
        _ = Chat("/third").server


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"on_z": lambda self: None}, TypeError),
        ({"on_disconnecting": lambda self, ctx: None}, ValueError),
        ({"on_error": lambda self, ctx: None}, TypeError),
    ],
)
async def test_a_class_that_cannot_be_registered_can_be_once_it_is_mended(autojump_clock, wrong, error):
    class Chat(Namespace):
        def on_e(self, ctx):
            return "class"

    server = Server()
    chat = type("Broken", (Chat,), wrong)("/chat")
    chat.on("e", lambda ctx: "function")
    with pytest.raises(error):
        server.register(chat)
    with pytest.raises(RuntimeError, match="not registered"):
        _ = chat.server
    assert chat.handlers.find("e").name.endswith("<lambda>"), "nothing has changed"
    server.register(Chat("/chat"))
    for name in wrong:
        delattr(type(chat), name)
    Server().register(chat)
    async with staged(server) as stage:
        a = await stage.join("/chat")
        await a.emit("e", namespace="/chat", ack_id=0)
        assert a.acks("/chat") == [(0, ["class"])]


@pytest.mark.parametrize("name", ["/", "/chat", "/ch*", re.compile("/cha.")])
async def test_what_was_asked_for_before_a_class_took_over_stands_for_it(autojump_clock, name):
    server = Server()
    early = server.namespace(name)

    class First(Namespace):
        pass

    class Second(Namespace):
        def on_e(self, ctx):
            return "class"

    middle = server.register(First(name))
    server.register(Second(name))

    @early.use
    def refuse_guests(ctx, auth):
        if auth is None:
            raise ConnectionRefused("guests")

    middle.on("f", lambda ctx: "function")
    joined = "/" if name == "/" else "/chat"
    async with staged(server) as stage:
        a = await stage.join(joined, auth={})
        await a.emit("e", namespace=joined, ack_id=0)
        await a.emit("f", namespace=joined, ack_id=1)
        assert a.acks(joined) == [(0, ["class"]), (1, ["function"])]
        assert await early.emit("hello", namespace=joined) == 1
        b = await stage.visit()
        await b.connect(joined)
        assert b.types(joined) == [PacketType.CONNECT_ERROR]


async def test_a_class_can_serve_the_root(autojump_clock):
    server = Server()

    class Root(Namespace):
        def on_e(self, ctx):
            return "root"

    server.register(Root("/"))
    server.on("f", lambda ctx: "function")
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("e", ack_id=0)
        await a.emit("f", ack_id=1)
        assert a.acks() == [(0, ["root"]), (1, ["function"])]


async def test_the_server_registers_an_error_handler_in_place_of_the_method_of_a_class_that_serves_the_root(
    autojump_clock,
):
    server = Server()

    class Root(Namespace):
        def on_fail(self, ctx):
            raise LookupError("on purpose")

        def on_error(self, ctx, error):
            return "method"

    server.register(Root("/"))
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("fail", ack_id=0)
        server.on_error(lambda ctx, error: "function")
        await a.emit("fail", ack_id=1)
        assert a.acks() == [(0, ["method"]), (1, ["function"])]


async def test_a_pattern_serves_every_name_that_matches(autojump_clock):
    server = Server()

    @server.on("where", namespace="/room-*")
    async def where(ctx):
        await ctx.join_room("r")
        return ctx.namespace, ctx.match[1]

    @server.on("where", namespace=re.compile(r"/user/(?P<id>\d+)"))
    def whose(ctx):
        return ctx.namespace, ctx.match["id"]

    async with staged(server) as stage:
        a = await stage.join("/room-7", "/room-8", "/user/42", "/user/none", "/room-", "/room-a/b")
        for name in ("/room-7", "/room-8", "/user/42"):
            await a.emit("where", namespace=name, ack_id=0)
        assert a.acks("/room-7") == [(0, ["/room-7", "7"])]
        assert a.acks("/room-8") == [(0, ["/room-8", "8"])]
        assert a.acks("/user/42") == [(0, ["/user/42", "42"])]
        for name in ("/user/none", "/room-", "/room-a/b"):
            assert a.types(name) == [PacketType.CONNECT_ERROR]
        assert await server.emit("e", namespace="/room-7", to="r") == 1
        assert await server.emit("e", namespace="/room-8") == 1
        await stage.settle()
        assert (len(a.events("/room-7")), len(a.events("/room-8"))) == (1, 1)


async def test_a_pattern_object_means_the_concrete_namespace_in_its_handlers_and_must_be_told_outside(autojump_clock):
    server = Server()
    games = server.namespace("/game-*")
    games.on("all", lambda ctx: games.emit_nowait("e"))
    async with staged(server) as stage:
        a, b = await stage.join("/game-1"), await stage.join("/game-2")
        await a.emit("all", namespace="/game-1", ack_id=0)
        assert a.acks("/game-1") == [(0, [1])]
        assert b.events("/game-2") == []
        with pytest.raises(ValueError, match="namespace="):
            await games.emit("e")
        assert await games.emit("e", namespace="/game-2") == 1


async def test_a_class_can_serve_a_pattern(autojump_clock):
    server = Server()

    class Game(Namespace):
        async def on_connect(self, ctx):
            await self.emit("welcome", ctx.match["game"])

    server.register(Game(re.compile(r"/game/(?P<game>\w+)")))
    async with staged(server) as stage:
        a, b = await stage.join("/game/chess"), await stage.join("/game/go")
        assert a.events("/game/chess") == [["welcome", "chess"]]
        assert b.events("/game/go") == [["welcome", "go"]]


async def test_an_exact_name_wins_over_patterns_and_then_the_first_pattern_that_matches(autojump_clock):
    server = Server()
    server.on("which", lambda ctx: "first pattern", namespace="/a*")
    server.on("which", lambda ctx: "second pattern", namespace="/*")
    server.on("only here", lambda ctx: "first pattern", namespace="/a*")
    server.on("which", lambda ctx: "exact", namespace="/abc")
    async with staged(server) as stage:
        a = await stage.join("/abc", "/abd", "/xyz")
        for name in ("/abc", "/abd", "/xyz"):
            await a.emit("which", namespace=name, ack_id=0)
        await a.emit("only here", namespace="/abc", ack_id=1)
        assert a.acks("/abc") == [(0, ["exact"])]
        assert a.acks("/abd") == [(0, ["first pattern"])]
        assert a.acks("/xyz") == [(0, ["second pattern"])]


async def test_a_name_that_was_asked_for_without_handlers_is_left_to_its_pattern(autojump_clock):
    server = Server()
    rooms = server.namespace("/room-*")
    rooms.on("which", lambda ctx: ("pattern", ctx.match[1]))

    @rooms.use
    def authenticate(ctx, auth):
        if auth != {"token": "t"}:
            raise ConnectionRefused("who are you?")

    exact = server.namespace("/room-5")
    assert await exact.emit("early") == 0
    async with staged(server) as stage:
        stranger = await stage.visit()
        await stranger.connect("/room-5")
        assert stranger.types("/room-5") == [PacketType.CONNECT_ERROR]
        a = await stage.join("/room-5", auth={"token": "t"})
        await a.emit("which", namespace="/room-5", ack_id=0)
        assert a.acks("/room-5") == [(0, ["pattern", "5"])]
        assert await exact.emit("e") == 1
        assert await exact.emit("f", to=a.sids["/room-5"]) == 1
        await stage.settle()
        assert a.events("/room-5") == [["e"], ["f"]]
        exact.on("which", lambda ctx: "exact")
        b = await stage.join("/room-5")
        await b.emit("which", namespace="/room-5", ack_id=0)
        assert b.acks("/room-5") == [(0, ["exact"])]


async def test_without_a_pattern_a_name_that_was_asked_for_can_be_joined(autojump_clock):
    server = Server()
    server.namespace("/plain")
    server.on("connect", lambda ctx: False, namespace="/room-*")
    async with staged(server) as stage:
        a = await stage.join("/plain", "/other")
        assert a.types("/plain") == [PacketType.CONNECT]
        assert a.types("/other") == [PacketType.CONNECT_ERROR]


async def test_a_pattern_does_not_serve_the_root_that_has_no_handlers(autojump_clock):
    server = Server()
    server.on("connect", lambda ctx: False, namespace=re.compile("/.*"))
    async with staged(server, namespaces=()) as stage:
        a = await stage.join()
        assert a.types() == [PacketType.CONNECT]


async def test_a_pattern_never_serves_the_root(autojump_clock):
    server = Server()
    server.on("e", lambda ctx: "pattern", namespace="/*")
    server.on("e", lambda ctx: "root")
    async with staged(server, namespaces=()) as stage:
        a = await stage.join()
        await a.emit("e", ack_id=0)
        assert a.acks() == [(0, ["root"])]


@pytest.mark.parametrize("name", ["", "chat", "chat-*"])
def test_a_namespace_begins_with_a_slash(name):
    for make in (Namespace, Server().namespace, lambda name: Server().on("e", lambda ctx: None, namespace=name)):
        with pytest.raises(ValueError, match="begins with '/'"):
            make(name)


NAMING = [Namespace, lambda name: Server().namespace(name), lambda name: Server().on("e", print, namespace=name)]


@pytest.mark.parametrize("make", NAMING)
@pytest.mark.parametrize("name", [None, b"/x", 5, re.compile(b"/x"), ["/x"]])
def test_a_namespace_is_a_str_or_a_pattern_for_str(make, name):
    with pytest.raises(TypeError, match=re.escape(f"for str, not {name!r}")):
        make(name)


@pytest.mark.parametrize("make", NAMING)
@pytest.mark.parametrize("name", ["/a,b", "/a?b", "/a\x1eb", "/\ud800", "/a,*"])
def test_a_name_that_no_packet_can_hold_is_a_value_error(make, name):
    with pytest.raises(ValueError, match=re.escape(f"nobody could join the namespace {name!r}")):
        make(name)


@pytest.mark.parametrize("name", ["/ü", "//", "/a b", "/a.b/c-d", "/" + "x" * 100])
async def test_any_other_name_can_be_joined(autojump_clock, name):
    server = Server()
    server.on("e", lambda ctx: ctx.namespace, namespace=name)
    async with staged(server) as stage:
        a = await stage.join(name)
        await a.emit("e", namespace=name, ack_id=0)
        assert a.acks(name) == [(0, [name])]


async def test_the_members_of_a_namespace_do_not_outlive_it(autojump_clock):
    server = Server()
    server.namespace("/room-*")
    async with staged(server) as stage:
        a = await stage.join(*[f"/room-{number}" for number in range(20)])
        assert sum(server.stats()["sockets"].values()) == 20
        await a.hang_up()
        assert server.stats()["sockets"] == {}
