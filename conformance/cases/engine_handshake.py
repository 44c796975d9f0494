"""The handshake of Engine.IO over both transports: what a session begins with."""

import json
import re
from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Response
from trio_socketio.conformance.sections import EIO_HANDSHAKE, EIO_QUERY, EIO_UPGRADE
from trio_socketio.conformance.trial import OK, Trial
from trio_socketio.protocol.jsontext import JSON

KEYS: Final = ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]

SESSIONS: Final = 12
"""Sessions whose ids are compared: enough to see what is counted up, and no burden for a server."""


def opened(trial: Trial, frame: str | bytes) -> dict[str, JSON]:
    """Return the object in an open packet."""
    trial.check(
        isinstance(frame, str) and frame.startswith("0"), f"the first packet is {frame!r}", "it is an open packet"
    )
    try:
        payload: JSON = json.loads(frame[1:])
    except ValueError:
        trial.fail(f"the first packet is {frame!r}", "JSON comes after the 0 of the open packet")
    if not isinstance(payload, dict):
        trial.fail(f"the open packet carries {payload!r}", "it carries a JSON object")
    return payload


async def handshake_answer(trial: Trial, query: str) -> Response:
    """Return the answer to a GET with a query string that is given as it is."""
    return await trial.peer.request("GET", f"{trial.peer.path}?{query}")


async def open_over(trial: Trial, transport: str) -> dict[str, JSON]:
    """Open a session and return what its open packet says."""
    if transport == "polling":
        response = await handshake_answer(trial, "EIO=4&transport=polling")
        trial.equal(response.status, OK, "the status")
        return opened(trial, response.text.split("\x1e")[0])
    return opened(trial, await (await trial.peer.open_websocket()).receive())


def offered(trial: Trial) -> list[str]:
    """Return the transports that the server offers."""
    needs = {"polling": Need.POLLING, "websocket": Need.WEBSOCKET}
    return [transport for transport, need in needs.items() if need not in trial.target.lacks]


async def some_sids(trial: Trial) -> list[str]:
    """Open several sessions, over all transports that are offered, and return their ids."""
    transports = offered(trial)
    return [str((await open_over(trial, transports[n % len(transports)]))["sid"]) for n in range(SESSIONS)]


def check_kinds(trial: Trial, handshake: dict[str, JSON]) -> None:
    """Fail unless the values of an open packet have the types that the specification gives them."""
    sid, upgrades = handshake.get("sid"), handshake.get("upgrades")
    trial.check(isinstance(sid, str) and sid != "", f"sid is {sid!r}", "sid is a string that is not empty")
    trial.check(
        isinstance(upgrades, list) and all(isinstance(name, str) for name in upgrades),
        f"upgrades is {upgrades!r}",
        "upgrades is an array of strings",
    )
    for key in ("pingInterval", "pingTimeout", "maxPayload"):
        value = handshake.get(key)
        trial.check(
            isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1,
            f"{key} is {value!r}",
            f"{key} is a number, in whole milliseconds or bytes",
        )


# Over polling.


@case(
    "eio.handshake.polling.open-packet",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="A GET without a sid opens a session, and an open packet answers it",
    expected='status 200, and a body that begins with one open packet: "0" and a JSON object',
    why="Nothing else tells a client the id of its session.",
)
async def polling_open_packet(trial: Trial) -> None:
    response = await handshake_answer(trial, "EIO=4&transport=polling")
    trial.equal(response.status, OK, "the status")
    first, *others = response.text.split("\x1e")
    opened(trial, first)
    trial.equal([packet for packet in others if packet.startswith("0")], [], "the list of further open packets")


@case(
    "eio.handshake.polling.keys",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="The open packet over polling has exactly the five keys of the specification",
    expected="an open packet with sid, upgrades, pingInterval, pingTimeout and maxPayload, and nothing else",
    why="Clients read all five; a typed client (Java, Swift) fails on a missing one.",
)
async def polling_keys(trial: Trial) -> None:
    trial.equal(sorted(await open_over(trial, "polling")), KEYS, "the sorted list of keys")


@case(
    "eio.handshake.polling.types",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="The values in the open packet over polling have the types of the specification",
    expected="sid: a string; upgrades: strings; pingInterval, pingTimeout, maxPayload: numbers of at least 1",
    why="Times in seconds, or as strings, make clients give up a session that is well.",
)
async def polling_types(trial: Trial) -> None:
    check_kinds(trial, await open_over(trial, "polling"))


@case(
    "eio.handshake.polling.upgrades",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.POLLING,
    Need.WEBSOCKET,
    title="A server that offers WebSocket announces the upgrade to it over polling",
    expected='upgrades has "websocket" in it, once, and not "polling"',
    why="A client that is offered no upgrade stays on long-polling for good.",
)
async def polling_upgrades(trial: Trial) -> None:
    upgrades = (await open_over(trial, "polling"))["upgrades"]
    trial.check(
        isinstance(upgrades, list) and upgrades.count("websocket") == 1 and "polling" not in upgrades,
        f"upgrades is {upgrades!r}",
    )


