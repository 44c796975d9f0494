"""For any memberships and any keywords, a real server reaches exactly those whom a brute-force model reaches."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from support.stage import staged

from trio_socketio import Server, emit

CLIENTS = 6
ROOMS = ("r", "s", "t")


@dataclass(frozen=True)
class Call:
    caller: int | None
    """Whose handler emits; None: outside."""
    by_server: bool
    """Whether `server.emit` is called rather than the function."""
    to: tuple[str | int, ...] | None
    """Rooms, and the clients whose sids are meant."""
    keyword: str
    broadcast: bool
    include_self: bool
    skip: tuple[int, ...] | None
    binary: bool

    @property
    def legal(self) -> bool:
        means_somebody = self.by_server or self.broadcast or self.to is not None
        return (self.caller is not None or self.include_self) and (
            means_somebody or (self.caller is not None and self.include_self)
        )


clients = st.integers(0, CLIENTS - 1)
memberships = st.lists(st.frozensets(st.sampled_from(ROOMS)), min_size=CLIENTS, max_size=CLIENTS)
calls = st.lists(
    st.builds(
        Call,
        caller=st.none() | clients,
        by_server=st.booleans(),
        to=st.none() | st.lists(st.sampled_from([*ROOMS, "nowhere"]) | clients, max_size=4).map(tuple),
        keyword=st.sampled_from(["to", "room"]),
        broadcast=st.booleans(),
        include_self=st.booleans(),
        skip=st.none() | st.lists(clients, max_size=3).map(tuple),
        binary=st.booleans(),
    ).filter(lambda call: call.legal),
    min_size=1,
    max_size=10,
)


def model(joined: list[frozenset[str]], call: Call) -> list[int]:
    """Whom a call reaches."""
    everyone = range(CLIENTS)
    if call.to is not None:
        targets = [n for n in everyone for name in [*joined[n], n] if name in call.to]
    elif call.broadcast or call.by_server:
        targets = list(everyone)
    else:
        targets = [call.caller]
    excluded = set(call.skip or ()) | (set() if call.include_self else {call.caller})
    return sorted(set(targets) - excluded)


@settings(max_examples=40)
@given(joined=memberships, made=calls)
async def test_the_recipients_are_those_of_the_model_each_exactly_once(joined, made):
    server = Server()
    async with staged(server, namespaces=("/",)) as stage:
        members = [await stage.join() for _ in range(CLIENTS)]
        for member, rooms in zip(members, joined, strict=True):
            await server.join_room(rooms, member.sid)
        expected: list[list[int]] = [[] for _ in members]
        for number, call in enumerate(made):
            keywords = {"broadcast": call.broadcast, "include_self": call.include_self}
            if call.to is not None:
                keywords[call.keyword] = [members[n].sid if isinstance(n, int) else n for n in call.to]
            if call.skip is not None:
                keywords["skip_sid"] = [members[n].sid for n in call.skip]
            function = server.emit if call.by_server else emit
            args = ("e", number, *([b"raw"] if call.binary else []))

            def act(ctx, function=function, args=args, keywords=keywords):
                return function(*args, **keywords)

            count = await (act(None) if call.caller is None else stage.inside(members[call.caller], act))
            reached = model(joined, call)
            assert count == len(reached)
            for n in reached:
                expected[n].append(number)
        await stage.settle()
        assert [[event[1] for event in member.events()] for member in members] == expected
