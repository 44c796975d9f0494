// The way in: auth, refusals, namespaces, and what of the handshake reaches the server.
"use strict";
const { assert, check, client, connected, mode, once, ready, refused, run, upgraded } = require("./harness.js");

check("auth reaches the connect handler", async () => {
  const socket = client("/", { auth: { token: "abc", nested: { list: [1, null, "ü"] } } });
  const [welcome] = await once(socket, "welcome");
  assert.deepEqual(welcome.auth, { token: "abc", nested: { list: [1, null, "ü"] } });
});

check("auth may be computed by a function", async () => {
  const socket = client("/", { auth: (reply) => setTimeout(reply, 20, { token: "later" }) });
  const [welcome] = await once(socket, "welcome");
  assert.deepEqual(welcome.auth, { token: "later" });
});

check("a client without auth is welcome", async () => {
  const [welcome] = await once(client(), "welcome");
  assert.deepEqual(welcome.auth ?? {}, {});
});

check("the client's id is the server's sid and not the transport's", async () => {
  const socket = client();
  const [welcome] = await once(socket, "welcome");
  assert.equal(socket.id, welcome.sid);
  assert.notEqual(socket.id, socket.io.engine.id);
});

check("what the connect handler emits arrives after the connection", async () => {
  const socket = client();
  const order = [];
  socket.on("connect", () => order.push("connect"));
  socket.on("welcome", () => order.push("welcome"));
  await once(socket, "welcome");
  assert.deepEqual(order, ["connect", "welcome"]);
});

check("the transport has the name that the client asked for", async () => {
  const socket = client();
  const [welcome] = await once(socket, "welcome");
  assert.equal(welcome.transport, mode === "websocket" ? "websocket" : "polling");
  if (mode === "upgrade" || mode === "upgraded") {
    await upgraded(socket);
  }
  const expected = mode === "polling" ? "polling" : "websocket";
  assert.equal(socket.io.engine.transport.name, expected);
  assert.equal(await socket.emitWithAck("transport"), expected);
});

check("a refusal carries its message and its data", async () => {
  const socket = client("/", { auth: { refuse: "data" } });
  const error = await refused(socket);
  assert.equal(error.message, "not authorized");
  assert.deepEqual(error.data, { code: 401, hints: ["log in", "ask again"] });
  assert.equal(socket.connected, false);
  assert.equal(socket.active, false);
});

check("a refusal without data has none", async () => {
  const error = await refused(client("/", { auth: { refuse: "message" } }));
  assert.equal(error.message, "not today");
  assert.equal(error.data, undefined);
});

check("a connect handler that returns False refuses, and what it emitted is dropped", async () => {
  const socket = client("/", { auth: { refuse: "false" } });
  socket.on("welcome", () => assert.fail("welcomed although refused"));
  const error = await refused(socket);
  assert.equal(error.message, "Connection rejected by server");
});

check("a connect handler that fails says nothing about why", async () => {
  const error = await refused(client("/", { auth: { refuse: "error" } }));
  assert.equal(error.message, "Internal server error");
});

check("a refused socket can try again", async () => {
  const socket = client("/", { auth: { refuse: "data" } });
  await refused(socket);
  socket.auth = { token: "better" };
  socket.connect();
  const [welcome] = await once(socket, "welcome");
  assert.deepEqual(welcome.auth, { token: "better" });
});

check("the middleware of a namespace refuses and admits", async () => {
  const error = await refused(client("/guarded", { auth: { token: "wrong" } }));
  assert.equal(error.message, "the middleware refused");
  assert.deepEqual(error.data, { by: "guard" });
  await connected("/guarded", { auth: { token: "let me in" } });
});

check("a custom namespace has its own handlers", async () => {
  const socket = client("/custom", { auth: { token: "for custom" } });
  const [welcome] = await once(socket, "welcome");
  assert.equal(welcome.namespace, "/custom");
  assert.deepEqual(welcome.auth, { token: "for custom" });
  assert.deepEqual(await socket.emitWithAck("echo", "x"), "x");
});

check("a namespace by pattern serves every name that fits", async () => {
  const [welcome] = await once(client("/room-7"), "welcome");
  assert.equal(welcome.namespace, "/room-7");
});

check("an unknown namespace is refused", async () => {
  const error = await refused(client("/nobody-serves-this"));
  assert.equal(error.message, "Invalid namespace");
});

check("an unknown namespace does not disturb the others of its connection", async () => {
  const root = await connected();
  const unknown = root.io.socket("/nobody-serves-this");
  assert.equal((await refused(unknown)).message, "Invalid namespace");
  assert.equal(await root.emitWithAck("echo", 1), 1);
});

check("several namespaces share one connection", async () => {
  const root = await connected();
  const custom = root.io.socket("/custom", { auth: { token: "custom" } });
  const room = root.io.socket("/room-1");
  await Promise.all([ready(custom), ready(room)]);
  assert.equal(new Set([root.id, custom.id, room.id]).size, 3);
  const answers = await Promise.all([root, custom, room].map((socket, i) => socket.emitWithAck("echo", i)));
  assert.deepEqual(answers, [0, 1, 2]);
  custom.disconnect();
  assert.equal(await root.emitWithAck("echo", "still here"), "still here");
  assert.equal(await room.emitWithAck("echo", "here too"), "here too");
  custom.connect();
  await ready(custom);
  assert.equal(await custom.emitWithAck("echo", "back again"), "back again");
});

check("query and headers reach the handshake", async () => {
  const socket = client("/", {
    query: { language: "français", plus: "a+b & c=d", number: 7 },
    extraHeaders: { "X-Test": "the header's value" },
  });
  const [welcome] = await once(socket, "welcome");
  assert.equal(welcome.query.language, "français");
  assert.equal(welcome.query.plus, "a+b & c=d");
  assert.equal(welcome.query.number, "7");
  assert.equal(welcome.query.EIO, "4");
  assert.equal(welcome.header, "the header's value");
});

check("what is emitted before the connection arrives after it", async () => {
  const socket = client();
  const answers = await Promise.all([1, 2, 3].map((value) => socket.emitWithAck("number", value)));
  assert.deepEqual(answers, [1, 2, 3]);
  assert.deepEqual(await socket.emitWithAck("numbers"), [1, 2, 3]);
});

run();
