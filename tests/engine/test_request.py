import json
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.proxies import TrustedProxies
from trio_socketio.engine.request import (
    BadRequest,
    Open,
    Poll,
    Post,
    Preflight,
    Reject,
    RejectCode,
    Request,
    Upgrade,
    admit,
    handles,
    make_request,
    parse_request,
    reject,
)

WEBSOCKET_HEADERS = [("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade")]


@dataclass
class FakeSession:
    sid: str
    transport: Transport = Transport.POLLING
    closed: bool = False


SESSIONS = {
    session.sid: session
    for session in [
        FakeSession("polling"),
        FakeSession("upgraded", Transport.WEBSOCKET),
        FakeSession("closed", closed=True),
        FakeSession("gone", Transport.WEBSOCKET, closed=True),
    ]
}


def ask(query, method="GET", *, websocket=False, origin=None, config=None, host="127.0.0.1:3000"):
    headers = [("Host", host), *(WEBSOCKET_HEADERS if websocket else [])]
    if origin is not None:
        headers.append(("Origin", origin))
    target = f"/socket.io/?{query}"
    request = parse_request(method, target, headers, peer_address="192.0.2.1", secure=False)
    return admit(request, SESSIONS, config or EngineConfig())


# --- the request table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("more", ["", "&t=abc&token=1", "&sid="])
def test_a_get_without_sid_opens_a_session(transport, more):
    websocket = transport is Transport.WEBSOCKET
    assert ask(f"EIO=4&transport={transport}{more}", websocket=websocket) == Open(transport, ())


P, W = "EIO=4&transport=polling", "EIO=4&transport=websocket"


