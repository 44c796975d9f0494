"""The application of the comparison: python-socketio on aiohttp."""

from aiohttp import web
from python_socketio_application import announce, build, listen


def main() -> None:
    """Serve on a free port."""
    server = build("aiohttp")
    application = web.Application()
    server.attach(application)
    listener = listen()
    announce(listener, "aiohttp")
    web.run_app(application, sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    main()
