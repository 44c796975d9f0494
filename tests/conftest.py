"""What every test shares: a generated example may take as long as a slow machine needs, and log levels are put back."""

import logging

import hypothesis
import pytest

hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(autouse=True)
def _level_of_the_package():
    """The command line sets how much the package logs; a test that runs it in this process must not do so for the others."""
    logger = logging.getLogger("trio_socketio")
    level = logger.level
    yield
    logger.setLevel(level)
