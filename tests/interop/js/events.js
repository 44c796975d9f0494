// Events and acknowledgements in both directions, and what survives the way through JSON.
"use strict";
const { assert, check, collect, connected, once, run, until } = require("./harness.js");

const VALUES = {
  "null": null,
  "booleans": [true, false],
  "numbers": [0, -1, 1.5, 1e-7, 1e21, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  "the empty string": "",
  "empty containers": [{}, [], [[]], [{}]],
  "nesting": { a: [{ b: { c: [1, [2, [3, { d: null }]]] } }] },
  "umlauts and ideographs": "äöüß 日本語 العربية",
  "emoji": "🙂 👩‍👩‍👧‍👦 🏳️‍🌈",
  "line separators": "a\u2028b\u2029c",
  "control characters": "\u0000\u0001\u001e\u001f\u007f\r\n\t",
  "quotes and backslashes": "\"'\\ \\u0041 </script>",
  "a lone surrogate": "x\ud83dy",
  "a placeholder that is none": "_placeholder",
  "keys of every kind": { "": 1, "__proto__x": 2, "ключ": 3, "🙂": 4, "a b": 5 },
  "what looks like a packet": ['42["x"]', "451-", "2probe", "b64"],
};

check("an acknowledgement carries no, one or several values", async () => {
  const socket = await connected();
  for (const args of [[], ["one"], ["one", 2, { three: [3] }]]) {
    const answer = await new Promise((resolve) => socket.emit("echo", ...args, (...values) => resolve(values)));
    assert.deepEqual(answer, args);
  }
});

check("a list is one value", async () => {
  const socket = await connected();
  const answer = await new Promise((resolve) => socket.emit("echo", [1, 2], (...values) => resolve(values)));
  assert.deepEqual(answer, [[1, 2]]);
});

check("a handler without a value acknowledges with none", async () => {
  const socket = await connected();
  const answer = await new Promise((resolve) => socket.emit("nothing", (...values) => resolve(values)));
  assert.deepEqual(answer, []);
});

for (const [name, value] of Object.entries(VALUES)) {
  check(`${name}: as acknowledgement and as event`, async () => {
    const socket = await connected();
    assert.deepEqual(await socket.emitWithAck("echo", value), value);
    socket.emit("echo back", value, "second", null);
    assert.deepEqual(await once(socket, "echoed"), [value, "second", null]);
  });
}

check("an event without arguments", async () => {
  const socket = await connected();
  socket.emit("echo back");
  assert.deepEqual(await once(socket, "echoed"), []);
});

check("an answer in time passes a timeout, none fails it", async () => {
  const socket = await connected("/bare");
  assert.equal(await socket.timeout(3000).emitWithAck("echo", "in time"), "in time");
  await assert.rejects(socket.timeout(150).emitWithAck("an event without a handler"), /operation has timed out/);
  assert.equal(await socket.timeout(3000).emitWithAck("echo", "and on"), "and on");
});

check("a handler that fails acknowledges nothing and harms nothing", async () => {
  const socket = await connected();
  await assert.rejects(socket.timeout(150).emitWithAck("fails"), /operation has timed out/);
  assert.equal(await socket.emitWithAck("echo", "and on"), "and on");
});

check("three hundred acknowledgements each find their own call", async () => {
  const socket = await connected();
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  assert.deepEqual(await Promise.all(numbers.map((i) => socket.emitWithAck("echo", i))), numbers);
});

check("the server calls the client", async () => {
  const socket = await connected();
  socket.on("question", (...args) => args.pop()(...args.reverse()));
  assert.deepEqual(await socket.emitWithAck("ask", "one"), { one: "one" });
  assert.deepEqual(await socket.emitWithAck("ask"), { one: null });
  assert.deepEqual(await socket.emitWithAck("ask", 1, "ü🙂", [2]), { several: [[2], "ü🙂", 1] });
});

check("the server's call to a silent client times out", async () => {
  const socket = await connected();
  assert.equal(await socket.emitWithAck("ask briefly"), "timed out");
});

check("the server's callback runs with the client's values", async () => {
  const socket = await connected();
  socket.on("question", (a, b, reply) => reply(a + b, null, { sum: true }));
  socket.emit("ask with callback", 3, 4);
  assert.deepEqual(await once(socket, "callback ran"), [7, null, { sum: true }]);
});

check("a volatile event arrives while the connection stands", async () => {
  const socket = await connected();
  const seen = collect(socket, "echoed");
  // A volatile event may be dropped while the transport is busy, so it is repeated until one arrives.
  await until(() => {
    socket.volatile.emit("echo back", "volatile");
    return seen.length > 0;
  }, "a volatile event");
  assert.deepEqual(seen[0], ["volatile"]);
});

check("send and message", async () => {
  const socket = await connected();
  socket.send("the text");
  assert.deepEqual(await once(socket, "message"), ["the text"]);
});

check("the server's catch-all handler gets what no handler wants", async () => {
  const socket = await connected();
  assert.deepEqual(await socket.emitWithAck("an event 🙂 of no name", 1, null), {
    event: "an event 🙂 of no name",
    args: [1, null],
  });
});

check("the client's catch-all listeners see everything", async () => {
  const socket = await connected();
  const incoming = [];
  const outgoing = [];
  socket.onAny((event, ...args) => incoming.push([event, ...args]));
  socket.onAnyOutgoing((event, ...args) => outgoing.push([event, ...args]));
  socket.emit("echo back", 1, "two");
  await once(socket, "echoed");
  assert.deepEqual(outgoing, [["echo back", 1, "two"]]);
  assert.deepEqual(incoming.at(-1), ["echoed", 1, "two"]);
});

check("a client that repeats until it is acknowledged is acknowledged once", async () => {
  const socket = await connected("/", { retries: 2, ackTimeout: 2000 });
  for (const value of [1, 2, 3]) {
    await new Promise((resolve, reject) => socket.emit("number", value, (error) => (error ? reject(error) : resolve())));
  }
  assert.deepEqual(await socket.emitWithAck("numbers"), [1, 2, 3]);
});

check("a noop, which the client for Swift sends, does nothing", async () => {
  const socket = await connected();
  for (let i = 0; i < 5; i += 1) socket.io.engine._sendPacket("noop");
  assert.equal(await socket.emitWithAck("echo", "after it"), "after it");
});

run();
