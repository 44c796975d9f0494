// The server goes away, in three ways, and the client comes back by itself.
"use strict";
const { assert, check, client, collect, control, once, ready, run, serverReason, until } = require("./harness.js");

const OPTIONS = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 300, randomizationFactor: 0.1 };

/** A client that reconnects, and the list of its welcomes. */
async function persistent(namespace = "/", options = {}) {
  await control("start"); // does nothing if the server runs
  const socket = client(namespace, { ...OPTIONS, ...options });
  const welcomes = collect(socket, "welcome");
  await ready(socket);
  await until(() => welcomes.length === 1, "the first welcome");
  return { socket, welcomes };
}

check("the client reconnects after the server was killed and started again", async () => {
  const { socket, welcomes } = await persistent("/", { auth: { token: "kept" } });
  const before = socket.id;
  const left = once(socket, "disconnect");
  await control("kill");
  const [reason] = await left;
  assert.match(reason, /^transport (close|error)$/);
  socket.emit("echo back", "kept while the server was away");
  const echoed = once(socket, "echoed", 10);
  await control("start");
  assert.deepEqual(await echoed, ["kept while the server was away"]);
  assert.equal(welcomes.length, 2);
  assert.deepEqual(welcomes[1][0].auth, { token: "kept" });
  assert.notEqual(socket.id, before);
  assert.equal(await socket.emitWithAck("echo", "and on"), "and on");
}, 20);

check("the client reconnects after the server stopped gracefully", async () => {
  const { socket, welcomes } = await persistent();
  const custom = socket.io.socket("/custom");
  await ready(custom);
  const ids = [socket.id, custom.id];
  const left = once(socket, "disconnect");
  await control("stop");
  const [reason] = await left;
  assert.match(reason, /^transport (close|error)$/); // "io server disconnect" would keep the client from coming back
  for (const id of ids) assert.equal(await serverReason(id), "server shutting down");
  const log = await control("log");
  assert.ok(log.some((line) => line.stopped), "the server did not end by itself");
  await control("start");
  await until(() => welcomes.length === 2 && custom.connected, "the client's return", 10);
  assert.equal(await socket.emitWithAck("echo", "and on"), "and on");
  assert.equal(await custom.emitWithAck("echo", "and on"), "and on");
}, 20);

check("a client that the server disconnected stays away", async () => {
  const { socket } = await persistent();
  socket.emit("kick");
  assert.equal((await once(socket, "disconnect"))[0], "io server disconnect");
  assert.equal(socket.active, false);
}, 20);

check("a silent server is left and found again", async () => {
  await control("restart", ["--ping-interval", "0.5", "--ping-timeout", "0.5"]);
  const { socket, welcomes } = await persistent();
  const left = once(socket, "disconnect", 10);
  await control("pause");
  assert.equal((await left)[0], "ping timeout");
  await control("resume");
  await until(() => welcomes.length === 2, "the client's return", 10);
  assert.equal(await socket.emitWithAck("echo", "and on"), "and on");
}, 20);

check("a client that answers no ping is let go", async () => {
  await control("restart", ["--ping-interval", "0.5", "--ping-timeout", "0.5"]);
  const { socket } = await persistent("/", { reconnection: false });
  const { id } = socket;
  const left = once(socket, "disconnect", 10);
  const { engine } = socket.io;
  const send = engine._sendPacket;
  engine._sendPacket = function (type, ...rest) {
    if (type !== "pong") send.call(this, type, ...rest);
  };
  assert.match((await left)[0], /^transport (close|error)$/);
  assert.equal(await serverReason(id), "ping timeout");
}, 20);

check("pings go on for as long as nothing else does", async () => {
  await control("restart", ["--ping-interval", "0.2", "--ping-timeout", "0.3"]);
  const { socket } = await persistent("/", { reconnection: false });
  let pings = 0;
  socket.io.on("ping", () => (pings += 1));
  await until(() => pings >= 8, "eight pings");
  assert.equal(socket.connected, true);
  assert.equal(await socket.emitWithAck("echo", "still here"), "still here");
}, 20);

run();
