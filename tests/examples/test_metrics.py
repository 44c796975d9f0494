"""examples/metrics.py: it tells what has happened, in a form that Prometheus' own parser reads, and does not tell strangers."""

import runpy
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from support.memory import socket_stream_pair

from trio_socketio import Server, Stats
from trio_socketio.testing import open_test_client

ROOT = Path(__file__).parents[2]
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "metrics.py"))
make_server, render = EXAMPLE["make_server"], EXAMPLE["render"]


def read(text):
    """Return the families by name, and the samples by name and labels, as Prometheus' own parser sees them."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    every = [sample for family in families.values() for sample in family.samples]
    values = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in every}
    assert len(values) == len(every), "a line is there twice"
    return families, values


async def fetch(server, path="/metrics", method="GET", address=None, **headers):
    """Ask the http handler of a server, from an address of one's choice; return the status, the headers and the body."""
    ask = EXAMPLE["HTTPRequest"](
        method, path, {}, headers, address or "127.0.0.1", secure=False, url=f"http://chat.example{path}"
    )
    answer = await server.options.http(ask)
    return answer.status, answer.headers, answer.body.decode()


async def scrape(server, *lines):
    """Scrape over a connection, as Prometheus does; return head and body."""
    ours, theirs = socket_stream_pair()
    head = "\r\n".join(["GET /metrics HTTP/1.1", "Host: chat.example", "Connection: close", *lines, "", ""])
    answer = b""
    async with trio.open_nursery() as nursery, ours:
        nursery.start_soon(server.serve_stream, theirs)
        await ours.send_all(head.encode())
        while chunk := await ours.receive_some():
            answer += chunk
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


async def test_the_numbers_are_those_of_the_server(autojump_clock):
    server = make_server("t0ken")
    async with open_test_client(server) as client:
        for text in ("one", "two"):
            assert await client.call("echo", text) == text
            await client.expect("echo")
        head, body = await scrape(server, "Authorization: Bearer t0ken")
        assert head.startswith("HTTP/1.1 200")
        assert "content-type: text/plain; version=0.0.4; charset=utf-8" in head.lower()
        _, values = read(body)
        assert values["trio_socketio_sessions", ("transport", "websocket")] == 1
        assert values["trio_socketio_sockets", ("namespace", "/")] == 1
        assert values["trio_socketio_events_in_total",] == 2
        assert values["trio_socketio_events_out_total",] == 2
        assert values["trio_socketio_packets_in_total",] == 3
    _, values = read(render(server.stats()))
    assert values["trio_socketio_sockets", ("namespace", "/")] == 0
    assert sum(value for (name, *_), value in values.items() if name == "trio_socketio_disconnects_total") == 1


def test_every_number_has_a_family_with_its_meaning():
    families, _ = read(render(Server().stats()))
    by_name = {family.name: family for family in EXAMPLE["FAMILIES"]}
    assert {family.field for family in by_name.values()} == Stats.__annotations__.keys()
    assert len(families) == len(by_name)
    for name, family in by_name.items():
        shown = families[name.removesuffix("_total")]
        assert (shown.type, shown.documentation) == (family.kind, family.help)
        assert name.endswith("_total") == (family.kind == "counter")
        assert (family.label is not None) == (Stats.__annotations__[family.field] is not int)


def test_a_namespace_may_have_any_name_and_only_the_known_ones_have_lines_of_their_own():
    nasty = '/a"b\\c\nd,e="f"}'
    stats = {**Server().stats(), "sockets": {"/": 3, nasty: 2, "/room-1": 1, "/room-2": 4}}
    _, values = read(render(stats, ("/", nasty, "/empty")))
    assert {key[1][1]: value for key, value in values.items() if key[0] == "trio_socketio_sockets"} == {
        "/": 3,
        nasty: 2,
        "/empty": 0,
        "other": 5,
    }


async def test_without_a_token_the_numbers_are_for_this_machine():
    server = make_server()
    for address in ("127.0.0.1", "::1"):
        assert (await fetch(server, address=address))[0] == 200
    for address in ("192.0.2.7", "local", "unknown"):
        status, _, body = await fetch(server, address=address)
        assert (status, "trio_socketio" in body) == (403, False)
    assert [str(proxy) for proxy in server.config.trusted_proxies] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize(
    "sent", [None, "", "Bearer", "Bearer t0ke", "Bearer t0ken ", "bearer t0ken", "Basic t0ken", "\xe9"]
)
async def test_with_a_token_nobody_else_is_told_wherever_they_come_from(sent):
    server = make_server("t0ken")
    headers = {} if sent is None else {"authorization": sent}
    assert (await fetch(server, **headers))[0] == 403
    assert (await fetch(server, address="192.0.2.7", authorization="Bearer t0ken"))[0] == 200


async def test_there_is_nothing_else():
    server = make_server()
    assert (await fetch(server, "/"))[0] == 404
    status, headers, _ = await fetch(server, method="POST")
    assert (status, headers) == (405, {"allow": "GET, HEAD"})


def test_as_a_program_it_says_where_to_scrape():
    command = [sys.executable, "examples/metrics.py", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert read(answer.read().decode())[1]["trio_socketio_rooms",] == 0
        finally:
            process.terminate()
