"""The Socket.IO server for Trio.

::

    from trio_socketio import Server

    server = Server()

    @server.on("chat")
    async def chat(ctx, text):
        await ctx.emit("chat", text, broadcast=True)
        return "delivered"

    server.run("127.0.0.1", 3000)

Everything that an application needs is here; the packages below (``protocol``, ``engine``, ``rooms``, ``server``)
are how it is made.
"""

from trio_socketio.engine.config import Transport as Transport
from trio_socketio.engine.events import CloseReason as CloseReason
from trio_socketio.engine.request import Request as Request
from trio_socketio.protocol.errors import DecodeError as DecodeError
from trio_socketio.protocol.errors import EncodeError as EncodeError
from trio_socketio.protocol.errors import ProtocolError as ProtocolError
from trio_socketio.protocol.errors import SocketIOError as SocketIOError
from trio_socketio.protocol.trace import Sender as Sender
from trio_socketio.protocol.trace import TracedFrame as TracedFrame
from trio_socketio.server.app import Server as Server
from trio_socketio.server.context import Context as Context
from trio_socketio.server.context import call as call
from trio_socketio.server.context import call_all as call_all
from trio_socketio.server.context import close_room as close_room
from trio_socketio.server.context import current_context as current_context
from trio_socketio.server.context import disconnect as disconnect
from trio_socketio.server.context import emit as emit
from trio_socketio.server.context import emit_nowait as emit_nowait
from trio_socketio.server.context import join_room as join_room
from trio_socketio.server.context import leave_room as leave_room
from trio_socketio.server.context import rooms as rooms
from trio_socketio.server.context import send as send
from trio_socketio.server.errors import AckTimeout as AckTimeout
from trio_socketio.server.errors import ConnectionRefused as ConnectionRefused
from trio_socketio.server.errors import Disconnected as Disconnected
from trio_socketio.server.errors import NotConnected as NotConnected
from trio_socketio.server.errors import TooManyAcks as TooManyAcks
from trio_socketio.server.errors import TooManyRooms as TooManyRooms
from trio_socketio.server.handshake import Handshake as Handshake
from trio_socketio.server.http import HTTPRequest as HTTPRequest
from trio_socketio.server.http import HTTPResponse as HTTPResponse
from trio_socketio.server.http import StaticFiles as StaticFiles
from trio_socketio.server.limits import Limits as Limits
from trio_socketio.server.limits import RateLimit as RateLimit
from trio_socketio.server.namespace import Namespace as Namespace
from trio_socketio.server.stats import Stats as Stats

__version__ = "0.1.0"
