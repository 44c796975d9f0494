"""Numbers for Prometheus: ``/metrics`` beside Socket.IO, made of ``server.stats()``, with nothing else to install.

    python examples/metrics.py                        then: curl http://127.0.0.1:3000/metrics
    METRICS_TOKEN=... python examples/metrics.py      for whoever sends "Authorization: Bearer ..."

docs/observing.md explains the numbers, and how to keep them from strangers.
"""

import argparse
import hmac
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple, cast

import trio

from trio_socketio import Context, HTTPRequest, HTTPResponse, Server, Stats

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The text format of Prometheus."""
LOCAL: Final = ("127.0.0.1", "::1")
OTHER: Final = "other"


class Family(NamedTuple):
    """One field of the stats as Prometheus knows it: what grows only is a counter, and its name ends with ``_total``."""

    field: str
    kind: str
    help: str
    label: str | None = None
    """What the keys of the field are, if it is a dict."""

    @property
    def name(self) -> str:
        """Its name among all that Prometheus collects."""
        return f"trio_socketio_{self.field}" + ("_total" if self.kind == "counter" else "")


FAMILIES: Final = (
    Family("sessions", "gauge", "Engine.IO sessions.", "transport"),
    Family("sockets", "gauge", "Connected sockets.", "namespace"),
    Family("rooms", "gauge", "Rooms with members."),
    Family("buffered_bytes", "gauge", "Bytes that wait for clients to read them."),
    Family("pending_acks", "gauge", "Acknowledgements that clients owe."),
    Family("packets_in", "counter", "Socket.IO packets received."),
    Family("packets_out", "counter", "Socket.IO packets queued, one for each recipient."),
    Family("events_in", "counter", "Events received."),
    Family("events_out", "counter", "Events queued, one for each recipient."),
    Family("events_dropped", "counter", "Volatile events dropped, one for each recipient."),
    Family("unknown_acks", "counter", "Acknowledgements that nobody waited for."),
    Family("refusals", "counter", "Refused requests, namespaces and events.", "reason"),
    Family("closes", "counter", "Ended sessions.", "reason"),
    Family("disconnects", "counter", "Sockets that have left their namespaces.", "reason"),
    Family("limits", "counter", "How often limits were reached.", "limit"),
)


def escape(value: str) -> str:
    """Return the value of a label as it stands between its quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def samples(family: Family, value: int | Mapping[str, int]) -> Iterator[str]:
    """Return the lines of a family."""
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    if isinstance(value, int):
        yield f"{family.name} {value}"
    else:
        for key, number in sorted(value.items()):
            yield f'{family.name}{{{family.label}="{escape(key)}"}} {number}'


def known(sockets: Mapping[str, int], namespaces: Collection[str]) -> dict[str, int]:
    """Return the sockets by namespace, those of unknown ones together: clients choose the names of dynamic namespaces."""
    counted = dict.fromkeys(namespaces, 0)
    for namespace, number in sockets.items():
        name = namespace if namespace in namespaces else OTHER
        counted[name] = counted.get(name, 0) + number
    return counted


def render(stats: Stats, namespaces: Collection[str] = ("/",)) -> str:
    """Return stats in the text format of Prometheus.

    Args:
        stats: What `Server.stats` returned.
        namespaces: The namespaces that have a line of their own.
    """
    values = {**stats, "sockets": known(stats["sockets"], namespaces)}
    lines = [
        line for family in FAMILIES for line in samples(family, cast("int | Mapping[str, int]", values[family.field]))
    ]
    return "\n".join(lines) + "\n"


def may_read(request: HTTPRequest, token: str | None) -> bool:
    """Whether somebody may see the numbers: who knows the token, or if there is none, who is on this machine."""
    if token is None:
        return request.address in LOCAL
    return hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode())


def make_server(token: str | None = None) -> Server:
    """Return the application: an echo that tells Prometheus how it is.

    Args:
        token: What a scrape must know; without one it must come from this machine.
    """

    async def pages(request: HTTPRequest) -> HTTPResponse:
        if request.path != "/metrics":
            return HTTPResponse.text("Not found\n", 404)
        if request.method not in ("GET", "HEAD"):
            return HTTPResponse(405, {"allow": "GET, HEAD"})
        if not may_read(request, token):
            return HTTPResponse.text("Forbidden\n", 403)
        return HTTPResponse.text(render(server.stats()), content_type=CONTENT_TYPE)

    server = Server(
        http=pages, trusted_proxies=LOCAL
    )  # or whoever comes through a proxy on this machine would seem local

    @server.on("echo")
    async def echo(ctx: Context, text: str) -> str:
        await ctx.emit("echo", text)
        return text

    return server


async def main() -> int:
    """Serve until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="the address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="the port to bind (default: %(default)s)")
    options = parser.parse_args()
    server = make_server(os.environ.get("METRICS_TOKEN") or None)
    async with trio.open_nursery() as nursery:
        (listener, *_) = await nursery.start(server.serve, options.host, options.port)
        host, port, *_ = listener.socket.getsockname()
        print(f"http://{host}:{port}/metrics", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(trio.run(main))
    except KeyboardInterrupt:
        sys.exit(130)
