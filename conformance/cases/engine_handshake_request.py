"""The request that begins a session: its path and its query."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_handshake import handshake_answer, offered, opened
from trio_socketio.conformance.sections import EIO_PATH, EIO_PROTOCOL, EIO_QUERY
from trio_socketio.conformance.trial import BAD_REQUEST, OK, Trial


@case(
    "eio.handshake.query.application",
    Level.MUST,
    EIO_QUERY,
    title="Query parameters of the application do not disturb the handshake",
    expected="a session, over every transport, although there are parameters that the protocol does not know",
    why="Clients have an option for such parameters, and applications send tokens and versions with it.",
)
async def query_application(trial: Trial) -> None:
    own = "token=a%20b%26c&empty=&list=1&list=2&flag"
    for transport in offered(trial):
        query = f"{trial.peer.path}?{own}&EIO=4&transport={transport}&after=%F0%9F%98%80"
        if transport == "polling":
            response = await trial.peer.request("GET", query)
            trial.equal(response.status, OK, "the status")
            opened(trial, response.text.split("\x1e")[0])
        else:
            opened(trial, await (await trial.peer.open_websocket(query)).receive())


@case(
    "eio.handshake.query.cache-buster",
    Level.MUST,
    EIO_QUERY,
    Need.POLLING,
    Need.ECHO,
    title="The parameter t, which clients add to get around caches, is allowed with every request",
    expected="a session opens with t in the query, and its POST and its GET work with t, too",
    why="The official clients send it with every request over polling.",
)
async def query_cache_buster(trial: Trial) -> None:
    session = await trial.open_polling(t="PqxZ1nA")
    await trial.enter(session)
    for frame in trial.dialect.say("busted"):
        response = await trial.peer.request("POST", session.target(t="PqxZ1nB"), body=str(frame).encode())
        trial.equal(response.status, OK, "the status of the POST")
    response = await trial.peer.request("GET", session.target(t="PqxZ1nB.0"))
    trial.equal(response.status, OK, "the status of the GET")


@case(
    "eio.handshake.query.any-order",
    Level.MUST,
    EIO_QUERY,
    title="The query parameters may come in any order",
    expected="a session, over every transport, with transport before EIO",
    why="Clients build the query from a map, whose order is nobody's promise.",
)
async def query_any_order(trial: Trial) -> None:
    for transport in offered(trial):
        target = f"{trial.peer.path}?transport={transport}&t=0&EIO=4"
        if transport == "polling":
            trial.equal((await trial.peer.request("GET", target)).status, OK, "the status")
        else:
            opened(trial, await (await trial.peer.open_websocket(target)).receive())


@case(
    "eio.handshake.query.repeated",
    Level.SHOULD,
    EIO_QUERY,
    Need.POLLING,
    title="A query parameter that comes twice is no reason to fail",
    expected="status 200 or 400, whichever of the two values counts",
    why="A proxy or an application that adds a parameter once more must get an answer that can be understood.",
)
async def query_repeated(trial: Trial) -> None:
    for query in (
        "EIO=4&EIO=4&transport=polling",
        "EIO=4&transport=polling&transport=polling",
        "EIO=4&transport=polling&transport=abc",
        "EIO=4&EIO=abc&transport=polling",
        "EIO=4&transport=polling&sid=a&sid=b",
    ):
        response = await handshake_answer(trial, query)
        trial.within(response.status, (OK, BAD_REQUEST), f"the status of a GET with {query}")


@case(
    "eio.handshake.query.empty-sid",
    Level.SHOULD,
    EIO_QUERY,
    Need.POLLING,
    title="An empty sid is none, or it is refused",
    expected="status 200 with an open packet, or 400",
    why="A client with a bug in its reconnection sends it, and must not end in somebody's session or in an error 500.",
)
async def query_empty_sid(trial: Trial) -> None:
    response = await handshake_answer(trial, "EIO=4&transport=polling&sid=")
    trial.within(response.status, (OK, BAD_REQUEST), "the status")
    if response.status == OK:
        opened(trial, response.text.split("\x1e")[0])


@case(
    "eio.handshake.path.no-slash",
    Level.MAY,
    EIO_PATH,
    title="The path is known without its trailing slash, too",
    expected="a session, over every transport, as with the slash",
    why="Some clients and some proxies drop the slash.",
)
async def path_no_slash(trial: Trial) -> None:
    path = trial.peer.path.rstrip("/")
    if not path:
        trial.skip("the path is the root")
    for transport in offered(trial):
        target = f"{path}?EIO=4&transport={transport}"
        if transport == "polling":
            trial.equal((await trial.peer.request("GET", target)).status, OK, "the status")
        else:
            opened(trial, await (await trial.peer.open_websocket(target)).receive())


@case(
    "eio.handshake.independent",
    Level.MUST,
    EIO_PROTOCOL,
    Need.ECHO,
    title="Two sessions do not hear each other",
    expected="each session gets its own message back, and nothing of the other one's",
    why="Otherwise one user reads what another one is sent.",
)
async def independent(trial: Trial) -> None:
    for transport in offered(trial):
        one, another = await trial.open(transport), await trial.open(transport)
        await trial.echo(one, "of the first")
        await trial.echo(another, "of the second")
        await trial.echo(one, "of the first again")
