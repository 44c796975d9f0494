"""docs/migrating.md: its examples run and do what they say, its rule ids exist, and it forgets no option and no function."""

import inspect
import json
import logging
import re
from pathlib import Path

import pytest
import trio
from support.memory import MemoryListener, serving
from support.stage import staged
from trio_socketio.conformance.peer import HOST, Peer
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.server.emitter import Emitter

from trio_socketio import Server

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "migrating.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
"""Our own: the blocks of the other libraries have a title."""

INLINE = re.findall(r"`([^`\n]+)`", PAGE)
FLASK_SOCKETIO = re.findall(
    r"\w+",
    """
    on on_event event on_namespace on_error on_error_default emit send call join_room leave_room close_room rooms disconnect
    run stop init_app start_background_task sleep test_client manage_session message_queue channel path resource
    """,
)
"""What `SocketIO` of Flask-SocketIO 5 and its module have, beside the options of python-socketio's server."""


def block(part):
    (found,) = [block for block in BLOCKS if part in block]
    return found


def run_block(text):
    found = {"__name__": "migrating"}
    exec(compile(text, "docs/migrating.md", "exec"), found)
    return found


def server_of(part):
    server = run_block(block(part))["server"]
    assert isinstance(server, Server)
    return server


def mentions(word):
    return any(re.search(rf"\b{re.escape(word)}\b", code) for code in INLINE)


def all_parameters(function):
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "self"]


