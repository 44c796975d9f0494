"""Whatever comes instead of a proper HTTP request: the head, the request target and the header fields."""

from urllib.parse import quote

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.hostile import answer, answered, exchange, read_all, rebuffed, request, say
from trio_socketio.conformance.sections import EIO_QUERY, rfc
from trio_socketio.conformance.trial import Trial

ENDLESS = 1_500_000
"""Bytes of a head that does not end: more than any server in use takes."""

HEAD = rfc(9112, "2.2")
REQUEST_LINE = rfc(9112, "3")
TARGET = rfc(9112, "3.2")
FIELDS = rfc(9112, "5")
LIMITS = rfc(9110, "5.4")
FIELD_VALUES = rfc(9110, "5.5")


@case(
    "robust.http.garbage",
    Level.ROBUST,
    HEAD,
    title="Bytes that are no HTTP request are refused",
    expected="an error (4xx or 5xx), or the end of the connection, for control characters, text and high bytes",
    why="Port scanners send such bytes to every open port.",
)
async def garbage(trial: Trial) -> None:
    for data in (b"\x00\xff\x13\x37 garbage", bytes(range(256)), b"\xf0\x9f\x98\x80" * 50, b"hello", b"GET", b"GET /"):
        await rebuffed(trial, data + b"\r\n\r\n\r\n\r\n", f"{data[:20]!r}")


@case(
    "robust.http.version",
    Level.ROBUST,
    REQUEST_LINE,
    title="A request of an HTTP version that does not exist is answered",
    expected="an answer, or the end of the connection, for HTTP/9.9, HTTP/1, HTTP/-1.1 and a version of 1000 digits",
    why="A parser that takes the version for a number fails on what is none.",
)
async def version(trial: Trial) -> None:
    target = trial.peer.target(transport="polling")
    versions = ("HTTP/9.9", "HTTP/1", "HTTP/-1.1", f"HTTP/1.{'1' * 1000}", "http/1.1", "")
    await answered(trial, [f"GET {target} {name}\r\nHost: {trial.peer.host}\r\n\r\n".encode() for name in versions])


