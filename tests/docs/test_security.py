"""docs/security.md: what it promises is so, its examples run, and the tests that it names exist; and no secret is ever logged."""

import ast
import inspect
import json
import logging
import re
import traceback
from contextlib import nullcontext
from pathlib import Path

import pytest
import trio
from support.memory import serving
from support.stage import staged
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import PeerError, Refused, frame
from trio_socketio.protocol import socketio
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.server.client import new_sid

from trio_socketio import ConnectionRefused, HTTPResponse, Server

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def run_block(part):
    (text,) = [block for block in BLOCKS if part in block]
    found = {"__name__": "security"}
    exec(compile(text, "docs/security.md", "exec"), found)
    return found


# The page.


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_every_test_that_it_names_exists(file, name):
    defined = ast.walk(ast.parse((ROOT / file).read_text()))
    assert name in {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_of_the_defences_names_a_test():
    section = PAGE.split("## What is checked by default")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) > 20
    assert all("`tests/" in row.split("|")[-2] for row in rows)


def test_every_option_that_it_names_exists_with_that_default():
    parameters = inspect.signature(Server.__init__).parameters
    named = re.findall(r"^\|.*?\| (`\w.*?`) \| `tests", PAGE, re.MULTILINE)
    options = [code.partition("=") for cell in named for code in re.findall(r"`([^`]+)`", cell)]
    assert len(options) > 10
    for name, _, default in options:
        assert name in parameters
        if default and default != "StaticFiles(...)":
            assert parameters[name].default == eval(default), name


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("https://")]
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)


def test_every_example_runs():
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        assert isinstance(run_block(block)["server"], Server)


async def test_the_example_lets_in_who_knows_the_token(autojump_clock):
    async with serving(run_block("hmac")["server"]) as peer:
        known = {"name": "ada", "token": "correct horse battery staple"}
        assert (await peer.join(auth=known)).sids
        for auth in (
            None,
            {},
            {"name": "ada"},
            {"name": "ada", "token": 1},
            {"name": [], "token": "x"},
            {**known, "name": "b"},
        ):
            client = await peer.open_socketio()
            assert (await client.connect(auth=auth)).data == {"message": "not authorized"}


@pytest.mark.parametrize(("server", "fooled"), [(Server(), True), (run_block("localhost:3000")["server"], False)])
async def test_a_page_whose_name_leads_here_is_refused_by_a_list_alone(autojump_clock, server, fooled):
    server.on("connect", lambda ctx, auth: None)
    page = [("origin", "http://evil.example:3000")]
    async with serving(server) as peer:
        peer.host = "evil.example:3000"
        opened = await peer.request("GET", peer.target(transport="polling"))
        sid = json.loads(opened.text[1:])["sid"]
        posted = await peer.request("POST", peer.target(transport="polling", sid=sid), page, b"40")
        assert posted.status == (200 if fooled else 403)
        with nullcontext() if fooled else pytest.raises(Refused):
            await peer.open_websocket(headers=page)


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:3000"])
async def test_the_list_for_localhost_lets_in_its_own_pages(autojump_clock, origin):
    async with serving(run_block("localhost:3000")["server"]) as peer:
        headers = [("host", origin.removeprefix("http://")), ("origin", origin)]
        assert (await peer.request("GET", peer.target(transport="polling"), headers)).status == 200


async def test_the_example_passes_on_what_it_should_and_nothing_else(autojump_clock):
    server = run_block('"said"')["server"]
    server.on("connect", lambda ctx, auth: ctx.join_room("lobby"))
    async with staged(server, namespaces=()) as stage:
        a, b = await stage.join(), await stage.join()
        for number, arguments in enumerate(
            [
                ("lobby", "hi"),
                ("kitchen", "hi"),
                (b.sid, "hi"),
                ("lobby", 1),
                ("lobby", "x" * 2001),
                ([], "hi"),
                ({}, "hi"),
                (None, None),
            ]
        ):
            await a.emit("say", *arguments, ack_id=number)
        assert [answer for _, answer in sorted(a.acks())] == [[True]] + [[False]] * 7
        assert b.events() == [["said", "hi"]]


# What it promises.


