"""The public names of each folder: a change here is a change for users."""

import importlib
import types

import pytest

PUBLIC = {
    "trio_socketio": """
        AckTimeout CloseReason ConnectionRefused Context DecodeError Disconnected EncodeError HTTPRequest HTTPResponse
        Handshake Limits Namespace NotConnected ProtocolError RateLimit Request Sender Server SocketIOError Stats StaticFiles
        TooManyAcks TooManyRooms TracedFrame Transport
        call call_all close_room current_context disconnect emit emit_nowait join_room leave_room rooms send
    """,
    "trio_socketio.testing": """
        ClientFactory ConnectError ConnectionGone Event HandshakeRefused MemoryClient MemoryService NotReceived Response
        StillRunning open_test_client request serve_in_memory
    """,
    "trio_socketio.protocol": """
        DecodeError EncodeError EncodeTypeError EncodeValueError JSON ProtocolError SocketIOError
    """,
    "trio_socketio.engine": """
        Closed CloseReason Conflict EngineConfig Event Message Outbound ProbeFailed Session Transport Upgraded
    """,
    "trio_socketio.rooms": """
        Audience Default Here ROOT RoomRegistry address names own_sid resolve_namespace
    """,
    "trio_socketio.server": "",
    "trio_socketio.conformance": "",
}


@pytest.mark.parametrize("folder", PUBLIC)
def test_a_folder_exports_exactly_its_public_names(folder):
    module = importlib.import_module(folder)
    names = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert names == set(PUBLIC[folder].split())
