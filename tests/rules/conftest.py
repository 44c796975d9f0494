"""The rules of docs/emit-rules.md, each shown on a server that serves several clients."""

from collections.abc import AsyncIterator

import pytest
from support.stage import Stage, staged


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A server whose namespaces are "/", "/x" and "/y"."""
    async with staged() as found:
        yield found
