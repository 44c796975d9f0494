"""Judges a server in memory: the suite on one end, the server on the other, no ports and no real time."""

from collections.abc import Sequence

from trio_socketio.conformance import cases as _  # noqa: F401  # fills the register
from trio_socketio.conformance.case import REGISTER, Case
from trio_socketio.conformance.probing import probe
from trio_socketio.conformance.results import Verdict
from trio_socketio.conformance.runner import run

from support.memory import serving
from trio_socketio import Server


async def judge(
    server: Server,
    cases: Sequence[Case] | None = None,
    *,
    path: str = "/socket.io/",
    engine_only: bool = False,
    jobs: int = 16,
) -> Verdict:
    """Run cases, by default all, against a server; the test's clock must be one that jumps."""
    async with serving(server, path) as peer:
        target = await probe(peer.dial, peer.path, peer.host, engine_only=engine_only)
        return await run(target, list(REGISTER) if cases is None else cases, server="memory", jobs=jobs)
