"""examples/chat.py."""

import pytest
from examples.programs import load
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import ConnectError, open_test_client

chat = load("chat")


async def test_people_hear_each_other_in_their_room_only(autojump_clock):
    server = chat.make_server()
    async with (
        open_test_client(server, auth={"name": "Ada"}) as ada,
        open_test_client(server, auth={"name": "Grace"}) as grace,
        open_test_client(server, auth={"name": "Joan"}) as joan,
    ):
        await ada.call("enter", "lobby")
        await joan.call("enter", "garden")
        assert (await grace.call("enter", "lobby"))["people"] == ["Ada", "Grace"]
        assert (await ada.expect("people")).args == (["Ada"],)
        assert (await ada.expect("people")).args == (["Ada", "Grace"],)
        message = (await ada.call("say", "hello\x00\n"))["message"]
        assert (message["name"], message["text"]) == ("Ada", "hello")
        assert (await grace.expect("message")).args == (message,)
        await grace.emit("typing")
        assert (await ada.expect("typing")).args == ("Grace",)
        await wait_all_tasks_blocked()
        for other in (ada, grace, joan):  # the author has it from the acknowledgement
            assert not [event for event in other.received() if event.name in ("message", "typing")]


async def test_a_newcomer_gets_what_was_said_last(autojump_clock):
    server = chat.make_server()
    async with open_test_client(server, auth={"name": "Ada"}) as ada:
        await ada.call("enter", "kitchen")
        for number in range(chat.HISTORY + 1):
            await ada.call("say", str(number))
        async with open_test_client(server, auth={"name": "Grace"}) as grace:
            history = (await grace.call("enter", "kitchen"))["history"]
    assert [message["text"] for message in history] == [str(number) for number in range(1, chat.HISTORY + 1)]


async def test_who_changes_the_room_or_leaves_is_no_longer_listed(autojump_clock):
    server = chat.make_server()
    async with open_test_client(server, auth={"name": "Ada"}) as ada:
        await ada.call("enter", "lobby")
        async with open_test_client(server, auth={"name": "Grace"}) as grace:
            await grace.call("enter", "lobby")
            ada.received()
            await grace.call("enter", "garden")
            assert (await ada.expect("people")).args == (["Ada"],)
            await ada.call("enter", "garden")
            ada.received()
        assert (await ada.expect("people")).args == (["Ada"],)


@pytest.mark.parametrize("auth", [None, {}, {"name": 7}, {"name": " \x00"}])
async def test_who_has_no_name_is_refused(auth, autojump_clock):
    with pytest.raises(ConnectError, match="Please say your name"):
        async with open_test_client(chat.make_server(), auth=auth):
            pass


async def test_what_makes_no_sense_is_answered_with_an_error(autojump_clock):
    async with open_test_client(chat.make_server(), auth={"name": "Ada"}) as ada:
        assert "error" in await ada.call("say", "to nobody")
        for room in ("cellar", 7, ["lobby"], ada.sid):
            assert "error" in await ada.call("enter", room)
        await ada.call("enter", "lobby")
        for text in ("", 7, None):
            assert "error" in await ada.call("say", text)
        assert len((await ada.call("say", "x" * 5000))["message"]["text"]) == chat.TEXT_LENGTH
