"""``docs/performance.md``: its program runs, and the files it names are there."""

import re
from pathlib import Path

import trio
from support.memory import serving

from trio_socketio import Server

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


async def test_the_report_says_what_an_event_costs(autojump_clock, nursery, capsys):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(program, names)  # noqa: S102  # what the page tells its readers to run
    server = Server()

    @server.on("hello")
    async def hello(ctx):
        await ctx.emit("hello back")

    nursery.start_soon(names["report"], server)
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("hello")
        await client.receive()
        await trio.sleep(25)
    nursery.cancel_scope.cancel()
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[\d.]+ µs for each event in or out", line), "the second interval had no events, and no line"


def test_the_files_and_commands_of_the_page_are_there():
    text = PAGE.read_text()
    root = PAGE.parents[1]
    named = {*re.findall(r"\]\((?!https?:)([^)#]+)\)", text), *re.findall(r"python (benchmarks/\w+\.py)", text)}
    assert len(named) >= 3
    for name in named:
        assert (PAGE.parent / name).exists() or (root / name).exists(), name
