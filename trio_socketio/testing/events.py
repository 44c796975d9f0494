"""What a test client receives."""

from dataclasses import dataclass, field

from trio_socketio.protocol.jsontext import JSON


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the server.

    Two are equal if name, arguments and namespace are: ``event == Event("chat", ("hello",))``.
    """

    name: str
    args: tuple[JSON, ...] = ()
    namespace: str = "/"
    ack_id: int | None = field(default=None, compare=False)
    """What joins it with its acknowledgement; None if the server wants none."""

    @property
    def wants_ack(self) -> bool:
        """Whether the server awaits an acknowledgement: `MemoryClient.acknowledge` sends it."""
        return self.ack_id is not None

    def __str__(self) -> str:
        where = "" if self.namespace == "/" else f" in {self.namespace}"
        return f"{self.name}({', '.join(map(repr, self.args))}){where}"
