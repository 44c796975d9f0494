"""The names of events: which there are, which nobody handles, and which no client may use."""

import json

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.sections import SIO_DATA, SIO_EXCHANGE
from trio_socketio.conformance.trial import Trial


@case(
    "sio.event.names",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The server can emit events of any name",
    expected="events named with an emoji, blanks, quotes, digits and other scripts arrive under that name",
    why="The name is a string like any other.",
)
async def names(trial: Trial) -> None:
    client = await trial.join()
    for name in ("🎉", "new message", 'say "hi"', "42", "日本", "a/b,c", "__proto__", "emit", "\u2028"):
        await client.emit("deliver", {"to": client.sids["/"]}, name, 1)
        trial.same(await client.event(), [name, 1], "the event")


@case(
    "sio.event.unhandled",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event that nobody handles does no harm",
    expected="nothing but the message that is sent after it comes back",
    why="Clients are newer or older than the server, and send events it does not know.",
)
async def unhandled(trial: Trial) -> None:
    client = await trial.join()
    for name in (trial.unique("nobody"), "", "🎉", "Message", "message ", "messages"):
        await client.transport.send(f"42{json.dumps([name, 1])}")
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.event.unhandled.names",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event whose name means something to the language of the server does no harm",
    expected="__proto__, constructor, toString, __init__, __class__, emit and others are events that nobody handles",
    why="A server that looks handlers up among the attributes of an object would call what was never meant for clients.",
)
async def unhandled_names(trial: Trial) -> None:
    client = await trial.join()
    attributes = (
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "__init__",
        "__class__",
        "emit",
        "on",
        "to_s",
        "*",
    )
    for name in attributes:
        await client.transport.send(f"42{json.dumps([name, 1])}")
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.event.unhandled.no-ack",
    Level.MAY,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event that nobody handles is not acknowledged",
    expected="no acknowledgement, although the event asks for one",
    why="The acknowledgement says that the event was handled: a client would count on what nobody did.",
)
async def unhandled_has_no_ack(trial: Trial) -> None:
    client = await trial.join()
    await client.emit(trial.unique("nobody"), 1, id=7)
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.event.name.number",
    Level.MAY,
    SIO_EXCHANGE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The name of an event may be a number",
    expected="the connection stays open upon 42[7,1], an event that nobody handles",
    why="The reference parser allows it, to save bytes.",
)
async def number_as_name(trial: Trial) -> None:
    client = await trial.join()
    await client.transport.send("42[7,1]")
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.event.reserved",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Events that a peer raises by itself are not accepted from the wire",
    expected='the connection is closed upon 42["connect"], 42["disconnect"] and 42["connect_error"]',
    why="A client could run the connect or disconnect handler of the application as often as it likes.",
)
async def reserved(trial: Trial) -> None:
    for name in ("connect", "disconnect", "connect_error"):
        await trial.expect_violation(await trial.join(), f'42["{name}","forged"]')


@case(
    "sio.event.reserved.node",
    Level.MAY,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Events that the reference server raises by itself are not accepted from the wire",
    expected='the connection is closed upon 42["disconnecting"], 42["newListener"] and 42["removeListener"]',
    why="An application that moves from one server to another meets the same rules.",
)
async def reserved_by_node(trial: Trial) -> None:
    for name in ("disconnecting", "newListener", "removeListener"):
        await trial.expect_violation(await trial.join(), f'42["{name}","forged"]')
