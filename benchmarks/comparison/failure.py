"""What can go wrong while measuring."""


class BenchmarkError(Exception):
    """Something cannot be measured; the message says what, and why."""
