"""Connections under long-polling: how long they last, and in which order they are used (RFC 9112)."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.polling_steps import packets, payload, said
from trio_socketio.conformance.peer import HTTPConnection, Response
from trio_socketio.conformance.sections import rfc
from trio_socketio.conformance.trial import OK, Trial

ECHO = (Need.POLLING, Need.ECHO)


def stays_open(trial: Trial, response: Response) -> None:
    """Fail if a response says that its connection will be closed."""
    connection = response.header("connection")
    trial.check("close" not in (connection or "").lower(), f"the Connection header is {connection!r}", "it stays open")


async def until_end(connection: HTTPConnection) -> bytes:
    """Read what comes until the server ends the connection."""
    data = b""
    with connection.wire.patient("the connection did not end"):
        while more := await connection.wire.receive():
            data += more
    return data


@case(
    "eio.polling.connection.kept",
    Level.SHOULD,
    rfc(9112, "9.3"),
    *ECHO,
    title="One connection carries many requests",
    expected="three POSTs and their GETs over one connection, which the server keeps open",
    why="A new connection for every message takes a client on a mobile network a second each.",
)
async def kept(trial: Trial) -> None:
    session = await trial.open("polling")
    async with trial.peer.http() as connection:
        for content in ("one", "two", "three"):
            posted = await connection.request("POST", session.target(), body=said(trial, content))
            trial.equal(posted.status, OK, "the status of a POST")
            stays_open(trial, posted)
            came: list[str] = []
            while not came:
                response = await connection.request("GET", session.target())
                trial.equal(response.status, OK, "the status of a GET")
                stays_open(trial, response)
                came = [packet for packet in packets(response) if packet not in ("2", "6")]
                if "2" in packets(response):
                    await session.send("3")
            trial.equal(came, payload(*trial.dialect.back(content)).decode().split("\x1e"), "the list of packets")


@case(
    "eio.polling.connection.kept-after-refusal",
    Level.MAY,
    rfc(9112, "9.3"),
    Need.POLLING,
    title="A refusal does not cost the connection",
    expected="a GET that is refused with 400, and then a handshake, over one connection",
    why="A client that connects again after a refusal saves a round trip.",
)
async def kept_after_refusal(trial: Trial) -> None:
    async with trial.peer.http() as connection:
        refused = await connection.request("GET", trial.peer.target(transport="polling", sid="unknown"))
        trial.refused(refused)
        stays_open(trial, refused)
        following = await connection.request("GET", trial.peer.target(transport="polling"))
        trial.equal(following.status, OK, "the status of the handshake that follows")


@case(
    "eio.polling.connection.pipelined",
    Level.SHOULD,
    rfc(9112, "9.3.2"),
    Need.POLLING,
    title="Requests that come without waiting for answers are answered one after the other, in their order",
    expected="a refusal, a session and a refusal, for three requests in one piece; or an announced end after the first",
    why="A proxy may send them so, and gives the answers to different users.",
)
async def pipelined(trial: Trial) -> None:
    good, bad = trial.peer.target(transport="polling"), trial.peer.target(transport="polling", sid="unknown")
    requests = "".join(f"GET {target} HTTP/1.1\r\nHost: {trial.peer.host}\r\n\r\n" for target in (bad, good, bad))
    async with trial.peer.http() as connection:
        await connection.send_raw(requests.encode("ascii"))
        for status in (400, 200, 400):
            response = await connection.receive()
            trial.equal(response.status, status, "the status of the next response")
            if "close" in (response.header("connection") or "").lower():
                return
            await connection.send_raw(b"")


@case(
    "eio.polling.connection.close",
    Level.MUST,
    rfc(9112, "9.6"),
    Need.POLLING,
    title="The server ends a connection when the client asks for it",
    expected="the answer to a request with Connection: close, and then the end of the connection",
    why="A client that reads to the end would wait for ever.",
)
async def close(trial: Trial) -> None:
    async with trial.peer.http() as connection:
        target = trial.peer.target(transport="polling")
        response = await connection.request("GET", target, [("connection", "close")])
        trial.equal(response.status, OK, "the status")
        trial.equal(await until_end(connection), b"", "what comes behind the answer")


@case(
    "eio.polling.connection.http-1-0",
    Level.MUST,
    rfc(9112, "6.1"),
    Need.POLLING,
    title="A client of HTTP/1.0 gets an answer that it can read",
    expected="the open packet without Transfer-Encoding, and then the end of the connection",
    why="nginx speaks HTTP/1.0 to the servers behind it unless it is told otherwise.",
)
async def http_1_0(trial: Trial) -> None:
    async with trial.peer.http() as connection:
        target = trial.peer.target(transport="polling")
        await connection.send_raw(f"GET {target} HTTP/1.0\r\nHost: {trial.peer.host}\r\n\r\n".encode("ascii"))
        data = await until_end(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    trial.check(head.split(b" ")[1:2] == [b"200"], f"the answer begins with {head[:40]!r}", "the status is 200")
    trial.check(b"\r\ntransfer-encoding:" not in head.lower(), f"the header is {head!r}", "no Transfer-Encoding")
    trial.check(body.startswith(b"0{") and body.endswith(b"}"), f"the body is {body!r}", "the body is an open packet")
