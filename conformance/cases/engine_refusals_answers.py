"""What a refused handshake is answered with, and what comes of it."""

import json
from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_refusals import UNKNOWN_SID, polled
from trio_socketio.conformance.cases.engine_refusals_websocket import turned_away
from trio_socketio.conformance.sections import EIO_HANDSHAKE, EIO_PROTOCOL, FIXTURE
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON

REASONS: Final = (
    ("transport=polling", 5, "Unsupported protocol version"),
    ("EIO=4&transport=abc", 0, "Transport unknown"),
    (f"EIO=4&transport=polling&sid={UNKNOWN_SID}", 1, "Session ID unknown"),
)
"""Requests that are refused, with the code and the message that the reference server gives."""


@case(
    "eio.handshake.refusal.json",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.POLLING,
    title="A refusal over polling says why, as JSON",
    expected="a JSON object with an integer code and a string message, and a JSON content type",
    why="Clients pass it on, and it is all that a developer sees of the mistake.",
)
async def refusal_json(trial: Trial) -> None:
    for query, _, _ in REASONS:
        response = await polled(trial, query)
        try:
            body: JSON = json.loads(response.body)
        except ValueError:
            trial.fail(f"the body is {response.body!r}")
        trial.check(
            isinstance(body, dict) and type(body.get("code")) is int and isinstance(body.get("message"), str),
            f"the body is {response.body!r}",
        )
        media_type = (response.header("content-type") or "").partition(";")[0].strip().lower()
        trial.equal(media_type, "application/json", f"the media type of the answer to {query}")


@case(
    "eio.handshake.refusal.codes",
    Level.MAY,
    EIO_PROTOCOL,
    Need.POLLING,
    title="A refusal over polling has the code and the message of the reference server",
    expected='5 "Unsupported protocol version", 0 "Transport unknown", 1 "Session ID unknown", 2 "Bad handshake method"',
    why="Monitoring and some clients tell the reasons apart by these numbers.",
)
async def refusal_codes(trial: Trial) -> None:
    for query, code, message in REASONS:
        trial.refused(await polled(trial, query), code, message)
    trial.refused(await polled(trial, "EIO=4&transport=polling", "POST"), 2, "Bad handshake method")


@case(
    "eio.handshake.refusal.isolation",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Refusals do not disturb a session that exists",
    expected="a session that was open before goes on between refusals on other connections",
    why="Anybody can send nonsense to a server at any time.",
)
async def refusal_isolation(trial: Trial) -> None:
    session = await trial.open("websocket")
    for query, _, message in REASONS:
        await polled(trial, query)
        await trial.echo(session, message)
        await turned_away(trial, f"{trial.peer.path}?{query.replace('polling', 'websocket')}")
        await trial.echo(session, f"{message} over a WebSocket")


@case(
    "eio.handshake.refusal.application-polling",
    Level.SHOULD,
    FIXTURE,
    Need.FIXTURE,
    Need.POLLING,
    title="The application can refuse a handshake over polling",
    expected="status 403 (or 401 or 400), and no open packet",
    why="It is the place to turn away who has no business with the server, before anything is spent on them.",
)
async def refusal_application_polling(trial: Trial) -> None:
    response = await polled(trial, "EIO=4&transport=polling&deny=1")
    trial.within(response.status, (403, 401, 400), "the status")
    trial.check(not response.body.startswith(b"0{"), f"the body is {response.body[:100]!r}")


@case(
    "eio.handshake.refusal.application-websocket",
    Level.SHOULD,
    FIXTURE,
    Need.FIXTURE,
    Need.WEBSOCKET,
    title="The application can refuse a handshake over a WebSocket",
    expected="the WebSocket is refused with a status 4xx, or closed before an open packet has come",
    why="What is refused over one transport must not be possible over the other one.",
)
async def refusal_application_websocket(trial: Trial) -> None:
    await turned_away(trial, f"{trial.peer.path}?EIO=4&transport=websocket&deny=1")


@case(
    "eio.handshake.refusal.application-code",
    Level.MAY,
    FIXTURE,
    Need.FIXTURE,
    Need.POLLING,
    title="A refusal by the application has status 403 and code 4",
    expected='status 403, and a JSON object with the code 4 and a message, such as "Forbidden"',
    why="Clients tell it from a mistake in the request by this status.",
)
async def refusal_application_code(trial: Trial) -> None:
    response = await polled(trial, "EIO=4&transport=polling&deny=1")
    trial.equal(response.status, 403, "the status")
    try:
        body: JSON = json.loads(response.body)
    except ValueError:
        trial.fail(f"the body is {response.body!r}", "the body is JSON")
    trial.check(
        isinstance(body, dict) and body.get("code") == 4 and isinstance(body.get("message"), str),
        f"the body is {response.body!r}",
    )
