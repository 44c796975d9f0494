"""What every test shares: examples may take as long as a slow machine needs, Ctrl-C interrupts, and log levels are put back."""

import logging
import os
import signal

import hypothesis
import pytest
from support import shortcuts

# Fewer examples in CI, which has limited time; `python tests/fuzz/run.py` is the long run.
hypothesis.settings.register_profile("project", deadline=None, max_examples=40 if os.environ.get("CI") else 100)
hypothesis.settings.load_profile("project")
shortcuts.turn_off()

# A shell has it ignored by what runs in the background, and all that this starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _level_of_the_package():
    """The command line sets how much the package logs; a test that runs it in this process must not do so for the others."""
    logger = logging.getLogger("trio_socketio")
    level = logger.level
    yield
    logger.setLevel(level)


def pytest_collection_modifyitems(items):
    """Leave out what is about a shortcut that is turned off."""
    without = set(shortcuts.off())
    for item in items:
        for marker in item.iter_markers("shortcut"):
            if missing := without.intersection(marker.args):
                item.add_marker(pytest.mark.skip(reason=f"turned off in this run: {', '.join(sorted(missing))}"))
