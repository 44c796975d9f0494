// Bytes in both directions, alone and inside other values, up to the size limit and over it.
"use strict";
const { createHash, randomBytes } = require("node:crypto");
const { assert, check, collect, connected, mode, once, run, until } = require("./harness.js");

const MAX_PAYLOAD = 1_000_000;
// Over polling bytes travel as base64: four characters for three bytes, one more to mark them.
const LARGEST = mode === "polling" || mode === "upgrade" ? Math.floor((MAX_PAYLOAD - 8) / 4) * 3 : MAX_PAYLOAD;
const BYTES = Buffer.from([0, 1, 2, 0x1e, 0x62, 127, 128, 254, 255]);

function digest(data) {
  return createHash("sha256").update(data).digest("hex");
}

check("bytes come back as bytes", async () => {
  const socket = await connected();
  const answer = await socket.emitWithAck("echo", BYTES);
  assert.ok(Buffer.isBuffer(answer));
  assert.deepEqual(answer, BYTES);
});

check("every kind of byte container is bytes", async () => {
  const socket = await connected();
  const array = new Uint8Array(BYTES);
  for (const value of [array, array.buffer, new Uint8Array(array.buffer, 2, 3), new DataView(array.buffer)]) {
    const expected = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    assert.deepEqual(await socket.emitWithAck("echo", value), expected);
  }
});

check("no bytes at all are bytes too", async () => {
  const socket = await connected();
  assert.deepEqual(await socket.emitWithAck("echo", Buffer.alloc(0)), Buffer.alloc(0));
});

check("bytes inside objects and lists", async () => {
  const socket = await connected();
  const value = { a: BYTES, list: [1, Buffer.from("x"), { deep: [Buffer.alloc(0), null] }], text: "ü", again: BYTES };
  assert.deepEqual(await socket.emitWithAck("echo", value), value);
});

check("several arguments with bytes between them, as an event", async () => {
  const socket = await connected();
  socket.emit("echo back", BYTES, "text", { b: Buffer.from("y") }, null, Buffer.from("z"));
  assert.deepEqual(await once(socket, "echoed"), [BYTES, "text", { b: Buffer.from("y") }, null, Buffer.from("z")]);
});

check("bytes that the client is told to send as base64", async () => {
  const socket = await connected("/", { forceBase64: true });
  const value = { a: BYTES, list: [Buffer.alloc(0), randomBytes(3000)] };
  assert.deepEqual(await socket.emitWithAck("echo", value), value);
  socket.on("question", (data, reply) => reply({ same: data }, Buffer.from("more")));
  const { several } = await socket.emitWithAck("ask", BYTES);
  assert.deepEqual(several, [{ same: BYTES }, Buffer.from("more")]);
});

check("what looks like a placeholder stays what it is beside bytes", async () => {
  const socket = await connected();
  const value = { looks: { _placeholder: false, num: 0 }, bytes: BYTES };
  assert.deepEqual(await socket.emitWithAck("echo", value), value);
});

check("the server calls with bytes and is answered with bytes", async () => {
  const socket = await connected();
  socket.on("question", (data, reply) => reply({ same: data }, Buffer.from("more")));
  const { several } = await socket.emitWithAck("ask", BYTES);
  assert.deepEqual(several, [{ same: BYTES }, Buffer.from("more")]);
});

check("the server sees the bytes as they are", async () => {
  const socket = await connected();
  const data = randomBytes(5000);
  assert.deepEqual(await socket.emitWithAck("measure", data), { type: "bytes", length: 5000, sha256: digest(data) });
});

check("bytes and texts keep their order", async () => {
  const socket = await connected();
  const seen = collect(socket, "echoed");
  for (let i = 0; i < 60; i += 1) {
    socket.emit("echo back", i % 3 ? i : Buffer.from([i]), i % 5 ? { n: i } : { n: Buffer.from([i]) });
  }
  await until(() => seen.length === 60, "sixty echoes");
  seen.forEach(([first, { n }], i) => {
    assert.deepEqual(first, i % 3 ? i : Buffer.from([i]));
    assert.deepEqual(n, i % 5 ? i : Buffer.from([i]));
  });
});

check("as many bytes as the limit allows reach the server", async () => {
  const socket = await connected();
  const data = randomBytes(LARGEST);
  assert.deepEqual(await socket.emitWithAck("measure", data), { type: "bytes", length: LARGEST, sha256: digest(data) });
});

check("a megabyte reaches the client", async () => {
  const socket = await connected();
  const data = await socket.emitWithAck("give bytes", 999_999);
  assert.equal(data.length, 999_999);
  assert.ok(data.every((byte, i) => byte === i % 251));
});

check("as much text as the limit allows goes both ways", async () => {
  const socket = await connected();
  const text = "ü".repeat(10) + "x".repeat(MAX_PAYLOAD - 60);
  assert.equal(await socket.emitWithAck("echo", text), text);
});

check("more than the limit ends the connection, and only this one", async () => {
  const bystander = await connected();
  const socket = await connected();
  socket.emit("measure", "x".repeat(MAX_PAYLOAD + 1));
  const [reason] = await once(socket, "disconnect");
  assert.match(reason, /^transport (close|error)$/);
  assert.equal(await bystander.emitWithAck("echo", "fine"), "fine");
});

run();
