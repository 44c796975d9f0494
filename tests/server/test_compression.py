"""Compression of polling answers: only what is large, only what the client accepts."""

import gzip
import zlib

import pytest
from support.memory import serving
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import Polling, Response

LARGE = "4" + "ü" * 2000
DECODERS = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}


async def get(session: Polling, accepted: str | None, *more: tuple[str, str]) -> Response:
    headers = [] if accepted is None else [("accept-encoding", accepted)]
    return await session._peer.request("GET", session.target(), [*headers, *more])


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br, deflate", "deflate"),
        ("GZIP", "gzip"),
        ("gzip;q=0.2, deflate;q=0.8", "deflate"),
        ("deflate;q=0.2, gzip;q=0.8", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip ; q=1.0", "gzip"),
        ("*", "gzip"),
        ("*, gzip;q=0", "deflate"),
        ("gzip;q=0", None),
        ("gzip;q=0, deflate;q=0", None),
        ("gzip;q=0.000", None),
        ("*;q=0", None),
        ("identity", None),
        ("br", None),
        ("", None),
        (None, None),
        ("gzip;q=nonsense", None),
        (",;,q=1", None),
        ("gzipped", None),
    ],
)
async def test_a_large_answer_is_compressed_as_the_client_accepts(autojump_clock, accepted, coding):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        await session.send(LARGE)
        response = await get(session, accepted)
        assert response.status == 200
        assert response.header("content-encoding") == coding
        assert DECODERS[coding](response.body).decode() == LARGE
        assert (len(response.body) < len(LARGE)) == (coding is not None)
        assert response.header("content-length") == str(len(response.body))
        assert response.header("content-type") == "text/plain; charset=UTF-8"
        assert response.header("vary") == "Accept-Encoding"


@pytest.mark.parametrize(("size", "coding"), [(1, None), (1023, None), (1024, "gzip"), (1025, "gzip")])
async def test_only_what_reaches_the_threshold_is_compressed(autojump_clock, size, coding):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        await session.send("4" + "x" * (size - 1))
        response = await get(session, "gzip")
        assert response.header("content-encoding") == coding
        assert len(DECODERS[coding](response.body)) == size


async def test_the_threshold_counts_bytes_and_is_an_option(autojump_clock):
    async with serving(EngineFixture(compression_threshold=10)) as peer:
        session = await peer.open_polling()
        await session.send("4" + "€" * 3)
        assert (await get(session, "gzip")).header("content-encoding") == "gzip"
        await session.send("4€€")
        assert (await get(session, "gzip")).header("content-encoding") is None


async def test_compression_can_be_switched_off(autojump_clock):
    async with serving(EngineFixture(http_compression=False)) as peer:
        session = await peer.open_polling()
        await session.send(LARGE)
        response = await get(session, "gzip")
        assert (response.header("content-encoding"), response.text) == (None, LARGE)


async def test_a_compressed_answer_keeps_its_cors_headers(autojump_clock):
    page = "https://page.example"
    async with serving(EngineFixture(cors_allowed_origins="*")) as peer:
        session = await peer.open_polling()
        await session.send(LARGE)
        response = await get(session, "gzip", ("origin", page))
        assert response.header("access-control-allow-origin") == page
        assert sorted(response.header("vary").split(", ")) == ["Accept-Encoding", "Origin"]
        assert response.header("cache-control") == "no-store"


async def test_several_accept_encoding_headers_are_one_list(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        await session.send(LARGE)
        response = await get(session, "br", ("accept-encoding", "deflate"))
        assert response.header("content-encoding") == "deflate"
