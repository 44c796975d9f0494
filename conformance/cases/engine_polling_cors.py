"""Long-polling from pages of another origin: what a browser must be told (the Fetch standard, "CORS protocol")."""

from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.polling_steps import message_answer, said
from trio_socketio.conformance.peer import Response
from trio_socketio.conformance.sections import FETCH_CORS, FETCH_PREFLIGHT, FIXTURE, rfc
from trio_socketio.conformance.trial import OK, Trial

ORIGIN: Final = "https://page.example"
FROM_A_PAGE: Final = [("origin", ORIGIN)]

ALLOW_ORIGIN: Final = "access-control-allow-origin"


def allows(trial: Trial, response: Response, what: str) -> None:
    """Fail unless a browser would let the page read a response."""
    trial.within(response.header(ALLOW_ORIGIN), ("*", ORIGIN), f"Access-Control-Allow-Origin of {what}")


async def allowed(trial: Trial) -> Response:
    """Return the answer to a handshake of a page of another origin; skip if the server allows none."""
    response = await trial.peer.request("GET", trial.peer.target(transport="polling"), FROM_A_PAGE)
    if response.status != OK or response.header(ALLOW_ORIGIN) is None:
        trial.skip("the server is not set up to allow pages of other origins")
    return response


async def preflight(trial: Trial) -> Response:
    """Return the answer to the question of a browser whether a page may send a POST with a header of its own."""
    await allowed(trial)
    return await trial.peer.request(
        "OPTIONS",
        trial.peer.target(transport="polling"),
        [
            *FROM_A_PAGE,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-token"),
        ],
    )


@case(
    "eio.polling.cors.allowed",
    Level.SHOULD,
    FIXTURE,
    Need.FIXTURE,
    Need.POLLING,
    title="The fixture allows pages of every origin",
    expected="status 200, and Access-Control-Allow-Origin with the page's origin or *",
    why="The published suites run in a browser, from a page of another origin.",
)
async def cors_allowed(trial: Trial) -> None:
    response = await trial.peer.request("GET", trial.peer.target(transport="polling"), FROM_A_PAGE)
    trial.equal(response.status, OK, "the status")
    allows(trial, response, "the handshake")


@case(
    "eio.polling.cors.every-answer",
    Level.MUST,
    FETCH_CORS,
    Need.POLLING,
    Need.ECHO,
    title="Every answer of a session allows the origin that the handshake allows",
    expected="Access-Control-Allow-Origin, once, in the answers to the handshake, to a POST and to a GET",
    why="The browser keeps an answer without it from the page, which takes that for a broken network.",
)
async def cors_every_answer(trial: Trial) -> None:
    allows(trial, await allowed(trial), "the handshake")
    session = await trial.open("polling")
    posted = await trial.peer.request("POST", session.target(), FROM_A_PAGE, said(trial, "from a page"))
    allows(trial, posted, "the answer to a POST")
    allows(trial, await message_answer(trial, session, FROM_A_PAGE), "the answer to a GET")


@case(
    "eio.polling.cors.refusals",
    Level.SHOULD,
    FETCH_CORS,
    Need.POLLING,
    title="A refusal allows the origin, too",
    expected="Access-Control-Allow-Origin in the answers to an unknown sid and to a missing version",
    why="The page could not read why it was refused, and its user would see a broken network.",
)
async def cors_refusals(trial: Trial) -> None:
    await allowed(trial)
    for target in (trial.peer.target(transport="polling", sid="unknown"), f"{trial.peer.path}?transport=polling"):
        response = await trial.peer.request("GET", target, FROM_A_PAGE)
        trial.refused(response)
        allows(trial, response, "the refusal")


@case(
    "eio.polling.cors.credentials",
    Level.MUST,
    FETCH_CORS,
    Need.POLLING,
    title="Who allows credentials names the origin",
    expected="Access-Control-Allow-Credentials is missing, or true with the page's origin and not with *",
    why="A browser takes no other pair, and the page cannot connect with its cookies.",
)
async def cors_credentials(trial: Trial) -> None:
    response = await allowed(trial)
    credentials = response.header("access-control-allow-credentials")
    trial.within(credentials, (None, "true"), "Access-Control-Allow-Credentials")
    if credentials == "true":
        trial.equal(response.header(ALLOW_ORIGIN), ORIGIN, "Access-Control-Allow-Origin")


@case(
    "eio.polling.cors.vary",
    Level.SHOULD,
    rfc(9110, "12.5.5"),
    Need.POLLING,
    title="An answer that names one origin says that it depends on the origin",
    expected="Vary with Origin in it, unless every origin is allowed with *",
    why="A cache would give the answer for one site to another one.",
)
async def cors_vary(trial: Trial) -> None:
    response = await allowed(trial)
    if response.header(ALLOW_ORIGIN) != "*":
        names = [name.strip().lower() for name in (response.header("vary") or "").split(",")]
        trial.check("origin" in names or "*" in names, f"Vary is {response.header('vary')!r}")


@case(
    "eio.polling.cors.preflight",
    Level.MUST,
    FETCH_PREFLIGHT,
    Need.POLLING,
    title="The question of a browser before a request is answered",
    expected="status 200 or 204 for OPTIONS, and the origin is allowed; no session is needed for it",
    why="A page that sends a header of its own, for example a token, is not let through otherwise.",
)
async def cors_preflight(trial: Trial) -> None:
    response = await preflight(trial)
    trial.within(response.status, (200, 204), "the status")
    allows(trial, response, "the answer to OPTIONS")


@case(
    "eio.polling.cors.preflight-headers",
    Level.MUST,
    FETCH_PREFLIGHT,
    Need.POLLING,
    title="The answer to a preflight allows the headers that were asked for",
    expected="Access-Control-Allow-Headers names content-type and x-token, or is * without credentials",
    why="Applications send tokens in headers (extraHeaders), and the browser asks for each.",
)
async def cors_preflight_headers(trial: Trial) -> None:
    response = await preflight(trial)
    names = [item.strip().lower() for item in (response.header("access-control-allow-headers") or "").split(",")]
    everything = "*" in names and response.header("access-control-allow-credentials") is None
    trial.check(
        everything or {"content-type", "x-token"} <= set(names),
        f"Access-Control-Allow-Headers is {response.header('access-control-allow-headers')!r}",
    )


@case(
    "eio.polling.cors.preflight-methods",
    Level.SHOULD,
    FETCH_PREFLIGHT,
    Need.POLLING,
    title="The answer to a preflight names the methods of long-polling",
    expected="Access-Control-Allow-Methods names GET and POST, or is *",
    why="Browsers do not need it for these two, but those who look into a failure do.",
)
async def cors_preflight_methods(trial: Trial) -> None:
    response = await preflight(trial)
    names = [item.strip().upper() for item in (response.header("access-control-allow-methods") or "").split(",")]
    trial.check(
        "*" in names or {"GET", "POST"} <= set(names),
        f"Access-Control-Allow-Methods is {response.header('access-control-allow-methods')!r}",
    )
