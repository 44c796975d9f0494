"""The application of the comparison: python-socketio on uvicorn with uvloop and its fastest WebSocket implementation."""

import argparse
import asyncio
import sys

import socketio
import uvicorn
from python_socketio_application import announce, build, listen


def main() -> None:
    """Serve on a free port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ws", default="websockets-sansio", help="uvicorn's WebSocket implementation")
    options, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    application = socketio.ASGIApp(build("asgi"))
    listener = listen()
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws=options.ws,
        ws_ping_interval=None,  # Engine.IO has its own heartbeat, and that of WebSocket would be a second one
        log_level="warning",
    )
    announce(listener, "uvicorn", "uvloop", "websockets", "httptools")
    server = uvicorn.Server(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
