// Who gets it: rooms, broadcasts and exclusions among several clients.
"use strict";
const { assert, check, collect, connected, run, serverReason, sleep } = require("./harness.js");

/** `count` connected clients, each with the list of what was said to it. */
async function group(count, namespace = "/", options = {}) {
  const sockets = await Promise.all(Array.from({ length: count }, () => connected(namespace, options)));
  return sockets.map((socket) => Object.assign(socket, { said: collect(socket, "said") }));
}

/** What each of the sockets was told once everything on its way has arrived: an echo of each comes after it. */
async function heard(...sockets) {
  await Promise.all(sockets.map((socket) => socket.emitWithAck("echo", "flush")));
  return sockets.map((socket) => socket.said.splice(0).map((args) => (args.length === 1 ? args[0] : args)));
}

check("everyone hears a broadcast, the sender too", async () => {
  const [a, b, c] = await group(3);
  assert.ok((await a.emitWithAck("shout", "hello")) >= 3);
  assert.deepEqual(await heard(a, b, c), [["hello"], ["hello"], ["hello"]]);
});

check("a broadcast to the others leaves the sender out", async () => {
  const [a, b, c] = await group(3);
  await a.emitWithAck("shout to others", "hello");
  assert.deepEqual(await heard(a, b, c), [[], ["hello"], ["hello"]]);
});

check("the server's own emit reaches everyone", async () => {
  const [a, b] = await group(2);
  await a.emitWithAck("announce", "news", { n: 1 });
  assert.deepEqual(await heard(a, b), [[["news", { n: 1 }]], [["news", { n: 1 }]]]);
});

check("a room has its members only", async () => {
  const [a, b, c] = await group(3);
  assert.deepEqual(await a.emitWithAck("join", "kitchen"), [a.id, "kitchen"]);
  await b.emitWithAck("join", "kitchen");
  assert.equal(await c.emitWithAck("say", "kitchen", "dinner"), 2);
  assert.deepEqual(await heard(a, b, c), [["dinner"], ["dinner"], []]);
  assert.equal(await a.emitWithAck("say to others", "kitchen", "salt?"), 1);
  assert.deepEqual(await heard(a, b, c), [[], ["salt?"], []]);
});

check("who leaves a room hears it no more", async () => {
  const [a, b] = await group(2);
  await a.emitWithAck("join", "kitchen");
  await b.emitWithAck("join", "kitchen");
  assert.deepEqual(await b.emitWithAck("leave", "kitchen"), [b.id]);
  assert.equal(await b.emitWithAck("say", "kitchen", "anyone?"), 1);
  assert.deepEqual(await heard(a, b), [["anyone?"], []]);
});

check("a member of two rooms hears it once", async () => {
  const [a, b, c] = await group(3);
  await a.emitWithAck("join", "left");
  await a.emitWithAck("join", "right");
  await b.emitWithAck("join", "right");
  assert.equal(await c.emitWithAck("say", ["left", "right"], "once"), 2);
  assert.deepEqual(await heard(a, b, c), [["once"], ["once"], []]);
});

check("a sid is the room of one client", async () => {
  const [a, b, c] = await group(3);
  assert.equal(await a.emitWithAck("say", b.id, "psst"), 1);
  assert.deepEqual(await heard(a, b, c), [[], ["psst"], []]);
  assert.equal(await a.emitWithAck("say", "nobody is in here", "?"), 0);
});

check("a broadcast skips the sids it is told to skip", async () => {
  const [a, b, c, d] = await group(4);
  for (const socket of [a, b, c, d]) await socket.emitWithAck("join", "all");
  assert.equal(await a.emitWithAck("say skipping", "all", b.id, "not b"), 3);
  assert.equal(await a.emitWithAck("say skipping", "all", [b.id, c.id], "not b, c"), 2);
  assert.deepEqual(await heard(a, b, c, d), [["not b", "not b, c"], [], ["not b"], ["not b", "not b, c"]]);
});

check("bytes are broadcast", async () => {
  const [a, b, c] = await group(3);
  const value = { data: Buffer.from([0, 255, 30]) };
  await a.emitWithAck("shout to others", value, Buffer.from("x"));
  assert.deepEqual(await heard(a, b, c), [[], [[value, Buffer.from("x")]], [[value, Buffer.from("x")]]]);
});

check("the namespaces do not hear one another", async () => {
  const [a] = await group(1);
  const [b, c] = await group(2, "/custom");
  await a.emitWithAck("join", "kitchen");
  await b.emitWithAck("join", "kitchen");
  await c.emitWithAck("say", "kitchen", "dinner");
  await c.emitWithAck("shout", "loud");
  assert.deepEqual(await heard(a, b, c), [[], ["dinner", "loud"], ["loud"]]);
});

check("a room that the connect handler joined is joined", async () => {
  const [a] = await group(1, "/", { auth: { room: "lobby" } });
  const [b] = await group(1);
  assert.equal(await b.emitWithAck("say", "lobby", "welcome"), 1);
  assert.deepEqual(await heard(a, b), [["welcome"], []]);
});

check("a closed room is empty and its members stay", async () => {
  const [a, b] = await group(2);
  await a.emitWithAck("join", "kitchen");
  await b.emitWithAck("join", "kitchen");
  await a.emitWithAck("close room", "kitchen");
  assert.equal(await a.emitWithAck("say", "kitchen", "anyone?"), 0);
  assert.deepEqual(await heard(a, b), [[], []]);
});

check("the server asks a whole room and gathers the answers", async () => {
  const [a, b, c] = await group(3);
  for (const socket of [a, b]) {
    await socket.emitWithAck("join", "quiz");
    socket.on("question", (room, reply) => reply(`${room} ${socket.id}`));
  }
  assert.deepEqual(await c.emitWithAck("ask room", "quiz"), { [a.id]: `quiz ${a.id}`, [b.id]: `quiz ${b.id}` });
});

check("who is gone is in no room", async () => {
  const [a, b] = await group(2);
  await a.emitWithAck("join", "kitchen");
  const { id } = a;
  a.disconnect();
  assert.equal(await serverReason(id), "client namespace disconnect");
  assert.equal(await b.emitWithAck("say", "kitchen", "anyone?"), 0);
  assert.equal(await b.emitWithAck("say", id, "you?"), 0);
});

check("two hundred broadcasts by four clients reach each one in the sender's order", async () => {
  const sockets = await group(4);
  await Promise.all(
    sockets.map(async (socket, who) => {
      for (let i = 0; i < 50; i += 1) {
        socket.emit("shout", who, i);
        if (i % 10 === 9) await sleep(2);
      }
      await socket.emitWithAck("echo", "done");
    }),
  );
  for (const said of await heard(...sockets)) {
    assert.equal(said.length, 200);
    for (let who = 0; who < 4; who += 1) {
      assert.deepEqual(said.filter(([from]) => from === who).map(([, i]) => i), Array.from({ length: 50 }, (_, i) => i));
    }
  }
});

run();
