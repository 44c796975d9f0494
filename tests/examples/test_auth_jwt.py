"""examples/auth_jwt.py."""

import base64
import json
import time

import pytest
import trio
from examples.programs import load

from trio_socketio.testing import ConnectError, open_test_client, request, serve_in_memory

auth_jwt = load("auth_jwt")

KEY = b"k" * 32


def token(seconds=20.0, key=KEY, **claims):
    return auth_jwt.make_token({"sub": "ada", "exp": time.time() + seconds, **claims}, key)


def test_a_token_of_the_specification_is_understood():
    """RFC 7515, appendix A.1, whose claims have no `sub` and have expired; its signature is right."""
    key = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y"
        "b290Ijp0cnVlfQ"
    )
    assert auth_jwt.to_base64url(auth_jwt.signature_of(text, key)) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


async def test_a_token_lets_in_until_it_expires(autojump_clock):
    async with open_test_client(auth_jwt.make_server(KEY), auth={"token": token(20)}) as ada:
        user, left = (await ada.expect("welcome")).args
        assert (user, left) == ("ada", pytest.approx(20, abs=1))
        assert await ada.call("whoami") == "ada"
        before = trio.current_time()
        await ada.expect("expired", timeout=60)
        assert await ada.wait_disconnected() == "io server disconnect"
        assert trio.current_time() - before == pytest.approx(20, abs=1)


async def test_a_newer_token_prolongs_the_connection(autojump_clock):
    async with open_test_client(auth_jwt.make_server(KEY), auth={"token": token(20)}) as ada:
        before = trio.current_time()
        await trio.sleep(15)
        assert (await ada.call("renew", token(100)))["left"] == pytest.approx(100, abs=1)
        await ada.expect("expired", timeout=200)
        assert trio.current_time() - before == pytest.approx(115, abs=1)


async def test_only_a_valid_token_of_the_same_user_prolongs_it(autojump_clock):
    async with open_test_client(auth_jwt.make_server(KEY), auth={"token": token(20)}) as ada:
        before = trio.current_time()
        assert await ada.call("renew", token(100, sub="grace")) == {"error": "That is somebody else's token."}
        assert await ada.call("renew", token(-1)) == {"error": "The token has expired."}
        assert await ada.call("whoami") == "ada"
        await ada.expect("expired", timeout=60)
        assert trio.current_time() - before == pytest.approx(20, abs=1)


def unsigned(header, claims):
    parts = [auth_jwt.to_base64url(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, ""])


def signed(header, claims, key=KEY):
    text = unsigned(header, claims)[:-1]
    return f"{text}.{auth_jwt.to_base64url(auth_jwt.signature_of(text, key))}"


GOOD = {"sub": "ada", "exp": 4e9}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (None, "There is no token."),
        (7, "There is no token."),
        ("a.b", "There is no token."),
        ("a.b.c", "That is no token."),
        ("é.é.é", "That is no token."),
        (token(key=b"another"), "The token is not ours."),
        (token(-1), "The token has expired."),
        (unsigned({"alg": "none"}, GOOD), "The token is not ours."),
        (signed({"alg": "none"}, GOOD), "The token is not ours."),
        (signed({"alg": "HS512"}, GOOD), "The token is not ours."),
        (signed([], GOOD), "That is no token."),
        (signed({"alg": "HS256"}, []), "The token is not ours."),
        (signed({"alg": "HS256"}, {"sub": "ada"}), "The token does not say whose it is, or until when."),
        (signed({"alg": "HS256"}, {"sub": 7, "exp": 4e9}), "The token does not say whose it is, or until when."),
        (signed({"alg": "HS256"}, {"sub": "ada", "exp": float("nan")}), "The token has expired."),
    ],
)
async def test_anything_else_is_refused_with_a_reason(bad, why, autojump_clock):
    with pytest.raises(ConnectError) as refused:
        async with open_test_client(auth_jwt.make_server(KEY), auth={"token": bad}):
            pass
    assert (refused.value.message, refused.value.data) == (why, {"code": "invalid_token"})


async def test_the_login_hands_out_tokens(autojump_clock):
    server = auth_jwt.make_server(KEY)
    async with serve_in_memory(server):
        response = await request(server, "POST", "/token")
        async with open_test_client(server, auth={"token": response.text}) as ada:
            assert await ada.call("whoami") == "ada"
