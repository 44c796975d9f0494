"""A server over TLS: pages connect to it with ``https`` and ``wss``, over HTTP/1.1.

    python examples/tls.py certificate.pem key.pem --port 3443
    python examples/tls.py certificate.pem key.pem --port 443 --redirect-port 80      sends visitors of http to https
    python examples/tls.py certificate.pem key.pem --client-ca authority.pem          lets in only who has a certificate, too

The certificate's file holds the whole chain, the server's own first (``fullchain.pem`` of an ACME client). On SIGHUP both files
are read again: connections that come from then on get the new certificate, and nobody is disconnected. Ctrl-C or SIGTERM ends it.
"""

import argparse
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

import trio

from trio_socketio import ConnectionRefused, Context, HTTPRequest, HTTPResponse, Request, Server

HTTPS_PORT = 443
"""The port that an https URL means when it names none."""


def make_context(certificate: str, key: str, client_ca: str | None = None) -> ssl.SSLContext:
    """Return what TLS needs to know.

    Args:
        certificate: The file of the certificate, with those between it and its authority.
        key: The file of its private key.
        client_ca: The file of the authority whose certificates clients must have; None if they need none.

    Raises:
        OSError: A file cannot be read, or the key does not fit (``ssl.SSLError``).
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def make_server() -> Server:
    """Return the application: it repeats what it is told."""
    server = Server()

    @server.on("connect")
    async def connect(ctx: Context, _auth: object) -> None:
        await ctx.emit("welcome", {"secure": ctx.handshake.secure, "address": ctx.handshake.address})

    @server.on("echo")
    async def echo(_ctx: Context, *arguments: object) -> tuple[object, ...]:
        return arguments

    return server


def redirecting(port: int) -> Callable[[HTTPRequest], Awaitable[HTTPResponse]]:
    """Return an ``http=`` handler that sends every visitor to https on a port of the same host."""

    async def redirect(request: HTTPRequest) -> HTTPResponse:
        await trio.lowlevel.checkpoint()
        asked = urlsplit(request.url)
        if not asked.hostname:
            return HTTPResponse.text("which host?", 400)
        host = f"[{asked.hostname}]" if ":" in asked.hostname else asked.hostname
        where = asked._replace(scheme="https", netloc=host if port == HTTPS_PORT else f"{host}:{port}")
        return HTTPResponse(308, {"location": where.geturl()})

    return redirect


async def refuse(_request: Request) -> None:
    """Refuse every session with status 403: Node's clients follow no redirects, and what clients say must not be readable."""
    raise ConnectionRefused("sessions are opened over TLS only")


async def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    context = make_context(options.certificate, options.key, options.client_ca)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            server = make_server()
            serve = partial(server.serve, ssl_context=context)
            (listener, *_) = await nursery.start(serve, options.host, options.port)
            port = listener.transport_listener.socket.getsockname()[1]
            if options.redirect_port is not None:
                redirect = Server(http=redirecting(port), allow_request=refuse)
                (plain, *_) = await nursery.start(redirect.serve, options.host, options.redirect_port)
                print(f"redirecting from port {plain.socket.getsockname()[1]}", flush=True)
            print(f"serving TLS on port {port}", flush=True)
            async for number in signals:
                if number != signal.SIGHUP:
                    nursery.cancel_scope.cancel()
                    break
                try:
                    context.load_cert_chain(options.certificate, options.key)
                except OSError as error:  # the old one is served until the files are right
                    print(f"the certificate was not read again: {error}", file=sys.stderr, flush=True)
                else:
                    print("the certificate was read again", flush=True)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("certificate", help="the file of the certificate and its chain")
    parser.add_argument("key", help="the file of the private key")
    parser.add_argument("--host", default="127.0.0.1", help="the address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3443, help="the port to bind (default: %(default)s)")
    parser.add_argument("--redirect-port", type=int, help="a port whose visitors are sent to https")
    parser.add_argument("--client-ca", help="the file of the authority whose certificates clients must have")
    sys.exit(trio.run(main, parser.parse_args()))
