"""The server that is judged, as far as it is known before the first case."""

from dataclasses import dataclass

from trio_socketio.conformance.case import Case, Need
from trio_socketio.conformance.dialect import Dialect
from trio_socketio.conformance.peer import Dial, Peer
from trio_socketio.protocol import engineio


@dataclass(frozen=True, slots=True)
class Target:
    """What the suite knows of a server; `trio_socketio.conformance.probing` finds it out."""

    dial: Dial
    """Opens a connection to it."""
    path: str
    """Where Engine.IO lives."""
    host: str
    """The value of the Host header."""
    dialect: Dialect
    """How it sends messages back."""
    timeout: float
    """Seconds to wait for what should come at once."""
    handshake: engineio.Handshake
    """What it announces; over polling if it offers that."""
    lacks: frozenset[Need] = frozenset()
    """What it does not offer."""
    connect_timeout: float = 45.0
    """Seconds that a client has to join a namespace, as the fixture says; by default those of the reference server."""
    upgrade_timeout: float = 10.0
    """Seconds that a client has to complete an upgrade, likewise."""

    @property
    def ping_interval(self) -> float:
        """Seconds between two pings."""
        return self.handshake.ping_interval

    @property
    def ping_timeout(self) -> float:
        """Seconds that a client has to answer one."""
        return self.handshake.ping_timeout

    @property
    def max_payload(self) -> int:
        """Bytes that a polling body or a WebSocket message may have."""
        return self.handshake.max_payload

    def peer(self) -> Peer:
        """Return a peer that reaches it, with a transcript of its own."""
        return Peer(self.dial, self.path, self.host, patience=self.timeout)

    def obstacle(self, case: Case, max_wait: float) -> str | None:
        """Return why a case cannot be shown by this server, or None."""
        for need in Need:
            if need in case.needs and need in self.lacks:
                return need.value
        wait = case.wait(self)
        if wait > max_wait:
            return f"the server's intervals make it wait {wait:g} s, and --max-wait is {max_wait:g} s"
        return None
