"""Connecting, events, acknowledgements, bytes, rooms and leaving, as the Python client does them."""

import asyncio
import hashlib
import os
from typing import Any

import socketio
from harness import MODE, Peer, check, connected, run, server_reason, until

MAX_PAYLOAD = 1_000_000
BYTES = bytes([0, 1, 2, 0x1E, 0x62, 127, 128, 254, 255])
VALUES: list[Any] = [
    None,
    [True, False],
    [0, -1, 1.5, 1e-7, 1e21, 2**53 - 1, -(2**53 - 1)],
    "",
    [{}, [], [[]], [{}]],
    {"a": [{"b": {"c": [1, [2, [3, {"d": None}]]]}}]},
    "äöüß 日本語 العربية",
    "🙂 👩‍👩‍👧‍👦 🏳️‍🌈",
    "a\u2028b\u2029c",
    "\x00\x01\x1e\x1f\x7f\r\n\t",
    "\"'\\ \\u0041 </script>",
    {"": 1, "ключ": 3, "🙂": 4, "a b": 5},
    ['42["x"]', "451-", "2probe", "b64"],
]


async def group(count: int, *namespaces: str) -> list[Peer]:
    return [await connected(*namespaces) for _ in range(count)]


async def heard(*listeners: Peer, namespace: str = "/") -> list[list[Any]]:
    """What was said to each of the clients since the last time, once everything on its way has arrived."""
    result = []
    for peer in listeners:
        await peer.call("echo", "flush", namespace=namespace)
        result.append([args[0] if len(args) == 1 else args for args in peer.got("said", namespace)])
        peer.seen = [entry for entry in peer.seen if entry[:2] != (namespace, "said")]
    return result


async def refusal(peer: Peer, *namespaces: str, **options: Any) -> Any:
    """The data of the connect error that a client gets who must not connect."""
    try:
        await peer.connect(*namespaces, **options)
    except socketio.exceptions.ConnectionError:
        ((data,),) = peer.got("connect_error", namespaces[0] if namespaces else "/")
        return data
    raise AssertionError("the connection was accepted")


@check
async def auth_reaches_the_connect_handler() -> None:
    peer = await connected(auth={"token": "abc", "nested": {"list": [1, None, "ü"]}})
    ((welcome,),) = await peer.wait("welcome")
    assert welcome["auth"] == {"token": "abc", "nested": {"list": [1, None, "ü"]}}
    assert welcome["sid"] == peer.sid() != peer.client.eio.sid
    assert [what for _, what, _ in peer.seen] == ["connect", "welcome"]


@check
async def a_client_without_auth_is_welcome() -> None:
    ((welcome,),) = await (await connected()).wait("welcome")
    assert not welcome["auth"]


@check
async def the_transport_has_the_name_that_the_client_asked_for() -> None:
    peer = await connected()
    expected = "polling" if MODE == "polling" else "websocket"
    assert peer.client.transport() == expected
    assert await peer.call("transport") == expected


@check
async def a_refusal_carries_its_message_and_its_data() -> None:
    error = await refusal(Peer(), auth={"refuse": "data"})
    assert error == {"message": "not authorized", "data": {"code": 401, "hints": ["log in", "ask again"]}}
    assert await refusal(Peer(), auth={"refuse": "message"}) == {"message": "not today"}
    assert await refusal(Peer(), auth={"refuse": "false"}) == {"message": "Connection rejected by server"}
    assert await refusal(Peer(), auth={"refuse": "error"}) == {"message": "Internal server error"}


@check
async def a_refused_client_can_try_again() -> None:
    peer = Peer()
    await refusal(peer, auth={"refuse": "data"})
    await peer.connect(auth={"token": "better"})
    ((welcome,),) = await peer.wait("welcome")
    assert welcome["auth"] == {"token": "better"}


@check
async def the_middleware_of_a_namespace_refuses_and_admits() -> None:
    error = await refusal(Peer(), "/guarded", auth={"token": "wrong"})
    assert error == {"message": "the middleware refused", "data": {"by": "guard"}}
    await connected("/guarded", auth={"token": "let me in"})


@check
async def a_custom_namespace_has_its_own_handlers() -> None:
    peer = await connected("/custom", "/room-7", auth={"token": "for both"})
    for namespace in ("/custom", "/room-7"):
        ((welcome,),) = await peer.wait("welcome", namespace=namespace)
        assert (welcome["namespace"], welcome["auth"]) == (namespace, {"token": "for both"})
        assert await peer.call("echo", "x", namespace=namespace) == "x"
    assert peer.sid("/custom") != peer.sid("/room-7")


