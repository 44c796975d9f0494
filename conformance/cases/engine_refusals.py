"""The handshakes that Engine.IO refuses, and how a server says so."""

from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Response
from trio_socketio.conformance.sections import (
    EIO_HANDSHAKE,
    EIO_QUERY,
    EIO_RECEIVING,
    EIO_SENDING,
    EIO_TRANSPORTS,
    rfc,
)
from trio_socketio.conformance.trial import BAD_REQUEST, OK, Trial

UNKNOWN_SID: Final = "AAAAAAAAAAAAAAAAAAAA"
"""An id of the usual form that no server has given out."""


async def polled(trial: Trial, query: str, method: str = "GET") -> Response:
    """Return the answer to a request over polling with a query string that is given as it is."""
    return await trial.peer.request(method, f"{trial.peer.path}?{query}")


async def closed_sid(trial: Trial) -> str:
    """Return the id of a polling session that the client has closed."""
    session = await trial.open_polling()
    await session.send("1")
    return session.sid


# The query over polling.


@case(
    "eio.handshake.polling.no-eio",
    Level.MUST,
    EIO_QUERY,
    Need.POLLING,
    title="A polling handshake without EIO is refused",
    expected="status 400",
    why="The version says how payloads are to be read; a client of another one would read nonsense.",
)
async def polling_no_eio(trial: Trial) -> None:
    trial.refused(await polled(trial, "transport=polling"))


@case(
    "eio.handshake.polling.bad-eio",
    Level.MUST,
    EIO_QUERY,
    Need.POLLING,
    title="A polling handshake whose EIO is no version is refused",
    expected="status 400 for EIO=abc, for an empty EIO and for EIO=4abc",
    why="The version says how payloads are to be read; a client of another one would read nonsense.",
)
async def polling_bad_eio(trial: Trial) -> None:
    for value in ("abc", "", "4abc"):
        response = await polled(trial, f"EIO={value}&transport=polling")
        trial.equal(response.status, BAD_REQUEST, f"the status of a GET with EIO={value}")


@case(
    "eio.handshake.polling.eio-3",
    Level.MUST,
    EIO_QUERY,
    Need.POLLING,
    title="A client of revision 3 is refused, or served in revision 3",
    expected="status 400, or a payload of revision 3, which begins with a length and a colon or with a byte 0",
    why="A Socket.IO 2 client that gets an answer of revision 4 waits for ever, and nobody is told why.",
)
async def polling_eio_3(trial: Trial) -> None:
    response = await polled(trial, "EIO=3&transport=polling&b64=1")
    if response.status != BAD_REQUEST:
        trial.equal(response.status, OK, "the status")
        length, colon, _ = response.body.partition(b":")
        in_characters = bool(colon) and length.isdigit() and length != b"0"
        trial.check(in_characters or response.body.startswith(b"\x00"), f"the body is {response.body[:100]!r}")


@case(
    "eio.handshake.polling.eio-5",
    Level.SHOULD,
    EIO_QUERY,
    Need.POLLING,
    title="A client of a revision that does not exist yet is refused",
    expected="status 400, and no open packet of revision 4",
    why="It will expect something else than revision 4, and must be able to say so to its user.",
)
async def polling_eio_5(trial: Trial) -> None:
    trial.refused(await polled(trial, "EIO=5&transport=polling"))


@case(
    "eio.handshake.polling.no-transport",
    Level.MUST,
    EIO_QUERY,
    Need.POLLING,
    title="A handshake without a transport is refused",
    expected="status 400",
    why="The specification calls the parameter mandatory; a server that guesses hides the mistakes of clients.",
)
async def polling_no_transport(trial: Trial) -> None:
    trial.refused(await polled(trial, "EIO=4"))


@case(
    "eio.handshake.polling.unknown-transport",
    Level.MUST,
    EIO_TRANSPORTS,
    Need.POLLING,
    title="A handshake for an unknown transport is refused",
    expected="status 400 for abc, for Polling and for names that every object of JavaScript has",
    why="A client must not believe that it is served over something that the server does not know.",
)
async def polling_unknown_transport(trial: Trial) -> None:
    for name in ("abc", "Polling", "constructor", "__proto__"):
        response = await polled(trial, f"EIO=4&transport={name}")
        trial.equal(response.status, BAD_REQUEST, f"the status of a GET with transport={name}")


# The method.


@case(
    "eio.handshake.polling.post",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="A POST opens no session",
    expected="status 400",
    why="The handshake is a GET: a POST without a sid comes from a client that has lost its session.",
)
async def polling_post(trial: Trial) -> None:
    trial.refused(await polled(trial, "EIO=4&transport=polling", "POST"))


