"""Whatever comes as the body of a request, and what clients do with their connections."""

import gzip

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.hostile import (
    answer,
    exchange,
    in_waves,
    neighbour,
    read_all,
    read_status,
    rebuffed,
    request,
    say,
    settled,
)
from trio_socketio.conformance.peer import Closed, Polling
from trio_socketio.conformance.sections import rfc
from trio_socketio.conformance.trial import Trial

LENGTH = rfc(9112, "6.3")
CHUNKS = rfc(9112, "7.1")
CONNECTIONS = rfc(9112, "9")

STORM = 200
PIPELINED = 50


@case(
    "robust.http.body.length-malformed",
    Level.ROBUST,
    LENGTH,
    Need.POLLING,
    title="A Content-Length that is no number is refused",
    expected="an error (4xx or 5xx), or the end of the connection, for a word, a sign, a list, a fraction, and odd digits",
    why="Proxies and servers that read it differently can be played off against each other to smuggle requests.",
)
async def malformed_length(trial: Trial) -> None:
    target = (await trial.open_polling()).target()
    for value in ("abc", "-1", "+1", "1, 2", "1.5", "0x1", "", "1 1", "\xb9"):
        data = request(trial, target, f"Content-Length: {value}", method="POST", body=b"3")
        await rebuffed(trial, data, f"a request with Content-Length: {value}")


@case(
    "robust.http.body.length-huge",
    Level.ROBUST,
    LENGTH,
    Need.POLLING,
    title="A body that is announced with more bytes than there are anywhere is refused, or waited for at no cost",
    expected="an error (4xx or 5xx), the end of the connection, or silence until the client hangs up",
    why="Memory that is set aside for what was only announced is lost to all others.",
)
async def huge_length(trial: Trial) -> None:
    target = (await trial.open_polling()).target()
    for digits in (str(2**63), "9" * 18, "9" * 5000):
        await _send_and_hang_up(
            trial, request(trial, target, f"Content-Length: {digits}", method="POST", body=b"4hello")
        )
    chunked = request(trial, target, "Transfer-Encoding: chunked", method="POST", body=b"f" * 15 + b"\r\n4hello")
    await _send_and_hang_up(trial, chunked)


@case(
    "robust.http.body.length-twice",
    Level.ROBUST,
    LENGTH,
    Need.POLLING,
    title="Two different lengths of one body are refused",
    expected="an error (4xx or 5xx), or the end of the connection",
    why="Proxies and servers that choose differently can be played off against each other to smuggle requests.",
)
async def two_lengths(trial: Trial) -> None:
    target = (await trial.open_polling()).target()
    data = request(trial, target, "Content-Length: 1", "Content-Length: 6", method="POST", body=b"3hello")
    await rebuffed(trial, data, "a request with two lengths")


@case(
    "robust.http.body.length-and-chunked",
    Level.ROBUST,
    rfc(9112, "6.1"),
    Need.POLLING,
    title="After a request with both a length and chunks nothing more on that connection is served",
    expected="at most one answer, to the first of two requests sent at once, and the end of the connection",
    why="The second request may be one that an attacker has smuggled past a proxy, in the name of another user.",
)
async def length_and_chunks(trial: Trial) -> None:
    target = (await trial.open_polling()).target()
    lines = ("Content-Length: 6", "Transfer-Encoding: chunked")
    first = request(trial, target, *lines, method="POST", body=b"1\r\n3\r\n0\r\n\r\n")
    wire = await trial.peer.connect()
    await say(wire, first + request(trial))
    answers = (await read_all(wire)).count(b"HTTP/1.1 ")
    trial.check(answers <= 1, f"{answers} answers came", "at most one answer comes, then the connection ends")


