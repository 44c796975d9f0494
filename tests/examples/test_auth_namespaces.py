"""examples/auth_namespaces.py."""

import pytest
from examples.programs import load
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import ConnectError, open_test_client

auth_namespaces = load("auth_namespaces")

ADA, GRACE = {"token": "ada-s3cret"}, {"token": "grace-s3cret"}


async def test_everybody_may_enter_the_root(autojump_clock):
    async with open_test_client(auth_namespaces.make_server()) as anybody:
        assert (await anybody.expect("announcement")).args == ("Everybody may read this.",)


@pytest.mark.parametrize(
    ("namespace", "auth", "message", "data"),
    [
        ("/users", None, "Please log in.", {"code": "unauthenticated"}),
        ("/users", {"token": "guessed"}, "Please log in.", {"code": "unauthenticated"}),
        ("/users", {"token": 7}, "Please log in.", {"code": "unauthenticated"}),
        ("/admin", None, "Please log in.", {"code": "unauthenticated"}),
        ("/admin", GRACE, "Grace is no admin.", {"code": "forbidden", "needs": "admin"}),
    ],
)
async def test_who_is_refused_learns_why(namespace, auth, message, data, autojump_clock):
    async with open_test_client(auth_namespaces.make_server()) as client:
        with pytest.raises(ConnectError) as refused:
            await client.connect(namespace, auth=auth)
        assert (refused.value.message, refused.value.data) == (message, data)
        assert client.connected  # the others are not touched


async def test_users_talk_among_each_other(autojump_clock):
    server = auth_namespaces.make_server()
    async with (
        open_test_client(server) as anybody,
        open_test_client(server, "/users", GRACE) as grace,
        open_test_client(server, "/users", ADA) as ada,
    ):
        await ada.emit("say", "hello")
        assert (await grace.expect("said")).args == ("Ada", "hello")
        await wait_all_tasks_blocked()
        assert [event.name for event in anybody.received()] == ["announcement"]


async def test_an_administrator_announces_and_throws_out(autojump_clock):
    server = auth_namespaces.make_server()
    async with open_test_client(server) as anybody, open_test_client(server, "/users", GRACE) as grace:
        await anybody.expect("announcement")
        async with open_test_client(server, "/admin", ADA) as ada:
            assert await ada.call("announce", "tea is ready") == 1
            assert (await anybody.expect("announcement")).args == ("tea is ready",)
            assert await ada.call("throw out", "Grace") == 1
            assert await grace.wait_disconnected() == "io server disconnect"
            await wait_all_tasks_blocked()
            assert await ada.call("throw out", "Grace") == 0
