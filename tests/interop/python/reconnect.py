"""The server goes away, in three ways, and the Python client comes back by itself."""

import asyncio

from harness import MODE, Peer, check, control, run, server_reason

GONE = [("transport error",)]


async def persistent(*namespaces: str) -> Peer:
    await control("start")  # does nothing if the server runs
    return await Peer(reconnection=True).connect(*namespaces, auth={"token": "kept"})


@check
async def the_client_reconnects_after_the_server_was_killed_and_started_again() -> None:
    peer = await persistent("/", "/custom")
    before = peer.sid()
    await control("kill")
    assert await peer.wait("disconnect") == GONE
    await control("start")
    for namespace in ("/", "/custom"):
        _, (welcome,) = await peer.wait("welcome", 2, namespace=namespace, seconds=10)
        assert welcome["auth"] == {"token": "kept"}
        assert await peer.call("echo", "and on", namespace=namespace) == "and on"
    assert peer.sid() != before


@check
async def the_client_reconnects_after_the_server_stopped_gracefully() -> None:
    peer = await persistent("/", "/custom")
    sids = [peer.sid(), peer.sid("/custom")]
    await control("stop")
    await peer.wait("disconnect")
    for sid in sids:
        assert await server_reason(sid) == "server shutting down"
    await control("start")
    if (
        MODE == "polling"
    ):  # this client takes the close packet for the server's last word and stays away until it is told
        assert peer.got("disconnect") == [("server disconnect",)]
        await peer.connect("/", "/custom")
    await peer.wait("welcome", 2, seconds=10)
    assert await peer.call("echo", "and on") == "and on"


@check
async def pings_keep_the_connection() -> None:
    await control("restart", ["--ping-interval", "0.3", "--ping-timeout", "0.3"])
    peer = await persistent()
    await asyncio.sleep(1.5)
    assert peer.got("disconnect") == []
    assert await peer.call("echo", "still here") == "still here"


if MODE != "polling":  # over polling a paused server is an unanswered request, which this client waits for much longer

    @check
    async def a_silent_server_is_left_and_found_again() -> None:
        await control("restart", ["--ping-interval", "0.5", "--ping-timeout", "0.5"])
        peer = await persistent()
        await control("pause")
        assert await peer.wait("disconnect", seconds=10) == GONE
        await control("resume")
        await peer.wait("welcome", 2, seconds=10)
        assert await peer.call("echo", "and on") == "and on"


if __name__ == "__main__":
    run()
