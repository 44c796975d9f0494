"""docs/authentication.md: each recipe lets in whom it should, and nobody else."""

import re
from pathlib import Path

import pytest
import trio

from trio_socketio import ConnectionRefused, Request
from trio_socketio.testing import ConnectError, HandshakeRefused, open_test_client, serve_in_memory

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "authentication.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run_block(part):
    (text,) = [block for block in BLOCKS if part in block]
    found = {"__name__": "authentication"}
    exec(compile(text, "docs/authentication.md", "exec"), found)
    return found


def test_every_block_is_played_below():
    parts = ["TOKENS =", "def expire", "SimpleCookie", "require(", "allow_request"]
    assert len(BLOCKS) == len(parts)
    for part in parts:
        run_block(part)


WRONG = [
    None,
    {},
    {"token": None},
    {"token": 1},
    {"token": ["t0ken-0f-ada"]},
    {"token": "t0ken-0f-adb"},
    {"token": "é"},
]


@pytest.mark.parametrize("auth", WRONG)
async def test_a_token_that_is_wrong_is_refused(autojump_clock, auth):
    server = run_block("TOKENS =")["server"]
    with pytest.raises(ConnectError) as refused:
        async with open_test_client(server, auth=auth):
            pass
    assert (refused.value.message, refused.value.data) == ("Please log in.", {"code": "login"})


async def test_a_token_tells_who_it_is(autojump_clock):
    server = run_block("TOKENS =")["server"]
    async with open_test_client(server, auth={"token": "t0ken-0f-bert"}) as client:
        assert await client.call("whoami") == "bert"


async def test_a_connection_ends_with_its_token(autojump_clock):
    server = run_block("def expire")["server"]
    async with open_test_client(server, auth={"token": "a token"}) as client:
        begun = trio.current_time()
        await client.expect("expired", timeout=4000)
        await client.wait_disconnected()
        assert trio.current_time() - begun == pytest.approx(3600, abs=10)
    with pytest.raises(ConnectError):
        async with open_test_client(server):
            pass


async def test_who_has_logged_in_over_http_is_known(autojump_clock):
    server = run_block("SimpleCookie")["server"]
    async with serve_in_memory(server), open_test_client(server, connect=False) as web:
        for headers in [{}, {"cookie": "login=forged"}, {"cookie": 'login="'}]:
            assert (await web.request("GET", "/me", headers=headers)).text == "nobody"
            with pytest.raises(ConnectError, match="Please log in"):
                async with open_test_client(server, headers=headers):
                    pass
        answer = await web.request("POST", "/login")
        assert {"HttpOnly", "SameSite=Lax"} <= set(answer.headers["set-cookie"].split("; "))
        ours = {"cookie": answer.headers["set-cookie"].split(";")[0]}
        assert (await web.request("GET", "/me", headers=ours)).text == "ada"
        async with open_test_client(server, headers=ours) as one, open_test_client(server, headers=ours) as other:
            await server.emit("hello", to="user:ada")
            for window in (one, other):
                await window.expect("hello")
            assert (await web.request("POST", "/logout", headers=ours)).status == 204
            for window in (one, other):
                await window.wait_disconnected()
        with pytest.raises(ConnectError):
            async with open_test_client(server, headers=ours):
                pass


async def test_each_namespace_checks_for_itself(autojump_clock):
    server = run_block("require(")["server"]
    async with open_test_client(server, auth={"token": "t0ken-0f-bert"}) as client:
        with pytest.raises(ConnectError) as refused:
            await client.connect("/admin", {"token": "t0ken-0f-bert"})
        assert refused.value.data == {"code": "forbidden", "needs": "admin"}
        await client.connect("/admin", {"token": "t0ken-0f-ada"})
    for wrong in (None, {"token": {}}, {"token": "x"}):
        with pytest.raises(ConnectError):
            async with open_test_client(server, auth=wrong):
                pass


async def test_a_request_is_refused_before_there_is_a_session(autojump_clock):
    block = run_block("allow_request")
    async with open_test_client(block["server"], headers={"x-api-key": "k3y"}):
        pass
    with pytest.raises(HandshakeRefused) as refused:
        async with open_test_client(block["server"]):
            pass
    assert refused.value.status == 403
    assert "API key" not in refused.value.message
    banned = Request("GET", "/socket.io/", "", {}, (("x-api-key", "k3y"),), "203.0.113.7", secure=False, host="x")
    with pytest.raises(ConnectionRefused, match="banned"):
        await block["allow_request"](banned)


def test_every_link_leads_somewhere():
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("http")]
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)
