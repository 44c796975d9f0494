// What the scenarios share: checks with a deadline, clients that are always closed, and a line of JSON per result.
//
//   node js/events.js http://127.0.0.1:3000 websocket
//
// stdout carries one JSON object per line: {"check", "ok", "error"} for each check, {"control", ...} when the process
// that started this one shall do something to the server (it answers with a line on stdin), {"done": n} at the end.
"use strict";

const assert = require("node:assert/strict");
const readline = require("node:readline");
const { setTimeout: sleep } = require("node:timers/promises");
const { io } = require("socket.io-client");

const [url, mode] = process.argv.slice(2);
const TRANSPORTS = {
  websocket: ["websocket"],
  polling: ["polling"],
  upgrade: ["polling", "websocket"], // the checks run while the transport changes
  upgraded: ["polling", "websocket"], // the checks start when it has changed
};
assert.ok(url && mode in TRANSPORTS, `usage: node ${process.argv[1]} URL ${Object.keys(TRANSPORTS).join("|")}`);

const checks = [];
let open = [];

function print(values) {
  process.stdout.write(JSON.stringify(values) + "\n");
}

/** Adds a check; `run` runs them in this order, each with a deadline of its own. */
function check(name, body, seconds = 10) {
  checks.push({ name, body, seconds });
}

function deadline(promise, seconds, what) {
  const timer = new AbortController();
  const late = sleep(seconds * 1000, undefined, { signal: timer.signal }).then(
    () => {
      throw new Error(`${what}: nothing after ${seconds} s`);
    },
    () => {},
  );
  return Promise.race([promise, late]).finally(() => timer.abort());
}

/** The next `event` of a socket (or of a manager), as the array of its arguments. */
function once(emitter, event, seconds = 5) {
  return deadline(
    new Promise((resolve) => emitter.once(event, (...args) => resolve(args))),
    seconds,
    `waiting for "${event}"`,
  );
}

/** Waits until `test()` is true. */
async function until(test, what, seconds = 5) {
  const end = Date.now() + seconds * 1000;
  while (!test()) {
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(5);
  }
}

/** Every later `event` of a socket, collected in an array. */
function collect(socket, event) {
  const seen = [];
  socket.on(event, (...args) => seen.push(args));
  return seen;
}

/** A client for `namespace`, connecting, closed when the check ends. */
function client(namespace = "/", options = {}) {
  const socket = io(url + namespace, {
    transports: TRANSPORTS[mode],
    forceNew: true,
    reconnection: false,
    ...options,
  });
  open.push(socket);
  return socket;
}

/** Resolves when the socket is accepted (and upgraded, if the mode says so); a refusal is an error. */
async function ready(socket) {
  if (!socket.connected) {
    await deadline(
      new Promise((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("connect_error", reject);
      }),
      5,
      "connecting",
    );
  }
  if (mode === "upgraded") await upgraded(socket);
  return socket;
}

/** A connected client. */
function connected(namespace, options) {
  return ready(client(namespace, options));
}

function upgraded(socket) {
  return until(() => socket.io.engine.transport.name === "websocket", "the upgrade");
}

/** The refusal of a socket that must not connect. */
async function refused(socket) {
  return deadline(
    new Promise((resolve, reject) => {
      socket.once("connect_error", resolve);
      socket.once("connect", () => reject(new Error("the connection was accepted")));
    }),
    5,
    "waiting for the refusal",
  );
}

const replies = [];
let input;

/** Asks the process that started this one to do something to the server; resolves with its answer. */
function control(action, argument = null, seconds = 15) {
  if (!input) {
    input = readline.createInterface({ input: process.stdin });
    input.on("line", (line) => replies.shift()(JSON.parse(line)));
  }
  const reply = new Promise((resolve) => replies.push(resolve));
  print({ control: action, argument });
  return deadline(reply, seconds, `control ${action}`);
}

/** The reason that the server's disconnect handler saw for a sid. */
function serverReason(sid) {
  return control("reason", sid);
}

let failures = 0;

async function run() {
  for (const { name, body, seconds } of checks) {
    const started = Date.now();
    try {
      await deadline(body(), seconds, "the check");
      print({ check: name, ok: true, ms: Date.now() - started });
    } catch (error) {
      failures += 1;
      print({ check: name, ok: false, ms: Date.now() - started, error: error.stack });
    }
    for (const socket of open) {
      socket.io.reconnection(false);
      socket.disconnect();
      socket.io.engine?.close();
    }
    open = [];
  }
  input?.close();
  print({ done: checks.length });
  process.exitCode = failures ? 1 : 0;
  // What keeps node alive now is a timer of a client's transport; the results are all written.
  process.stdout.write("", () => process.exit());
}

process.on("unhandledRejection", (error) => {
  failures += 1;
  print({ check: "no unhandled rejection", ok: false, error: error.stack });
});

module.exports = {
  assert, check, client, collect, connected, control, io, mode, once, ready, refused, run, serverReason, sleep,
  until, upgraded, url, TRANSPORTS,
};
