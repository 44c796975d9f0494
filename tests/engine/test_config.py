from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.engine.config import EngineConfig, Transport, normalise_origin
from trio_socketio.engine.proxies import TrustedProxies


def test_the_defaults_are_those_of_the_reference_server():
    config = EngineConfig()
    assert (config.ping_interval, config.ping_timeout, config.upgrade_timeout) == (25, 20, 10)
    assert (config.max_payload, config.max_packets_per_poll, config.path) == (1_000_000, 16, "/socket.io/")
    assert config.transports == (Transport.POLLING, Transport.WEBSOCKET)
    assert config.allow_upgrades and config.cors_credentials
    assert config.cors_allowed_origins is None and config.cookie is None and not config.proxies


def test_a_config_can_be_copied_with_a_change_and_compared():
    config = EngineConfig(
        cors_allowed_origins=["https://a.example"], trusted_proxies=["10.0.0.0/8"], cookie={"name": "io"}
    )
    copy = replace(config, ping_interval=1)
    assert copy.proxies == config.proxies and copy.origin_set == config.origin_set
    assert copy != config and replace(copy, ping_interval=config.ping_interval) == config


def test_a_config_can_be_a_key():
    assert len({EngineConfig(cookie="io"), EngineConfig(cookie="io"), EngineConfig(cookie={"name": "io"})}) == 2


def test_transports_are_stored_as_members():
    assert EngineConfig(transports=["websocket"]).transports == (Transport.WEBSOCKET,)


@pytest.mark.parametrize("path", ["/engine.io", "/engine.io/"])
def test_the_path_is_stored_with_a_trailing_slash(path):
    assert EngineConfig(path=path).path == "/engine.io/"


def test_origins_are_normalised_and_may_come_from_a_generator():
    config = EngineConfig(cors_allowed_origins=(name for name in ["HTTPS://A.example:443", "http://b.example:8080"]))
    assert config.origin_set == {"https://a.example", "http://b.example:8080"}
    assert config.cors_allowed_origins == ("https://a.example", "http://b.example:8080")


def test_proxies_are_addresses_and_networks():
    proxies = ["10.0.0.1", "192.168.0.0/16", "::1", ip_address("10.9.9.9"), ip_network("fd00::/8")]
    expected = ["10.0.0.1/32", "192.168.0.0/16", "::1/128", "10.9.9.9/32", "fd00::/8"]
    parsed = EngineConfig(trusted_proxies=proxies).proxies
    assert ([str(network) for network in parsed.networks], parsed.local) == (expected, False)
    assert EngineConfig(trusted_proxies=("local",)).proxies == TrustedProxies(local=True)
    assert EngineConfig(trusted_proxies=("local", "10.0.0.1")).trusted_proxies == ("local", "10.0.0.1")


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (None, None),
        ("io", "io=SID; Path=/; HttpOnly; SameSite=Lax"),
        ({"name": "io"}, "io=SID; Path=/; HttpOnly; SameSite=Lax"),
        ({"name": "io", "secure": True}, "io=SID; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({"name": "io", "httpOnly": False, "sameSite": None}, "io=SID; Path=/"),
        ({"name": "io", "path": False, "http_only": False, "SameSite": False}, "io=SID"),
        ({"name": "io", "path": "/chat", "maxAge": 60}, "io=SID; Path=/chat; HttpOnly; SameSite=Lax; Max-Age=60"),
        (
            {"name": "io", "same_site": "none", "secure": True, "Partitioned": True, "domain": "a.example"},
            "io=SID; Path=/; HttpOnly; SameSite=None; Secure; Partitioned; Domain=a.example",
        ),
        ({"name": "io", "max-age": 0, "domain": None}, "io=SID; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
    ],
)
def test_the_cookie_carries_the_sid_and_its_attributes(cookie, expected):
    assert EngineConfig(cookie=cookie).cookie_header("SID") == expected