@case(
    "robust.http.body.encoding-unknown",
    Level.ROBUST,
    rfc(9112, "6.1"),
    Need.POLLING,
    title="A transfer coding that nobody knows is refused",
    expected="an error (4xx or 5xx), or the end of the connection, for codings that are unknown, or not chunked at the end",
    why="Where the body ends is unknown then; what follows would be read as a request.",
)
async def unknown_transfer_coding(trial: Trial) -> None:
    target = (await trial.open_polling()).target()
    for coding in ("unknown", "chunked, gzip", "xchunked"):
        data = request(trial, target, f"Transfer-Encoding: {coding}", method="POST", body=b"1\r\n3\r\n0\r\n\r\n")
        await rebuffed(trial, data, f"a request with Transfer-Encoding: {coding}")


@case(
    "robust.http.body.chunk-malformed",
    Level.ROBUST,
    CHUNKS,
    Need.POLLING,
    title="A chunk whose size is no size is refused",
    expected="an error (4xx or 5xx), or the end of the connection, for a word, a sign, nothing, and 1000 digits",
    why="Sizes that wrap around, or that parsers read differently, let requests be smuggled.",
)
async def malformed_chunks(trial: Trial) -> None:
    for size in ("zz", "-1", "f" * 1000, ""):
        target = (await trial.open_polling()).target()
        data = request(trial, target, "Transfer-Encoding: chunked", method="POST", body=f"{size}\r\n3\r\n".encode())
        await rebuffed(trial, data + b"0\r\n\r\n" * 2, f"a chunk of size {size[:20]!r}")


@case(
    "robust.http.body.chunk-tiny",
    Level.ROBUST,
    CHUNKS,
    Need.POLLING,
    Need.ECHO,
    title="A body in thousands of chunks of one byte is read, or refused",
    expected="status 200 and the message back, or an error (4xx or 5xx), or the end of the connection",
    why="A server that copies all it has for each chunk is busy for seconds.",
)
async def tiny_chunks(trial: Trial) -> None:
    session = await trial.open("polling")
    content = "x" * 5000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in _message(trial, content))
    lines = ("Transfer-Encoding: chunked", "Content-Type: text/plain")
    status = await answer(trial, request(trial, session.target(), *lines, method="POST", body=chunks + b"0\r\n\r\n"))
    if status == 200:  # OK
        await trial.hear(session, content)


def _message(trial: Trial, content: str) -> bytes:
    """Return the body of a POST that makes the server send something back."""
    return "".join(str(frame) for frame in trial.dialect.say(content)).encode()


@case(
    "robust.http.body.longer",
    Level.ROBUST,
    LENGTH,
    Need.POLLING,
    Need.ECHO,
    title="What follows a body does not belong to it",
    expected="the message as far as it was announced comes back; what follows is refused as a request, or not read",
    why="A client that counts characters instead of bytes does this.",
)
async def longer_body(trial: Trial) -> None:
    session = await trial.open("polling")
    body = _message(trial, "as announced")
    line = f"Content-Length: {len(body)}"
    wire = await trial.peer.connect()
    data = request(trial, session.target(), line, "Content-Type: text/plain", method="POST", body=body)
    status, _ = await exchange(wire, data + b"\x1e4more\r\n\r\n\r\n\r\n")
    trial.within(status, [200, None, *range(400, 600)], "the status")
    if status == 200:  # OK
        await trial.hear(session, "as announced")


@case(
    "robust.http.body.compressed",
    Level.ROBUST,
    rfc(9110, "8.4"),
    Need.POLLING,
    Need.ECHO,
    title="A body that says it is compressed is answered",
    expected="an answer, or the end of the connection; the session goes on or is over",
    why="A small body can unpack to gigabytes.",
)
async def compressed_body(trial: Trial) -> None:
    session = await trial.open("polling")
    body = gzip.compress(b"4" + b"a" * 500_000)
    lines = ("Content-Encoding: gzip", f"Content-Length: {len(body)}")
    await answer(trial, request(trial, session.target(), *lines, method="POST", body=body))
    await settled(session, trial)