def test_ids_have_120_random_bits():
    ids = {new_sid() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[\w-]{20}", sid) for sid in ids)
    source = inspect.getsource(inspect.getmodule(new_sid))
    assert "import secrets" in source
    assert "import random" not in source


async def test_the_sid_that_others_see_is_not_the_one_that_opens_the_session(autojump_clock):
    async with serving(Server()) as peer:
        client = await peer.join(transport="polling")
        assert client.sids["/"] != client.transport.sid
        wrong = await peer.request("GET", peer.target(transport="polling", sid=client.sids["/"]))
        assert (wrong.status, wrong.json["message"]) == (400, "Session ID unknown")


async def test_the_cookie_cannot_be_read_by_scripts_and_does_not_travel_across_sites(autojump_clock):
    async with serving(Server(cookie="io")) as peer:
        opened = await peer.request("GET", peer.target(transport="polling"))
        attributes = {part.strip() for part in opened.header("set-cookie").split(";")}
        assert {"HttpOnly", "SameSite=Lax"} <= attributes


# The log.

SECRET = "5ecret-0ddc0ffee"
"""What stands for a token, a password, a message: in every place of a request or packet that is not a name."""


def revealing_server():
    """Return a server whose handlers use everything that may happen to what a client sends."""

    async def http(request):
        if request.path == "/broken":
            raise RuntimeError("on purpose")
        return HTTPResponse.text(SECRET, 404)

    async def allow_request(request):
        if "intruder" in request.query:
            raise ConnectionRefused("no intruders")

    server = Server(
        http=http,
        allow_request=allow_request,
        max_payload=20_000,
        max_buffered_packets=50,
        cookie="io",
        shutdown_grace=1,
    )
    server.namespace("/other")

    @server.on("connect")
    async def connect(ctx, auth):
        if auth["token"] != SECRET:
            raise ConnectionRefused("no such token", {"token": SECRET})
        await ctx.join_room(SECRET)

    @server.on("talk")
    async def talk(ctx, *arguments):
        await ctx.emit("talk", *arguments, SECRET, to=SECRET)
        return arguments

    @server.on("ask")
    async def ask(ctx):
        return await ctx.call("question", SECRET)

    @server.on("fail")
    async def fail(ctx, argument):
        raise RuntimeError("on purpose")

    @server.on("unanswerable")
    async def unanswerable(ctx, argument):
        return {argument}  # a set has no form in JSON

    @server.on("flood")
    async def flood(ctx, argument):
        for _ in range(200):
            ctx.emit_nowait("flood", argument * 100)

    @server.on("kick")
    async def kick(ctx, argument):
        await ctx.disconnect(close=True)

    return server


async def speak(client):
    """Say what is right over a transport."""
    await client.emit("talk", SECRET, {"token": SECRET}, SECRET.encode(), id=1)
    received = [await client.receive() for _ in range(2)]
    assert any(SECRET in str(packet.data) for packet in received)
    await client.emit("ask", id=2)
    question = await client.receive()
    await client.send(socketio.Packet(PacketType.ACK, "/", [SECRET], question.id))
    assert (await client.receive()).data == [SECRET]
    await client.send(
        socketio.Packet(PacketType.ACK, "/", [SECRET], question.id)
    )  # again: nobody waits for it any more
    await client.emit("nobody handles this", SECRET)
    await client.emit("ask", SECRET, SECRET)  # takes none
    await client.emit("fail", SECRET)
    await client.emit("unanswerable", SECRET, id=3)
    await client.connect("/other", {"token": SECRET})
    assert (await client.connect("/nowhere", {"token": SECRET})).type is PacketType.CONNECT_ERROR


ENDS = [
    "4" + SECRET,
    "4" + f'2["talk","{SECRET}"',
    "4" + f'2{{"token":"{SECRET}"}}',
    "4" + f'2/unknown,["talk","{SECRET}"]',
    "4" + f'0{{"token":"{SECRET}"}}',
    "4" + f'51-["talk","{SECRET}",{{"_placeholder":true,"num":7}}]',
    "4" + f'51-["talk","{SECRET}"]',
    SECRET,
    "2" + SECRET,
    "b" + SECRET,
    SECRET.encode(),
    "4" + f'2["talk","{SECRET * 2000}"]',
    "4" + f'2["flood","{SECRET}"]',
    "4" + f'2["kick","{SECRET}"]',
    "1" + SECRET,
]
"""What ends a session, most of it because it is wrong."""

BROKEN = [
    frame(1, SECRET.encode(), reserved=4),
    frame(1, SECRET.encode(), masked=False),
    frame(1, SECRET.encode() + b"\xff"),
    frame(3, SECRET.encode()),
    frame(8, b"\x03\xe8" + SECRET.encode()),
    frame(8, b"\x00\x01" + SECRET.encode()),
    frame(9, SECRET.encode() * 10),
]
"""Frames of WebSocket, most of them wrong, sent as they are."""

REQUESTS = [
    f"GET /broken?token={SECRET} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n",
    f"GET /socket.io/?EIO=4&transport=polling&intruder=1&token={SECRET} HTTP/1.1\r\nHost: x\r\nCookie: io={SECRET}\r\n\r\n",
    f"GET /socket.io/?EIO=4&transport=polling&sid={SECRET} HTTP/1.1\r\nHost: x\r\n\r\n",
    f"POST /socket.io/?EIO=4&transport=polling&sid={SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{SECRET}",
    f"GET /socket.io/?EIO=3&token={SECRET} HTTP/1.1\r\nHost: x\r\n\r\n",
    f"GET /socket.io/?EIO=4&transport=other&token={SECRET} HTTP/1.1\r\nHost: x\r\n\r\n",
    f"GET /socket.io/?EIO=4&transport=polling&token={SECRET} HTTP/1.1\r\nHost: x\r\nOrigin: https://y.example\r\n\r\n",
    f"OPTIONS /socket.io/?token={SECRET} HTTP/1.1\r\nHost: x\r\nOrigin: https://y.example\r\n\r\n",
    f"GET http://user:{SECRET}@x y/ HTTP/1.1\r\nHost: x\r\n\r\n",
    f"GET /?token={SECRET}# HTTP/1.1\r\nHost: x\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {SECRET}\0\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization {SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: x\r\nHost: user:{SECRET}@x\r\n\r\n",
    f"GET /?{'&'.join([SECRET] * 100)} HTTP/1.1\r\nHost: x\r\n\r\n",
    f"{SECRET}\r\n\r\n",
    f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}",
    (
        f"GET /socket.io/?EIO=4&transport=websocket&token={SECRET} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {SECRET}\r\n\r\n"
    ),
]


