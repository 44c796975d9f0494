"""What a client must not do over long-polling, and what the server makes of it."""

from contextlib import suppress

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.polling_steps import (
    REFUSED,
    closes,
    message_answer,
    packets,
    payload,
    post_status,
    said,
    seen,
    status_of,
)
from trio_socketio.conformance.peer import HTTPConnection, PeerError, Polling
from trio_socketio.conformance.sections import (
    EIO_ENCODING,
    EIO_HEARTBEAT,
    EIO_POLLING_ENCODING,
    EIO_PROTOCOL,
    EIO_QUERY,
    EIO_RECEIVING,
    EIO_SENDING,
)
from trio_socketio.conformance.trial import BAD_REQUEST, OK, Trial

ECHO = (Need.POLLING, Need.ECHO)

ERRORS = range(400, 600)


# What is no packet.


@case(
    "eio.polling.invalid.unknown-type",
    Level.MUST,
    EIO_PROTOCOL,
    Need.POLLING,
    title="A packet of a type that does not exist ends the session",
    expected="the sid is unknown after a POST of abc, of 7, of 9x and of \u0664",
    why="A client that is not understood must learn so, and not believe that it was.",
)
async def invalid_unknown_type(trial: Trial) -> None:
    for body in ("abc", "7", "9x", "\u0664"):
        await closes(trial, await trial.open_polling(), body.encode())


@case(
    "eio.polling.invalid.among-others",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="One packet that is none among others ends the session",
    expected="the sid is unknown after a POST of two messages with 9 between them",
    why="Who passes over what it does not understand loses messages without a word.",
)
async def invalid_among_others(trial: Trial) -> None:
    session = await trial.open("polling")
    await closes(trial, session, said(trial, "good") + b"\x1e9" + b"\x1e" + said(trial, "good"))


@case(
    "eio.polling.invalid.refused",
    Level.MAY,
    EIO_PROTOCOL,
    Need.POLLING,
    title="A POST of what is no packet is not answered with ok",
    expected="status 400 (or 500, or the end of the connection) for abc",
    why="A client that is told ok believes that its message has arrived.",
)
async def invalid_refused(trial: Trial) -> None:
    status = await post_status(trial, await trial.open_polling(), b"abc")
    trial.within(status, (*REFUSED, None), "the status of the POST")


@case(
    "eio.polling.invalid.empty-body",
    Level.SHOULD,
    EIO_POLLING_ENCODING,
    Need.POLLING,
    title="An empty body ends the session",
    expected="the sid is unknown after a POST without a body",
    why="A body has at least one packet; where one is lost on the way, the client must learn so.",
)
async def invalid_empty_body(trial: Trial) -> None:
    await closes(trial, await trial.open_polling(), b"")


@case(
    "eio.polling.invalid.empty-packet",
    Level.SHOULD,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="A separator with nothing beside it ends the session",
    expected="the sid is unknown after a POST of an empty packet between, before and behind others",
    why="Every packet has a type; what was there is lost, and the client must learn so.",
)
async def invalid_empty_packet(trial: Trial) -> None:
    good = said(trial, "good")
    for body in (good + b"\x1e\x1e" + good, b"\x1e" + good, good + b"\x1e"):
        await closes(trial, await trial.open("polling"), body)


@case(
    "eio.polling.invalid.base64",
    Level.MAY,
    EIO_POLLING_ENCODING,
    Need.POLLING,
    title="A binary packet that is no base64 ends the session",
    expected="the sid is unknown after a POST of b!!!! and of bAQIDB",
    why="Otherwise the application gets bytes that nobody has sent.",
)
async def invalid_base64(trial: Trial) -> None:
    for body in (b"b!!!!", b"bAQIDB"):
        await closes(trial, await trial.open_polling(), body)


