"""The demo: a chat on one page that shows the wire beside it."""

from trio_socketio.demo.app import create_server as create_server
