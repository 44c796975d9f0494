"""What a server holds, so that a test can see that nothing is left of clients that are gone."""

import gc

import trio
from trio.testing import wait_all_tasks_blocked
from trio_socketio.server.client import Client
from trio_socketio.server.dispatch import Lane
from trio_socketio.server.net.live import Live
from trio_socketio.server.service import Service
from trio_socketio.server.socket import Socket

from trio_socketio import Server


def held(service: Service) -> dict[str, int]:
    """Return how much a service that serves holds of each kind; all of it belongs to clients, except for its own tasks."""
    server = service.server
    poller = service.poller
    return {
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "sessions": len(server.sessions),
        "sessions of the service": len(service.sessions),
        "busy": service.busy,
        "leaving": len(service.leaving),
        "deadlines": len(service.deadlines),
        "namespaces": len(list(server.adapters())),
        "rooms": server.stats()["rooms"],
        "pending acks": server.stats()["pending_acks"],
        "buffered bytes": server.stats()["buffered_bytes"],
        "sockets of the poller": 0 if poller is None else len(poller._sockets),
        "runnable": 0 if poller is None else len(poller.runnable),
        "dirty": 0 if poller is None else len(poller.dirty),
    }


async def settled(service: Service) -> dict[str, int]:
    """Return what a service holds once nothing happens any more without time passing."""
    await wait_all_tasks_blocked()
    return held(service)


def check_consistent(server: Server) -> None:
    """Compare what is kept twice: sockets and registry, sessions of the server and of its services."""
    of_services = {sid for service in server.services for sid in service.sessions}
    assert set(server.sessions) == of_services
    for namespace, adapter in server.adapters():
        sids = set(adapter.sockets)
        assert sids == set(adapter.registry._joined), namespace
        assert sids, f"nobody is in {namespace}, and it is still there"
        by_room: dict[str, set[str]] = {}
        for sid in sids:
            for room in adapter.registry.rooms_of(sid)[1:]:
                by_room.setdefault(room, set()).add(sid)
        assert adapter.registry.room_count == len(by_room)
        for room, members in by_room.items():
            assert set(adapter.registry.members(room)) == members, room
        for sid, socket in adapter.sockets.items():
            assert socket.sid == sid
            assert socket.client.sockets[namespace] is socket
            assert socket.client.live.sid in server.sessions


async def objects() -> int:
    """Return how many objects of connections there are in this process."""
    await trio.lowlevel.checkpoint()  # trio keeps what has woken a task until its next step; an exception keeps frames
    gc.collect()
    return sum(isinstance(each, (Client, Lane, Live, Socket)) for each in gc.get_objects())
