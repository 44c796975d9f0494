"""Who gets it: rooms and their members, and the rules that turn an emit into recipients. Pure: no I/O, no clock."""

from trio_socketio.rooms.audience import ROOT as ROOT
from trio_socketio.rooms.audience import Audience as Audience
from trio_socketio.rooms.audience import Default as Default
from trio_socketio.rooms.audience import Here as Here
from trio_socketio.rooms.audience import address as address
from trio_socketio.rooms.audience import names as names
from trio_socketio.rooms.audience import own_sid as own_sid
from trio_socketio.rooms.audience import resolve_namespace as resolve_namespace
from trio_socketio.rooms.registry import RoomRegistry as RoomRegistry
