"""The runner: what becomes of a case that passes, fails, is skipped, hangs or breaks."""

import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from support.judging import judge
from support.memory import serving
from trio.testing import memory_stream_pair
from trio_socketio.conformance.case import Area, Level, Need, Register
from trio_socketio.conformance.fixture import engine_fixture, socketio_fixture
from trio_socketio.conformance.peer import Peer, PeerError
from trio_socketio.conformance.probing import Unusable, probe
from trio_socketio.conformance.report import render_html, render_json, render_text
from trio_socketio.conformance.report.terminal import UNREACHABLE
from trio_socketio.conformance.results import Outcome, deviations
from trio_socketio.conformance.runner import LATE, Delays, run
from trio_socketio.conformance.sections import EIO_HANDSHAKE

from trio_socketio import Server

WORDS = {"title": "The server does something", "expected": "something", "why": "It matters."}


def case(body, *needs, case_id="eio.handshake.a-case", level=Level.MUST, waits=None):
    """A case that is in no register but its own."""
    register = Register()
    register.case(case_id, level, EIO_HANDSHAKE, *needs, waits=waits, **WORDS)(body)
    (made,) = register
    return made


async def outcome(body, *needs, server=None, **keywords):
    verdict = await judge(server or socketio_fixture(), [case(body, *needs, **keywords)])
    return verdict.results[0]


async def test_a_case_that_returns_has_passed(autojump_clock):
    async def body(trial):
        await trial.echo(await trial.open("websocket"))

    result = await outcome(body)
    assert result.outcome is Outcome.PASSED
    assert [entry.text for entry in result.entries if entry.sent][-1] == '42["message","hello"]'


async def test_a_check_that_does_not_hold_fails_the_case_with_what_was_expected(autojump_clock):
    async def body(trial):
        trial.equal(1, True, "the number")

    result = await outcome(body)
    assert result.outcome is Outcome.FAILED
    assert (result.got, result.expected) == ("the number is 1", "the number is true")


async def test_what_the_peer_cannot_go_on_from_fails_the_case(autojump_clock):
    async def body(trial):
        await trial.peer.open_websocket(trial.peer.target(transport="nothing"))

    result = await outcome(body)
    assert result.outcome is Outcome.FAILED
    assert "refused with status 400" in result.got


async def test_a_failure_in_a_task_of_the_case_counts(autojump_clock):
    async def body(trial):
        async def later():
            await trio.sleep(0.1)
            trial.fail("that was wrong")

        trial.nursery.start_soon(later)
        await trio.sleep(1)

    assert (await outcome(body)).got == "that was wrong"


async def test_a_mistake_in_a_case_is_told_as_one(autojump_clock):
    async def body(trial):
        raise KeyError("x")

    result = await outcome(body)
    assert result.outcome is Outcome.FAILED
    assert result.got == "the case itself failed with KeyError: 'x'"


async def test_silence_ends_after_the_timeout(autojump_clock):
    async def body(trial):
        websocket = await trial.peer.open_websocket(trial.peer.target(transport="websocket"))
        while True:
            await websocket.send("3")
            await websocket.receive()  # the open packet and one ping; then the interval is longer than the patience

    result = await outcome(body, server=Server(ping_interval=100, cors_allowed_origins="*"))
    assert result.outcome is Outcome.FAILED
    assert result.got == "no frame came within 5 s"


async def test_a_case_that_hangs_is_ended(autojump_clock):
    async def body(trial):
        await trio.sleep_forever()

    result = await outcome(body)
    assert result.outcome is Outcome.FAILED
    assert result.got == "the case had not ended after 30 s"


async def test_a_case_that_the_server_cannot_show_is_skipped_with_the_reason(autojump_clock):
    async def body(trial):
        trial.fail("it was run")

    result = await outcome(body, Need.ECHO, server=Server())
    assert (result.outcome, result.got) == (Outcome.SKIPPED, Need.ECHO.value)
    result = await outcome(body, waits=lambda target: target.ping_interval, server=Server())
    assert (result.outcome, result.got) == (
        Outcome.SKIPPED,
        "the server's intervals make it wait 25 s, and --max-wait is 10 s",
    )


async def test_a_case_may_find_out_by_itself_that_it_cannot_be_shown(autojump_clock):
    async def body(trial):
        trial.skip("there is nothing to see")

    result = await outcome(body)
    assert (result.outcome, result.got) == (Outcome.SKIPPED, "there is nothing to see")


async def test_after_a_robustness_case_a_client_must_be_served(autojump_clock):
    server = socketio_fixture()

    async def body(trial):
        object.__setattr__(server.options, "max_connections", 0)

    result = await outcome(body, case_id="robust.http.a-case", level=Level.ROBUST, server=server)
    assert result.outcome is Outcome.FAILED
    assert "a well-behaved client that came afterwards was not served" in result.got


async def test_connections_are_closed_when_a_case_ends(autojump_clock):
    opened = []

    async def body(trial):
        opened.append(await trial.open("websocket"))
        trial.fail("on purpose")

    await outcome(body)
    with pytest.raises(trio.ClosedResourceError):
        await opened[0].stream.receive_some()


