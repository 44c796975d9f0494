"""What the Python client's scenarios share: one face for its asyncio and its threaded form, and a JSON line per result.

    python tests/interop/python/talk.py http://127.0.0.1:3000 websocket async

The lines on stdout and the answers on stdin are those of ../js/harness.js.
"""

import asyncio
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import engineio
import socketio

URL, MODE, FLAVOUR = sys.argv[1:4]
TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}[MODE]
RETRY = {"reconnection_delay": 0.1, "reconnection_delay_max": 0.3, "randomization_factor": 0.1}

Check = Callable[[], Awaitable[None]]
checks: list[Check] = []
peers: list["Peer"] = []
answers: "queue.Queue[str]" = queue.Queue()


class OrderedEngine(engineio.Client):
    """The threaded client gives each frame a thread of its own, so that frames overtake one another inside the client.

    One worker for all of them keeps the order in which they came, which is what a check of the server needs.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._frames: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def start_background_task(self, target: Any, *args: Any, **options: Any) -> Any:
        if target == self.handlers.get("message"):
            self._frames.put((target, args))
            return None
        return super().start_background_task(target, *args, **options)

    def _work(self) -> None:
        while True:
            target, args = self._frames.get()
            try:
                target(*args)
            except Exception:
                traceback.print_exc()


class OrderedClient(socketio.Client):
    def _engineio_client_class(self) -> type[engineio.Client]:
        return OrderedEngine


class Peer:
    """A client that remembers what it was told: `seen` has an entry `(namespace, event, args)` for each event."""

    def __init__(self, *, reconnection: bool = False) -> None:
        flavour = socketio.AsyncClient if FLAVOUR == "async" else OrderedClient
        self.client = flavour(reconnection=reconnection, handle_sigint=False, **RETRY)
        self.seen: list[tuple[str, str, tuple[Any, ...]]] = []
        self.replies: dict[str, Callable[..., Any]] = {}
        self.client.on("*", self._event, namespace="*")
        for event in ("connect", "connect_error", "disconnect"):
            self.client.on(event, self._remember(event), namespace="*")
        peers.append(self)

    def _remember(self, event: str) -> Callable[..., None]:
        def handler(namespace: str, *args: Any) -> None:
            self.seen.append((namespace, event, args))

        return handler

    def _event(self, event: str, namespace: str, *args: Any) -> Any:
        self.seen.append((namespace, event, args))
        return self.replies[event](*args) if event in self.replies else None

    async def _do(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if FLAVOUR == "async":
            return await method(*args, **options)
        return await asyncio.to_thread(method, *args, **options)

    async def connect(self, *namespaces: str, query: str = "", **options: Any) -> "Peer":
        await self._do(
            self.client.connect,
            URL + query,
            transports=TRANSPORTS,
            namespaces=list(namespaces) or ["/"],
            wait_timeout=5,
            **options,
        )
        return self

    async def emit(self, event: str, *args: Any, namespace: str = "/", callback: Any = None) -> None:
        await self._do(self.client.emit, event, args, namespace=namespace, callback=callback)

    async def call(self, event: str, *args: Any, namespace: str = "/", timeout: float = 5) -> Any:
        return await self._do(self.client.call, event, args, namespace=namespace, timeout=timeout)

    async def disconnect(self) -> None:
        await self._do(self.client.disconnect)

    def sid(self, namespace: str = "/") -> str:
        sid = self.client.get_sid(namespace)
        assert sid is not None, f"the client has no sid in {namespace}"
        return sid

    def got(self, event: str, namespace: str = "/") -> list[tuple[Any, ...]]:
        """The arguments of every such event so far."""
        return [args for where, what, args in list(self.seen) if (where, what) == (namespace, event)]

    async def wait(
        self, event: str, count: int = 1, *, namespace: str = "/", seconds: float = 5
    ) -> list[tuple[Any, ...]]:
        """The arguments of the first `count` such events, once that many have come."""
        await until(lambda: len(self.got(event, namespace)) >= count, f"{count} of {event!r}", seconds)
        return self.got(event, namespace)[:count]


async def connected(*namespaces: str, **options: Any) -> Peer:
    return await Peer().connect(*namespaces, **options)


async def until(test: Callable[[], bool], what: str, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        await asyncio.sleep(0.005)


async def control(action: str, argument: Any = None) -> Any:
    """Asks the process that started this one to do something to the server; returns its answer."""
    show(control=action, argument=argument)
    return json.loads(await asyncio.to_thread(answers.get, timeout=15))


async def server_reason(sid: str) -> str:
    """The reason that the server's disconnect handler saw for a sid."""
    reason: str = await control("reason", sid)
    return reason


def check(function: Check) -> Check:
    """Adds a check; its name is the sentence that the function's name spells."""
    checks.append(function)
    return function


def show(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def read_answers() -> None:
    for line in sys.stdin:
        answers.put(line)


async def run_checks() -> int:
    failures = 0
    for function in checks:
        name = function.__name__.replace("_", " ")
        started = time.monotonic()
        try:
            async with asyncio.timeout(20):
                await function()
        except Exception as error:
            failures += 1
            show(check=name, ok=False, error="".join(traceback.format_exception(error)))
        else:
            show(check=name, ok=True, ms=round(1000 * (time.monotonic() - started)))
        for peer in peers:
            peer.client.reconnection = False
            try:
                async with asyncio.timeout(5):
                    await peer._do(peer.client.shutdown)
            except Exception:
                traceback.print_exc()
        peers.clear()
    show(done=len(checks))
    return failures


def run() -> None:
    threading.Thread(target=read_answers, daemon=True).start()
    failures = asyncio.run(run_checks())
    sys.stdout.flush()
    # The threaded client leaves threads behind that wait for the network; nothing of them matters any more.
    os._exit(1 if failures else 0)
