"""examples/auth_cookies.py, in real time: passwords and files keep threads busy, for which a clock that jumps does not wait."""

import time

import pytest
from examples.programs import load
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import ConnectError, open_test_client, request, serve_in_memory

auth_cookies = load("auth_cookies")


async def log_in(server, name, password):
    """The answer to a login, and the header with the cookie that it sets."""
    response = await request(server, "POST", "/login", body=f"name={name}&password={password}".encode())
    return response, {"cookie": response.headers.get("set-cookie", "").split(";")[0]}


async def test_who_has_logged_in_is_known_to_both():
    server = auth_cookies.make_server()
    async with serve_in_memory(server):
        response, cookie = await log_in(server, "ada", "engine")
        assert response.status == 204
        assert "HttpOnly" in response.headers["set-cookie"]
        assert "SameSite=Lax" in response.headers["set-cookie"]
        assert (await request(server, "GET", "/me", headers=cookie)).text == "ada"
        async with open_test_client(server, headers=cookie) as ada:
            assert (await ada.expect("welcome")).args == ("ada",)


@pytest.mark.parametrize(("name", "password"), [("ada", "compiler"), ("root", "engine"), ("", "")])
async def test_a_wrong_login_gets_no_cookie(name, password):
    server = auth_cookies.make_server()
    async with serve_in_memory(server):
        response, _ = await log_in(server, name, password)
        assert response.status == 403
        assert "set-cookie" not in response.headers


async def test_a_forged_or_expired_cookie_lets_nobody_in():
    server = auth_cookies.make_server()
    other = auth_cookies.Signer(b"another key")
    async with serve_in_memory(server):
        _, cookie = await log_in(server, "ada", "engine")
        forged = cookie["cookie"].replace("ada", "grace")
        values = [
            "",
            "login=",
            "login=.",
            forged,
            f"login={other.sign('ada', int(time.time()) + 60)}",
            'login="\\303\\244.1.2"',
        ]
        for value in values:
            assert (await request(server, "GET", "/me", headers={"cookie": value})).text == ""
            with pytest.raises(ConnectError) as refused:
                async with open_test_client(server, headers={"cookie": value}):
                    pass
            assert (refused.value.message, refused.value.data) == ("Please log in.", {"login": "/login"})


def test_a_signature_expires():
    signer = auth_cookies.Signer(b"key")
    now = int(time.time())
    assert signer.verify(signer.sign("ada.b", now + 60)) == "ada.b"
    assert signer.verify(signer.sign("ada", now - 1)) is None


async def test_logging_out_ends_the_connections_of_this_user():
    server = auth_cookies.make_server()
    async with serve_in_memory(server):
        _, ada_cookie = await log_in(server, "ada", "engine")
        _, grace_cookie = await log_in(server, "grace", "compiler")
        async with (
            open_test_client(server, headers=ada_cookie) as ada,
            open_test_client(server, headers=grace_cookie) as grace,
        ):
            response = await request(server, "POST", "/logout", headers=ada_cookie)
            assert "Max-Age=0" in response.headers["set-cookie"]
            assert await ada.wait_disconnected() == "io server disconnect"
            assert grace.connected
            assert (await grace.expect("welcome")).args == ("grace",)


async def test_a_note_reaches_the_windows_of_its_author_alone():
    server = auth_cookies.make_server()
    async with serve_in_memory(server):
        _, ada_cookie = await log_in(server, "ada", "engine")
        _, grace_cookie = await log_in(server, "grace", "compiler")
        async with (
            open_test_client(server, headers=ada_cookie) as one,
            open_test_client(server, headers=ada_cookie) as two,
            open_test_client(server, headers=grace_cookie) as grace,
        ):
            await one.emit("note", "mine")
            for window in (one, two):
                assert (await window.expect("note")).args == ("mine",)
            await wait_all_tasks_blocked()
            assert [event.name for event in grace.received()] == ["welcome"]


async def test_the_pages_are_served_beside_the_login():
    server = auth_cookies.make_server()
    async with serve_in_memory(server):
        assert (await request(server, "GET", "/auth_cookies.html")).status == 200
