"""Clients that are slow, or do nothing at all: each costs its connection for some time, and no more."""

import re

from hostile.handshakes import UNKNOWN
from support.hostile import (
    JOINED,
    OPENED,
    POLLING,
    SECRET,
    Close,
    Drip,
    End,
    Entry,
    HalfClose,
    Idle,
    Reply,
    Send,
    Text,
    Wait,
    attached,
    chunked,
    get,
    joined,
    polling,
    polling_joined,
    post,
    request,
    served,
    text,
    upgrade,
    websocket,
)
from trio_socketio.conformance.peer import frame

SESSION = f"{POLLING}&sid=<sid>"
SILENT = {"ping timeout": 1}
TIMED_OUT = Reply(408, b"", {"connection": "close"})
MESSAGE = f'42["message","{SECRET}"]'.encode()
SHOUTED = Text(re.compile(rb'42\["shouted","x*"\]'), "z")
LATE = 200.0
"""Seconds that are longer than any deadline."""

ENTRIES = (
    # Requests.
    Entry("slow.nothing", "A connection on which nothing comes.", (Wait(LATE), End())),
    Entry("slow.byte", "A connection on which one byte comes.", (Send(b"G"), TIMED_OUT, End())),
    Entry("slow.blank", "A connection on which half a line end comes.", (Send(get(POLLING)[:-1]), TIMED_OUT, End())),
    Entry("slow.idle", "A connection that is kept, and not used.", (Send(get("/")), Reply(404), Wait(LATE), End())),
    Entry(
        "slow.head",
        "A head byte by byte.",
        (Drip(get(POLLING, f"Cookie: {SECRET}"), 1.0), TIMED_OUT, End()),
    ),
    Entry(
        "slow.head-lines",
        "A head line by line, in a spelling that is not usual.",
        (Drip(request("DELETE", POLLING, *["X: y"] * 20, host="h").replace(b"\r", b""), 0.5), TIMED_OUT, End()),
    ),
    Entry(
        "slow.head-second",
        "The second head byte by byte.",
        (Send(get("/")), Reply(404), Drip(get("/"), 2.0), TIMED_OUT, End()),
    ),
    Entry(
        "slow.head-behind-poll",
        "A head that comes in part while a GET waits is no reason to answer that.",
        (*polling_joined(), Send(get(SESSION) + b"GET / HT"), Reply(200, b"2"), TIMED_OUT, End()),
        closes=SILENT,
    ),
    Entry(
        "slow.head-patient",
        "A head that takes its time, and not too much.",
        (Drip(get(), 0.1), Reply(200, OPENED)),
        alive=1,
    ),
    Entry(
        "slow.body",
        "A body byte by byte: the session ends first, then the connection.",
        (*polling_joined(), Drip(post(b"3" + b"x" * 300)[:-200], 1.0), TIMED_OUT, End()),
        closes=SILENT,
        called=("connect", "disconnect"),
    ),
    Entry(
        "slow.body-missing",
        "A body that does not come.",
        (*polling_joined(), Send(post(MESSAGE)[: -len(MESSAGE)]), TIMED_OUT, End()),
        closes=SILENT,
        called=("connect", "disconnect"),
    ),
    Entry(
        "slow.chunks",
        "Chunks, one a second.",
        (*polling_joined(), Drip(chunked(b"1\r\n3\r\n" * 100), 0.5), TIMED_OUT, End()),
        closes=SILENT,
    ),
    Entry(
        "slow.body-elsewhere",
        "A body for a page of the application.",
        (Drip(post(SECRET.encode() * 10, target="/"), 1.0), TIMED_OUT, End()),
    ),
    Entry(
        "slow.continue",
        "A body that was asked for.",
        (
            *polling_joined(),
            Send(post(b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 9")),
            Reply(100),
            TIMED_OUT,
            End(),
        ),
        closes=SILENT,
    ),
    Entry(
        "slow.reader",
        "A client that does not read a large page.",
        (Send(get("/large")), Wait(LATE), Idle()),
        memory=False,
    ),
    Entry(
        "slow.reader-of-many",
        "A client that asks and asks, and does not read.",
        (Send(get("/large") * 20), Wait(LATE), Idle()),
        memory=False,
    ),
    # Sessions over long-polling.
    Entry(
        "slow.poll-missing",
        "A session that is opened, and left.",
        (*polling(), Wait(46), Send(get(SESSION), "b"), Reply(400, UNKNOWN, on="b")),
        closes=SILENT,
        called=(),
    ),
    Entry(
        "slow.poll-no-pong",
        "A client that polls, and answers no ping.",
        (*polling_joined(), Send(get(SESSION)), Reply(200, b"2"), Send(get(SESSION)), Reply(200, b"1")),
        closes=SILENT,
    ),
    Entry(
        "slow.poll-no-connect",
        "A client that joins no namespace, though it is there.",
        (*polling(), Send(get(SESSION)), Reply(200, b"1"), Send(get(SESSION)), Reply(400, UNKNOWN)),
        closes={"forced close": 1},
        called=(),
        options={"connect_timeout": 10.0},
    ),
    Entry(
        "slow.poll-half-closed",
        "A client that says no more while its GET waits has hung up.",
        (*polling_joined(), Send(get(SESSION)), HalfClose(), End()),
        alive=1,
    ),
    Entry(
        "slow.poll-unread",
        "A client that never polls, while everyone is told much.",
        (
            *joined("z"),
            *polling_joined(),
            Send(post(b'42["shout",3]')),
            Reply(200, b"ok"),
            *(SHOUTED,) * 3,
            Send(get(SESSION)),
            Reply(400, UNKNOWN),
        ),
        closes={"forced close": 1},
        alive=1,
        options={"max_buffered_bytes": 250_000},
    ),
    # WebSockets.
    Entry(
        "slow.websocket-no-connect",
        "A client that joins no namespace, though it answers.",
        (*websocket(), Text("2"), Send(text("3")), Close(1000), End()),
        closes={"forced close": 1},
        called=(),
    ),
    Entry(
        "slow.websocket-refused",
        "Nor does who joins what does not exist.",
        (
            *websocket(),
            Send(text("40/nowhere,")),
            Text('44/nowhere,{"message":"Invalid namespace"}'),
            Close(1000),
            End(),
        ),
        closes={"forced close": 1},
        options={"connect_timeout": 10.0},
    ),
    Entry(
        "slow.websocket-no-pong",
        "A client that answers no ping.",
        (*joined(), Text("2"), Close(1000), End()),
        closes=SILENT,
        called=("connect", "disconnect"),
    ),
    Entry(
        "slow.websocket-frame",
        "A frame byte by byte is no answer.",
        (*joined(), Drip(frame(1, MESSAGE), 2.0), Text("2"), Close(1000), End()),
        closes=SILENT,
        called=("connect", "disconnect"),
    ),
    Entry(
        "slow.websocket-fragments",
        "Fragments of a message that does not end are none, either.",
        (
            *joined(),
            Drip(frame(1, b"4", final=False) + frame(0, b"x", final=False) * 10, 1.0),
            Text("2"),
            Close(1000),
            End(),
        ),
        closes=SILENT,
    ),
    Entry(
        "slow.websocket-pings",
        "Pings of the WebSocket layer are none, either.",
        (*joined(), Wait(24), Text("2"), *(Send(frame(9)), Wait(3)) * 5, Wait(10)),
        closes=SILENT,
    ),
    Entry(
        "slow.websocket-early-pongs",
        "Pongs that come before the ping do not answer it.",
        (*joined(), Send(text("3") * 100), Text("2"), Close(1000), End()),
        closes=SILENT,
    ),
    Entry(
        "slow.websocket-closing",
        "Who does not answer a Close frame is cut off.",
        (*joined(), Send(frame(1, b"\xff")), Close(1007), End()),
        closes={"transport error": 1},
    ),
    Entry(
        "slow.websocket-closing-drip",
        "Who answers it byte by byte is, too.",
        (*joined(), Send(frame(1, b"\xff")), Close(1007), Drip(frame(1, MESSAGE * 3), 1.0), End()),
        closes={"transport error": 1},
    ),
    Entry(
        "slow.websocket-half-closed",
        "A client that says no more without a Close frame is gone.",
        (*joined(), HalfClose(), End()),
        closes={"transport close": 1},
    ),
    Entry(
        "slow.websocket-behind-handshake",
        "Half a frame behind the handshake.",
        (
            Send(upgrade() + text("40") + frame(1, MESSAGE)[:5]),
            Reply(101),
            Text(OPENED),
            Text(JOINED),
            Text("2"),
            Close(1000),
            End(),
        ),
        closes=SILENT,
    ),
    Entry(
        "slow.websocket-unread",
        "A client that does not read, while everyone is told much.",
        (*joined("z"), *joined(), Send(text('42["shout",100]')), *(SHOUTED,) * 100),
        closes={"forced close": 1},
        alive=1,
        options={"max_buffered_bytes": 250_000},
        memory=False,
    ),
    Entry(
        "slow.websocket-unread-alone",
        "A client that does not read what it alone is told.",
        (*joined(), Send(text('42["tell",300]')), Wait(100), Idle()),
        closes=SILENT,
        called=("connect", "disconnect"),
        options={"max_buffered_bytes": 250_000},
        memory=False,
    ),
    Entry(
        "slow.upgrade",
        "A WebSocket that probes byte by byte.",
        (*attached(), Drip(text("2probe"), 2.0, "b"), Close(1000, "b"), End("b")),
        alive=1,
    ),
    Entry(
        "slow.patient",
        "A message byte by byte that comes to its end in time.",
        (*joined(), Drip(frame(1, MESSAGE), 0.1), Text(re.compile(rb'42\["message-back",".*"\]')), *served()),
        alive=1,
    ),
)
