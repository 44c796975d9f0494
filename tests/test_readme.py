"""The README's code is what it says: it runs, and its server answers."""

import re
from pathlib import Path

from support.memory import serving

from trio_socketio import Server

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run_block(text: str, **names: object) -> dict[str, object]:
    found: dict[str, object] = {"__name__": "readme", **names}
    exec(compile(text, "README.md", "exec"), found)
    return found


async def test_the_first_example_is_a_chat(autojump_clock):
    block = next(block for block in BLOCKS if '@server.on("chat")' in block)
    server = run_block(block)["server"]
    assert isinstance(server, Server)
    async with serving(server) as peer:
        first, second = await peer.join(), await peer.join()
        await first.emit("chat", "hello", id=1)
        assert (await first.receive()).data == ["delivered"]
        assert await second.event() == ["chat", "hello"]
        await first.transport.hang_up()
        assert await second.event() == ["left", first.sids["/"]]


def test_every_other_example_can_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public").mkdir()
    for block in BLOCKS:
        assert isinstance(run_block(block)["server"], Server)


async def test_the_test_of_the_readme_passes():
    block = next(block for block in BLOCKS if "open_test_client" in block)
    await run_block(block)["test_add"]()


def test_the_commands_of_the_readme_exist():
    commands = set(re.findall(r"\$ make (\w+)", (ROOT / "README.md").read_text()))
    assert commands == {"demo", "test"}
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{command}:" in makefile for command in commands)