@case(
    "robust.http.body.random",
    Level.ROBUST,
    LENGTH,
    Need.POLLING,
    title="A body of arbitrary bytes is refused, or ends the session",
    expected="an answer, or the end of the connection, for bytes that are no UTF-8, no base64 and no packets",
    why="Whatever a parser raises for them must not reach anybody but the client that sent them.",
)
async def random_body(trial: Trial) -> None:
    for body in (
        bytes(range(256)) * 40,
        b"b!!!!",
        b"b" + b"A" * 4001,
        b"4\xed\xa0\x80",
        b"\xef\xbb\xbf4hello",
        b"\x00",
    ):
        session = await trial.open_polling()
        lines = ("Content-Type: text/plain;charset=UTF-8", f"Content-Length: {len(body)}")
        await answer(trial, request(trial, session.target(), *lines, method="POST", body=body))


@case(
    "robust.http.body.content-type",
    Level.ROBUST,
    rfc(9110, "8.3"),
    Need.POLLING,
    title="A POST with an odd Content-Type is answered",
    expected="an answer, or the end of the connection, for unknown charsets, forms without a boundary, and none at all",
    why="Frameworks parse bodies by their type before anybody asks, and fail.",
)
async def content_types(trial: Trial) -> None:
    session = await trial.open_polling()
    types = (
        "text/plain; charset=klingon",
        "multipart/form-data",
        "application/json",
        "application/octet-stream",
        ";;;",
        "",
    )
    for content_type in types:
        lines = (f"Content-Type: {content_type}", "Content-Length: 1")
        await answer(trial, request(trial, session.target(), *lines, method="POST", body=b"3"))


@case(
    "robust.http.expect-continue",
    Level.ROBUST,
    rfc(9110, "10.1.1"),
    Need.POLLING,
    Need.ECHO,
    title="A client that asks before it sends its body is told to go on",
    expected="100 Continue, then 200 and the message back; or a final status at once",
    why="Clients such as curl wait a second for it with each large body, and some for ever.",
)
async def expect_continue(trial: Trial) -> None:
    session = await trial.open("polling")
    body = _message(trial, "after all")
    lines = ("Expect: 100-continue", "Content-Type: text/plain", f"Content-Length: {len(body)}")
    wire = await trial.peer.connect()
    await say(wire, request(trial, session.target(), *lines, method="POST"))
    with wire.patient("neither 100 Continue nor a final status came"):
        first = await wire.receive()
    if first[9:12] != b"100":
        trial.check(first == b"" or b"400" <= first[9:12] <= b"599", f"the answer is {first[:40]!r}", "100, 4xx or 5xx")
        return
    status, _ = await exchange(wire, body)
    trial.equal(status, 200, "the status after the body")
    await trial.hear(session, "after all")


@case(
    "robust.http.truncated.head",
    Level.ROBUST,
    CONNECTIONS,
    Need.ECHO,
    title="Clients that hang up within the head of a request harm nobody",
    expected="whatever is cut off, a client that is connected meanwhile is served, and so is the next",
    why="Phones lose their connection at any moment.",
)
async def truncated_head(trial: Trial) -> None:
    head = request(trial, None, "Cookie: a=b")
    async with neighbour(trial):
        for length in (0, 1, 3, 20, len(head) - 20, len(head) - 3, len(head) - 1, len(head)):
            await _send_and_hang_up(trial, head[:length])


async def _send_and_hang_up(trial: Trial, data: bytes) -> None:
    wire = await trial.peer.connect()
    await say(wire, data)
    await wire.hang_up()


@case(
    "robust.http.truncated.body",
    Level.ROBUST,
    CONNECTIONS,
    Need.POLLING,
    Need.ECHO,
    title="A body that was cut off has no effect",
    expected="no message from the part that came; the session goes on, or is over",
    why="Phones lose their connection at any moment; half a message must not be taken for one.",
)
async def truncated_body(trial: Trial) -> None:
    session = await trial.open("polling")
    body = _message(trial, "cut") + b"\x1e" + _message(trial, "off")
    lines = ("Content-Type: text/plain", f"Content-Length: {len(body)}")
    data = request(trial, session.target(), *lines, method="POST", body=body)
    await _send_and_hang_up(trial, data[:-3])
    chunks = b"%x\r\n%s\r\n" % (len(body), body)
    await _send_and_hang_up(
        trial, request(trial, session.target(), "Transfer-Encoding: chunked", method="POST") + chunks
    )
    await _check_no_message(trial, session)