@pytest.fixture(autouse=True)
def levels():
    """Put back the levels that the example of logging sets."""
    loggers = [logging.getLogger(name) for name in ("trio_socketio", "trio_socketio.http")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


# What the page must name.


def test_every_rule_that_is_mentioned_exists():
    known = set(re.findall(r"^\| ([A-I]\d*) \|", (DOCS / "emit-rules.md").read_text(), re.MULTILINE))
    groups = re.findall(r"\(((?:[A-H]\d+|I)(?:, (?:[A-H]\d+|I))*)\)", PAGE)
    mentioned = {rule for group in groups for rule in group.split(", ")} | set(re.findall(r"\b[A-I]\d+\b", PAGE))
    assert "I" in mentioned
    assert len(mentioned) > 50
    assert mentioned <= known


@pytest.mark.parametrize("option", all_parameters(Server.__init__))
def test_every_option_of_the_server_is_mentioned(option):
    assert mentions(option)


def test_every_default_in_the_table_of_options_is_the_right_one():
    defaults = {name: p.default for name, p in inspect.signature(Server.__init__).parameters.items()}
    section = PAGE.split("\n## Options\n")[1].split("\n## ")[0]
    theirs, ours = section.split("These exist only here")
    cells = [line.split("|")[2] for line in theirs.splitlines() if line.startswith("| `")]
    cells += [line.split("|")[1] for line in ours.splitlines() if line.startswith("| `")]
    stated = [code.partition("=") for cell in cells for code in re.findall(r"`(\w+=[^`]+)`", cell)]
    values = {name: value for name, _, value in stated if name != "cors_allowed_origins"}
    assert len(values) > 20
    for name, value in values.items():
        expected = eval(value.replace("4 MiB", "4 * 1024 ** 2"))
        assert defaults[name] == expected, name


@pytest.mark.parametrize("method", [name for name in dir(Emitter) if not name.startswith("_") and name != "server"])
def test_every_method_that_reaches_clients_is_mentioned_with_all_its_keywords(method):
    assert mentions(method)
    keywords = [
        name for name, p in inspect.signature(getattr(Emitter, method)).parameters.items() if p.kind is p.KEYWORD_ONLY
    ]
    assert all(mentions(keyword) for keyword in keywords)


@pytest.mark.parametrize("name", FLASK_SOCKETIO)
def test_every_name_of_flask_socketio_is_mentioned(name):
    assert mentions(name)


def test_every_name_of_the_python_socketio_server_is_mentioned():
    socketio, engineio = pytest.importorskip("socketio"), pytest.importorskip("engineio")
    options = {
        name for server in (socketio.Server, socketio.AsyncServer, engineio.Server) for name in all_parameters(server)
    }
    methods = {
        name
        for server in (socketio.Server, socketio.AsyncServer)
        for name, _ in inspect.getmembers(server, inspect.isfunction)
        if not name.startswith("_") and name != "is_asyncio_based"
    }
    keywords = {
        name
        for method in ("emit", "send", "call", "instrument")
        for name in all_parameters(getattr(socketio.Server, method))
    } - {"event", "data"}
    classes = {
        "ASGIApp",
        "WSGIApp",
        "Middleware",
        "Namespace",
        "AsyncNamespace",
        "Client",
        "AsyncClient",
        "SimpleClient",
    }
    assert [name for name in sorted(options | methods | keywords | classes) if not mentions(name)] == []


def test_every_link_within_the_page_has_its_heading():
    headings = {
        re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert all((DOCS / link).is_file() if not link.startswith("#") else link[1:] in headings for link in links)


def test_every_table_is_even():
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table.splitlines()[0]


# What the examples do.


def test_every_example_runs():
    assert len(BLOCKS) == 13
    for text in BLOCKS:
        run_block(text)


async def test_the_first_example_tells_a_room_who_has_joined(autojump_clock):
    async with serving(server_of('"joined"')) as peer:
        first, second = await peer.join(), await peer.join()
        for client in first, second:
            await client.emit("join", "lobby", id=0)
            assert (await client.receive()).data == ["welcome"]
        assert await first.event() == ["joined", second.sids["/"]]


async def test_the_forms_of_registration(autojump_clock):
    async with staged(server_of("def triple"), namespaces=()) as stage:
        a = await stage.join("/", "/math", "/some/where")
        await a.emit("double", 2, ack_id=0)
        await a.emit("triple", 2, ack_id=1)
        await a.emit("whatever", 1, 2, ack_id=2)
        assert a.acks() == [(0, [4]), (1, [6]), (2, ["whatever", 2])]
        await a.emit("triple", 3, namespace="/math", ack_id=0)
        await a.emit("name", namespace="/math", ack_id=1)
        assert a.acks("/math") == [(0, [9])]
        await a.emit("name", namespace="/some/where", ack_id=0)
        assert a.acks("/some/where") == [(0, ["/some/where"])]


async def test_a_client_is_authenticated_by_its_token_or_refused(autojump_clock):
    async with staged(server_of("USERS"), namespaces=()) as stage:
        stays, ada, stranger = [
            await stage.join(auth=auth) for auth in ({"token": "s3cret"}, {"token": "s3cret"}, {"token": "guess"})
        ]
        assert ada.events() == [["hello", "ada"]]
        (refusal,) = stranger.packets
        assert refusal.type is PacketType.CONNECT_ERROR
        assert refusal.data == {"message": "unauthorized", "data": {"hint": "send a token"}}
        await ada.leave()
        assert stays.events()[1:] == [["left", ["ada", "client namespace disconnect"]]]
        websocket = await stage.peer.open_websocket(headers=[("cookie", "a=b; token=s3cret")])
        await websocket.receive()
        await websocket.send("40")
        assert str(await websocket.receive()).startswith('40{"sid":')
        assert await websocket.receive() == '42["hello","ada"]'


async def test_data_belongs_to_the_connection(autojump_clock):
    async with staged(server_of("whoami"), namespaces=()) as stage:
        a, b = await stage.join(), await stage.join(transport="polling")
        await a.emit("login", "ada")
        await a.emit("whoami", ack_id=0)
        await b.emit("whoami", ack_id=0)
        assert a.acks() == [(0, ["ada", "websocket", "4"])]
        assert b.acks() == [(0, ["nobody", "polling", "4"])]


async def test_the_ways_to_emit_differ_in_whom_they_reach(autojump_clock):
    async with staged(server_of('"mine"'), namespaces=()) as stage:
        a, b, c = await stage.join(), await stage.join(), await stage.join()
        await a.emit("talk", "hi", ack_id=0)
        assert a.events() == [["mine", "hi"], ["message", "hi"]]
        assert b.events() == c.events() == [["talk", "hi"], ["message", "hi"], ["all", "hi"]]
        assert a.acks() == [(0, [2])]
        await a.emit("file", b"\x00\x01\x02\x03\x04")
        assert a.events()[-1] == ["file", {"size": 5, "content": b"\x00\x01\x02\x03"}]


async def test_call_returns_the_answer_or_tells_that_none_came(autojump_clock):
    async with staged(server_of("how big?"), namespaces=()) as stage:
        a, b = await stage.join(), await stage.join()
        await a.emit("measure", ack_id=0)
        assert a.events() == [["how big?", "screen"]]
        await a.acknowledge(a.packets[-1].id, 80, 25)
        assert a.acks() == [(0, [80, 25])]
        await b.emit("measure", ack_id=0)
        await trio.sleep(5)
        await stage.settle()
        assert b.acks() == [(0, ["no answer"])]
        await a.emit("notify")
        await a.acknowledge(a.packets[-1].id, "yes")
        assert b.events()[-1] == ["seen", "yes"]


async def test_rooms_are_moved_between_and_emptied(autojump_clock):
    async with staged(server_of('"move"'), namespaces=()) as stage:
        a = await stage.join()
        await a.emit("move", "nowhere", "red", ack_id=0)
        await a.emit("move", "red", "blue", ack_id=1)
        await a.emit("empty", "blue", ack_id=2)
        assert a.acks() == [(0, [["red"]]), (1, [["blue"]]), (2, [[]])]


async def test_the_methods_of_a_class_mean_the_current_client(autojump_clock):
    names = run_block(block("class Chat"))
    async with staged(names["server"], namespaces=()) as stage:
        a, b = await stage.join("/chat"), await stage.join("/chat")
        await a.emit("talk", "hi", namespace="/chat")
        assert a.events("/chat") == [["echo", "hi"]]
        assert b.events("/chat") == [["talk", "hi"]]
        await a.emit("divide", 1, 0, namespace="/chat", ack_id=0)
        assert a.acks("/chat") == [(0, [{"error": "division by zero"}])]
        assert await names["chat"].emit("from outside", broadcast=True) == 2
        with pytest.raises(RuntimeError):
            await names["chat"].emit("to whom?")
        names["server"].on("later", lambda ctx: "added", namespace="/chat")
        await a.emit("later", namespace="/chat", ack_id=1)
        assert a.acks("/chat")[-1] == (1, ["added"])


async def test_the_result_of_the_error_handler_is_the_acknowledgement(autojump_clock):
    async with staged(server_of("LookupError"), namespaces=()) as stage:
        a = await stage.join()
        await a.emit("fail", ack_id=0)
        assert a.acks() == [(0, [{"event": "fail", "error": "LookupError"}])]


async def test_tasks_run_beside_the_server_and_threads_reach_it():
    names = run_block(block("async def clock"))
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names["main"], [listener])
        with trio.fail_after(10):
            client = await Peer(listener.dial, host=HOST).join()
            await client.emit("count", 2, id=0)
            packets = [await client.receive() for _ in range(3)]
            assert [packet.data for packet in packets] == [["count", 0], ["count", 1], ["done"]]
            event, _time = await client.event()
            assert event == "tick"
            await client.transport.hang_up()
        nursery.cancel_scope.cancel()


async def test_pages_beside_the_server(autojump_clock):
    async with serving(server_of('"/stats"')) as peer:
        client = await peer.join()
        stats = json.loads((await peer.request("GET", "/stats")).text)
        assert stats["sockets"] == {"/": 1}
        assert (await peer.request("POST", "/notify", body=b"news")).text == "1"
        assert await client.event() == ["notice", "news"]
        assert (await peer.request("GET", "/elsewhere")).status == 404


async def test_the_test_passes_and_ends_at_once():
    with trio.fail_after(2):
        await run_block(block("test_add"))["test_add"]()


def test_the_loggers_are_those_of_the_server():
    run_block(block("basicConfig"))
    assert logging.getLogger("trio_socketio.sessions").getEffectiveLevel() == logging.INFO
    assert logging.getLogger("trio_socketio.http").getEffectiveLevel() == logging.WARNING
    said = PAGE.split("The loggers are ")[1].split(". What")[0]
    root = Path(inspect.getfile(Server)).parent
    used = {name for file in root.rglob("*.py") for name in re.findall(r'getLogger\("([\w.]+)"\)', file.read_text())}
    assert {f"trio_socketio.{name}" for name in re.findall(r"\.(\w+)`", said)} == used


# What the page says about the differences, where no example shows it.


@pytest.mark.parametrize(
    "options", [{"ping_interval": (25, 5)}, {"cors_allowed_origins": []}, {"cors_allowed_origins": ["*"]}]
)
def test_options_that_have_another_form_here_are_refused(options):
    with pytest.raises((TypeError, ValueError)):
        Server(**options)


async def test_a_builtin_connection_refused_error_refuses_without_its_message(autojump_clock):
    server = Server()

    @server.on("connect")
    def connect(ctx):
        raise ConnectionRefusedError("no")

    @server.on_error
    def on_error(ctx, error):
        return "swallowed"

    async with staged(server, namespaces=()) as stage:
        a = await stage.join()
        assert [(p.type, p.data) for p in a.packets] == [
            (PacketType.CONNECT_ERROR, {"message": "Internal server error"})
        ]


async def test_close_gives_every_namespace_the_reason_of_the_server(autojump_clock):
    server = Server()
    reasons = []

    @server.on("go")
    async def go(ctx):
        await ctx.disconnect(close=True)

    for namespace in "/", "/x":
        server.on("disconnect", lambda ctx, reason: reasons.append((ctx.namespace, reason)), namespace=namespace)
    async with staged(server, namespaces=()) as stage:
        a = await stage.join("/", "/x")
        await a.emit("go")
        assert a.closed.is_set()
    assert sorted(reasons) == [("/", "server namespace disconnect"), ("/x", "server namespace disconnect")]
