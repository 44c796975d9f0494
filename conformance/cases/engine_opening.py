"""The opening handshake of a WebSocket, as far as RFC 6455 asks something of the server."""

from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_refusals_websocket import CLIENT_ERRORS
from trio_socketio.conformance.peer import PeerError, Response
from trio_socketio.conformance.sections import Section, rfc
from trio_socketio.conformance.trial import BAD_REQUEST, Trial

CLIENT_HANDSHAKE: Final[Section] = rfc(6455, "4.2.1")
SERVER_HANDSHAKE: Final[Section] = rfc(6455, "4.2.2")

WEBSOCKET_HEADERS: Final = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
"""What a browser sends to open a WebSocket, with the key of the example in RFC 6455."""

ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What answers the key of `WEBSOCKET_HEADERS` (RFC 6455, section 1.3)."""

SWITCHING_PROTOCOLS: Final = 101
MAX_HEAD: Final = 64 * 1024


async def opening(trial: Trial, head: str) -> tuple[int, dict[str, str]]:
    """Send the head of a request, and return the status and the headers of the answer, names in lower case."""
    wire = await trial.peer.connect()
    wire.note(head, "TCP", sent=True)
    await wire.send(head.replace("\n", "\r\n").encode("ascii"))
    data = b""
    with wire.patient("no answer to the opening handshake came"):
        while b"\r\n\r\n" not in data and len(data) < MAX_HEAD:
            more = await wire.receive()
            if not more:
                raise PeerError(f"the connection ended during the opening handshake, after {data!r}")
            data += more
    answer = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    wire.note(answer, "TCP", sent=False)
    status_line, *lines = answer.split("\r\n")
    words = status_line.split(" ")
    trial.check(len(words) > 1 and words[1].isdigit(), f"the answer begins with {status_line!r}", "a status line")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


async def attempt(trial: Trial, *headers: tuple[str, str], method: str = "GET") -> Response:
    """Ask for a WebSocket with these headers, and return the HTTP answer that refuses it.

    Raises:
        PeerError: The WebSocket was accepted.
    """
    return await trial.peer.request(method, trial.peer.target(transport="websocket"), headers)


def without(name: str, *instead: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a WebSocket but one, and others instead."""
    return [*(header for header in WEBSOCKET_HEADERS if header[0] != name), *instead]


@case(
    "eio.handshake.websocket.accept",
    Level.MUST,
    SERVER_HANDSHAKE,
    Need.WEBSOCKET,
    title="The answer to the opening handshake proves that the server has read the key",
    expected=f"status 101, Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Accept: {ACCEPT}",
    why="A browser fails the connection if one of them is missing or wrong.",
)
async def accept(trial: Trial) -> None:
    lines = "".join(f"{name}: {value}\n" for name, value in WEBSOCKET_HEADERS)
    target = trial.peer.target(transport="websocket")
    status, headers = await opening(trial, f"GET {target} HTTP/1.1\nHost: {trial.peer.host}\n{lines}\n")
    trial.equal(status, SWITCHING_PROTOCOLS, "the status")
    trial.equal(headers.get("upgrade", "").lower(), "websocket", "the Upgrade header")
    tokens = [token.strip() for token in headers.get("connection", "").lower().split(",")]
    trial.check("upgrade" in tokens, f"the Connection header is {headers.get('connection')!r}")
    trial.equal(headers.get("sec-websocket-accept"), ACCEPT, "Sec-WebSocket-Accept")


@case(
    "eio.handshake.websocket.nothing-unasked",
    Level.MUST,
    SERVER_HANDSHAKE,
    Need.WEBSOCKET,
    title="The server chooses no extension and no subprotocol that the client has not offered",
    expected="status 101 without Sec-WebSocket-Extensions and without Sec-WebSocket-Protocol",
    why="A browser fails the connection then.",
)
async def nothing_unasked(trial: Trial) -> None:
    lines = "".join(f"{name}: {value}\n" for name, value in WEBSOCKET_HEADERS)
    target = trial.peer.target(transport="websocket")
    status, headers = await opening(trial, f"GET {target} HTTP/1.1\nHost: {trial.peer.host}\n{lines}\n")
    trial.equal(status, SWITCHING_PROTOCOLS, "the status")
    for name in ("sec-websocket-extensions", "sec-websocket-protocol"):
        trial.check(not headers.get(name), f"{name} is {headers.get(name)!r}")