@pytest.mark.parametrize(
    ("query", "method", "websocket", "code"),
    [
        ("transport=polling", "GET", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("EIO=&transport=polling", "GET", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("EIO=3&transport=polling", "GET", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("EIO=abc&transport=polling", "GET", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("EIO=04&transport=polling", "GET", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("transport=websocket", "GET", True, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("EIO=abc&transport=websocket", "GET", True, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("transport=abc", "POST", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("", "GET", False, RejectCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("EIO=4", "GET", False, RejectCode.TRANSPORT_UNKNOWN),
        ("EIO=4&transport=", "GET", False, RejectCode.TRANSPORT_UNKNOWN),
        ("EIO=4&transport=abc", "GET", False, RejectCode.TRANSPORT_UNKNOWN),
        ("EIO=4&transport=Polling", "GET", False, RejectCode.TRANSPORT_UNKNOWN),
        ("EIO=4&transport=webtransport", "GET", True, RejectCode.TRANSPORT_UNKNOWN),
        ("EIO=4&transport=abc&sid=polling", "POST", False, RejectCode.TRANSPORT_UNKNOWN),
        (f"{P}&sid=nobody", "GET", False, RejectCode.SESSION_ID_UNKNOWN),
        (f"{P}&sid=nobody", "POST", False, RejectCode.SESSION_ID_UNKNOWN),
        (f"{P}&sid=nobody", "PUT", False, RejectCode.SESSION_ID_UNKNOWN),
        (f"{P}&sid=closed", "GET", False, RejectCode.SESSION_ID_UNKNOWN),
        (f"{P}&sid=gone", "GET", False, RejectCode.SESSION_ID_UNKNOWN),
        (f"{W}&sid=nobody", "GET", True, RejectCode.SESSION_ID_UNKNOWN),
        (f"{W}&sid=closed", "GET", True, RejectCode.SESSION_ID_UNKNOWN),
        (f"{P}&sid=upgraded", "GET", False, RejectCode.BAD_REQUEST),
        (f"{P}&sid=upgraded", "POST", False, RejectCode.BAD_REQUEST),
        (f"{P}&sid=polling", "PUT", False, RejectCode.BAD_REQUEST),
        (f"{P}&sid=polling", "HEAD", False, RejectCode.BAD_REQUEST),
        (f"{P}&sid=polling", "get", False, RejectCode.BAD_REQUEST),
        (f"{P}&sid=polling", "GET", True, RejectCode.BAD_REQUEST),
        (f"{W}&sid=polling", "GET", False, RejectCode.BAD_REQUEST),
        (f"{W}&sid=polling", "POST", False, RejectCode.BAD_REQUEST),
        (f"{W}&sid=polling", "POST", True, RejectCode.BAD_REQUEST),
        (P, "GET", True, RejectCode.BAD_REQUEST),
        (W, "GET", False, RejectCode.BAD_REQUEST),
        (P, "POST", False, RejectCode.BAD_HANDSHAKE_METHOD),
        (P, "PUT", False, RejectCode.BAD_HANDSHAKE_METHOD),
        (P, "HEAD", False, RejectCode.BAD_HANDSHAKE_METHOD),
        (P, "DELETE", False, RejectCode.BAD_HANDSHAKE_METHOD),
        (W, "POST", True, RejectCode.BAD_HANDSHAKE_METHOD),
        (W, "POST", False, RejectCode.BAD_HANDSHAKE_METHOD),
    ],
)
def test_a_wrong_request_is_refused_with_status_400_and_its_code(query, method, websocket, code):
    answer = ask(query, method, websocket=websocket)
    assert isinstance(answer, Reject)
    assert (answer.status, answer.code, answer.cors) == (400, code, ())
    assert answer.log


@pytest.mark.parametrize(
    ("code", "status", "body"),
    [
        (RejectCode.TRANSPORT_UNKNOWN, 400, b'{"code":0,"message":"Transport unknown"}'),
        (RejectCode.SESSION_ID_UNKNOWN, 400, b'{"code":1,"message":"Session ID unknown"}'),
        (RejectCode.BAD_HANDSHAKE_METHOD, 400, b'{"code":2,"message":"Bad handshake method"}'),
        (RejectCode.BAD_REQUEST, 400, b'{"code":3,"message":"Bad request"}'),
        (RejectCode.FORBIDDEN, 403, b'{"code":4,"message":"Forbidden"}'),
        (RejectCode.UNSUPPORTED_PROTOCOL_VERSION, 400, b'{"code":5,"message":"Unsupported protocol version"}'),
    ],
)
def test_each_code_has_its_status_and_body(code, status, body):
    answer = reject(code)
    assert (answer.status, answer.body, answer.content_type) == (status, body, "application/json")


def test_a_refusal_may_have_its_own_message_or_no_code():
    assert json.loads(Reject(403, RejectCode.FORBIDDEN, 'Nö "\ud800').body) == {"code": 4, "message": 'Nö "\ud800'}
    assert Reject(413, None, "").body == b""
    assert Reject(400, None, "Nö").body == "Nö".encode()


def test_get_and_post_reach_the_polling_session():
    session = SESSIONS["polling"]
    assert ask(f"{P}&sid=polling") == Poll(session, ())
    assert ask(f"{P}&sid=polling", "POST") == Post(session, ())


def test_a_websocket_may_take_over_a_polling_session():
    assert ask(f"{W}&sid=polling", websocket=True) == Upgrade(SESSIONS["polling"], refused=False, cors=())


def test_a_second_websocket_for_an_upgraded_session_is_accepted_to_be_closed():
    assert ask(f"{W}&sid=upgraded", websocket=True) == Upgrade(SESSIONS["upgraded"], refused=True, cors=())


def test_no_websocket_takes_over_when_upgrades_are_off():
    answer = ask(f"{W}&sid=polling", websocket=True, config=EngineConfig(allow_upgrades=False))
    assert (
        isinstance(answer, Reject) and answer.code is RejectCode.BAD_REQUEST and "allow_upgrades" in (answer.log or "")
    )
    assert isinstance(ask(W, websocket=True, config=EngineConfig(allow_upgrades=False)), Open)


@pytest.mark.parametrize(("served", "query", "websocket"), [("polling", W, True), ("websocket", P, False)])
@pytest.mark.parametrize("sid", ["", "&sid=polling", "&sid=upgraded"])
def test_a_transport_that_is_not_served_is_unknown(served, query, websocket, sid):
    answer = ask(query + sid, websocket=websocket, config=EngineConfig(transports=[served]))
    assert isinstance(answer, Reject) and answer.code is RejectCode.TRANSPORT_UNKNOWN


@pytest.mark.parametrize(
    ("query", "method", "websocket"),
    [
        (P, "GET", False),
        (W, "GET", True),
        (f"{P}&sid=polling", "GET", False),
        (f"{P}&sid=polling", "POST", False),
        (f"{W}&sid=polling", "GET", True),
        ("", "GET", False),
    ],
)
def test_a_foreign_origin_is_forbidden_whatever_it_asks(query, method, websocket):
    answer = ask(query, method, websocket=websocket, origin="https://evil.example")
    assert isinstance(answer, Reject)
    assert (answer.status, answer.code, answer.cors) == (403, RejectCode.FORBIDDEN, ())
    assert 'cors_allowed_origins="https://evil.example"' in (answer.log or "")


def test_every_answer_to_an_allowed_origin_has_its_headers():
    config = EngineConfig(cors_allowed_origins="https://a.example")
    name = ("Access-Control-Allow-Origin", "https://a.example")
    for query in [P, f"{P}&sid=polling", f"{P}&sid=nobody", "", "EIO=4"]:
        for method in ["GET", "POST", "PUT", "OPTIONS"]:
            assert name in ask(query, method, origin="https://a.example", config=config).cors


def test_a_preflight_is_answered_before_anything_else_is_checked():
    answer = ask("", "OPTIONS", origin="http://127.0.0.1:3000")
    assert isinstance(answer, Preflight) and answer.status == 204
    assert ("Access-Control-Allow-Methods", "GET, POST, OPTIONS") in answer.cors


def test_a_preflight_from_a_foreign_origin_is_refused():
    answer = ask(P, "OPTIONS", origin="https://evil.example")
    assert isinstance(answer, Preflight) and (answer.status, answer.cors) == (400, ())
    assert "https://evil.example" in (answer.log or "")


def test_options_without_an_origin_is_harmless():
    assert ask(P, "OPTIONS") == Preflight(204, ())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/socket.io/", True),
        ("/socket.io", True),
        ("/socket.io//", False),
        ("/socket.io/x", False),
        ("/socket.iox", False),
        ("/", False),
        ("", False),
        ("*", False),
    ],
)
def test_the_path_is_ours_with_and_without_the_trailing_slash(path, expected):
    assert handles(path, EngineConfig()) is expected


ORIGINS = [None, "http://127.0.0.1:3000", "https://a.example", "https://evil.example", "null", "\r\nX: y", "x" * 300]
SOME_CONFIGS = [
    EngineConfig(),
    EngineConfig(cors_allowed_origins="*", cors_credentials=False),
    EngineConfig(cors_allowed_origins=["https://a.example"], allow_upgrades=False),
    EngineConfig(cors_allowed_origins=lambda origin: "a" in origin, transports=["websocket"]),
]


@given(
    method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PUT"]) | st.text(),
    query=st.dictionaries(st.text(), st.text(), max_size=3),
    revision=st.sampled_from(["4", "4", "3", None]) | st.text(),
    transport=st.sampled_from(["polling", "websocket", None]) | st.text(),
    sid=st.sampled_from([None, "", *SESSIONS]) | st.text(),
    headers=st.lists(st.tuples(st.sampled_from(["upgrade", "connection", "host", "x"]), st.text()), max_size=3),
    websocket=st.booleans(),
    origin=st.sampled_from(ORIGINS) | st.text(),
    config=st.sampled_from(SOME_CONFIGS),
)
def test_admit_never_raises_and_lets_no_refused_origin_through(
    method, query, revision, transport, sid, headers, websocket, origin, config
):
    fields = {**query, "EIO": revision, "transport": transport, "sid": sid}
    asked = [*headers, *([("upgrade", "websocket"), ("connection", "upgrade")] if websocket else [])]
    if origin is not None:
        asked.append(("origin", origin))
    given_fields = {name: value for name, value in fields.items() if value is not None}
    request = Request(method, "/socket.io/", "", given_fields, tuple(asked), "192.0.2.1", False, "127.0.0.1:3000")
    answer = admit(request, SESSIONS, config)

    assert (method == "OPTIONS") is isinstance(answer, Preflight)
    if isinstance(answer, Reject):
        assert answer.status in (400, 403) and answer.log and len(answer.log) < 2000
        assert json.loads(answer.body)["code"] in list(RejectCode)
    malformed = origin in ("\r\nX: y", "x" * 300)
    named = callable(config.cors_allowed_origins) or config.cors_allowed_origins == "*"
    if malformed or (origin == "https://evil.example" and not named):
        assert isinstance(answer, Reject | Preflight) and answer.status in (400, 403) and answer.cors == ()
        assert isinstance(answer, Preflight) or answer.code is RejectCode.FORBIDDEN
    for name, value in answer.cors:
        assert name.isascii() and value.isascii() and value.isprintable()


# --- what a request is -------------------------------------------------------------------------------------------


def parse(target="/", headers=(), method="GET", peer="192.0.2.1", secure=False, trusted=()):
    proxies = TrustedProxies.parse(trusted)
    return parse_request(method, target, headers, peer_address=peer, secure=secure, trusted_proxies=proxies)


def test_a_request_has_path_query_and_headers():
    request = parse(
        "/socket.io/?EIO=4&a=%C3%A4+b&empty=&a=second", [("Host", "a.example:3000"), ("X-A", "1"), ("x-a", "2")]
    )
    assert request.path == "/socket.io/"
    assert request.query_string == "EIO=4&a=%C3%A4+b&empty=&a=second"
    assert request.query == {"EIO": "4", "a": "ä b", "empty": ""}
    assert (request.header("X-A"), request.header("x-b")) == ("1, 2", None)
    assert request.headers == (("host", "a.example:3000"), ("x-a", "1"), ("x-a", "2"))
    assert (request.address, request.secure, request.host) == ("192.0.2.1", False, "a.example:3000")
    assert request.url == "http://a.example:3000/socket.io/?EIO=4&a=%C3%A4+b&empty=&a=second"
    assert hash(request) == hash(request)


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("http://b.example/x?y=1", "/x", "y=1", "b.example"),
        ("HTTPS://b.example:8443", "/", "", "b.example:8443"),
        ("http://b.example?y=http://c/d", "/", "y=http://c/d", "b.example"),
        ("//b.example/x", "//b.example/x", "", "a.example"),
        ("/x?", "/x", "", "a.example"),
        ("/x?a?b", "/x", "a?b", "a.example"),
    ],
)
def test_the_target_may_be_a_path_or_a_url_whose_host_counts(target, path, query, host):
    request = parse(target, [("Host", "a.example")])
    assert (request.path, request.query_string, request.host, request.secure) == (path, query, host, False)


def test_a_request_about_the_server_as_a_whole_has_the_path_star():
    request = parse("*", [("Host", "a.example")], method="OPTIONS")
    assert (request.path, request.url) == ("*", "http://a.example")


@pytest.mark.parametrize(
    ("method", "target", "headers", "sentence"),
    [
        ("G T", "/", [], "the method 'G T' is not a token"),
        ("", "/", [], "the method ''"),
        ("GET", "", [], "the request target ''"),
        ("GET", "*", [], "the request target '*' is neither a path nor a URL"),
        ("GET", "socket.io", [], "neither a path nor a URL"),
        ("CONNECT", "a.example:443", [], "neither a path nor a URL"),
        ("GET", "http:///x", [], "neither a path nor a URL"),
        ("GET", "/a b", [], "characters that HTTP forbids"),
        ("GET", "/a#b", [], "characters that HTTP forbids"),
        ("GET", "/ä", [], "characters that HTTP forbids"),
        ("GET", "/\r\n", [], "characters that HTTP forbids"),
        ("GET", "/?" + "&".join("a" * 65), [], "the query has more than 64 fields"),
        ("GET", "/", [("a b", "c")], "the header 'a b'"),
        ("GET", "/", [("a", "b\r\nc: d")], "the header 'a'"),
        ("GET", "/", [("Host", "a"), ("host", "a")], "more than one Host header"),
        ("POST", "/", [("Content-Length", "3"), ("transfer-encoding", "chunked")], "where its body ends"),
        ("GET", "/", [("Host", "a/b")], "the host 'a/b' is not a host name"),
        ("GET", "http://user@a.example/", [], "the host '...@a.example' is not a host name"),
    ],
)
def test_what_breaks_http_is_a_bad_request(method, target, headers, sentence):
    with pytest.raises(BadRequest) as caught:
        parse(target, headers, method=method)
    assert sentence in str(caught.value)


@given(st.lists(st.sampled_from([*"ab=&%+;?", "%41", "%ff", "%", "sid", "&&", "=="]), max_size=12).map("".join))
def test_a_query_is_read_as_the_standard_library_reads_it(query):
    expected = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    request = parse(f"/?{query}")
    assert request.query == expected
    assert request.query_string == query


def test_a_request_of_a_head_that_is_known_to_be_right_is_the_same():
    headers = (("host", "a.example"), ("cookie", "a=b"), ("cookie", "c=d"), ("origin", "https://b.example"))
    by_name = {"host": "a.example", "cookie": "a=b, c=d", "origin": "https://b.example"}
    target = "/socket.io/?EIO=4&transport=polling"
    for peer, secure in (("192.0.2.1", False), ("::ffff:192.0.2.1", True), ("local", False)):
        parsed = parse_request("GET", target, headers, peer_address=peer, secure=secure)
        made = make_request("GET", target, headers, by_name, peer_address=peer, secure=secure)
        assert made == parsed
        assert made.by_name == parsed.by_name == by_name
        assert made.header("Cookie") == "a=b, c=d"


def test_the_headers_by_name_follow_the_headers():
    request = parse("/", [("Host", "a"), ("X", "1"), ("x", "2")])
    assert request.by_name == {"host": "a", "x": "1, 2"}
    assert request.header_map == request.by_name
    assert request.header_map is not request.by_name
    assert replace(request, headers=(("x", "3"),)).by_name == {"x": "3"}


def test_64_query_fields_are_fine():
    assert len(parse("/?" + "&".join(f"a{n}=" for n in range(64))).query) == 64


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Upgrade", "websocket"), ("Connection", "Upgrade")], True),
        ([("upgrade", "WebSocket"), ("connection", "keep-alive, UPGRADE")], True),
        ([("Upgrade", "h2c, websocket"), ("Connection", "a"), ("Connection", "upgrade")], True),
        ([("Upgrade", "websocket")], False),
        ([("Connection", "Upgrade")], False),
        ([("Upgrade", "h2c"), ("Connection", "Upgrade")], False),
        ([("Upgrade", "websocket"), ("Connection", "not-upgrade")], False),
        ([], False),
    ],
)
def test_a_websocket_upgrade_is_recognised_by_both_headers(headers, expected):
    assert parse("/", headers).is_websocket is expected


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1, fe80::1%eth0, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "[fe80::1%eth0]:4711", "10.0.0.1"),
        ("10.0.0.1", "::1%\x1b[2J ERROR a line of its own", "10.0.0.1"),
        ("10.0.0.1", "::1%" + "x" * 3000, "10.0.0.1"),
        ("fe80::1%eth0", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(peer, forwarded, expected):
    headers = [] if forwarded is None else [("X-Forwarded-For", forwarded)]
    assert parse("/", headers, peer=peer, trusted=["10.0.0.0/8", "::1", "fe80::/10"]).address == expected


@pytest.mark.parametrize(
    ("peer", "trusted", "forwarded", "address", "secure"),
    [
        ("local", ["local"], "203.0.113.9", "203.0.113.9", True),
        ("local", ["local"], "1.1.1.1, 203.0.113.9", "203.0.113.9", True),
        ("local", ["local", "10.0.0.0/8"], "203.0.113.9, 10.0.0.2", "203.0.113.9", True),
        ("local", ["local"], None, "local", True),
        ("local", ["local"], "local, local", "local", True),
        ("local", ["0.0.0.0/0", "::/0"], "203.0.113.9", "local", False),
        ("unknown", ["local", "0.0.0.0/0"], "203.0.113.9", "unknown", False),
        ("192.0.2.1", ["local"], "203.0.113.9", "192.0.2.1", False),
        ("10.0.0.1", ["10.0.0.1", "local"], "203.0.113.9, local", "10.0.0.1", True),
    ],
)
def test_a_proxy_without_an_address_is_trusted_by_the_name_local_alone(peer, trusted, forwarded, address, secure):
    headers = [("X-Forwarded-Proto", "https"), *([("X-Forwarded-For", forwarded)] if forwarded else [])]
    request = parse("/", headers, peer=peer, trusted=trusted)
    assert (request.address, request.secure) == (address, secure)


def test_repeated_forwarded_headers_are_one_list():
    headers = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.9")]
    assert parse("/", headers, peer="10.0.0.1", trusted=["10.0.0.1"]).address == "203.0.113.9"


@pytest.mark.parametrize(
    ("chain", "proto", "secure"),
    [
        ("203.0.113.9", "https", True),
        ("203.0.113.9", "HTTPS", True),
        ("203.0.113.9", "http", False),
        ("203.0.113.9", "gopher", False),
        ("203.0.113.9", "https, http", False),
        ("203.0.113.9, 10.0.0.2", "https, http", True),
        ("203.0.113.9, 10.0.0.2", "https", True),
        (None, "https", True),
    ],
)
def test_the_scheme_is_that_of_the_outermost_trusted_proxy(chain, proto, secure):
    headers = [("X-Forwarded-Proto", proto), *([("X-Forwarded-For", chain)] if chain else [])]
    assert parse("/", headers, peer="10.0.0.1", trusted=["10.0.0.0/8"]).secure is secure
    assert parse("/", headers, peer="192.0.2.1", trusted=["10.0.0.0/8"]).secure is False


@pytest.mark.parametrize(
    ("forwarded", "host"),
    [("a.example", "a.example"), ("evil.example, a.example:8443", "a.example:8443"), ("a/b", "inner"), ("", "inner")],
)
def test_the_host_is_that_which_the_trusted_proxy_was_asked_for(forwarded, host):
    headers = [("Host", "inner"), ("X-Forwarded-Host", forwarded)]
    assert parse("/", headers, peer="10.0.0.1", trusted=["10.0.0.1"]).host == host
    assert parse("/", headers, peer="10.0.0.2", trusted=["10.0.0.1"]).host == "inner"


def test_a_page_behind_a_tls_proxy_is_same_origin_once_the_proxy_is_trusted():
    headers = [("Host", "a.example"), ("X-Forwarded-Proto", "https"), ("Origin", "https://a.example")]
    target = "/socket.io/?EIO=4&transport=polling"
    for trusted, kind in [(["10.0.0.1"], Open), ([], Reject)]:
        config = EngineConfig(trusted_proxies=trusted)
        request = parse_request(
            "GET", target, headers, peer_address="10.0.0.1", secure=False, trusted_proxies=config.proxies
        )
        assert isinstance(admit(request, SESSIONS, config), kind)


FORWARDED = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Host", "Connection"]


@given(
    method=st.sampled_from(["GET", "OPTIONS"]) | st.text(),
    target=st.text() | st.from_regex(r"(https?://)?[!-~]*(\?[!-~]*)?", fullmatch=True),
    headers=st.lists(
        st.tuples(st.sampled_from(FORWARDED) | st.text(), st.text() | st.ip_addresses().map(str)), max_size=5
    ),
    peer=st.ip_addresses().map(str) | st.just("10.0.0.1") | st.text(),
    trusted=st.sampled_from([[], ["10.0.0.1"], ["0.0.0.0/0", "::/0"]]),
)
def test_whatever_comes_is_a_request_or_a_bad_request(method, target, headers, peer, trusted):
    try:
        request = parse(target, headers, method, peer, trusted=trusted)
    except BadRequest as error:
        assert str(error).isprintable()
        return
    assert request.url.isascii()
    assert isinstance(request.is_websocket, bool)
    admit(request, SESSIONS, EngineConfig(trusted_proxies=trusted))
