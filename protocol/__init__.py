"""What is on the wire: frames to packets and back, as pure functions on str and bytes.

`engineio` is the layer that transports carry, `socketio` the one that its messages carry. Their packets have the same
names, so they are used through their modules: ``engineio.Packet``, ``socketio.Packet``.
"""

from trio_socketio.protocol import engineio as engineio
from trio_socketio.protocol import socketio as socketio
from trio_socketio.protocol.errors import DecodeError as DecodeError
from trio_socketio.protocol.errors import EncodeError as EncodeError
from trio_socketio.protocol.errors import EncodeTypeError as EncodeTypeError
from trio_socketio.protocol.errors import EncodeValueError as EncodeValueError
from trio_socketio.protocol.errors import ProtocolError as ProtocolError
from trio_socketio.protocol.errors import SocketIOError as SocketIOError
from trio_socketio.protocol.jsontext import JSON as JSON
