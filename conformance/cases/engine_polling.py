"""Messages over long-polling: what goes out with POST comes back with GET, whole and in order."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.polling_steps import (
    come_back,
    message_answer,
    packets,
    payload,
    said,
    seen,
    text_comes_back,
)
from trio_socketio.conformance.peer import decode_payload
from trio_socketio.conformance.sections import (
    EIO_ENCODING,
    EIO_MESSAGE,
    EIO_POLLING_ENCODING,
    EIO_RECEIVING,
    EIO_SENDING,
    rfc,
)
from trio_socketio.conformance.trial import OK, Trial
from trio_socketio.protocol import engineio

ECHO = (Need.POLLING, Need.ECHO)

TEXT = ("content-type", "text/plain;charset=UTF-8")


# POST.


@case(
    "eio.polling.post.ok",
    Level.MUST,
    EIO_SENDING,
    *ECHO,
    title="A POST is answered with ok",
    expected="status 200 and the body ok, in lower case, and nothing else",
    why="Clients take any other answer for a failure and give the session up.",
)
async def post_ok(trial: Trial) -> None:
    session = await trial.open("polling")
    response = await session.post(said(trial, "hello"))
    trial.equal(response.status, OK, "the status")
    trial.equal(response.text, "ok", "the body")


@case(
    "eio.polling.post.pong",
    Level.MUST,
    EIO_SENDING,
    Need.POLLING,
    title="A POST of a pong is answered with ok, too",
    expected="status 200 and the body ok",
    why="A client whose pong fails gives the session up.",
)
async def post_pong(trial: Trial) -> None:
    session = await trial.open_polling()
    response = await session.post("3")
    trial.equal(response.status, OK, "the status")
    trial.equal(response.text, "ok", "the body")


@case(
    "eio.polling.post.while-get",
    Level.MUST,
    EIO_SENDING,
    *ECHO,
    title="A POST is answered while a GET of the session waits",
    expected="status 200 for the POST at once; the GET is answered with what comes back",
    why="A client has a GET open nearly all the time, and sends all the same.",
)
async def post_while_get(trial: Trial) -> None:
    session = await trial.open("polling")
    async with trial.peer.http() as waiting:
        await waiting.send("GET", session.target())
        await seen(trial)
        trial.equal((await session.post(said(trial, "meanwhile"))).status, OK, "the status of the POST")
        first = packets(await waiting.receive())
    if first == ["2"]:  # the ping was due just then
        await session.send("3")
        first = packets(await message_answer(trial, session))
    expected = packets_of(trial, "meanwhile")
    trial.equal([packet for packet in first if packet != "2"], expected, "the list of packets that the GET brings")


def packets_of(trial: Trial, content: str) -> list[str]:
    """Return the packets of a message that comes back, as they stand in a body."""
    return payload(*trial.dialect.back(content)).decode().split("\x1e")


# What is sent comes back.


@case(
    "eio.polling.echo.text",
    Level.MUST,
    EIO_MESSAGE,
    *ECHO,
    title="A text message goes over polling and back",
    expected="status 200 and ok for the POST, then a GET with one message packet",
    why="It is what the transport is for.",
)
async def echo_text(trial: Trial) -> None:
    await trial.echo(await trial.open("polling"), "hello")


@case(
    "eio.polling.echo.binary",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="A binary message goes over polling in base64, behind the letter b",
    expected="bAQIDBA== comes back for bAQIDBA==, behind the text that was sent with it",
    why="A body is text; a client that finds anything else there loses the message.",
)
async def echo_binary(trial: Trial) -> None:
    session = await trial.open("polling")
    trial.equal((await session.post(said(trial, "hello", b"\x01\x02\x03\x04"))).status, OK, "the status of the POST")
    came: list[str] = []
    while not came or not came[-1].startswith("b"):
        came += [packet for packet in packets(await message_answer(trial, session)) if packet != "2"]
    expected = [*packets_of(trial, "hello"), *payload(*trial.dialect.back(b"\x01\x02\x03\x04")).decode().split("\x1e")]
    trial.equal(came, expected, "the list of packets")


@case(
    "eio.polling.echo.all-bytes",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="Every byte, and every length, survives base64",
    expected="messages of 1, 2, 3 and 256 bytes, with all values from 0 to 255 among them, come back as they were",
    why="A codec that goes wrong with + and / or with the padding damages some files and not others.",
)
async def echo_all_bytes(trial: Trial) -> None:
    session = await trial.open("polling")
    for content in (b"\x00", b"\xfb\xff", b"\xff\xfe\xfd", bytes(range(256))):
        await trial.echo(session, content)


@case(
    "eio.polling.echo.several",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="Several packets in one body are several messages, in their order",
    expected="test1, test2 and test3, in this order",
    why="Clients put everything that they have into one body.",
)
async def echo_several(trial: Trial) -> None:
    session = await trial.open("polling")
    await come_back(trial, session, ["test1", "test2", "test3"])


@case(
    "eio.polling.echo.many",
    Level.MUST,
    EIO_SENDING,
    *ECHO,
    title="A body may carry any number of packets within maxPayload",
    expected="status 200 for a body with 50 packets, and all of them come back in order",
    why="The official client sends all that has gathered, and knows no other limit than maxPayload.",
)
async def echo_many(trial: Trial) -> None:
    session = await trial.open("polling")
    await come_back(trial, session, [f"number {number}" for number in range(50)])


@case(
    "eio.polling.echo.mixed",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="Text and binary packets in one body keep their order",
    expected="text, binary, binary, text, binary come back in this order",
    why="Socket.IO tells by the order alone which bytes belong to which event.",
)
async def echo_mixed(trial: Trial) -> None:
    session = await trial.open("polling")
    await come_back(trial, session, ["one", b"\x02", b"\x03\x03", "four", b"\x05\x05\x05"])


@case(
    "eio.polling.echo.unicode",
    Level.MUST,
    EIO_ENCODING,
    *ECHO,
    title="Text is UTF-8, also beyond the Basic Multilingual Plane",
    expected="text with umlauts, Chinese, an emoji of several code points and a combining accent comes back as it was",
    why="Names and messages of most people have such characters.",
)
async def echo_unicode(trial: Trial) -> None:
    session = await trial.open("polling")
    for content in ("Grüße, 世界", "👩‍👩‍👧‍👦 𝄞 €", "e\u0301 ﷽ \u05d0\ufeffb"):
        await text_comes_back(trial, session, content, TEXT)


@case(
    "eio.polling.echo.line-separators",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="Line ends and the separators of other formats are ordinary characters",
    expected="line feeds, carriage returns, U+0085, U+2028, U+2029, U+001C, U+001D and U+001F come back as they were",
    why="Only U+001E stands between packets; who splits text into lines tears messages apart.",
)
async def echo_line_separators(trial: Trial) -> None:
    session = await trial.open("polling")
    for content in ("a\nb\r\nc\rd\n", "a\u2028b\u2029c\u0085d", "a\x1cb\x1dc\x1fd\x0be\x0cf"):
        await text_comes_back(trial, session, content, TEXT)


@case(
    "eio.polling.echo.verbatim",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="A body is no form, no query and no base64 unless it begins with b",
    expected="plus signs, percent signs, ampersands, backslashes, quotes and colons come back as they were",
    why="A framework that decodes forms, or a server that still reads revision 3, would change what users write.",
)
async def echo_verbatim(trial: Trial) -> None:
    session = await trial.open("polling")
    for content in ("1+1=2 & 100% d=%20+%2B", "a\\nb \"c\" 'd' <e>", "6:4hello2:41", "  spaces  ", "bAQID"):
        await text_comes_back(trial, session, content, TEXT)


@case(
    "eio.polling.echo.empty",
    Level.MUST,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="A message may be empty",
    expected="an empty text comes back, between two others",
    why="The data of a packet is optional, and an empty answer is an answer.",
)
async def echo_empty(trial: Trial) -> None:
    session = await trial.open("polling")
    await come_back(trial, session, ["before", "", "after"])


# GET.


@case(
    "eio.polling.get.waits",
    Level.SHOULD,
    EIO_RECEIVING,
    *ECHO,
    title="A GET waits until there is something for it",
    expected="no answer before the message, or the ping, that it is answered with",
    why="A server that answers with nothing makes its clients ask again at once, for ever.",
)
async def get_waits(trial: Trial) -> None:
    session = await trial.open("polling")
    async with trial.peer.http() as waiting:
        await waiting.send("GET", session.target())
        await seen(trial)
        await session.post(said(trial, "worth the wait"))
        response = await waiting.receive()
    trial.equal(response.status, OK, "the status of the GET")
    came = [engineio.encode_packet(packet) for packet in decode_payload(response)]
    trial.within(came[0], ("2", trial.dialect.back("worth the wait")[0]), "the first packet of the answer")


@case(
    "eio.polling.get.collects",
    Level.MUST,
    EIO_RECEIVING,
    *ECHO,
    title="A GET brings what has gathered since the last one, in its order, and once",
    expected="the messages of five POSTs, in order, and then nothing of them again",
    why="There is always a moment between two GETs; what comes then must wait for the next one.",
)
async def get_collects(trial: Trial) -> None:
    session = await trial.open("polling")
    contents = [f"gathered {number}" for number in range(5)]
    for content in contents:
        trial.equal((await session.post(said(trial, content))).status, OK, "the status of a POST")
    for content in contents:
        await trial.hear(session, content)
    await trial.echo(session, "and nothing again")


@case(
    "eio.polling.get.nothing-lost",
    Level.MUST,
    EIO_RECEIVING,
    *ECHO,
    title="Nothing is lost between two GETs",
    expected="30 messages, sent one by one while GETs come and go, come back in order",
    why="Each answer of a GET is a moment in which the client listens to nothing.",
)
async def get_nothing_lost(trial: Trial) -> None:
    session = await trial.open("polling")
    contents = [f"number {number}" for number in range(30)]

    async def send() -> None:
        for content in contents:
            async with session.posting:  # answering a ping is a POST as well
                await session.post(said(trial, content))

    trial.nursery.start_soon(send)
    for content in contents:
        frame = await trial.next(session)
        trial.equal(frame, trial.dialect.back(content)[0], "the next frame")


@case(
    "eio.polling.get.content-type",
    Level.SHOULD,
    EIO_ENCODING,
    *ECHO,
    title="The answer to a GET says that it is text in UTF-8",
    expected="Content-Type: text/plain; charset=UTF-8, whatever its case, for the open packet and for messages",
    why="A client that guesses another charset breaks every character beyond ASCII.",
)
async def get_content_type(trial: Trial) -> None:
    opening = await trial.peer.request("GET", trial.peer.target(transport="polling"))
    session = await trial.open("polling")
    await session.post(said(trial, "hello"))
    for response in (opening, await message_answer(trial, session)):
        media_type, _, parameters = (response.header("content-type") or "").lower().partition(";")
        trial.equal(media_type.strip(), "text/plain", "the media type")
        trial.equal(parameters.strip().replace('"', ""), "charset=utf-8", "the parameter of the media type")


@case(
    "eio.polling.get.no-store",
    Level.MAY,
    rfc(9111, "5.2.2.5"),
    *ECHO,
    title="The answer to a GET may not be kept by caches",
    expected="Cache-Control: no-store (or no-cache), for the open packet and for messages",
    why="A cache that answers in the server's place brings old messages, or somebody else's session.",
)
async def get_no_store(trial: Trial) -> None:
    opening = await trial.peer.request("GET", trial.peer.target(transport="polling"))
    session = await trial.open("polling")
    await session.post(said(trial, "hello"))
    for response in (opening, await message_answer(trial, session)):
        directives = [item.strip() for item in (response.header("cache-control") or "").lower().split(",")]
        trial.check(
            "no-store" in directives or "no-cache" in directives,
            f"Cache-Control is {response.header('cache-control')!r}",
        )
