"""A server in Hypercorn's trio worker, inside of another application: a program of its own, for real clients and the suite.

    python tests/interop/asgi_app.py --port 0 --other starlette

serves the application of `server_app` with another one beside it, and prints one JSON line `{"port": ...}` once it listens. With
``--fixture`` it serves what the conformance suite expects. INT or TERM stops it gracefully.
"""

import argparse
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import server_app
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import websocket
from quart_trio import QuartTrio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from trio_socketio.conformance import fixture

from trio_socketio import Server

PING_INTERVAL, PING_TIMEOUT, CONNECT_TIMEOUT, UPGRADE_TIMEOUT = 2.0, 1.0, 3.0, 3.0
"""Longer than in the fixtures, since each connection costs Hypercorn much more time; in the same order of length."""


def starlette_app() -> Any:
    """An application of Starlette that says hello, and that it has been started and stopped."""

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello from Starlette, {request.path_params['name']}")

    async def shout(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text((await socket.receive_text()).upper())
        await socket.close()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        server_app.report(other="started")
        yield
        server_app.report(other="stopped")

    return Starlette(routes=[Route("/hello/{name}", hello), WebSocketRoute("/shout", shout)], lifespan=lifespan)


def quart_app() -> Any:
    """The same with Quart-Trio."""
    app = QuartTrio("asgi_app")

    @app.route("/hello/<name>")
    async def hello(name: str) -> str:
        return f"hello from Quart, {name}"

    @app.websocket("/shout")
    async def shout() -> None:
        await websocket.send((await websocket.receive()).upper())

    @app.before_serving
    async def start() -> None:
        server_app.report(other="started")

    @app.after_serving
    async def stop() -> None:
        server_app.report(other="stopped")

    return app


def suite_server(kind: str) -> Server:
    """The server that the suite expects, with more patience."""
    fixture.PING_INTERVAL, fixture.PING_TIMEOUT = PING_INTERVAL, PING_TIMEOUT
    fixture.CONNECT_TIMEOUT, fixture.UPGRADE_TIMEOUT = CONNECT_TIMEOUT, UPGRADE_TIMEOUT
    return fixture.engine_fixture() if kind == "engine" else fixture.socketio_fixture()


async def main(options: argparse.Namespace) -> None:
    server = suite_server(options.fixture) if options.fixture else server_app.build(options)
    other = {"starlette": starlette_app, "quart": quart_app, "none": lambda: None}[options.other]()
    config = Config()
    config.bind = [f"127.0.0.1:{options.port}"]
    config.graceful_timeout = 0.5
    config.keep_alive_max_requests = 100_000  # the suite asks on one connection, again and again
    config.websocket_max_message_size = server.config.max_payload
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            run = partial(serve, server.asgi(other), config, shutdown_trigger=partial(anext, signals))
            (url,) = await nursery.start(run)
            server_app.report(port=int(url.rpartition(":")[2]))
    server_app.report(stopped=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--other", choices=["none", "starlette", "quart"], default="none")
    parser.add_argument("--fixture", choices=["engine", "socketio"])
    parser.add_argument("--ping-interval", type=float, default=25)
    parser.add_argument("--ping-timeout", type=float, default=20)
    parser.set_defaults(static=None, any_origin=False)
    logging.basicConfig(level=logging.INFO)
    trio.run(main, parser.parse_args())
