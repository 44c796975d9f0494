"""A chat beside an application of Starlette, in one ASGI host. An application of FastAPI is used in the same way.

    pip install hypercorn starlette
    python asgi_starlette.py
    hypercorn -k trio asgi_starlette:app

``curl -X POST http://127.0.0.1:3000/announce/hello`` tells everyone in the chat.
"""

import argparse
import signal

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from trio_socketio import Context, Server

server = Server()


@server.on("connect")
async def connect(ctx: Context, auth: object) -> None:  # noqa: ARG001  # whoever it is
    """Let everyone into the lobby."""
    await ctx.join_room("lobby")


@server.on("chat")
async def chat(ctx: Context, text: str) -> None:
    """Pass a message on."""
    await ctx.emit("chat", text, to="lobby", include_self=False)


async def index(request: Request) -> PlainTextResponse:  # noqa: ARG001  # Starlette gives it
    """Say how many are there."""
    return PlainTextResponse(f"{len(server.participants('lobby'))} in the lobby\n")


async def announce(request: Request) -> JSONResponse:
    """Tell everyone something; the answer is how many that were."""
    reached = await server.emit("chat", request.path_params["text"], to="lobby")
    return JSONResponse({"reached": reached})


app = server.asgi(Starlette(routes=[Route("/", index), Route("/announce/{text}", announce, methods=["POST"])]))


async def main(port: int) -> None:
    """Serve until INT or TERM comes."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 1.0
    config.websocket_max_message_size = server.config.max_payload
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

        async def signalled() -> None:
            await anext(signals)

        await serve(app, config, shutdown_trigger=signalled)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A chat beside an application of Starlette.")
    parser.add_argument("--port", type=int, default=3000)
    trio.run(main, parser.parse_args().port)
