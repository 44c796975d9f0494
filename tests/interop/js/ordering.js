// A thousand messages each way while the transport changes under them: each one arrives, once, in its place.
"use strict";
const { assert, check, collect, connected, mode, once, ready, client, run, sleep, until, upgraded } = require("./harness.js");

const THOUSAND = Array.from({ length: 1000 }, (_, i) => i);

async function exchange(socket) {
  const received = collect(socket, "number");
  socket.emit("count to", 1000, 0.0005);
  for (const i of THOUSAND) {
    socket.emit("number", i);
    if (i % 20 === 19) await sleep(1);
  }
  await until(() => received.length >= 1000, "a thousand numbers from the server", 10);
  const arrived = await socket.emitWithAck("numbers");
  assert.deepEqual(arrived, THOUSAND);
  assert.deepEqual(received.map(([value]) => value), THOUSAND);
  received.forEach(([value, bytes]) =>
    assert.deepEqual(bytes, value % 10 ? null : Buffer.from([value % 256]), `beside ${value}`),
  );
}

for (const round of [1, 2, 3]) {
  check(`a thousand each way, begun when the client is accepted (${round})`, async () => {
    const socket = await connected();
    await exchange(socket);
    if (mode === "upgrade") await upgraded(socket);
  });
}

if (mode === "upgrade") {
  for (const delay of [0, 1, 2, 4]) {
    check(`a thousand each way, begun ${delay} ms after the upgrade began`, async () => {
      const socket = client();
      await new Promise((resolve) => socket.io.engine.once("upgrading", resolve));
      await ready(socket);
      await sleep(delay);
      await exchange(socket);
      await upgraded(socket);
    });
  }
}

check("a thousand acknowledgements come in the order of the calls", async () => {
  const socket = await connected();
  const order = [];
  await Promise.all(THOUSAND.map((i) => socket.emitWithAck("number", i).then((value) => order.push(value))));
  assert.deepEqual(order, THOUSAND);
});

check("a thousand before the client is accepted", async () => {
  const socket = client();
  for (const i of THOUSAND) socket.emit("number", i);
  await once(socket, "connect");
  assert.deepEqual(await socket.emitWithAck("numbers"), THOUSAND);
});

run();
