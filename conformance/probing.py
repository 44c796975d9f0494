"""Finds out what a server is before it is judged: its transports, its intervals, and how it sends messages back."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVarTuple

import trio
from trio_socketio.conformance.case import Need
from trio_socketio.conformance.dialect import ECHO, EVENTS
from trio_socketio.conformance.peer import Dial, PeerError, Refused, SocketIOPeer, decode_payload, open_packet
from trio_socketio.conformance.target import Target
from trio_socketio.conformance.trial import OK, Failure, Trial
from trio_socketio.protocol import engineio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType

ECHOES = 3
"""Messages that must have come back before a server is taken to have no acknowledgement for an event."""

ANSWERS: Final = 6
"""Answers that one question takes at most: a handshake, a CONNECT, and what follows. Each may take as long as the timeout."""

Ts = TypeVarTuple("Ts")

CONTRACT = 1
"""The version of the fixture's contract that the cases are written for."""


class Unusable(Exception):  # noqa: N818  # reads as what it says
    """There is no server, or none that can be judged."""


async def probe(dial: Dial, path: str, host: str, *, engine_only: bool = False, timeout: float = 5.0) -> Target:
    """Find out what a server is.

    Args:
        dial: Opens a connection to it.
        path: Where Engine.IO lives.
        host: The value of the Host header.
        engine_only: That it speaks Engine.IO alone, and echoes.
        timeout: Seconds to wait for each answer.

    Raises:
        Unusable: It cannot be reached, or opens no session on either transport.
    """
    unknown = engineio.Handshake("", (), math.inf, math.inf, 0)
    dialect = ECHO if engine_only else EVENTS
    target = Target(dial, path, host, dialect, timeout, unknown)
    target = await _with_transports(target)
    if engine_only:  # that it sends messages back is then said, and not asked
        return replace(target, lacks=target.lacks | {Need.SOCKETIO, Need.CUSTOM, Need.FIXTURE})
    return await _with_socketio(target)


async def _with_transports(target: Target) -> Target:
    """Find out which transports are offered. One that is broken is offered, too: its cases will say what is wrong."""
    peer = target.peer()
    lacks: set[Need] = set()
    complaints: list[str] = []
    handshakes: list[engineio.Handshake] = []
    try:
        response = await peer.request("GET", peer.target(transport="polling"))
        if response.status == OK:
            handshakes.append(open_packet(decode_payload(response)[0]))
        else:
            lacks.add(Need.POLLING)
            complaints.append(f"polling: the handshake was answered with status {response.status}")
    except PeerError as error:
        complaints.append(f"polling: {error}")
    try:
        websocket = await peer.open_websocket()
        handshakes.append(open_packet(engineio.decode_packet(await websocket.receive())))
    except Refused as refused:
        lacks.add(Need.WEBSOCKET)
        complaints.append(f"websocket: {refused}")
    except (PeerError, DecodeError) as error:
        complaints.append(f"websocket: {error}")
    finally:
        await peer.hang_up()
    if not handshakes:
        raise Unusable(f"no session can be opened at {target.path} ({'; '.join(complaints)})")
    if lacks or "websocket" not in handshakes[0].upgrades:
        lacks.add(Need.UPGRADE)
    return replace(target, handshake=handshakes[0], lacks=frozenset(lacks))


async def _with_socketio(target: Target) -> Target:
    if not await _anywhere(target, _sends_back):
        lacks = {Need.ECHO, Need.FIXTURE}
        if not await _anywhere(target, _joins, "/"):
            lacks |= {Need.SOCKETIO, Need.CUSTOM}
        elif not await _anywhere(target, _joins, "/custom"):
            lacks |= {Need.CUSTOM}
        return replace(target, lacks=target.lacks | lacks)
    if not await _anywhere(target, _joins, "/custom"):
        return replace(target, lacks=target.lacks | {Need.CUSTOM, Need.FIXTURE})
    contract = await _anywhere(target, _contract)
    if not isinstance(contract, dict) or contract.get("version") != CONTRACT:
        return replace(target, lacks=target.lacks | {Need.FIXTURE})
    return replace(
        target,
        connect_timeout=_seconds(contract.get("connectTimeout"), target.connect_timeout),
        upgrade_timeout=_seconds(contract.get("upgradeTimeout"), target.upgrade_timeout),
    )


def _seconds(milliseconds: JSON, otherwise: float) -> float:
    is_number = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    return milliseconds / 1000 if is_number else otherwise


async def _anywhere(target: Target, question: "Callable[[Target, str, *Ts], Awaitable[JSON]]", *args: *Ts) -> JSON:
    """Ask something over each transport that is offered, until there is an answer; a broken one must not hide what is there.

    A server that goes on talking gives no answer either, so a question has a limit as a whole.
    """
    for transport, need in (("websocket", Need.WEBSOCKET), ("polling", Need.POLLING)):
        if need not in target.lacks:
            answer: JSON = None
            with trio.move_on_after(ANSWERS * target.timeout):
                answer = await question(target, transport, *args)
            if answer:
                return answer
    return None


async def _sends_back(target: Target, transport: str) -> bool:
    """Whether a message comes back."""
    peer = target.peer()
    comes_back = True
    try:
        async with trio.open_nursery() as nursery:
            trial = Trial(target, peer, nursery)
            session = await trial.open(transport)
            await trial.echo(session, "hello")
    except* (PeerError, Failure):
        comes_back = False
    finally:
        await peer.hang_up()
    return comes_back


async def _joins(target: Target, transport: str, namespace: str) -> bool:
    peer = target.peer()
    try:
        await peer.join(namespace, transport=transport)
    except PeerError:
        return False
    finally:
        await peer.hang_up()
    return True


async def _contract(target: Target, transport: str) -> JSON:
    """Return what the server says of the fixture's contract; None if it says nothing.

    A server without these events gives no acknowledgement. So messages follow the question; when all of them have come back, the
    acknowledgement would have come too, even from a server that runs its handlers side by side.
    """
    peer = target.peer()
    try:
        client = await peer.join(transport=transport)
        await client.emit("conformance", id=1)
        for number in range(ECHOES):
            await client.emit("message", number)
            contract = await _ack_before(client, ["message-back", number])
            if contract is not None:
                return contract
        return None
    except PeerError:
        return None
    finally:
        await peer.hang_up()


async def _ack_before(client: SocketIOPeer, event: list[JSON]) -> JSON:
    """Return the first argument of an acknowledgement that comes before an event, or None."""
    while True:
        packet = await client.receive()
        if packet.type is PacketType.ACK:
            return packet.data[0] if packet.data else None
        if packet.data == event:
            return None
