"""What is fuzzed, and what inputs are made of.

A target is a function of bytes. It feeds them to a part of the package and raises exactly if that raises something that its
docstring does not say, or if what comes out cannot be right. Where a target takes more than one value, the byte 0xFF, which
UTF-8 never has, stands between them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hypothesis import strategies as st

MARK = b"\xff"
"""What stands between the values of one input."""

BINARY = b"\xfe"
"""What a value begins with that is bytes, not text; UTF-8 never has it either."""


@dataclass(frozen=True, slots=True)
class Target:
    """One function to be fuzzed."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    """Sensible inputs, to begin with."""
    words: tuple[bytes, ...]
    """What sensible inputs are made of."""
    modules: tuple[str, ...]
    """The modules whose branches a fuzzer should see; packages stand for all that is in them."""
    examples: int = 200
    """Inputs that a run of the test suite makes."""
    largest: int = 4096
    """Bytes of the largest input that is made."""
    every: int = 1
    """Which seeds a run of the test suite tries: all, or every so many where one takes long."""


def values(data: bytes) -> list[str | bytes]:
    """Take an input apart into the texts and bytes that it consists of."""
    return [part[1:] if part.startswith(BINARY) else text(part) for part in data.split(MARK)]


def text(part: bytes) -> str:
    """Return a text for any bytes; what is no UTF-8 becomes lone surrogates."""
    return part.decode("utf-8", "surrogateescape")


def joined(parts: Iterable[str | bytes]) -> bytes:
    """Return the input that consists of some values. Bytes lose what marks their end."""
    return MARK.join(
        BINARY + part.replace(MARK, b"\xfd") if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        for part in parts
    )


class Numbers:
    """Small numbers from an input, one byte each, and zeros when it has ended: what decides among a few choices."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self.more = bool(data)
        """Whether there was a byte for the last number."""

    def below(self, limit: int) -> int:
        """Return a number from 0 up to, not including, a limit."""
        byte = next(self._data, None)
        self.more = byte is not None
        return (byte or 0) % limit


@st.composite
def changed(draw: st.DrawFn, seeds: tuple[bytes, ...], words: tuple[bytes, ...]) -> bytes:
    """Draw an input: a seed, some of which is replaced by words, by arbitrary bytes, or by a part of another seed."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 2, 8, 1 << 20])))
        new = draw(
            st.sampled_from(words) | st.binary(max_size=4) | st.sampled_from(seeds) | st.just(data[start:end] * 2)
        )
        data = data[:start] + new + data[end:]
    return data
