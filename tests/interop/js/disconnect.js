// The way out: who ended it, and what each side is told.
"use strict";
const { assert, check, collect, connected, control, mode, once, ready, run, serverReason, until, upgraded } = require("./harness.js");

check("the client leaves", async () => {
  const socket = await connected();
  const { id } = socket;
  const left = once(socket, "disconnect");
  socket.disconnect();
  assert.equal((await left)[0], "io client disconnect");
  assert.equal(await serverReason(id), "client namespace disconnect");
});

check("what the client sent before it left is handled", async () => {
  const socket = await connected();
  const bystander = await connected();
  const said = collect(bystander, "said");
  for (let i = 0; i < 20; i += 1) socket.emit("say", bystander.id, i);
  const { id } = socket;
  socket.disconnect();
  await serverReason(id);
  await bystander.emitWithAck("echo", "flush");
  assert.deepEqual(said, Array.from({ length: 20 }, (_, i) => [i]));
});

check("the client leaves one namespace of two", async () => {
  const root = await connected();
  const custom = root.io.socket("/custom");
  await ready(custom);
  const { id } = custom;
  custom.disconnect();
  assert.equal(await serverReason(id), "client namespace disconnect");
  assert.equal(await root.emitWithAck("echo", "still here"), "still here");
});

check("the server disconnects after its last words", async () => {
  const socket = await connected();
  const { id } = socket;
  const words = collect(socket, "goodbye");
  const left = once(socket, "disconnect");
  socket.emit("kick");
  assert.equal((await left)[0], "io server disconnect");
  assert.deepEqual(words, [["the last words"]]);
  assert.equal(await serverReason(id), "server namespace disconnect");
});

check("the server disconnects one namespace of two", async () => {
  const root = await connected();
  const custom = root.io.socket("/custom");
  await ready(custom);
  custom.emit("kick");
  assert.equal((await once(custom, "disconnect"))[0], "io server disconnect");
  assert.equal(await root.emitWithAck("echo", "still here"), "still here");
  custom.connect();
  await ready(custom);
  assert.equal(await custom.emitWithAck("echo", "back again"), "back again");
});

check("the server closes the whole connection", async () => {
  const root = await connected();
  const custom = root.io.socket("/custom");
  await ready(custom);
  const ids = [root.id, custom.id];
  const words = collect(root, "goodbye");
  const left = [collect(root, "disconnect"), collect(custom, "disconnect")];
  if (mode === "upgrade") await upgraded(root); // as below
  root.emit("kick out");
  await until(() => root.io._readyState === "closed", "the end of the connection");
  for (const each of left) assert.deepEqual(each.map(([reason]) => reason), ["io server disconnect"]);
  assert.deepEqual(words, [["the last words"]]);
  for (const id of ids) assert.match(await serverReason(id), /^(server namespace disconnect|forced close)$/);
});

check("what is on its way when the server closes is handled first", async () => {
  for (let i = 0; i < 10; i += 1) {
    const socket = await connected();
    if (mode === "upgrade") await upgraded(socket); // while the transport changes there may be one answer only, for all of it
    const seen = collect(socket, "echoed");
    const left = collect(socket, "disconnect");
    for (let n = 0; n < 40; n += 1) socket.emit("echo back", n);
    socket.emit("kick out");
    await until(() => left.length > 0, "the end of the connection");
    assert.deepEqual(seen, Array.from({ length: 40 }, (_, n) => [n]));
    assert.deepEqual(left.map(([reason]) => reason), ["io server disconnect"]);
  }
});

check("the client closes its transport", async () => {
  const socket = await connected();
  const { id } = socket;
  const left = once(socket, "disconnect");
  socket.io.engine.close();
  assert.equal((await left)[0], "forced close"); // the word of the client for its own side
  assert.equal(await serverReason(id), "transport close");
});

if (mode !== "polling") {
  check("the client's network breaks", async () => {
    const socket = await connected();
    if (mode === "upgrade") await upgraded(socket);
    const { id } = socket;
    const left = once(socket, "disconnect");
    socket.io.engine.transport.ws._socket.resetAndDestroy();
    assert.match((await left)[0], /^transport (close|error)$/);
    assert.match(await serverReason(id), /^transport (close|error)$/);
  });
}

check("what is no packet ends the connection", async () => {
  const bystander = await connected();
  const socket = await connected();
  const { id } = socket;
  const left = once(socket, "disconnect");
  socket.io.engine.write('2{"not":"a list"}');
  // Over polling the answer to the GET says close and that to the POST is a refusal: whichever the client reads first.
  assert.match((await left)[0], /^transport (close|error)$/);
  assert.equal(await serverReason(id), "parse error");
  assert.equal(await bystander.emitWithAck("echo", "fine"), "fine");
});

check("the disconnect handler still sees the rooms", async () => {
  const socket = await connected("/", { auth: { room: "lobby" } });
  const { id } = socket;
  socket.disconnect();
  await serverReason(id);
  const log = await control("log");
  const lines = log.filter((line) => line.disconnected === id);
  assert.equal(lines.length, 1);
  assert.deepEqual(new Set(lines[0].rooms), new Set([id, "lobby"]));
});

run();