def test_a_cookie_does_not_change_with_the_mapping_it_came_from():
    attributes = {"name": "io"}
    config = EngineConfig(cookie=attributes)
    attributes["name"] = "other"
    assert config.cookie == {"name": "io"} and config.cookie_header("x") == "io=x; Path=/; HttpOnly; SameSite=Lax"


async def answer_later(origin):
    return True


class AnswersLater:
    async def __call__(self, origin):
        return True


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"ping_interval": 0}, ValueError, "ping_interval is 0; it must be from 0.001"),
        ({"ping_timeout": -1}, ValueError, "ping_timeout is -1;"),
        ({"ping_interval": float("nan")}, ValueError, "ping_interval is nan;"),
        ({"upgrade_timeout": float("inf")}, ValueError, "upgrade_timeout is inf;"),
        ({"upgrade_timeout": 10**400}, ValueError, "upgrade_timeout is 1000"),
        ({"ping_interval": "25"}, TypeError, "ping_interval must be a number of seconds, not '25'"),
        ({"ping_timeout": True}, TypeError, "ping_timeout must be a number of seconds, not True"),
        ({"ping_interval": 2e6, "ping_timeout": 2e6}, ValueError, "4e+06 s together; JavaScript clients can wait"),
        ({"max_payload": 0}, ValueError, "max_payload is 0; it must be at least 1"),
        ({"max_payload": 1e6}, TypeError, "max_payload must be a whole number, not 1000000.0"),
        ({"max_buffered_bytes": None}, TypeError, "max_buffered_bytes must be a whole number, not None"),
        ({"max_buffered_packets": -4}, ValueError, "max_buffered_packets is -4"),
        ({"max_packets_per_poll": False}, TypeError, "max_packets_per_poll must be a whole number, not False"),
        ({"allow_upgrades": 1}, TypeError, "allow_upgrades must be True or False, not 1"),
        ({"cors_credentials": "no"}, TypeError, "cors_credentials must be True or False, not 'no'"),
        ({"transports": ()}, ValueError, 'transports is empty; name at least one of "polling", "websocket"'),
        ({"transports": ["sse"]}, ValueError, "transports holds 'sse'; what can be served is"),
        ({"transports": ["polling", 3]}, ValueError, "transports holds 3;"),
        ({"transports": [["polling"]]}, ValueError, "transports holds ['polling'];"),
        ({"transports": "polling"}, TypeError, "transports must be several values, such as"),
        ({"transports": ["polling", "polling"]}, ValueError, "transports names one twice"),
        ({"path": "socket.io"}, ValueError, "path is 'socket.io'; it must begin with a slash: '/socket.io'"),
        ({"path": "/a b"}, ValueError, "path is '/a b'; it must be printable ASCII"),
        ({"path": "/a?b"}, ValueError, "path is '/a?b'; it must be printable ASCII"),
        ({"path": b"/a"}, TypeError, "path must be a string, not b'/a'"),
        ({"cors_allowed_origins": "example.com"}, ValueError, 'which has no scheme: write "https://example.com"'),
        ({"cors_allowed_origins": "localhost:3000"}, ValueError, 'write "https://localhost:3000"'),
        ({"cors_allowed_origins": ["https://a.example/"]}, ValueError, 'write "https://a.example"'),
        ({"cors_allowed_origins": "https://a.example/app?x"}, ValueError, 'write "https://a.example"'),
        ({"cors_allowed_origins": ["https://a.example", "*"]}, ValueError, 'pass "*" alone'),
        ({"cors_allowed_origins": "https://*.a.example"}, ValueError, "patterns are not supported, pass a function"),
        ({"cors_allowed_origins": ["null"]}, ValueError, 'holds "null", the origin of any sandboxed page'),
        ({"cors_allowed_origins": []}, ValueError, "cors_allowed_origins is empty"),
        ({"cors_allowed_origins": [None]}, TypeError, "cors_allowed_origins holds None; each origin must be a string"),
        ({"cors_allowed_origins": 5}, TypeError, "cors_allowed_origins must be None"),
        ({"cors_allowed_origins": b"*"}, TypeError, "cors_allowed_origins must be None"),
        ({"cors_allowed_origins": "https://a\r\nX: y"}, ValueError, "which is no origin"),
        ({"cors_allowed_origins": "https://a.example:99999"}, ValueError, "which is no origin"),
        ({"cors_allowed_origins": answer_later}, TypeError, "is an async function"),
        ({"cors_allowed_origins": partial(answer_later)}, TypeError, "it must be a plain one"),
        ({"cors_allowed_origins": AnswersLater()}, TypeError, "it must be a plain one"),
        ({"trusted_proxies": "10.0.0.1"}, TypeError, "such as (\"10.0.0.1\",), not '10.0.0.1'"),
        ({"trusted_proxies": ["*"]}, ValueError, "trusted_proxies holds '*', which is neither"),
        ({"trusted_proxies": "local"}, TypeError, "such as (\"10.0.0.1\",), not 'local'"),
        ({"trusted_proxies": ["proxy.local"]}, ValueError, "trusted_proxies holds 'proxy.local', which is neither"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, ValueError, 'write "10.0.0.0/8" to trust all of it'),
        ({"trusted_proxies": [5]}, TypeError, "trusted_proxies holds 5; each must be"),
        ({"cookie": ""}, ValueError, "cookie has the name ''"),
        ({"cookie": "a b"}, ValueError, "cookie has the name 'a b'"),
        ({"cookie": "io\r\nSet-Cookie: x"}, ValueError, "cookie has the name"),
        ({"cookie": {"path": "/"}}, ValueError, "cookie has the name None"),
        ({"cookie": True}, TypeError, "cookie must be None, a name, or a mapping"),
        ({"cookie": {"name": "io", "path": "/\r\nX: y"}}, ValueError, "printable ASCII without a semicolon"),
        ({"cookie": {"name": "io", "domain": "a; Secure"}}, ValueError, "printable ASCII without a semicolon"),
        ({"cookie": {"name": "io", "path": True}}, TypeError, "cookie has path=True; it must be a string"),
        ({"cookie": {"name": "io", "secure": "yes"}}, TypeError, "cookie has secure='yes'; it must be True or False"),
        ({"cookie": {"name": "io", "max_age": "60"}}, TypeError, "must be a whole number of seconds"),
        (
            {"cookie": {"name": "io", "colour": "red"}},
            ValueError,
            "unknown attribute 'colour'; known are name, max_age",
        ),
        ({"cookie": {"name": "io", "same_site": "maybe"}}, ValueError, 'it must be "Strict", "Lax" or "None"'),
        ({"cookie": {"name": "io", "same_site": "None"}}, ValueError, "only together with secure=True"),
    ],
)
def test_a_wrong_option_is_refused_with_a_sentence(options, error, sentence):
    with pytest.raises(error) as caught:
        EngineConfig(**options)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://A.Example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("http://a.example:03000", "http://a.example:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("file://", "file://"),
        ("http://", None),
        ("file://:80", None),
        ("null", None),
        ("", None),
        ("https://a.example/", None),
        ("https://user@a.example", None),
        ("https://a.example, https://b.example", None),
        ("https://a.example\n", None),
        ("https://\u212a.example", None),
        ("http://a.example:65536", None),
    ],
)
def test_an_origin_has_one_form_for_comparison(origin, expected):
    assert normalise_origin(origin) == expected


@given(st.text() | st.from_regex(r"https?://[a-zA-Z0-9.]*(:[0-9]*)?/?", fullmatch=True))
def test_normalising_an_origin_never_fails_and_is_stable(text):
    once = normalise_origin(text)
    assert once is None or (normalise_origin(once) == once and once.isprintable())
