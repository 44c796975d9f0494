from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.engine.config import EngineConfig
from trio_socketio.engine.origins import Verdict, allowed_origin, cors_headers, preflight_headers
from trio_socketio.engine.request import Request


def request_from(origin, host="127.0.0.1:3000", *, secure=False, **more):
    headers = [("host", host)] if host else []
    if origin is not None:
        headers.append(("origin", origin))
    headers += [(name.replace("_", "-"), value) for name, value in more.items()]
    return Request("GET", "/socket.io/", "", {}, tuple(headers), "10.0.0.1", secure, host)


def only_a(origin):
    return origin == "https://a.example"


LIST = ["https://a.example", "http://b.example:8080"]


@pytest.mark.parametrize(
    ("allowed", "origin", "host", "secure", "expected"),
    [
        (None, None, "127.0.0.1:3000", False, True),
        (None, "http://127.0.0.1:3000", "127.0.0.1:3000", False, True),
        (None, "http://localhost:3000", "127.0.0.1:3000", False, False),
        (None, "http://127.0.0.1:3001", "127.0.0.1:3000", False, False),
        (None, "https://127.0.0.1:3000", "127.0.0.1:3000", False, False),
        (None, "http://a.example", "a.example:80", False, True),
        (None, "http://a.example:80", "A.EXAMPLE", False, True),
        (None, "https://a.example", "a.example:443", True, True),
        (None, "https://a.example", "a.example", True, True),
        (None, "http://a.example", "a.example", True, False),
        (None, "http://[::1]:3000", "[::1]:3000", False, True),
        (None, "https://a.example.evil.example", "a.example", True, False),
        (None, "https://evil.example", "a.example", True, False),
        (None, "null", "a.example", True, False),
        (None, "http://a.example", "", False, False),
        (None, "file://", "", False, False),
        ("*", "https://evil.example", "a.example", True, True),
        ("*", "null", "a.example", True, True),
        ("*", "no origin at all", "a.example", True, False),
        ("https://a.example", "https://a.example", "c.example", True, True),
        ("https://a.example", "https://A.example:443", "c.example", True, True),
        ("https://a.example", "https://c.example", "c.example", True, False),
        (LIST, "http://b.example:8080", "c.example", False, True),
        (LIST, "http://b.example", "c.example", False, False),
        (LIST, "https://a.example:8443", "c.example", False, False),
        (LIST, "null", "c.example", False, False),
        (LIST, None, "c.example", False, True),
        (only_a, "https://a.example", "c.example", True, True),
        (only_a, "https://c.example", "c.example", True, False),
        (only_a, None, "c.example", True, True),
        (lambda origin: origin == "null", "null", "c.example", True, True),
        (lambda origin: True, "https://a.example, https://b.example", "c.example", True, False),
        (lambda origin: "yes", "https://a.example", "c.example", True, False),
        ("capacitor://localhost", "capacitor://localhost", "c.example", True, True),
    ],
)
def test_an_origin_is_judged_by_the_option(allowed, origin, host, secure, expected):
    verdict = allowed_origin(request_from(origin, host, secure=secure), EngineConfig(cors_allowed_origins=allowed))
    assert verdict.allowed is expected
    assert (verdict.log is None) is expected
    assert verdict.origin == (origin if expected else None)


@pytest.mark.parametrize(
    ("allowed", "origin", "sentence"),
    [
        (
            None,
            "https://a.example",
            (
                "refused origin 'https://a.example' for http://127.0.0.1:3000: to allow it, "
                'pass cors_allowed_origins="https://a.example" (or a list with it)'
            ),
        ),
        (LIST, "https://c.example", 'to allow it, add "https://c.example" to cors_allowed_origins'),
        (None, "null", "pass a function as cors_allowed_origins that accepts 'null'"),
        (None, "https://127.0.0.1:3000", "name its address in trusted_proxies instead"),
        (None, "http://a\r\nX: y", r"refused the Origin header 'http://a\r\nX: y': it is not an origin"),
        (None, "x" * 5000, "'" + "x" * 100 + "': it is not an origin"),
        (only_a, "https://c.example", "the function cors_allowed_origins declined it"),
        (lambda origin: 1, "https://c.example", "declined it with int where True or False is expected"),
    ],
)
def test_a_refusal_says_what_to_set(allowed, origin, sentence):
    verdict = allowed_origin(request_from(origin), EngineConfig(cors_allowed_origins=allowed))
    assert verdict.log is not None and sentence in verdict.log


