"""A raw peer: it speaks HTTP, WebSocket, Engine.IO and Socket.IO just as far as it is told to, and can misbehave on purpose.

A `Peer` knows how to reach a server and nothing else; every request and every WebSocket is a connection of its own. `Polling` and
`WebSocketPeer` are the two transports of one Engine.IO session, `SocketIOPeer` reads and writes Socket.IO packets
over either. Nothing here answers a ping, joins a namespace or follows a rule by itself unless its name says so.

Whatever a peer waits for, it waits for its `patience`; what crosses the wire is written to its transcript.
"""

from trio_socketio.conformance.peer.errors import Closed as Closed
from trio_socketio.conformance.peer.errors import PeerError as PeerError
from trio_socketio.conformance.peer.errors import Refused as Refused
from trio_socketio.conformance.peer.errors import Silence as Silence
from trio_socketio.conformance.peer.handshake import DEFAULTS as DEFAULTS
from trio_socketio.conformance.peer.handshake import decode_payload as decode_payload
from trio_socketio.conformance.peer.handshake import open_packet as open_packet
from trio_socketio.conformance.peer.http import HTTPConnection as HTTPConnection
from trio_socketio.conformance.peer.http import Response as Response
from trio_socketio.conformance.peer.polling import Polling as Polling
from trio_socketio.conformance.peer.reach import Peer as Peer
from trio_socketio.conformance.peer.socketio import SocketIOPeer as SocketIOPeer
from trio_socketio.conformance.peer.websocket import WebSocketPeer as WebSocketPeer
from trio_socketio.conformance.peer.websocket import frame as frame
from trio_socketio.conformance.peer.wire import HOST as HOST
from trio_socketio.conformance.peer.wire import RECEIVE_SIZE as RECEIVE_SIZE
from trio_socketio.conformance.peer.wire import Dial as Dial
from trio_socketio.conformance.peer.wire import Wire as Wire
