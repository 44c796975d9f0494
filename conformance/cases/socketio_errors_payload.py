"""Events and acknowledgements whose payload or ack id is none."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.socketio_errors import expect_violations
from trio_socketio.conformance.sections import (
    SIO_ACK,
    SIO_DATA,
    SIO_ENCODING,
)
from trio_socketio.conformance.trial import Trial


@case(
    "sio.error.payload.object",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event whose payload is an object closes the connection",
    expected='the connection is closed upon 42{} and 42{"0":"message"}',
    why="The payload must be an array: there is no name to find a handler by.",
)
async def payload_is_object(trial: Trial) -> None:
    await expect_violations(trial, "42{}", '42{"0":"message"}')


@case(
    "sio.error.payload.scalar",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event whose payload is neither array nor object closes the connection",
    expected='the connection is closed upon 42"message", 42true, 42null and 42-1',
    why="The payload must be an array; the first letter of a string is no name.",
)
async def payload_is_scalar(trial: Trial) -> None:
    await expect_violations(trial, '42"message"', "42true", "42null", "42-1")


@case(
    "sio.error.payload.empty",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event whose payload is an empty array closes the connection",
    expected="the connection is closed upon 42[] and 427[]",
    why="The payload must not be empty: there is no name to find a handler by.",
)
async def payload_is_empty(trial: Trial) -> None:
    await expect_violations(trial, "42[]", "427[]")


@case(
    "sio.error.payload.missing",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event without a payload closes the connection",
    expected="the connection is closed upon 42 and 4212",
    why="The payload is mandatory: there is no name to find a handler by.",
)
async def payload_is_missing(trial: Trial) -> None:
    await expect_violations(trial, "42", "4212")


@case(
    "sio.error.payload.json",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event whose payload is no JSON closes the connection",
    expected='the connection is closed upon 42["message", and 42[message] and 42["message",]',
    why="What is no JSON is no array; a server that guesses hands over what nobody sent.",
)
async def payload_is_no_json(trial: Trial) -> None:
    await expect_violations(trial, '42["message",', "42[message]", '42["message",]', "42['message']", "42[")


@case(
    "sio.error.payload.trailing",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="What follows the payload of an event closes the connection",
    expected='the connection is closed upon 42["message","x"]x and 42["message","x"]["message","y"]',
    why="Two packets in one frame, or a payload that was cut wrongly, would pass as something else.",
)
async def payload_is_followed(trial: Trial) -> None:
    await expect_violations(trial, '42["message","x"]x', '42["message","x"]["message","y"]', '42["message","x"]]')


@case(
    "sio.error.payload.constants",
    Level.MAY,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="NaN and Infinity are no JSON",
    expected='the connection is closed upon 42["message",NaN] and 42["message",-Infinity]',
    why="A server that sends them on breaks the parser of every client that gets them.",
)
async def payload_has_no_constants(trial: Trial) -> None:
    await expect_violations(trial, '42["message",NaN]', '42["message",-Infinity]')


@case(
    "sio.error.event.name",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event whose name is neither a string nor a number closes the connection",
    expected='the connection is closed upon 42[null], 42[true], 42[{"a":1}] and 42[["message"]]',
    why="Looking up a handler by such a value fails, or finds one that was not meant.",
)
async def event_has_no_name(trial: Trial) -> None:
    await expect_violations(trial, "42[null]", "42[true]", '42[{"a":1}]', '42[["message"]]')


@case(
    "sio.error.id",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event with an ack id that is no number closes the connection",
    expected='the connection is closed upon 42abc["message-with-ack",1,"2",{"3":[false]}]',
    why="Nobody could acknowledge it; the published suite expects a close.",
)
async def id_is_no_number(trial: Trial) -> None:
    await expect_violations(trial, '42abc["message-with-ack",1,"2",{"3":[false]}]')


@case(
    "sio.error.id.form",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An ack id has nothing but digits",
    expected="the connection is closed upon the ids -1, 1.5, 1e3 and one in digits of another script",
    why="The acknowledgement would come with another id than was asked for.",
)
async def id_has_digits_alone(trial: Trial) -> None:
    await expect_violations(trial, *(f'42{number}["message","x"]' for number in ("-1", "1.5", "1e3", "\u0661")))


@case(
    "sio.error.ack.id",
    Level.MAY,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An acknowledgement without an id closes the connection",
    expected='the connection is closed upon 43["x"]',
    why="It acknowledges nothing.",
)
async def ack_has_no_id(trial: Trial) -> None:
    await expect_violations(trial, '43["x"]')


@case(
    "sio.error.ack.payload",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An acknowledgement whose payload is no array closes the connection",
    expected='the connection is closed upon 431{}, 431"x", 431null and 431[',
    why="The payload must be an array; a callback would get arguments that nobody sent.",
)
async def ack_has_no_array(trial: Trial) -> None:
    await expect_violations(trial, "431{}", '431"x"', "431null", "431[")


@case(
    "sio.error.ack.payload.missing",
    Level.MAY,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An acknowledgement without a payload closes the connection",
    expected="the connection is closed upon 431",
    why="The payload is mandatory.",
)
async def ack_has_no_payload(trial: Trial) -> None:
    await expect_violations(trial, "431")
