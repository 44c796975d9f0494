# ruff: noqa: N802  # the ids of the rules are in capitals
"""The emit rules that are decided before anybody is looked up. The ids are the rows of the rules."""

from dataclasses import FrozenInstanceError, dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.rooms import ROOT, Audience, Default, RoomRegistry, address, names, own_sid, resolve_namespace


@dataclass
class Somewhere:
    """A connection that is in "/" as me-root and in "/chat" as me-chat; an event of "/chat" is handled."""

    namespace: str = "/chat"
    sids: dict[str, str] = field(default_factory=lambda: {"/": "me-root", "/chat": "me-chat"})

    def sid_in(self, namespace):
        return self.sids.get(namespace)


INSIDE = Somewhere()


def emit(here=INSIDE, **keywords):
    """As ``emit`` of the module and of a context."""
    return address(here=here, default=Default.SELF, **keywords)


def server_emit(here=None, **keywords):
    """As ``emit`` of a server."""
    return address(here=here, default=Default.EVERYONE, **keywords)


def recipients(audience):
    registry = RoomRegistry()
    registry.add("me-chat", "me-chat", ["lobby"])
    registry.add("other", "other", ["lobby", "kitchen"])
    registry.add("third", "third", ["kitchen"])
    return sorted(registry.select(audience))


# --- A. namespace ------------------------------------------------------------------------------------------------


def test_A1_inside_the_namespace_is_that_of_the_current_event():
    assert emit().namespace == "/chat"
    assert emit(broadcast=True).namespace == "/chat"
    assert emit(to="lobby").namespace == "/chat"
    assert resolve_namespace(None, "/chat") == "/chat"


def test_A2_outside_and_for_the_server_it_is_the_root():
    assert emit(here=None, to="lobby").namespace == ROOT == "/"
    assert server_emit().namespace == ROOT
    assert server_emit(here=INSIDE).namespace == ROOT


def test_A3_an_explicit_root_wins_over_the_current_one():
    assert emit(namespace="/") == Audience("/", ("me-root",))
    assert emit(namespace="/", broadcast=True) == Audience("/", None)
    assert resolve_namespace("/", "/chat") == "/"


@pytest.mark.parametrize("namespace", ["", "chat", " /chat", "?/"])
@pytest.mark.parametrize("call", [emit, server_emit])
def test_A4_a_namespace_without_its_slash_is_a_value_error(call, namespace):
    with pytest.raises(ValueError, match="begins with '/'"):
        call(namespace=namespace, to="lobby")


@pytest.mark.parametrize("namespace", [b"/", 1, ["/"]])
def test_A4_a_namespace_that_is_no_str_is_a_type_error(namespace):
    with pytest.raises(TypeError, match="a namespace is a str"):
        emit(namespace=namespace, to="lobby")


def test_A5_a_namespace_that_nobody_defined_is_no_error():
    assert emit(namespace="/nobody", to="lobby") == Audience("/nobody", ("lobby",))
    assert server_emit(namespace="/nobody") == Audience("/nobody", None)


def test_A8_self_is_the_connection_whatever_the_namespace():
    assert emit(namespace="/") == Audience("/", ("me-root",))
    assert emit(namespace="/chat") == Audience("/chat", ("me-chat",))
    assert own_sid(INSIDE, "/") == "me-root"


def test_A8_self_in_a_namespace_that_the_connection_has_not_joined_is_an_error():
    with pytest.raises(RuntimeError, match="has not joined '/other'"):
        emit(namespace="/other")
    with pytest.raises(RuntimeError, match="has not joined '/other'"):
        own_sid(INSIDE, "/other")


def test_A9_excluding_self_where_the_connection_has_not_joined_is_the_same_error():
    for keywords in ({"broadcast": True}, {"to": "lobby"}):
        with pytest.raises(RuntimeError, match="has not joined '/other'"):
            emit(namespace="/other", include_self=False, **keywords)
    with pytest.raises(RuntimeError, match="has not joined '/other'"):
        server_emit(here=INSIDE, namespace="/other", include_self=False)


# --- B. targets --------------------------------------------------------------------------------------------------


def test_B1_inside_without_a_target_it_is_self():
    assert emit() == Audience("/chat", ("me-chat",))