def test_a_page_of_a_proxy_on_a_unix_socket_is_told_how_that_is_named():
    request = replace(request_from("https://127.0.0.1:3000"), address="local")
    verdict = allowed_origin(request, EngineConfig())
    assert verdict.log is not None and 'name "local" in trusted_proxies instead' in verdict.log


def test_what_a_function_raises_is_not_hidden():
    def broken(origin):
        raise LookupError(origin)

    with pytest.raises(LookupError):
        allowed_origin(request_from("https://a.example"), EngineConfig(cors_allowed_origins=broken))


@pytest.mark.parametrize(
    ("allowed", "credentials", "expected"),
    [
        (
            "*",
            True,
            {
                "Access-Control-Allow-Origin": "https://a.example",
                "Vary": "Origin",
                "Access-Control-Allow-Credentials": "true",
            },
        ),
        ("*", False, {"Access-Control-Allow-Origin": "*"}),
        (LIST, False, {"Access-Control-Allow-Origin": "https://a.example", "Vary": "Origin"}),
    ],
)
def test_the_headers_name_the_origin(allowed, credentials, expected):
    config = EngineConfig(cors_allowed_origins=allowed, cors_credentials=credentials)
    verdict = allowed_origin(request_from("https://a.example"), config)
    assert dict(cors_headers(verdict, config)) == expected


def test_a_same_origin_request_gets_the_headers_too():
    config = EngineConfig()
    verdict = allowed_origin(request_from("http://127.0.0.1:3000"), config)
    assert ("Access-Control-Allow-Origin", "http://127.0.0.1:3000") in cors_headers(verdict, config)


@pytest.mark.parametrize("verdict", [Verdict(allowed=True), Verdict(allowed=False, log="refused")])
def test_without_an_allowed_origin_there_are_no_headers(verdict):
    config = EngineConfig()
    assert cors_headers(verdict, config) == ()
    assert preflight_headers(verdict, request_from(None), config) == ()


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (None, None),
        ("content-type", "content-type"),
        ("content-type,x-token", "content-type, x-token"),
        ("", None),
        ("a b", None),
        ("a,,b", None),
        ("a\r\nX: y", None),
        ("x" * 2000, None),
    ],
)
def test_a_preflight_echoes_the_headers_that_are_tokens(requested, expected):
    config = EngineConfig(cors_allowed_origins="*")
    more = {} if requested is None else {"access_control_request_headers": requested}
    request = request_from("https://a.example", **more)
    headers = dict(preflight_headers(allowed_origin(request, config), request, config))
    assert headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert headers["Access-Control-Max-Age"] == "600"
    assert headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert headers.get("Access-Control-Allow-Headers") == expected


@given(
    st.text() | st.from_regex(r"https?://[ -~\r\n]*", fullmatch=True),
    st.text(),
    st.sampled_from([None, "*", ("https://a.example",), lambda origin: True]),
)
def test_no_origin_can_inject_a_header_or_a_log_line(origin, requested, allowed):
    config = EngineConfig(cors_allowed_origins=allowed)
    request = request_from(origin, access_control_request_headers=requested)
    verdict = allowed_origin(request, config)
    for _, value in preflight_headers(verdict, request, config):
        assert value.isascii() and value.isprintable()
    assert verdict.allowed or (verdict.log is not None and verdict.log.isprintable() and len(verdict.log) < 2000)
