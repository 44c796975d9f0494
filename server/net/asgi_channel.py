"""The messages between an ASGI application and its host about one connection or request."""

import logging
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.server.net.asgi_scope import Message, Receive, Scope, Send, address_of
from trio_socketio.server.net.decisions import log_unread

if TYPE_CHECKING:
    from trio_socketio.server.app import Server

logger = logging.getLogger("trio_socketio.http")

GONE: Final = (OSError, trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError, trio.EndOfChannel)
"""What a host raises when a client is gone: an OSError by the specification, or whatever its stream and channels do."""


class Gone(Exception):  # noqa: N818  # not an error: clients come and go
    """The client is gone, or so slow that it counts as gone."""


class Channel:
    """Sends and receives; whatever a host raises then means that there is nobody to talk to any more.

    Args:
        scope: The host's.
        receive: The host's.
        send: The host's.
        server: Whose limits count.
    """

    __slots__ = ("_receive", "_send", "_server", "address")

    def __init__(self, scope: Scope, receive: Receive, send: Send, server: "Server") -> None:
        self._receive = receive
        self._send = send
        self._server = server
        self.address = address_of(scope)
        """The peer's address."""

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            Gone: There will be none.
        """
        try:
            return await self._receive()
        except GONE as error:
            raise Gone(f"the connection broke: {error!r}") from error

    async def send(self, message: Message) -> None:
        """Send a message, however long that takes.

        Raises:
            Gone: The host did not take it.
        """
        try:
            await self._send(message)
        except GONE as error:
            raise Gone(f"the connection broke: {error!r}") from error
        except Exception as error:  # an HTTP library of the host does not like what its client does, or what we do
            logger.warning("the ASGI host did not send a message of the type %s: %r", message["type"], error)
            raise Gone(f"the host failed: {error!r}") from error

    async def send_in_time(self, message: Message) -> None:
        """Send a message; in ``Limits.write_timeout`` seconds, unless the host cannot be cancelled.

        Raises:
            Gone: The host did not take it, or not in time.
        """
        with trio.move_on_after(self._server.options.limits.write_timeout):
            await self.send(message)
            return
        log_unread(self.address, self._server)
        raise Gone("the client did not read its answer in time")

    async def hung_up(self, goodbye: str) -> None:
        """Receive and drop until the client is gone.

        Args:
            goodbye: The type of the message by which the host says so.
        """
        try:
            while (await self.receive())["type"] != goodbye:
                pass
        except Gone:
            return
