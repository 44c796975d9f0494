"""Where a socket stands in its life."""

from enum import Enum, auto


class Stage(Enum):
    """Where a socket stands."""

    CONNECTING = auto()
    """Its connect handler decides."""
    CONNECTED = auto()
    """It can be reached."""
    LEFT = auto()
    """It cannot be reached any more; its disconnect handler is to come."""
    FORGOTTEN = auto()
    """Nothing more will happen."""
