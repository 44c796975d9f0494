"""HTTP beside Socket.IO: what the ``http=`` handler of a server gets and returns, and one such handler, `StaticFiles`."""

import mimetypes
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote_to_bytes

import trio

CHUNK = 64 * 1024
"""Bytes of a file that are read at once."""

TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}
"""What the machine's own table often has wrong, and browsers insist on."""


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """A request outside the Socket.IO path."""

    method: str
    path: str
    """As it was sent, not percent-decoded, without the query."""
    query: Mapping[str, str]
    """The decoded query parameters."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    address: str
    """The client's address."""
    secure: bool
    """Whether it came over TLS."""
    url: str
    """The whole address, with the query."""
    body: bytes = b""
    """At most ``max_payload`` bytes."""


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """The answer to an `HTTPRequest`.

    A body that is an async iterator of bytes is sent as it comes, chunked unless the headers have its length.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""

    @classmethod
    def text(cls, text: str, status: int = 200, content_type: str = "text/plain; charset=UTF-8") -> "HTTPResponse":
        """Return a response with a text as its body, in UTF-8."""
        return cls(status, {"content-type": content_type}, text.encode())


HTTPHandler = Callable[[HTTPRequest], Awaitable[HTTPResponse]]
"""What `Server` takes as ``http=``."""


async def not_found(request: HTTPRequest) -> HTTPResponse:  # noqa: ARG001  # whatever it is
    """Answer 404: the handler of a server that was given none."""
    await trio.lowlevel.checkpoint()
    return HTTPResponse.text("Not found\n", 404)


class StaticFiles:
    """An ``http=`` handler that serves the files of a directory; ``/`` and every path that ends with ``/`` is its ``index.html``.

    No path escapes the directory: neither ``..`` in any encoding nor a symbolic link out of it. Names that begin
    with a dot are not served.

    Args:
        directory: The directory.
        cache: The value of ``Cache-Control``; by default browsers ask each time and get 304 when nothing has changed.

    Raises:
        ValueError: The directory does not exist.
    """

    def __init__(self, directory: str | os.PathLike[str], *, cache: str = "no-cache") -> None:
        self._root = Path(directory).resolve()
        self._cache = cache
        if not self._root.is_dir():
            raise ValueError(f"there is no directory {str(self._root)!r} to serve files from")

    async def __call__(self, request: HTTPRequest) -> HTTPResponse:
        """Answer with a file, 304 when the client has it, 404 when there is none to be read, or 405 when it is not asked for.

        Raises:
            OSError: The file cannot be opened for another reason, as when the process has no descriptor left.
        """
        if request.method not in ("GET", "HEAD"):
            await trio.lowlevel.checkpoint()
            return HTTPResponse(405, {"allow": "GET, HEAD"})
        found = await trio.to_thread.run_sync(self._find, request.path)
        if found is None:
            return HTTPResponse.text("Not found\n", 404)
        path, status = found
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = {"cache-control": self._cache, "etag": tag, "last-modified": formatdate(status.st_mtime, usegmt=True)}
        if tag in [known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")]:
            return HTTPResponse(304, headers)
        headers["content-type"] = _content_type(path)
        headers["content-length"] = str(status.st_size)
        headers["x-content-type-options"] = "nosniff"
        return HTTPResponse(200, headers, b"" if request.method == "HEAD" else _read(path, status.st_size))

    def _find(self, path: str) -> tuple[Path, os.stat_result] | None:
        try:
            decoded = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return None
        parts = decoded.split("/")[1:]
        if parts and parts[-1] == "":
            parts[-1] = "index.html"
        if not parts or any(
            not part or part.startswith(".") or "\\" in part or "\0" in part or ":" in part for part in parts
        ):
            return None
        try:
            found = self._root.joinpath(*parts).resolve(strict=True)
            status = found.stat()
        except (OSError, RuntimeError):  # the latter for a loop of symbolic links, before Python 3.13
            return None
        if not found.is_relative_to(self._root) or not stat.S_ISREG(status.st_mode):
            return None
        try:
            found.open("rb").close()  # once the answer has begun, it would be too late to refuse
        except (FileNotFoundError, PermissionError):
            return None
        return found, status


def _content_type(path: Path) -> str:
    guessed = TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_text = guessed.startswith("text/") or guessed in (
        "application/json",
        "application/manifest+json",
        "image/svg+xml",
    )
    return f"{guessed}; charset=UTF-8" if is_text else guessed


async def _read(path: Path, size: int) -> AsyncIterator[bytes]:
    """Yield exactly ``size`` bytes of a file, or fewer if it has shrunk meanwhile."""
    async with await trio.open_file(path, "rb") as file:
        while size > 0:
            chunk = await file.read(min(CHUNK, size))
            if not chunk:
                return
            size -= len(chunk)
            yield chunk