@pytest.mark.parametrize("here", [None, INSIDE])
def test_B2_the_server_means_everyone_also_inside_a_handler(here):
    assert server_emit(here=here) == Audience("/", None)


def test_B3_outside_without_a_target_the_error_names_both_ways_out():
    with pytest.raises(RuntimeError, match=r"to=.*broadcast=True"):
        emit(here=None)
    with pytest.raises(RuntimeError, match=r"to=.*broadcast=True"):
        emit(here=None, namespace="/chat", skip_sid="x")


def test_B4_outside_with_a_target_it_works():
    assert emit(here=None, to="lobby") == Audience("/", ("lobby",))
    assert emit(here=None, broadcast=True, namespace="/chat") == Audience("/chat", None)


def test_B5_broadcast_is_everyone_with_self():
    assert recipients(emit(broadcast=True)) == ["me-chat", "other", "third"]


def test_B6_with_to_and_broadcast_to_decides():
    assert emit(to="lobby", broadcast=True) == emit(to="lobby")
    assert server_emit(to="lobby", broadcast=True) == server_emit(to="lobby")


def test_B7_the_own_sid_is_self():
    assert emit(to="me-chat") == emit()


def test_B8_another_sid_is_that_connection():
    assert recipients(emit(to="other")) == ["other"]


def test_B9_several_names_are_the_union_with_each_once():
    assert emit(to=["kitchen", "lobby", "kitchen"]) == Audience("/chat", ("kitchen", "lobby"))
    assert recipients(emit(to=["kitchen", "lobby", "other"])) == ["me-chat", "other", "third"]


@pytest.mark.parametrize("several", [["b", "a"], ("b", "a"), {"b": 1, "a": 2}, iter(["b", "a"])])
def test_B10_any_iterable_of_str_will_do(several):
    assert emit(to=several).rooms == ("b", "a")


def test_B10_a_set_will_do_and_so_will_one_name():
    assert set(emit(to={"a", "b"}).rooms or ()) == {"a", "b"}
    assert emit(to="ab").rooms == ("ab",)


def test_B10_an_iterable_is_read_once():
    reads = []

    def once():
        reads.append("read")
        yield "lobby"

    assert emit(to=once()).rooms == ("lobby",)
    assert emit(room=once()).rooms == ("lobby",)
    assert emit(to="x", skip_sid=once()).skip == {"lobby"}
    assert len(reads) == 3


@pytest.mark.parametrize(
    "wrong", [b"lobby", bytearray(b"x"), memoryview(b"x"), 7, 0, True, 1.5, [b"x"], ["a", 1], [None], [["a"]]]
)
@pytest.mark.parametrize("keyword", ["to", "room", "skip_sid"])
def test_B11_and_C3_what_is_no_str_is_a_type_error(keyword, wrong):
    with pytest.raises(TypeError, match=keyword):
        emit(**{keyword: wrong})


@pytest.mark.parametrize("empty", [[], (), set(), {}, iter(())])
@pytest.mark.parametrize("keyword", ["to", "room"])
@pytest.mark.parametrize("call", [emit, server_emit])
def test_B12_an_empty_target_reaches_nobody(call, keyword, empty):
    assert call(**{keyword: empty}).rooms == ()
    assert call(**{keyword: empty}, broadcast=True).rooms == ()
    assert recipients(call(**{keyword: empty}, broadcast=True)) == []


def test_B12_an_empty_target_reaches_nobody_outside_and_without_self_too():
    assert emit(here=None, to=[]).rooms == ()
    assert recipients(emit(to=[], include_self=False)) == []


@pytest.mark.parametrize("wrong", ["", [""], ["a", ""]])
@pytest.mark.parametrize("keyword", ["to", "room", "skip_sid"])
def test_B13_an_empty_name_is_a_value_error(keyword, wrong):
    with pytest.raises(ValueError, match=f"{keyword} holds an empty name"):
        emit(**{keyword: wrong})