@case(
    "eio.handshake.websocket.header-forms",
    Level.MUST,
    CLIENT_HANDSHAKE,
    Need.WEBSOCKET,
    title="The headers of the opening handshake count whatever their case, and beside other tokens",
    expected="status 101 for Connection: keep-alive, Upgrade and Upgrade: WebSocket",
    why="Firefox sends the first, and some clients and proxies the second.",
)
async def header_forms(trial: Trial) -> None:
    target = trial.peer.target(transport="websocket")
    status, _ = await opening(
        trial,
        f"GET {target} HTTP/1.1\nHOST: {trial.peer.host}\nUPGRADE: WebSocket\nCONNECTION: keep-alive, UPGRADE\n"
        "SEC-WEBSOCKET-VERSION: 13\nSEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\n\n",
    )
    trial.equal(status, SWITCHING_PROTOCOLS, "the status")


@case(
    "eio.handshake.websocket.no-key",
    Level.MUST,
    CLIENT_HANDSHAKE,
    Need.WEBSOCKET,
    title="An opening handshake without a key is refused",
    expected="a status 4xx",
    why="The key is what keeps other programs than WebSocket clients from being led to open one.",
)
async def no_key(trial: Trial) -> None:
    trial.within((await attempt(trial, *without("sec-websocket-key"))).status, CLIENT_ERRORS, "the status")


@case(
    "eio.handshake.websocket.bad-key",
    Level.MUST,
    CLIENT_HANDSHAKE,
    Need.WEBSOCKET,
    title="An opening handshake whose key is not base64 of 16 bytes is refused",
    expected="a status 4xx for a key that is empty, too short, too long, or no base64",
    why="Such a key comes from no WebSocket client, but from a program that was led to send it.",
)
async def bad_key(trial: Trial) -> None:
    for key in ("", "c2hvcnQ=", "dGhpcyBvbmUgaXMgZmFyIHRvbyBsb25n", "!!!! not base64 !!!!!!!="):
        response = await attempt(trial, *without("sec-websocket-key", ("sec-websocket-key", key)))
        trial.within(response.status, CLIENT_ERRORS, f"the status for the key {key!r}")


@case(
    "eio.handshake.websocket.version",
    Level.MUST,
    SERVER_HANDSHAKE,
    Need.WEBSOCKET,
    title="An opening handshake of a version that nobody speaks, or of none, is refused",
    expected="a status 4xx, such as 426",
    why="Frames of another version could be taken apart wrongly.",
)
async def version(trial: Trial) -> None:
    for others in ([("sec-websocket-version", "99")], [("sec-websocket-version", "abc")], []):
        response = await attempt(trial, *without("sec-websocket-version", *others))
        trial.within(response.status, CLIENT_ERRORS, f"the status with the headers {others}")


@case(
    "eio.handshake.websocket.version-header",
    Level.MUST,
    rfc(6455, "4.4"),
    Need.WEBSOCKET,
    title="Who refuses the version of an opening handshake names those that it speaks",
    expected="a status 4xx, and a Sec-WebSocket-Version header with 13 in it",
    why="A client that speaks several versions tries again with one of these.",
)
async def version_header(trial: Trial) -> None:
    response = await attempt(trial, *without("sec-websocket-version", ("sec-websocket-version", "99")))
    trial.within(response.status, CLIENT_ERRORS, "the status")
    versions = [item.strip() for item in (response.header("sec-websocket-version") or "").split(",")]
    trial.check("13" in versions, f"Sec-WebSocket-Version is {response.header('sec-websocket-version')!r}")


@case(
    "eio.handshake.websocket.post",
    Level.MUST,
    CLIENT_HANDSHAKE,
    Need.WEBSOCKET,
    title="A POST opens no WebSocket",
    expected="a status 4xx",
    why="A form of any web page can make a POST.",
)
async def post(trial: Trial) -> None:
    trial.within((await attempt(trial, *WEBSOCKET_HEADERS, method="POST")).status, CLIENT_ERRORS, "the status")


@case(
    "eio.handshake.websocket.no-host",
    Level.MUST,
    CLIENT_HANDSHAKE,
    Need.WEBSOCKET,
    title="An opening handshake without a Host header is refused",
    expected="status 400",
    why="Behind a proxy that serves many hosts, nobody knows for whom it was meant.",
)
async def websocket_no_host(trial: Trial) -> None:
    lines = "".join(f"{name}: {value}\n" for name, value in WEBSOCKET_HEADERS)
    status, _ = await opening(trial, f"GET {trial.peer.target(transport='websocket')} HTTP/1.1\n{lines}\n")
    trial.equal(status, BAD_REQUEST, "the status")


@case(
    "eio.handshake.polling.no-host",
    Level.MUST,
    rfc(9112, "3.2"),
    Need.POLLING,
    title="A request of HTTP/1.1 without a Host header is refused",
    expected="status 400",
    why="Behind a proxy that serves many hosts, nobody knows for whom it was meant.",
)
async def polling_no_host(trial: Trial) -> None:
    status, _ = await opening(trial, f"GET {trial.peer.target(transport='polling')} HTTP/1.1\n\n")
    trial.equal(status, BAD_REQUEST, "the status")