@case(
    "robust.http.http2",
    Level.ROBUST,
    HEAD,
    title="The preface of HTTP/2 is answered",
    expected="an answer of any kind, or the end of the connection",
    why="Proxies and clients try HTTP/2 without asking; they must learn at once that there is none.",
)
async def http2_preface(trial: Trial) -> None:
    wire = await trial.peer.connect()
    await say(wire, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    with wire.patient("neither an answer nor the end of the connection came"):
        await wire.receive()


@case(
    "robust.http.tls",
    Level.ROBUST,
    HEAD,
    title="A client that begins TLS on a port without it harms nobody",
    expected="whatever the server says to it, the next client is served",
    why="Every user who types https:// instead of http:// does this.",
)
async def tls_hello(trial: Trial) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\x20" + bytes(473)
    for data in (hello, hello[:5], hello * 20):
        wire = await trial.peer.connect()
        await say(wire, data)
        await wire.hang_up()


@case(
    "robust.http.request-line.endless",
    Level.ROBUST,
    REQUEST_LINE,
    title="A request line that does not end is refused",
    expected=f"an error (4xx or 5xx), or the end of the connection, after {ENDLESS} bytes at the latest",
    why="One client could fill the memory of the server.",
)
async def endless_request_line(trial: Trial) -> None:
    await rebuffed(trial, b"GET /" + b"a" * ENDLESS, "a request line that does not end")


@case(
    "robust.http.request-line.long",
    Level.ROBUST,
    REQUEST_LINE,
    title="A request with a query of 60 KB is answered",
    expected="an answer, or the end of the connection",
    why="A connection that neither goes on nor ends holds its resources.",
)
async def long_query(trial: Trial) -> None:
    await answer(trial, request(trial, trial.peer.target(transport="polling", x="a" * 60_000)))


@case(
    "robust.http.header.endless",
    Level.ROBUST,
    LIMITS,
    title="Header fields without end are refused",
    expected=f"an error (4xx or 5xx), or the end of the connection, after {ENDLESS} bytes at the latest",
    why="One client could fill the memory of the server.",
)
async def endless_headers(trial: Trial) -> None:
    lines = b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
    head = request(trial)[: -len(b"\r\n")]
    await rebuffed(trial, head + lines * (ENDLESS // len(lines)), "a head that does not end")


@case(
    "robust.http.header.large",
    Level.ROBUST,
    LIMITS,
    title="A request with a header field of 64 KB is answered",
    expected="an answer, or the end of the connection",
    why="Cookies of a large site grow until some server fails on them.",
)
async def large_header(trial: Trial) -> None:
    await answered(trial, [request(trial, None, f"{name}: {'a' * 65_536}") for name in ("Cookie", "Origin", "X-Large")])


@case(
    "robust.http.header.many",
    Level.ROBUST,
    LIMITS,
    title="A request with ten thousand header fields is answered",
    expected="an answer, or the end of the connection, whether the fields have different names or all the same",
    why="Servers that look through all fields for each field are busy for seconds.",
)
async def many_headers(trial: Trial) -> None:
    different = [f"x-{number}: a" for number in range(10_000)]
    await answered(trial, [request(trial, None, *different), request(trial, None, *["x-same: a"] * 10_000)])


@case(
    "robust.http.header.malformed",
    Level.ROBUST,
    FIELDS,
    title="A request with malformed header fields is answered",
    expected="an answer, or the end of the connection, for fields without a colon or a name, and NUL or CR in values",
    why="Whatever a parser raises for them must not reach anybody but the client that sent them.",
)
async def malformed_headers(trial: Trial) -> None:
    lines = (
        "no colon",
        ": no name",
        "X-Folded: a\r\n folded",
        "X-Nul: a\x00b",
        "X-Cr: a\rb",
        "X-Lf: a\nb",
        "X\xe4: \xff",
    )
    await answered(trial, [request(trial, None, line) for line in lines])


@case(
    "robust.http.header.space",
    Level.ROBUST,
    rfc(9112, "5.1"),
    title="A header field with a space before its colon is refused",
    expected="an error (4xx or 5xx), or the end of the connection",
    why="Proxies and servers that read it differently can be played off against each other to smuggle requests.",
)
async def space_before_colon(trial: Trial) -> None:
    await rebuffed(trial, request(trial, None, "Transfer-Encoding : chunked"), "a field with a space before its colon")


@case(
    "robust.http.header.injection",
    Level.ROBUST,
    FIELD_VALUES,
    title="Nothing that a client sends becomes a header field of the answer",
    expected="no line `X-Injected` in the answer, though the query and the Origin ask for it with encoded and bare line ends",
    why="An attacker could set cookies in the browsers of others.",
)
async def injection(trial: Trial) -> None:
    encoded = "%0d%0aX-Injected:%201"
    target = f"{trial.peer.target(transport='polling')}&x={encoded}&j={encoded}"
    origins = (f"http://a.example{encoded}", "http://a.example\rX-Injected: 1", "http://a.example\nX-Injected: 1\r")
    for origin in origins:
        wire = await trial.peer.connect()
        await say(wire, request(trial, target, f"Origin: {origin}", "Connection: close"))
        head = (await read_all(wire)).partition(b"\r\n\r\n")[0].replace(b"\r", b"\n").lower()
        trial.check(
            b"\nx-injected" not in head, f"the answer has the head {head!r}", "there is no X-Injected field in it"
        )


@case(
    "robust.http.host.missing",
    Level.ROBUST,
    TARGET,
    title="A request of HTTP/1.1 without a Host field is refused",
    expected="an error (4xx or 5xx), or the end of the connection",
    why="RFC 9112 demands status 400: proxies in front of the server would choose a host, and perhaps another one.",
)
async def no_host(trial: Trial) -> None:
    await rebuffed(trial, request(trial, host=False), "a request without a Host field")


@case(
    "robust.http.negotiation",
    Level.ROBUST,
    rfc(9110, "12.5.3"),
    title="Malformed fields of content negotiation are answered",
    expected="an answer, or the end of the connection, for odd weights, empty items and thousands of commas in Accept-Encoding",
    why="These fields are parsed for every answer; what that raises must not end more than the one request.",
)
async def negotiation(trial: Trial) -> None:
    values = ("gzip;q=abc, *;q=-1", ";;;q=,", "," * 5000, "gzip;q=1e999", "\xff\xfe", "")
    names = ("Accept-Encoding", "Content-Type", "Origin", "Cookie")
    await answered(trial, [request(trial, None, f"{name}: {value}") for name in names for value in values])


@case(
    "robust.http.method",
    Level.ROBUST,
    rfc(9110, "9.1"),
    Need.POLLING,
    title="Requests with methods that are not served are refused, with a sid and without",
    expected="an error (4xx or 5xx), or the end of the connection, for BREW, PUT, PATCH, DELETE and TRACE",
    why="Scanners try all methods; TRACE shows cookies to scripts.",
)
async def methods(trial: Trial) -> None:
    session = await trial.open_polling()
    for method in ("BREW", "PUT", "PATCH", "DELETE", "TRACE"):
        await rebuffed(trial, request(trial, method=method), f"{method} without a sid")
        await rebuffed(trial, request(trial, session.target(), method=method), f"{method} with a sid")


@case(
    "robust.http.target.forms",
    Level.ROBUST,
    TARGET,
    title="Every form of request target is answered",
    expected="an answer, or the end of the connection, for an absolute form, an asterisk, an authority, and nonsense",
    why="RFC 9112 demands that servers accept the absolute form, and scanners send the others.",
)
async def target_forms(trial: Trial) -> None:
    target = trial.peer.target(transport="polling")
    host = trial.peer.host
    targets = (
        f"http://{host}{target}",
        f"http://other.example{target}",
        "*",
        "socket.io",
        "?",
        "#",
        "http://",
        "://",
        "[::",
    )
    requests = [request(trial, form) for form in targets]
    requests += [request(trial, "*", method="OPTIONS"), request(trial, host, method="CONNECT")]
    await answered(trial, requests)


@case(
    "robust.http.target.path",
    Level.ROBUST,
    TARGET,
    title="Odd ways to write the path are answered",
    expected="an answer, or the end of the connection, for double slashes, dots, encoded and broken characters around the path",
    why="What a proxy in front takes for another path must not make the server fail.",
)
async def odd_paths(trial: Trial) -> None:
    path, _, query = trial.peer.target(transport="polling").partition("?")
    bare = path.strip("/")
    paths = (
        f"//{bare}/",
        f"/../{bare}/",
        f"/{bare}//",
        f"/./{bare}/./",
        f"/%2e%2e/{bare}/",
        f"{path}%00",
        f"{path}%",
        f"{path}%ff",
        f"{path}%zz",
        "/" + "".join(f"%{ord(char):02x}" for char in bare) + "/",
        f"/{bare.upper()}/",
        f"{path};a=b",
        "/" + "a/" * 2000,
    )
    await answered(trial, [request(trial, f"{odd}?{query}") for odd in paths])


@case(
    "robust.http.target.traversal",
    Level.ROBUST,
    TARGET,
    title="No path leads to a file of the system",
    expected="answers without the content of /etc/passwd",
    why="Servers that also serve files have given away more than those, again and again.",
)
async def traversal(trial: Trial) -> None:
    up = "../" * 8
    tricks = (
        f"/{up}etc/passwd",
        f"/{quote(up, safe='')}etc/passwd",
        f"{trial.peer.path}{up}etc/passwd",
        "//etc/passwd",
    )
    for trick in tricks:
        wire = await trial.peer.connect()
        await say(wire, request(trial, trick, "Connection: close"))
        trial.check(b"root:" not in await read_all(wire), f"the answer to {trick} has a line of root in it")


@case(
    "robust.http.query.many",
    Level.ROBUST,
    EIO_QUERY,
    title="A query of a thousand parameters is answered",
    expected="an answer, or the end of the connection, whether the parameters have different names or all the same",
    why="Anybody can write such a link.",
)
async def many_parameters(trial: Trial) -> None:
    target = trial.peer.target(transport="polling")
    different = "".join(f"&p{number}=1" for number in range(1000))
    await answered(trial, [request(trial, target + different), request(trial, target + "&same=1" * 1000)])


@case(
    "robust.http.query.malformed",
    Level.ROBUST,
    EIO_QUERY,
    title="A malformed query is answered",
    expected="an answer, or the end of the connection, for broken percent-encoding, invalid UTF-8, empty names, and brackets",
    why="Anybody can write such a link.",
)
async def malformed_query(trial: Trial) -> None:
    target = trial.peer.target(transport="polling")
    rests = ("&%", "&x=%zz", "&x=%ff%fe", "&=&=&&&", "&" * 1000, "&x[a][b]=1&x[]=2", "?EIO=3", "&x=%00", "&__proto__=1")
    await answered(trial, [request(trial, target + rest) for rest in rests])


@case(
    "robust.http.query.repeated",
    Level.ROBUST,
    EIO_QUERY,
    title="A query that says the same thing twice, or as a list, is answered",
    expected="an answer, or the end of the connection, for EIO, transport and sid given twice, or with brackets",
    why="Parsers make lists of such parameters, and code that expects a string fails on them.",
)
async def repeated_parameters(trial: Trial) -> None:
    path = trial.peer.path
    queries = (
        "EIO=4&EIO=4&transport=polling",
        "EIO=3&EIO=4&transport=polling",
        "EIO=4&transport=polling&transport=websocket",
        "EIO=4&transport=polling&sid=a&sid=b",
        "EIO[]=4&transport[]=polling&sid[]=a",
        "EIO[a]=4&transport[toString]=polling",
    )
    await answered(trial, [request(trial, f"{path}?{query}") for query in queries])


@case(
    "robust.http.query.prototype",
    Level.ROBUST,
    EIO_QUERY,
    title="Names that objects have by themselves are no transports, versions or sids",
    expected="an error (4xx or 5xx), or the end of the connection, for `__proto__`, `constructor`, `toString` and the like",
    why="A table of sessions that is an ordinary object has an entry under each of these names.",
)
async def prototype_names(trial: Trial) -> None:
    path = trial.peer.path
    for name in ("__proto__", "constructor", "toString", "hasOwnProperty", "__class__", "null", "undefined"):
        for query in (
            f"EIO=4&transport={name}",
            f"EIO={name}&transport=polling",
            f"EIO=4&transport=polling&sid={name}",
        ):
            await rebuffed(trial, request(trial, f"{path}?{query}"), f"the query {query}")


@case(
    "robust.http.query.sid",
    Level.ROBUST,
    EIO_QUERY,
    Need.POLLING,
    title="A sid that the server cannot have given is refused",
    expected="an error (4xx or 5xx), or the end of the connection, for GET and POST with control characters, paths, Unicode, "
    "8000 characters, or a real sid with something added",
    why="Sids are looked up, logged and compared; whatever is in them must stay data.",
)
async def odd_sids(trial: Trial) -> None:
    session = await trial.open_polling()
    sids = ("%00", "%0d%0a", "..%2f..%2f", "%ff", "%f0%9f%98%80", "a" * 8000, "'%20OR%201=1", f"{session.sid}%00")
    for sid in (*sids, f"{session.sid}%0a", session.sid.swapcase(), f"%20{session.sid}"):
        target = f"{trial.peer.target(transport='polling')}&sid={sid}"
        await rebuffed(trial, request(trial, target), f"GET with the sid {sid[:40]}")
        post = request(trial, target, "Content-Length: 1", method="POST", body=b"3")
        await rebuffed(trial, post, f"POST with the sid {sid[:40]}")


@case(
    "robust.http.upgrade-h2c",
    Level.ROBUST,
    rfc(9110, "7.8"),
    title="An offer to upgrade to something else than a WebSocket is answered",
    expected="an answer, or the end of the connection, for h2c, TLS, a list, and an unknown protocol",
    why="HTTP clients of some languages offer h2c with every request.",
)
async def other_upgrades(trial: Trial) -> None:
    protocols = ("h2c", "TLS/1.0", "websocket2, h2c", "foo/1, bar/2", "")
    settings = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    upgrades = [
        request(trial, target, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", settings)
        for protocol in protocols
        for target in (None, trial.peer.target(transport="websocket"))
    ]
    await answered(trial, upgrades)


@case(
    "robust.http.expect-unknown",
    Level.ROBUST,
    rfc(9110, "10.1.1"),
    title="An expectation that nobody can meet is answered",
    expected="an answer, or the end of the connection",
    why="A connection that neither goes on nor ends holds its resources.",
)
async def unknown_expectation(trial: Trial) -> None:
    wire = await trial.peer.connect()
    await exchange(wire, request(trial, None, "Expect: the unexpected"))