# Over a WebSocket.


@case(
    "eio.handshake.websocket.open-packet",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The first frame on a new WebSocket is the open packet, and there is only one",
    expected='status 101, then "0" and a JSON object in a text frame, before the client has sent anything',
    why="A client sends nothing before the open packet, and a second one would be a second session to it.",
)
async def websocket_open_packet(trial: Trial) -> None:
    websocket = await trial.peer.open_websocket()
    opened(trial, await websocket.receive())
    await trial.enter(websocket)
    await trial.echo(websocket)
    opens = [frame for frame in websocket.frames if isinstance(frame, str) and frame.startswith("0")]
    trial.equal(len(opens), 1, "the number of open packets")


@case(
    "eio.handshake.websocket.keys",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    title="The open packet over a WebSocket has exactly the five keys of the specification",
    expected="an open packet with sid, upgrades, pingInterval, pingTimeout and maxPayload, and nothing else",
    why="Clients read the same keys whatever the transport.",
)
async def websocket_keys(trial: Trial) -> None:
    trial.equal(sorted(await open_over(trial, "websocket")), KEYS, "the sorted list of keys")


@case(
    "eio.handshake.websocket.types",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    title="The values in the open packet over a WebSocket have the types of the specification",
    expected="sid: a string; upgrades: strings; pingInterval, pingTimeout, maxPayload: numbers of at least 1",
    why="Times in seconds, or as strings, make clients give up a session that is well.",
)
async def websocket_types(trial: Trial) -> None:
    check_kinds(trial, await open_over(trial, "websocket"))


@case(
    "eio.handshake.websocket.upgrades",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    title="A session that begins on a WebSocket is offered no upgrade",
    expected="upgrades is an empty array",
    why="A client takes every name in it for a transport to move to, and would probe in vain.",
)
async def websocket_upgrades(trial: Trial) -> None:
    trial.equal((await open_over(trial, "websocket")).get("upgrades"), [], "upgrades")


# Over both.


@case(
    "eio.handshake.integers",
    Level.SHOULD,
    EIO_HANDSHAKE,
    title="The numbers in the open packet are integers",
    expected="pingInterval, pingTimeout and maxPayload without a fraction and without an exponent",
    why="Typed clients read integers: 25000.0 is an error to some of them.",
)
async def integers(trial: Trial) -> None:
    for transport in offered(trial):
        handshake = await open_over(trial, transport)
        for key in ("pingInterval", "pingTimeout", "maxPayload"):
            trial.equal(type(handshake.get(key)).__name__, "int", f"the type of {key} over {transport}")


@case(
    "eio.handshake.same-figures",
    Level.SHOULD,
    EIO_HANDSHAKE,
    Need.POLLING,
    Need.WEBSOCKET,
    title="Both transports announce the same intervals and the same limit",
    expected="pingInterval, pingTimeout and maxPayload are equal over polling and over a WebSocket",
    why="A session keeps what it was told when it began, also after its upgrade.",
)
async def same_figures(trial: Trial) -> None:
    polling, websocket = await open_over(trial, "polling"), await open_over(trial, "websocket")
    for key in ("pingInterval", "pingTimeout", "maxPayload"):
        trial.equal(websocket.get(key), polling.get(key), f"{key} over a WebSocket")


@case(
    "eio.handshake.sid.unique",
    Level.MUST,
    EIO_HANDSHAKE,
    title="Every session has an id of its own",
    expected="twelve sessions have twelve different sids",
    why="Two clients with one sid would read each other's messages.",
)
async def sid_unique(trial: Trial) -> None:
    sids = await some_sids(trial)
    trial.equal(len(set(sids)), len(sids), f"the number of different sids in {sids}")


@case(
    "eio.handshake.sid.url-safe",
    Level.SHOULD,
    EIO_QUERY,
    title="A sid can stand in a URL as it is",
    expected="letters, digits and the characters - . _ ~ only (RFC 3986, section 2.3)",
    why="Several clients put the sid into the query without escaping it.",
)
async def sid_url_safe(trial: Trial) -> None:
    for transport in offered(trial):
        sid = str((await open_over(trial, transport))["sid"])
        trial.check(re.fullmatch(r"[A-Za-z0-9._~-]+", sid) is not None, f"the sid over {transport} is {sid!r}")


@case(
    "eio.handshake.sid.unguessable",
    Level.SHOULD,
    EIO_HANDSHAKE,
    title="A sid cannot be guessed from other sids",
    expected="at least 16 characters, and most of them differ from one session to the next",
    why="Whoever knows a sid can read and write in that session; nothing else protects it.",
)
async def sid_unguessable(trial: Trial) -> None:
    sids = await some_sids(trial)
    trial.check(min(map(len, sids)) >= 16, f"a sid is {min(sids, key=len)!r}")
    changing = sum(len(set(column)) > SESSIONS // 3 for column in zip(*sids, strict=False))
    trial.check(changing >= 12, f"only {changing} characters change between {', '.join(sids)}")