async def test_cases_run_at_the_same_time_as_many_as_there_are_jobs(autojump_clock):
    running = most = 0

    async def body(trial):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    cases = [case(body, case_id=f"eio.handshake.case-{number}") for number in range(8)]
    for jobs in (1, 4):
        most = 0
        verdict = await judge(socketio_fixture(), cases, jobs=jobs)
        assert most == jobs
        assert verdict.tally().passed == 8
        assert [result.case.id for result in verdict.results] == [each.id for each in cases]


async def test_an_interrupted_run_keeps_the_results_so_far(autojump_clock):
    interrupted = trio.Event()

    async def quick(trial):
        interrupted.set()

    async def slow(trial):
        await trio.sleep(20)

    cases = [case(quick, case_id="eio.handshake.quick"), case(slow, case_id="eio.handshake.slow")]
    async with serving(socketio_fixture()) as peer:
        target = await probe(peer.dial, peer.path, peer.host)
        verdict = await run(target, cases, server="memory", interrupted=interrupted)
    assert not verdict.complete
    assert [result.case.id for result in verdict.results] == ["eio.handshake.quick"]


def late_at_first(times, seconds, got):
    """Return the body of a case whose first run the process cannot give a processor so many times; and the list of its runs.

    In real time, for being late is the point.
    """
    runs = []

    async def body(trial):
        runs.append(trial)
        if len(runs) == 1:
            for _ in range(times):
                await trio.sleep(0.012)
                time.sleep(seconds)  # noqa: ASYNC251  # a process that gets no processor
            await trio.sleep(0.02)
            trial.fail("too late")
        if got:
            trial.fail(got)

    return body, runs


@pytest.mark.parametrize(
    ("times", "seconds"), [(1, LATE * 2), (12, LATE * 0.4)], ids=["a long delay", "many small ones"]
)
async def test_a_case_that_failed_while_the_suite_was_late_runs_again(times, seconds):
    body, runs = late_at_first(times, seconds, "")
    result = await outcome(body)
    assert (result.outcome, result.reruns, len(runs)) == (Outcome.PASSED, 1, 2)


async def test_a_fault_of_the_server_stays_a_failure_though_the_suite_was_late():
    body, _ = late_at_first(1, LATE * 2, "wrong")
    result = await outcome(body)
    assert (result.outcome, result.reruns, result.got) == (Outcome.FAILED, 1, "wrong")


def test_delays_are_forgotten():
    delays = Delays()
    assert [delays.add(second, second + LATE * 0.9) for second in range(10)] == [False] * 10
    assert [delays.add(10 + LATE * step, 10 + LATE * (step + 0.4)) for step in range(1, 9)].count(True) == 1
    assert delays.add(20, 20 + LATE * 1.1)
    assert not delays.add(20.1, 20.1 + LATE * 0.9), "what was told is told once"


# Finding out what a server is.


async def test_a_server_that_offers_everything_lacks_nothing(autojump_clock):
    async with serving(socketio_fixture()) as peer:
        target = await probe(peer.dial, peer.path, peer.host)
    assert target.lacks == frozenset()
    assert (target.ping_interval, target.ping_timeout, target.max_payload) == (0.3, 0.2, 1_000_000)
    assert (target.connect_timeout, target.upgrade_timeout) == (1.0, 1.0)


async def test_an_echo_server_lacks_socketio_only(autojump_clock):
    async with serving(engine_fixture(), "/engine.io/") as peer:
        target = await probe(peer.dial, peer.path, peer.host, engine_only=True)
    assert target.lacks == {Need.SOCKETIO, Need.CUSTOM, Need.FIXTURE}


async def test_an_echo_server_is_recognised_without_being_told(autojump_clock):
    async with serving(engine_fixture(), "/engine.io/") as peer:
        target = await probe(peer.dial, peer.path, peer.host)
    assert {Need.SOCKETIO, Need.ECHO} <= target.lacks


async def test_a_server_without_handlers_can_show_the_connection_only(autojump_clock):
    async with serving(Server()) as peer:
        target = await probe(peer.dial, peer.path, peer.host)
    assert target.lacks == {Need.ECHO, Need.FIXTURE, Need.CUSTOM}
    assert (target.connect_timeout, target.upgrade_timeout) == (45.0, 10.0)


@asynccontextmanager
async def talking(server, every):
    """Serve a server that emits something to everyone again and again."""
    async with serving(server) as peer, trio.open_nursery() as nursery:

        async def tick():
            while True:
                await trio.sleep(every)
                await server.emit("tick")

        nursery.start_soon(tick)
        yield peer
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("transports", [["polling", "websocket"], ["polling"], ["websocket"]])
async def test_a_server_that_talks_all_the_time_is_not_listened_to_for_ever(transports, autojump_clock):
    async with talking(Server(transports=transports), every=0.5) as peer:
        with trio.fail_after(120):
            target = await probe(peer.dial, peer.path, peer.host, timeout=2.0)
    assert {Need.ECHO, Need.FIXTURE, Need.CUSTOM} <= target.lacks
    assert Need.SOCKETIO not in target.lacks