async def _check_no_message(trial: Trial, session: Polling) -> None:
    response = await session.post(_message(trial, "whole"))
    if response.status == 200:  # OK; otherwise the session is over, or a cut-off body is still being waited for
        await trial.hear(session, "whole")


@case(
    "robust.http.slow",
    Level.ROBUST,
    CONNECTIONS,
    Need.ECHO,
    title="A client that sends its request byte by byte holds up nobody",
    expected="a client that is connected, and one that comes meanwhile, are served",
    why="A few hundred such connections take a server out of service that has a thread, or a turn, for each.",
)
async def slow_head(trial: Trial) -> None:
    data = request(trial)[:40]
    wire = await trial.peer.connect()
    async with neighbour(trial):
        for index in range(len(data)):
            await say(wire, data[index : index + 1])
        await trial.expect_served()
    await wire.hang_up()


@case(
    "robust.http.idle",
    Level.ROBUST,
    CONNECTIONS,
    title="Connections on which nothing is sent hold up nobody",
    expected="with 40 of them open, a client is served",
    why="Browsers open connections in advance and do not use them.",
)
async def idle_connections(trial: Trial) -> None:
    wires = [await trial.peer.connect() for _ in range(40)]
    await trial.expect_served()
    for wire in wires:
        await trio.aclose_forcefully(wire.stream)


@case(
    "robust.http.storm",
    Level.ROBUST,
    CONNECTIONS,
    Need.ECHO,
    title="Many connections, opened and closed at once, harm nobody",
    expected=f"while {STORM} connections come and go, 40 at a time, a client that is connected stays so, and is served",
    why="That is what follows the restart of a proxy.",
)
async def storm(trial: Trial) -> None:
    async def come_and_go() -> None:
        await _send_and_hang_up(trial, b"")

    async with neighbour(trial):
        await in_waves(STORM, come_and_go)


@case(
    "robust.http.pipelined",
    Level.ROBUST,
    rfc(9112, "9.3.2"),
    title="Requests that are sent without waiting for the answers are answered one after another, or not served",
    expected=f"an answer for each of {PIPELINED} requests, or some answers and the end of the connection",
    why="Proxies send requests so; an answer that is lost leaves them waiting for ever.",
)
async def pipelined(trial: Trial) -> None:
    wire = await trial.peer.connect()
    await say(wire, request(trial) * PIPELINED)
    answers, received = 0, b""
    with wire.patient("neither all answers nor the end of the connection came"):
        while (answers := received.count(b"HTTP/1.1 ")) < PIPELINED and (data := await wire.receive()):
            received += data
    trial.check(answers > 0, "no answer came", "at least one answer comes")
    refused = received.count(b"HTTP/1.1 5")
    trial.equal(refused, 0, "the number of answers with status 5xx")


@case(
    "robust.http.half-closed",
    Level.ROBUST,
    CONNECTIONS,
    title="A client that says it will send no more is answered, or its connection is closed",
    expected="an answer, or the end of the connection",
    why="Some HTTP clients close their half after the request; a connection that hangs then holds its resources.",
)
async def half_closed(trial: Trial) -> None:
    wire = await trial.peer.connect()
    stream = wire.stream
    if not isinstance(stream, trio.abc.HalfCloseableStream):
        trial.skip("this connection cannot be closed by half")
    await say(wire, request(trial))
    try:
        await stream.send_eof()
    except trio.BrokenResourceError:
        raise Closed(None) from None
    await read_status(wire)