@case(
    "eio.polling.invalid.utf-8",
    Level.MAY,
    EIO_ENCODING,
    Need.POLLING,
    title="A body that is no UTF-8 ends the session",
    expected="the sid is unknown after a POST of such bytes",
    why="Otherwise the application gets text that nobody has written.",
)
async def invalid_utf_8(trial: Trial) -> None:
    await closes(trial, await trial.open_polling(), b"4\xff\xfe\x80")


@case(
    "eio.polling.invalid.ping",
    Level.SHOULD,
    EIO_HEARTBEAT,
    Need.POLLING,
    title="A ping from the client ends the session",
    expected="the sid is unknown after a POST of 2",
    why="Only clients of revision 3 send pings; with revision 4 they would wait for an answer that never comes.",
)
async def invalid_ping(trial: Trial) -> None:
    await closes(trial, await trial.open_polling(), b"2")


@case(
    "eio.polling.invalid.server-types",
    Level.SHOULD,
    EIO_PROTOCOL,
    *ECHO,
    title="A packet that only servers send, or that fits a WebSocket only, is refused or passed over",
    expected="for open, noop and upgrade: status 400 and the session is over, or 200 and it goes on as before",
    why="A server must not begin a second session in the first one, or send such a packet back.",
)
async def invalid_server_types(trial: Trial) -> None:
    for packet in ('0{"sid":"x"}', "6", "5"):
        session = await trial.open("polling")
        status = await post_status(trial, session, packet.encode())
        trial.within(status, (OK, None, *REFUSED), f"the status of a POST of {packet}")
        if status == OK:
            await trial.echo(session, "on we go")
        else:
            await trial.expect_unknown(session)


# Two at a time.


async def two_gets(trial: Trial, attempts: int = 3) -> tuple[Polling, list[tuple[int | None, list[str]]]]:
    """Send two GETs for one session at the same time; return it, and the statuses and the packets of both answers.

    If a ping comes between them, it answers the first, and both are sent again for another session.
    """
    session = await trial.open_polling()
    async with trial.peer.http() as one, trial.peer.http() as another:
        await one.send("GET", session.target())
        await another.send("GET", session.target(t="burst"))
        answers = [await _answer(one), await _answer(another)]
    if (OK, ["2"]) in answers and attempts > 1:
        return await two_gets(trial, attempts - 1)
    return session, answers


async def _answer(connection: HTTPConnection) -> tuple[int | None, list[str]]:
    try:
        response = await connection.receive()
    except PeerError:
        return None, []
    return response.status, packets(response) if response.status == OK else []


@case(
    "eio.polling.concurrent.gets",
    Level.MUST,
    EIO_RECEIVING,
    Need.POLLING,
    title="Two GETs at the same time end the session",
    expected="status 400 (or 500, as the reference server once did) for one of them, and the sid is unknown then",
    why="With two answers under way at once, nobody could tell which messages come first.",
)
async def concurrent_gets(trial: Trial) -> None:
    session, answers = await two_gets(trial)
    statuses = [status for status, _ in answers]
    trial.check(
        sum(status in REFUSED for status in statuses) == 1,
        f"the statuses are {statuses}",
        "one of the two is refused with status 400",
    )
    await trial.expect_unknown(session)


@case(
    "eio.polling.concurrent.gets-close",
    Level.SHOULD,
    EIO_RECEIVING,
    Need.POLLING,
    title="When a second GET ends the session, the first one is told so",
    expected="status 200 and a close packet (1) for the GET that was there first",
    why="It is the answer that the client reads; without it, the client waits for its timeout.",
)
async def concurrent_gets_close(trial: Trial) -> None:
    _, answers = await two_gets(trial)
    trial.check((OK, ["1"]) in answers, f"the answers are {answers}")