def test_B14_room_is_another_word_for_to():
    assert emit(room="lobby") == emit(to="lobby")
    assert emit(room=["a", "b"]) == emit(to=["a", "b"])
    assert emit(to="lobby", room="lobby") == emit(to=["lobby"], room=("lobby", "lobby")) == emit(to="lobby")
    assert emit(to=["a", "b"], room={"b", "a"}) == emit(to=["a", "b"])


@pytest.mark.parametrize(("to", "room"), [("a", "b"), (["a"], ["a", "b"]), ("a", []), ([], "a")])
def test_B14_to_and_room_that_differ_are_a_type_error(to, room):
    with pytest.raises(TypeError, match="differ"):
        emit(to=to, room=room)


# --- C. exclusions -----------------------------------------------------------------------------------------------


def test_C1_without_self_everyone_else_that_is_targeted():
    assert recipients(emit(broadcast=True, include_self=False)) == ["other", "third"]
    assert recipients(emit(to="lobby", include_self=False)) == ["other"]
    assert recipients(emit(to="me-chat", include_self=False)) == []


def test_C2_both_exclusions_subtract():
    assert emit(broadcast=True, include_self=False, skip_sid="other").skip == {"me-chat", "other"}
    assert recipients(emit(broadcast=True, include_self=False, skip_sid=["other"])) == ["third"]


@pytest.mark.parametrize("several", ["a", ["a"], ("a", "a"), {"a"}, iter("a")])
def test_C3_skip_sid_is_one_or_any_iterable(several):
    assert emit(broadcast=True, skip_sid=several).skip == {"a"}


def test_C3_skipping_nobody_is_allowed():
    assert emit(broadcast=True, skip_sid=[]) == emit(broadcast=True)


def test_C4_self_without_self_is_a_value_error():
    with pytest.raises(ValueError, match="nobody"):
        emit(include_self=False)
    with pytest.raises(ValueError, match="nobody"):
        emit(include_self=False, skip_sid="other", namespace="/")


@pytest.mark.parametrize("keywords", [{"broadcast": True}, {"to": "lobby"}])
@pytest.mark.parametrize("call", [emit, server_emit])
def test_C5_without_self_outside_is_an_error_that_says_what_to_do(call, keywords):
    with pytest.raises(RuntimeError, match="no current connection; use skip_sid="):
        call(here=None, include_self=False, **keywords)


def test_C6_a_room_name_in_skip_sid_has_no_effect():
    assert recipients(emit(to="lobby", skip_sid="lobby")) == ["me-chat", "other"]


def test_C7_across_namespaces_the_sid_of_the_target_namespace_is_excluded():
    assert emit(namespace="/", broadcast=True, include_self=False) == Audience("/", None, frozenset({"me-root"}))
    assert server_emit(here=INSIDE, include_self=False) == Audience("/", None, frozenset({"me-root"}))


# --- all of it ---------------------------------------------------------------------------------------------------


def test_an_audience_is_a_value():
    audience = emit(to="lobby", skip_sid="x")
    assert hash(audience) == hash(emit(to="lobby", skip_sid="x"))
    with pytest.raises(FrozenInstanceError):
        audience.rooms = None


ANYTHING = (
    st.none() | st.text(max_size=2) | st.lists(st.text(max_size=2) | st.integers(), max_size=3) | st.binary(max_size=2)
)


@given(
    here=st.sampled_from([None, INSIDE]),
    default=st.sampled_from(Default),
    namespace=st.sampled_from([None, "/", "/chat", "/other", "", "x"]),
    to=ANYTHING,
    room=ANYTHING,
    broadcast=st.booleans(),
    include_self=st.booleans(),
    skip_sid=ANYTHING,
)
def test_whatever_is_passed_an_audience_comes_back_or_a_documented_error(here, **keywords):
    try:
        audience = address(here=here, **keywords)
    except (TypeError, ValueError, RuntimeError) as error:
        assert str(error)
        return
    assert audience.namespace.startswith("/")
    assert audience.rooms is None or len(set(audience.rooms)) == len(audience.rooms)
    assert all(isinstance(name, str) and name for name in [*(audience.rooms or ()), *audience.skip])
    if not keywords["include_self"]:
        assert own_sid(here, audience.namespace) in audience.skip
    if keywords["to"] is not None:
        assert audience.rooms == names(keywords["to"], "to")
