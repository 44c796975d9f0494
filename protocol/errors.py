"""What can go wrong between values and the wire.

::

    SocketIOError               everything this project raises on purpose
      ProtocolError             a value and a frame do not correspond
        DecodeError             the peer's fault: what arrived is no packet
        EncodeError             the caller's fault: what should leave is no packet
          EncodeValueError      also a ValueError: the right types, an impossible value
          EncodeTypeError       also a TypeError: a type that has no form on the wire

The decoding functions of this folder raise `DecodeError` and nothing else, whatever they are fed; the encoding
functions raise the two leaves of `EncodeError` and nothing else.
"""


class SocketIOError(Exception):
    """Everything that this project raises on purpose."""


class ProtocolError(SocketIOError):
    """A value and a frame do not correspond."""


class DecodeError(ProtocolError):
    """What the peer sent is no packet.

    Args:
        message: A sentence without a full stop.
        position: Where in the frame it went wrong, counted in characters, or None when no place is to blame.
        limit: The name of the bound that the packet exceeds, if that is what is wrong with it.
    """

    def __init__(self, message: str, position: int | None = None, limit: str | None = None) -> None:
        super().__init__(message, position, limit)  # all in `args`, so that the error survives pickling
        self.message = message
        self.position = position
        self.limit = limit

    def __str__(self) -> str:
        return self.message if self.position is None else f"{self.message} at position {self.position}"


class EncodeError(ProtocolError):
    """What the caller wants to send has no form on the wire; always raised as one of the two leaves."""


class EncodeValueError(EncodeError, ValueError):
    """A value that the wire cannot carry: NaN, a circular list, a reserved event name, an ack id out of range."""


class EncodeTypeError(EncodeError, TypeError):
    """A type that has no form on the wire: an object that JSON does not know, an event whose data is no list."""