@case(
    "eio.polling.concurrent.posts",
    Level.MUST,
    EIO_SENDING,
    *ECHO,
    title="Two POSTs at the same time end the session",
    expected="status 400 (or 500) for one of them, and the sid is unknown then",
    why="With two bodies under way at once, nobody could tell which messages come first.",
)
async def concurrent_posts(trial: Trial) -> None:
    session = await trial.open("polling")
    body = said(trial, "one of two")
    head = f"POST {session.target()} HTTP/1.1\r\nHost: {trial.peer.host}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with trial.peer.http() as one, trial.peer.http() as another:
        for connection in (one, another):
            await connection.send_raw(head.encode() + body[:3])
        await seen(trial)
        statuses: list[int | None] = []
        for connection in (another, one):
            with suppress(PeerError):  # the refused one may be closed already; its answer is there all the same
                await connection.wire.send(body[3:])
            statuses.append(await status_of(connection))
    trial.check(
        any(status in REFUSED for status in statuses),
        f"the statuses are {statuses}",
        "one of the two is refused with status 400",
    )
    await trial.expect_unknown(session)


# What else.


@case(
    "eio.polling.method.others",
    Level.SHOULD,
    EIO_QUERY,
    *ECHO,
    title="Only GET and POST do something to a session",
    expected="a status 4xx or 5xx for PUT, PATCH and DELETE, and the session goes on as before",
    why="A scanner that tries methods must neither read messages nor end the session.",
)
async def method_others(trial: Trial) -> None:
    session = await trial.open("polling")
    for method in ("PUT", "PATCH", "DELETE"):
        response = await trial.peer.request(method, session.target(), body=said(trial, f"by {method}"))
        trial.within(response.status, ERRORS, f"the status of {method}")
        await trial.echo(session, f"after {method}")


@case(
    "eio.polling.method.head",
    Level.SHOULD,
    EIO_QUERY,
    *ECHO,
    title="HEAD takes no messages away",
    expected="a status 4xx or 5xx at once, and the message that was there comes with the next GET",
    why="A message that goes into an answer without a body is lost.",
)
async def method_head(trial: Trial) -> None:
    session = await trial.open("polling")
    await session.post(said(trial, "still there"))
    response = await trial.peer.request("HEAD", session.target())
    trial.within(response.status, ERRORS, "the status")
    await trial.hear(session, "still there")


@case(
    "eio.polling.query.mandatory",
    Level.MUST,
    EIO_QUERY,
    Need.POLLING,
    title="A request of a session must name the version and the transport, too",
    expected="status 400 for a POST without EIO, and for one without transport",
    why="The specification calls both mandatory, and a request without them may mean something else in another version.",
)
async def query_mandatory(trial: Trial) -> None:
    session = await trial.open_polling()
    for query in (f"transport=polling&sid={session.sid}", f"EIO=4&sid={session.sid}"):
        response = await trial.peer.request("POST", f"{trial.peer.path}?{query}", body=b"3")
        trial.equal(response.status, BAD_REQUEST, f"the status of a POST with {query}")


@case(
    "eio.polling.get.aborted",
    Level.MAY,
    EIO_RECEIVING,
    *ECHO,
    title="A GET that the client gives up does not take messages along",
    expected="what is sent afterwards comes with the next GET, or the session is over and the client is told so",
    why="Browsers and proxies give requests up; a message that goes into such an answer is lost.",
)
async def get_aborted(trial: Trial) -> None:
    session = await trial.open("polling")
    async with trial.peer.http() as given_up:
        await given_up.send("GET", session.target())
        await seen(trial)
        await given_up.hang_up()
    await seen(trial)
    posted = await session.post(said(trial, "kept"))
    if posted.status == BAD_REQUEST:  # as the reference server does, and a later version of the published suite expects
        return
    trial.equal(posted.status, OK, "the status of the POST")
    trial.equal((await session.post(said(trial, "and then"))).status, OK, "the status of the POST that follows")
    came = [packet for packet in packets(await message_answer(trial, session)) if packet != "2"]
    trial.equal(came[:1], payload(*trial.dialect.back("kept")).decode().split("\x1e"), "what comes first")
