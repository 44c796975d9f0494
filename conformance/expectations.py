"""Lists of known deviations, so that a CI can watch for changes instead of for perfection.

One id of a case on each line; what follows ``#`` is a comment::

    eio.polling.compression.gzip   # the proxy in front compresses
"""

from collections.abc import Iterable

from trio_socketio.conformance.case import Register


class ExpectationError(Exception):
    """A list of known deviations cannot be used."""


def read_expectations(lines: Iterable[str], register: Register, name: str) -> list[str]:
    """Return the ids in a list of known deviations.

    Args:
        lines: The lines of the list.
        register: The cases that there are.
        name: What the list is called, for the messages.

    Raises:
        ExpectationError: A line is no id of a case, or stands there twice.
    """
    expected: list[str] = []
    for number, line in enumerate(lines, 1):
        case_id = line.partition("#")[0].strip()
        if not case_id:
            continue
        if register.get(case_id) is None:
            raise ExpectationError(f"{name}, line {number}: there is no case {case_id!r} (--list shows all)")
        if case_id in expected:
            raise ExpectationError(f"{name}, line {number}: {case_id!r} stands there twice")
        expected.append(case_id)
    return expected