@check
async def an_unknown_namespace_is_refused() -> None:
    assert await refusal(Peer(), "/nobody-serves-this") == {"message": "Invalid namespace"}


@check
async def query_and_headers_reach_the_handshake() -> None:
    peer = await connected(query="?language=fran%C3%A7ais&plus=a%2Bb+%26", headers={"X-Test": "the header's value"})
    ((welcome,),) = await peer.wait("welcome")
    assert welcome["query"]["language"] == "français"
    assert welcome["query"]["plus"] == "a+b &"
    assert welcome["query"]["EIO"] == "4"
    assert welcome["header"] == "the header's value"


@check
async def an_acknowledgement_carries_no_one_or_several_values() -> None:
    peer = await connected()
    assert await peer.call("echo") is None
    assert await peer.call("echo", "one") == "one"
    assert await peer.call("echo", "one", 2, {"three": [3]}) in (("one", 2, {"three": [3]}), ["one", 2, {"three": [3]}])
    answers: list[Any] = []
    await peer.emit("echo", [1, 2], callback=lambda *args: answers.append(args))
    await until(lambda: bool(answers), "the acknowledgement")
    assert answers == [([1, 2],)]


@check
async def every_value_survives_as_acknowledgement_and_as_event() -> None:
    peer = await connected()
    for value in VALUES:
        assert await peer.call("echo", value) == value
        await peer.emit("echo back", value, "second", None)
    assert await peer.wait("echoed", len(VALUES)) == [(value, "second", None) for value in VALUES]


@check
async def an_answer_in_time_passes_a_timeout_and_none_fails_it() -> None:
    peer = await connected("/bare")
    assert await peer.call("echo", "in time", namespace="/bare") == "in time"
    try:
        await peer.call("an event without a handler", namespace="/bare", timeout=0.15)
    except socketio.exceptions.TimeoutError:
        pass
    else:
        raise AssertionError("an event without a handler was acknowledged")
    assert await peer.call("echo", "and on", namespace="/bare") == "and on"


@check
async def three_hundred_acknowledgements_each_find_their_own_call() -> None:
    peer = await connected()
    answers: dict[int, Any] = {}
    for i in range(300):
        await peer.emit("echo", i, callback=lambda value, i=i: answers.__setitem__(i, value))
    await until(lambda: len(answers) == 300, "three hundred acknowledgements")
    assert all(answers[i] == i for i in range(300))


@check
async def the_server_calls_the_client() -> None:
    peer = await connected()
    peer.replies["question"] = lambda *args: args[::-1]
    assert await peer.call("ask", "one") == {"one": "one"}
    assert await peer.call("ask") == {"one": None}
    assert await peer.call("ask", 1, "ü🙂", [2]) == {"several": [[2], "ü🙂", 1]}
    peer.replies["question"] = lambda data: ({"same": data}, b"more")
    assert await peer.call("ask", BYTES) == {"several": [{"same": BYTES}, b"more"]}


@check
async def the_servers_callback_runs_with_the_clients_values() -> None:
    peer = await connected()
    peer.replies["question"] = lambda a, b: (a + b, None, {"sum": True})
    await peer.emit("ask with callback", 3, 4)
    assert await peer.wait("callback ran") == [(7, None, {"sum": True})]


@check
async def the_servers_catch_all_handler_gets_what_no_handler_wants() -> None:
    peer = await connected()
    answer = await peer.call("an event 🙂 of no name", 1, None)
    assert answer == {"event": "an event 🙂 of no name", "args": [1, None]}


@check
async def send_and_message() -> None:
    peer = await connected()
    await peer._do(peer.client.send, "the text")
    assert await peer.wait("message") == [("the text",)]


@check
async def bytes_alone_and_inside_other_values() -> None:
    peer = await connected()
    nested = {"a": BYTES, "list": [1, b"x", {"deep": [b"", None]}], "text": "ü", "again": BYTES}
    for value in (BYTES, b"", nested):
        assert await peer.call("echo", value) == value
    await peer.emit("echo back", BYTES, "text", {"b": b"y"}, None, b"z")
    assert await peer.wait("echoed") == [(BYTES, "text", {"b": b"y"}, None, b"z")]


@check
async def as_much_as_the_limit_allows_goes_both_ways() -> None:
    peer = await connected()
    # Over polling the bytes travel as base64, in one request with the packet that announces them.
    length = (MAX_PAYLOAD - 100) // 4 * 3 if MODE == "polling" else MAX_PAYLOAD
    data = os.urandom(length)
    answer = await peer.call("measure", data)
    assert answer == {"type": "bytes", "length": length, "sha256": hashlib.sha256(data).hexdigest()}
    assert await peer.call("give bytes", 999_999) == bytes(i % 251 for i in range(999_999))
    text = "x" * (MAX_PAYLOAD - 60)
    assert await peer.call("echo", text) == text


