"""A chat beside an application of Quart-Trio, in one ASGI host.

    pip install hypercorn quart-trio
    python asgi_quart.py
    hypercorn -k trio asgi_quart:app

``curl -X POST http://127.0.0.1:3000/announce/hello`` tells everyone in the chat.
"""

import argparse
import signal

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart_trio import QuartTrio

from trio_socketio import Context, Server

server = Server()
pages = QuartTrio(__name__)
app = server.asgi(pages)


@server.on("connect")
async def connect(ctx: Context, auth: object) -> None:  # noqa: ARG001  # whoever it is
    """Let everyone into the lobby."""
    await ctx.join_room("lobby")


@server.on("chat")
async def chat(ctx: Context, text: str) -> None:
    """Pass a message on."""
    await ctx.emit("chat", text, to="lobby", include_self=False)


@pages.get("/")
async def index() -> str:
    """Say how many are there."""
    return f"{len(server.participants('lobby'))} in the lobby\n"


@pages.post("/announce/<text>")
async def announce(text: str) -> dict[str, int]:
    """Tell everyone something; the answer is how many that were."""
    return {"reached": await server.emit("chat", text, to="lobby")}


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
    parser = argparse.ArgumentParser(description="A chat beside an application of Quart-Trio.")
    parser.add_argument("--port", type=int, default=3000)
    trio.run(main, parser.parse_args().port)
