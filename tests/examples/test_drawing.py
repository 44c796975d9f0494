"""examples/drawing.py."""

import struct

import pytest
from examples.programs import load
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import open_test_client

drawing = load("drawing")


def stroke(*numbers):
    return struct.pack(f"<{len(numbers)}H", *numbers)


def parse(picture):
    """The strokes of a picture, as the page reads them."""
    numbers = struct.unpack(f"<{len(picture) // 2}H", picture)
    strokes, at = [], 0
    while at < len(numbers):
        strokes.append(numbers[at + 1 : at + 1 + numbers[at]])
        at += 1 + numbers[at]
    return strokes


async def test_a_stroke_reaches_the_others_and_who_comes_later(autojump_clock):
    server = drawing.make_server()
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        assert (await ada.expect("picture")).args == (b"",)
        first, second = stroke(1, 6, 0, 0, 65535, 65535), stroke(2, 40, 5, 5)
        assert await ada.call("stroke", first) is True
        assert await grace.call("stroke", second) is True
        assert (await grace.expect("stroke")).args == (first,)
        assert (await ada.expect("stroke")).args == (second,)
        async with open_test_client(server) as joan:
            picture = (await joan.expect("picture")).args[0]
            assert (await ada.expect("people")).args == (1,)
            assert (await joan.expect("people")).args == (3,)
        assert parse(picture) == [(1, 6, 0, 0, 65535, 65535), (2, 40, 5, 5)]


async def test_the_oldest_strokes_go_first_when_there_are_too_many(autojump_clock):
    server = drawing.make_server(max_picture=100)
    async with open_test_client(server) as ada:
        for number in range(50):
            await ada.call("stroke", stroke(0, 1, number, number))
        async with open_test_client(server) as grace:
            picture = (await grace.expect("picture")).args[0]
    assert len(picture) <= 100
    assert parse(picture) == [(0, 1, number, number) for number in range(40, 50)]


async def test_clearing_clears_for_everyone(autojump_clock):
    server = drawing.make_server()
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        await ada.call("stroke", stroke(0, 1, 1, 1))
        await grace.expect("stroke")
        for page in (ada, grace):
            await page.expect("picture")
        await grace.call("clear")
        for page in (ada, grace):
            assert (await page.expect("picture")).args == (b"",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        stroke(0, 1),
        stroke(0, 1, 5),
        stroke(0, 1, 5, 5, 5),
        stroke(0, 1, 5, 5) + b"\0",
        stroke(6, 1, 5, 5),
        stroke(0, 0, 5, 5),
        stroke(0, 1, *[5] * 3000),
        "text",
        None,
    ],
)
async def test_what_is_no_stroke_is_not_drawn(data, autojump_clock):
    server = drawing.make_server()
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        assert await ada.call("stroke", data) is False
        await wait_all_tasks_blocked()
        assert "stroke" not in [event.name for event in grace.received()]