@case(
    "eio.handshake.polling.put",
    Level.MUST,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="A PUT opens no session",
    expected="status 400, 405 or 501",
    why="The handshake is a GET.",
)
async def polling_put(trial: Trial) -> None:
    response = await polled(trial, "EIO=4&transport=polling", "PUT")
    trial.within(response.status, (400, 405, 501), "the status")


@case(
    "eio.handshake.polling.put-status",
    Level.SHOULD,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="A PUT without a sid is refused as every other bad handshake is",
    expected="status 400",
    why="The published suite of the protocol asks for this status.",
)
async def polling_put_status(trial: Trial) -> None:
    trial.refused(await polled(trial, "EIO=4&transport=polling", "PUT"))


@case(
    "eio.handshake.polling.other-methods",
    Level.SHOULD,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="PATCH, DELETE and methods that do not exist open no session",
    expected="status 400, 405 or 501",
    why="Scanners try them all; each would leave a session behind.",
)
async def polling_other_methods(trial: Trial) -> None:
    for method in ("PATCH", "DELETE", "BREW"):
        response = await polled(trial, "EIO=4&transport=polling", method)
        trial.within(response.status, (400, 405, 501), f"the status of {method}")


@case(
    "eio.handshake.polling.head",
    Level.MUST,
    rfc(9110, "9.3.2"),
    Need.POLLING,
    title="The answer to HEAD has no body",
    expected="a whole answer without a body: the connection ends, or the next request on it is answered rightly",
    why="A body there would be taken for the answer to the next request.",
)
async def polling_head(trial: Trial) -> None:
    async with trial.peer.http() as connection:
        response = await connection.request("HEAD", trial.peer.target(transport="polling"))
        if (response.header("connection") or "").lower() == "close":
            with connection.wire.patient("the connection did not end"):
                trial.equal(await connection.wire.receive(), b"", "what comes behind the header")
            return
        following = await connection.request("GET", trial.peer.target(transport="polling"))
        trial.equal(following.status, OK, "the status of the GET that follows on the connection")


@case(
    "eio.handshake.polling.head-refused",
    Level.SHOULD,
    EIO_HANDSHAKE,
    Need.POLLING,
    title="HEAD opens no session",
    expected="status 400, 405 or 501",
    why="Nobody would ever learn the sid of that session.",
)
async def polling_head_refused(trial: Trial) -> None:
    trial.within((await polled(trial, "EIO=4&transport=polling", "HEAD")).status, (400, 405, 501), "the status")


# The sid over polling.


@case(
    "eio.handshake.polling.unknown-sid-get",
    Level.MUST,
    EIO_RECEIVING,
    Need.POLLING,
    title="A GET with a sid that nobody has is refused",
    expected="status 400",
    why="A client whose session is gone learns so from this answer, and connects again.",
)
async def polling_unknown_sid_get(trial: Trial) -> None:
    trial.refused(await polled(trial, f"EIO=4&transport=polling&sid={UNKNOWN_SID}"))


@case(
    "eio.handshake.polling.unknown-sid-post",
    Level.MUST,
    EIO_SENDING,
    Need.POLLING,
    title="A POST with a sid that nobody has is refused",
    expected="status 400",
    why="A client that is told ok believes that its message has arrived.",
)
async def polling_unknown_sid_post(trial: Trial) -> None:
    target = trial.peer.target(transport="polling", sid=UNKNOWN_SID)
    trial.refused(await trial.peer.request("POST", target, body=b"4hello"))


@case(
    "eio.handshake.polling.odd-sids",
    Level.MUST,
    EIO_RECEIVING,
    Need.POLLING,
    title="A sid of a form that no server gives out is refused as any unknown one",
    expected="status 400 for names of object members, for characters beyond ASCII, for 2000 characters",
    why="The sid is the key of a table, and comes from anybody.",
)
async def polling_odd_sids(trial: Trial) -> None:
    for sid in ("__proto__", "constructor", "../../etc/passwd", "%00", "%F0%9F%98%80", "a%0D%0Ab: c", "x" * 2000):
        response = await polled(trial, f"EIO=4&transport=polling&sid={sid}".replace(" ", "%20"))
        trial.equal(response.status, BAD_REQUEST, f"the status of a GET with sid={sid[:40]}")


@case(
    "eio.handshake.polling.closed-sid",
    Level.MUST,
    EIO_SENDING,
    Need.POLLING,
    title="The sid of a session that is over is unknown",
    expected="status 400 for a GET and for a POST",
    why="A client that is told ok believes that its message has arrived.",
)
async def polling_closed_sid(trial: Trial) -> None:
    target = trial.peer.target(transport="polling", sid=await closed_sid(trial))
    posted = await trial.peer.request("POST", target, body=b"4hello")
    trial.equal(posted.status, BAD_REQUEST, "the status of the POST")
    trial.equal((await trial.peer.request("GET", target)).status, BAD_REQUEST, "the status of the GET")
