// The client over TLS, which trusts one authority only: the one of the server, given as `ca`.
//
//   node js/tls_client.mjs https://localhost:3443 websocket ca.pem [certificate.pem key.pem]
import { readFileSync } from "node:fs";
import harness from "./harness.js";

const { assert, check, client, connected, control, mode, once, ready, run, sleep, until } = harness;
const [ca, cert, key] = process.argv.slice(4).map((path) => readFileSync(path));
const tls = { ca, rejectUnauthorized: true, ...(cert && { cert, key }) };

const secure = (namespace = "/", options = {}) => connected(namespace, { ...tls, ...options });

check("the transport is the one that was asked for, over TLS", async () => {
  const socket = await secure();
  const expected = mode === "polling" ? "polling" : "websocket";
  await until(() => socket.io.engine.transport.name === expected, `the transport ${expected}`);
  assert.equal(socket.io.engine.transport.opts.secure, true);
  assert.equal(await socket.emitWithAck("transport"), expected);
});

check("events, acknowledgements and bytes go both ways", async () => {
  const socket = await secure();
  const bytes = Buffer.from([0, 1, 2, 127, 128, 255]);
  const [text, number, data] = await socket.emitWithAck("echo", ["grüße 🙂", 1.5, bytes]);
  assert.deepEqual([text, number, Buffer.from(data)], ["grüße 🙂", 1.5, bytes]);
  const back = once(socket, "echoed");
  socket.emit("echo back", "hello");
  assert.deepEqual(await back, ["hello"]);
});

check("a message that takes many records of TLS arrives whole, in both directions", async () => {
  const socket = await secure();
  const large = "ö".repeat(400_000);
  assert.equal((await socket.emitWithAck("echo", large)).length, large.length);
});

check("what is sent during the upgrade arrives once and in order", async () => {
  const socket = client("/", tls);
  const answers = [];
  for (let number = 0; number < 200; number += 1) {
    answers.push(socket.emitWithAck("number", number));
    if (number % 20 === 0) await sleep(5);
  }
  const expected = Array.from({ length: 200 }, (_, number) => number);
  assert.deepEqual(await Promise.all(answers), expected);
  assert.deepEqual(await socket.emitWithAck("numbers"), expected);
});

check("several namespaces share one connection", async () => {
  const root = await secure();
  const custom = root.io.socket("/custom");
  await ready(custom);
  assert.deepEqual(await Promise.all([root.emitWithAck("echo", 1), custom.emitWithAck("echo", 2)]), [1, 2]);
});

check("who leaves is gone for the server", async () => {
  const socket = await secure();
  const sid = socket.id;
  socket.disconnect();
  assert.equal(await control("reason", sid), "client namespace disconnect");
});

check("the client comes back after the server was gone", async () => {
  const socket = await secure("/", { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
  const first = socket.id;
  const again = once(socket, "disconnect", 10).then(() => once(socket, "connect", 20));
  await control("restart", await control("arguments"));
  await again;
  assert.notEqual(socket.id, first);
  assert.equal(await socket.emitWithAck("echo", "back"), "back");
}, 40);

run();