@check
async def more_than_the_limit_ends_the_connection_and_only_this_one() -> None:
    bystander, peer = await group(2)
    await peer.emit("measure", "x" * (MAX_PAYLOAD + 1))
    await peer.wait("disconnect")
    assert await bystander.call("echo", "fine") == "fine"


@check
async def broadcasts_rooms_and_exclusions() -> None:
    a, b, c = await group(3)
    await a.call("shout", "to all")
    await a.call("shout to others", "to b and c")
    await a.call("announce", "news", {"n": 1})
    news = ("news", {"n": 1})
    assert await heard(a, b, c) == [["to all", news], ["to all", "to b and c", news], ["to all", "to b and c", news]]
    assert await a.call("join", "kitchen") == [a.sid(), "kitchen"]
    await b.call("join", "kitchen")
    assert await c.call("say", "kitchen", "dinner") == 2
    assert await a.call("say to others", "kitchen", "salt?") == 1
    assert await c.call("say", ["kitchen", b.sid()], "once") == 2
    assert await c.call("say skipping", "kitchen", [a.sid()], "not a") == 1
    assert await heard(a, b, c) == [["dinner", "once"], ["dinner", "salt?", "once", "not a"], []]
    await b.call("leave", "kitchen")
    assert await c.call("say", "kitchen", "anyone?") == 1
    assert await c.call("say", b.sid(), "psst") == 1
    await c.call("shout to others", {"data": BYTES}, b"x")
    shouted = ({"data": BYTES}, b"x")
    assert await heard(a, b, c) == [["anyone?", shouted], ["psst", shouted], []]
    await a.call("close room", "kitchen")
    assert await c.call("say", "kitchen", "anyone?") == 0


@check
async def the_namespaces_do_not_hear_one_another() -> None:
    a, b = await group(2, "/", "/custom")
    await a.call("join", "kitchen")
    await b.call("join", "kitchen", namespace="/custom")
    await b.call("say", "kitchen", "dinner", namespace="/custom")
    assert await heard(a, b) == [[], []]
    assert await heard(a, b, namespace="/custom") == [[], ["dinner"]]


@check
async def the_server_asks_a_whole_room_and_gathers_the_answers() -> None:
    a, b, c = await group(3)
    for peer in (a, b):
        await peer.call("join", "quiz")
        peer.replies["question"] = lambda room, peer=peer: f"{room} {peer.sid()}"
    assert await c.call("ask room", "quiz") == {peer.sid(): f"quiz {peer.sid()}" for peer in (a, b)}


@check
async def a_thousand_each_way_arrive_once_and_in_order() -> None:
    peer = await connected()
    await peer.emit("count to", 1000, 0.0005)
    for i in range(1000):
        await peer.emit("number", i)
        if i % 20 == 19:
            await asyncio.sleep(0.001)
    assert await peer.call("numbers") == list(range(1000))
    expected = [(i, None if i % 10 else bytes([i % 256])) for i in range(1000)]
    assert await peer.wait("number", 1000, seconds=10) == expected


@check
async def the_client_leaves() -> None:
    peer = await connected()
    sid = peer.sid()
    await peer.disconnect()
    assert await peer.wait("disconnect") == [("client disconnect",)]
    # This client closes its transport without waiting for its DISCONNECT packet to be written.
    assert await server_reason(sid) in ("client namespace disconnect", "transport close")


@check
async def the_server_disconnects_after_its_last_words() -> None:
    peer = await connected()
    sid = peer.sid()
    await peer.emit("kick")
    assert await peer.wait("disconnect") == [("server disconnect",)]
    assert peer.got("goodbye") == [("the last words",)]
    assert await server_reason(sid) == "server namespace disconnect"


@check
async def the_server_disconnects_one_namespace_of_two() -> None:
    peer = await connected("/", "/custom")
    await peer.emit("kick", namespace="/custom")
    assert await peer.wait("disconnect", namespace="/custom") == [("server disconnect",)]
    assert await peer.call("echo", "still here") == "still here"


@check
async def the_server_closes_the_whole_connection() -> None:
    peer = await connected("/", "/custom")
    sids = [peer.sid(), peer.sid("/custom")]
    await peer.emit("kick out")
    await peer.wait("disconnect")
    await peer.wait("disconnect", namespace="/custom")
    for sid in sids:
        assert await server_reason(sid) in ("server namespace disconnect", "forced close")


if __name__ == "__main__":
    run()
