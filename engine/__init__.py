"""One Engine.IO session as values and time: requests, origins, heartbeat and the state machine. No I/O, no clock."""

from trio_socketio.engine.config import EngineConfig as EngineConfig
from trio_socketio.engine.config import Transport as Transport
from trio_socketio.engine.events import Closed as Closed
from trio_socketio.engine.events import CloseReason as CloseReason
from trio_socketio.engine.events import Conflict as Conflict
from trio_socketio.engine.events import Event as Event
from trio_socketio.engine.events import Message as Message
from trio_socketio.engine.events import ProbeFailed as ProbeFailed
from trio_socketio.engine.events import Upgraded as Upgraded
from trio_socketio.engine.outbound import Outbound as Outbound
from trio_socketio.engine.session import Session as Session