async def test_a_server_that_talks_instead_of_answering_a_question_has_a_limit(autojump_clock):
    """It sends back text, and neither the numbers behind the question after the contract nor an acknowledgement."""
    server = Server()
    server.namespace("/custom").on("connect")(lambda ctx: None)

    @server.on("message")
    async def message(ctx, content):
        if isinstance(content, str):
            await ctx.emit("message-back", content)

    async with talking(server, every=3.0) as peer:
        with trio.fail_after(200):
            target = await probe(peer.dial, peer.path, peer.host)
    assert target.lacks == {Need.FIXTURE}


async def test_a_session_whose_id_no_url_can_have_is_told(autojump_clock):
    peer = Peer(answering(b'0{"sid":"\\ud800"}'), patience=1)
    with pytest.raises(PeerError, match=r"the sid '\\ud800' is no text that a URL can have"):
        await peer.open_polling()


def answering(body=b"", raw=None):
    """Return a dial whose other end says one thing and hangs up."""

    async def dial():
        ours, theirs = memory_stream_pair()
        said = raw if raw is not None else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        if said:
            await theirs.send_all(said)
        await theirs.send_stream.aclose()
        return ours

    return dial


@pytest.mark.parametrize(
    ("raw", "polling"),
    [
        (b"", "the connection ended without a whole response"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the connection ended without a whole response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "the connection ended without a whole response"),
        (
            b"\x15\x03\x01\x00\x02\x02\x46",
            "the answer is TLS and no HTTP: the address of such a server begins with https://",
        ),
        (b"220 mail.example ESMTP\r\n\r\n", "what came is no HTTP: "),
    ],
)
async def test_what_is_no_answer_is_told_in_words_of_the_suite(raw, polling, autojump_clock):
    with pytest.raises(Unusable) as told:
        await probe(answering(raw=raw), "/socket.io/", "localhost")
    assert f"polling: {polling}" in str(told.value)
    assert "ConnectionClosed" not in str(told.value)


async def test_a_server_with_one_transport_can_be_judged(autojump_clock):
    for transport, lacking in (("polling", Need.WEBSOCKET), ("websocket", Need.POLLING)):
        async with serving(Server(transports=[transport])) as peer:
            target = await probe(peer.dial, peer.path, peer.host)
        assert {lacking, Need.UPGRADE} <= target.lacks


async def test_where_there_is_no_server_nothing_can_be_judged(autojump_clock):
    async def dial():
        raise OSError(111, "Connection refused")

    with pytest.raises(Unusable, match="cannot be reached: Connection refused"):
        await probe(dial, "/socket.io/", "localhost")


async def test_where_there_is_another_server_nothing_can_be_judged(autojump_clock):
    async with serving(Server()) as peer:
        with pytest.raises(Unusable, match="status 404"):
            await probe(peer.dial, "/elsewhere/", peer.host)


async def test_a_verdict_says_whether_the_server_can_still_be_reached(autojump_clock):
    async def passes(trial):
        return

    dead = False
    async with serving(socketio_fixture()) as peer:

        async def dial():
            if dead:
                raise OSError(111, "Connection refused")
            return await peer.dial()

        async def kills(trial):
            nonlocal dead
            dead = True

        target = await probe(dial, peer.path, peer.host)
        assert (await run(target, [case(passes)], server="memory")).reachable
        verdict = await run(target, [case(kills)], server="memory")
    assert not verdict.reachable
    assert UNREACHABLE in render_text(verdict, color=False, width=100)
    assert UNREACHABLE in render_html(verdict)
    assert json.loads(render_json(verdict))["reachable"] is False


# Comparing.


async def test_known_deviations_are_compared_with_what_failed(autojump_clock):
    async def well(trial):
        return

    async def badly(trial):
        trial.fail("wrong")

    verdict = await judge(
        socketio_fixture(),
        [
            case(well, case_id="eio.polling.well"),
            case(badly, case_id="eio.polling.badly"),
            case(badly, case_id="eio.polling.custom", level=Level.MAY),
        ],
    )
    assert not verdict.conforms
    assert deviations(verdict, ["eio.polling.badly"]).none
    assert deviations(verdict, []).new == ("eio.polling.badly",)
    assert deviations(verdict, ["eio.polling.badly", "eio.polling.well"]).mended == ("eio.polling.well",)
    assert deviations(verdict, ["eio.polling.badly", "eio.polling.not-run"]).none
    only_custom = replace(verdict, results=verdict.results[::2])
    assert only_custom.conforms


def test_ids_are_checked_when_a_case_is_registered():
    register = Register()
    for wrong in ("handshake.keys", "eio.handshake", "eio.handshake.Keys", "eio.nowhere.keys"):
        with pytest.raises(ValueError, match="no id of a case"):
            register.case(wrong, Level.MUST, EIO_HANDSHAKE, **WORDS)
    register.case("eio.handshake.keys", Level.MUST, EIO_HANDSHAKE, **WORDS)(None)
    with pytest.raises(ValueError, match="two cases"):
        register.case("eio.handshake.keys", Level.MUST, EIO_HANDSHAKE, **WORDS)
    assert register.get("eio.handshake.keys").area is Area.HANDSHAKE
