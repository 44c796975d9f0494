from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.rooms import Audience, RoomRegistry


def audience(*rooms, skip=()):
    return Audience("/", tuple(rooms), frozenset(skip))


EVERYONE = Audience("/", None)


@pytest.fixture
def registry():
    """Three members, A, B and C; b and a, in this order, are in the lobby."""
    it = RoomRegistry()
    for sid in ("a", "b", "c"):
        it.add(sid, sid.upper())
    it.join("b", "lobby")
    it.join("a", "lobby")
    return it


def test_a_new_registry_has_nobody():
    it = RoomRegistry()
    assert (len(it), it.room_count, list(it.everyone), list(it.select(EVERYONE))) == (0, 0, [], [])
    assert "a" not in it


def test_a_sid_is_a_room_with_itself_as_the_only_member(registry):
    assert registry.members("c") == ["c"]
    assert list(registry.select(audience("c"))) == ["C"]
    assert registry.room_count == 1, "these rooms are not counted"


def test_members_come_in_the_order_of_joining(registry):
    assert registry.members("lobby") == ["b", "a"]
    assert list(registry.select(audience("lobby"))) == ["B", "A"]


def test_the_rooms_of_a_socket_begin_with_its_own_sid(registry):
    registry.join("a", "another")
    assert registry.rooms_of("a") == ["a", "lobby", "another"]
    assert registry.rooms_of("c") == ["c"]
    assert registry.rooms_of("stranger") == []


def test_a_socket_can_start_in_rooms():
    it = RoomRegistry()
    it.add("a", "A", ["x", "y", "x", "a"])
    assert it.rooms_of("a") == ["a", "x", "y"]


def test_joining_twice_is_joining_once_and_keeps_the_place(registry):
    registry.join("b", "lobby")
    assert registry.members("lobby") == ["b", "a"]
    assert registry.rooms_of("b") == ["b", "lobby"]


def test_joining_again_after_leaving_is_joining_last(registry):
    registry.leave("b", "lobby")
    registry.join("b", "lobby")
    assert registry.members("lobby") == ["a", "b"]


def test_only_a_registered_socket_can_join(registry):
    with pytest.raises(KeyError):
        registry.join("stranger", "lobby")
    with pytest.raises(KeyError):
        registry.join("stranger", "new")
    assert registry.room_count == 1 and registry.members("lobby") == ["b", "a"]


@pytest.mark.parametrize(
    ("sid", "room"), [("c", "lobby"), ("a", "nowhere"), ("stranger", "lobby"), ("a", "a"), ("a", "b")]
)
def test_leaving_what_was_not_joined_changes_nothing(registry, sid, room):
    registry.leave(sid, room)
    assert registry.members("lobby") == ["b", "a"]
    assert list(registry.everyone) == ["a", "b", "c"]
    assert registry.members("a") == ["a"]


def test_an_empty_room_does_not_exist(registry):
    registry.leave("a", "lobby")
    registry.leave("b", "lobby")
    assert registry.room_count == 0
    assert registry.members("lobby") == []


def test_a_socket_that_goes_leaves_everything(registry):
    registry.join("a", "alone")
    registry.leave_all("a")
    assert "a" not in registry
    assert registry.members("a") == registry.members("alone") == registry.rooms_of("a") == []
    assert registry.members("lobby") == ["b"]
    assert registry.room_count == 1
    registry.leave_all("a")
    registry.leave_all("stranger")


def test_closing_a_room_leaves_its_members_connected(registry):
    registry.close("lobby")
    assert registry.members("lobby") == []
    assert list(registry.everyone) == ["a", "b", "c"]
    assert registry.rooms_of("a") == ["a"]
    registry.close("lobby")
    registry.close("nowhere")


def test_the_room_that_is_a_sid_cannot_be_closed(registry):
    registry.close("a")
    assert registry.members("a") == ["a"]
    assert registry.rooms_of("a") == ["a", "lobby"]


def test_several_rooms_mean_their_union_with_each_socket_once(registry):
    registry.join("c", "kitchen")
    registry.join("a", "kitchen")
    assert list(registry.select(audience("lobby", "kitchen", "c", "nowhere"))) == ["B", "A", "C"]


def test_no_room_means_nobody_and_none_means_everyone(registry):
    assert list(registry.select(audience())) == []
    assert list(registry.select(EVERYONE)) == ["A", "B", "C"]