async def live(peer, ids, transport, end):
    """Live a session that ends in some way."""
    client = await peer.open_socketio("polling" if transport == "upgraded" else transport)
    ids.add(client.handshake.sid)
    ids.add((await client.connect(auth={"token": SECRET})).data["sid"])
    if transport == "upgraded":
        websocket = await peer.upgrade(client.transport)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        client.transport = websocket
    await speak(client)
    if end is None:
        return
    if transport == "polling":
        body = end if isinstance(end, str) else b"b" + end
        await client.transport.post(body)
    elif isinstance(end, bytes) and end in BROKEN:
        await client.transport.send_raw(end)
    else:
        await client.transport.send(end)
    await wait_all_tasks_blocked()
    if transport != "polling":
        await client.transport.hang_up()


async def intrude(peer, request):
    connection = await peer.connect()
    await connection.send(request.encode("latin-1"))
    with trio.move_on_after(100):
        while await connection.receive():
            pass
    await connection.hang_up()


async def refused(peer):
    """Be refused by the connect handler, and by an upgrade that is none."""
    client = await peer.open_socketio()
    assert (await client.connect(auth={"token": SECRET + "?"})).type is PacketType.CONNECT_ERROR
    polling = await peer.join(auth={"token": SECRET}, transport="polling")
    websocket = await peer.upgrade(polling.transport)
    await websocket.send(SECRET)
    await websocket.expect_close()


def everything_of(record):
    """Return all texts that a handler of log records could write: message, arguments, extras, traceback."""
    texts = [record.getMessage(), repr(record.__dict__)]
    if record.exc_info:
        texts += traceback.format_exception(*record.exc_info)
    return "\n".join(texts)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
async def test_no_secret_of_a_client_is_logged(autojump_clock, caplog, level, sockets):
    caplog.set_level(level)
    ids = set()
    with trio.fail_after(10_000):
        async with serving(revealing_server(), sockets=sockets) as peer:
            for transport in ("websocket", "polling", "upgraded"):
                await live(peer, ids, transport, None)  # it lives on, until the server ends
                for end in ENDS:
                    await live(peer, ids, transport, end)
            for end in BROKEN:
                await live(peer, ids, "websocket", end)
            for request in REQUESTS:
                await intrude(peer, request)
            await refused(peer)
            with pytest.raises(PeerError):
                await peer.open_websocket(peer.target(transport="websocket", sid=SECRET))
    said = [everything_of(record) for record in caplog.records]
    assert len(said) > 200
    for wanted in (
        "reads too slowly",
        "on purpose",
        "no intruders",
        "no handler for",
        "refused",
        "server shutting down",
    ):
        assert (wanted == "no handler for" and level > logging.DEBUG) or any(wanted in text for text in said), wanted
    assert [text for text in said if any(secret in text for secret in {SECRET, *ids})] == []


def test_the_search_for_secrets_finds_them():
    record = logging.makeLogRecord({"msg": "%d", "args": (1,), "extra of ours": SECRET})
    assert SECRET in everything_of(record)
    assert SECRET in everything_of(logging.makeLogRecord({"msg": "%s", "args": (SECRET,)}))