def test_skipped_sids_are_left_out_and_rooms_cannot_be_skipped(registry):
    assert list(registry.select(audience("lobby", skip=["b", "stranger"]))) == ["A"]
    assert list(registry.select(audience("lobby", skip=["lobby"]))) == ["B", "A"]
    assert list(registry.select(audience("a", skip=["a"]))) == []
    assert list(registry.select(Audience("/", None, frozenset({"a"})))) == ["B", "C"]


@pytest.mark.parametrize("meant", [EVERYONE, audience("lobby"), audience("lobby", "c")])
def test_recipients_are_fixed_when_they_are_selected(registry, meant):
    chosen = registry.select(meant)
    before = list(chosen)
    assert not isinstance(chosen, Iterator)
    registry.leave_all("a")
    registry.add("d", "D", ["lobby"])
    assert list(chosen) == before


# --- against a model that only remembers who joined what, in order ------------------------------------------------

SIDS = ["s1", "s2", "s3", "s4"]
ROOMS = ["r1", "r2", "r3"]
sids, rooms = st.sampled_from(SIDS), st.sampled_from(ROOMS)
STEPS = st.one_of(
    st.tuples(st.just("add"), sids, st.lists(rooms, max_size=2)),
    st.tuples(st.just("join"), sids, st.sampled_from(ROOMS + SIDS)),
    st.tuples(st.just("leave"), sids, st.sampled_from(ROOMS + SIDS)),
    st.tuples(st.just("leave_all"), sids),
    st.tuples(st.just("close"), st.sampled_from(ROOMS + SIDS)),
)


class Model:
    """The present sockets, and one list of (sid, room) in the order of joining."""

    def __init__(self):
        self.present = []
        self.joined = []

    def apply(self, name, *args):
        getattr(self, name)(*args)

    def add(self, sid, starts):
        self.present.append(sid)
        for room in starts:
            self.join(sid, room)

    def join(self, sid, room):
        if room != sid and (sid, room) not in self.joined:
            self.joined.append((sid, room))

    def leave(self, sid, room):
        self.joined = [pair for pair in self.joined if pair != (sid, room)]

    def leave_all(self, sid):
        self.present = [other for other in self.present if other != sid]
        self.joined = [pair for pair in self.joined if pair[0] != sid]

    def close(self, room):
        self.joined = [pair for pair in self.joined if pair[1] != room]

    def members(self, room):
        if room in self.present:
            return [room]
        return [sid for sid, joined in self.joined if joined == room]

    def allows(self, name, *args):
        if name == "add":
            return args[0] not in self.present
        if name == "join":
            # Rooms named like another's sid are refused above the registry (emit rules, G4).
            return args[0] in self.present and (args[1] in ROOMS or args[1] == args[0])
        return True


@given(
    st.lists(STEPS, max_size=40),
    st.none() | st.lists(st.sampled_from([*ROOMS, *SIDS, "nowhere"]), unique=True, max_size=4),
    st.sets(st.sampled_from([*SIDS, *ROOMS, "nobody"])),
)
def test_after_any_history_the_registry_says_what_the_model_says(steps, meant, skip):
    registry, model = RoomRegistry(), Model()
    for step in steps:
        if model.allows(*step):
            name, sid, *more = step
            getattr(registry, name)(sid, *([sid.upper()] if name == "add" else []), *more)
            model.apply(*step)
        assert list(registry.everyone.items()) == [(sid, sid.upper()) for sid in model.present]
        assert len(registry) == len(model.present)
        assert registry.room_count == len({room for _, room in model.joined})
    for sid in SIDS:
        assert (sid in registry) == (sid in model.present)
        own = [sid] if sid in model.present else []
        assert registry.rooms_of(sid) == own + [room for other, room in model.joined if other == sid]
    for room in [*ROOMS, *SIDS]:
        assert registry.members(room) == model.members(room)
    selected = registry.select(Audience("/", None if meant is None else tuple(meant), frozenset(skip)))
    chosen = [member.lower() for member in selected]
    expected = model.present if meant is None else [sid for room in meant for sid in model.members(room)]
    assert len(chosen) == len(set(chosen)), "somebody gets it twice"
    assert set(chosen) == set(expected) - skip
    if meant is None or len(meant) == 1:
        assert chosen == [sid for sid in expected if sid not in skip]


def test_what_a_socket_has_joined_is_seen_as_it_changes(registry):
    joined = registry.joined("a")
    assert list(joined) == ["lobby"]
    registry.join("a", "kitchen")
    assert list(joined) == ["lobby", "kitchen"]
    with pytest.raises(KeyError):
        registry.joined("nobody")
