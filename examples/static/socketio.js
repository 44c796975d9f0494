// A Socket.IO client in one file: Engine.IO 4 below, Socket.IO 5 on top. No dependencies, no build step.
//
// It is written to be read. From the bottom of the wire to the top:
//
//   Polling, WebSocket     two ways to carry frames to the server and back
//   Engine                 Engine.IO: the handshake, the heartbeat, and the move from polling to WebSocket
//   encode, Decoder        Socket.IO: packets to frames and frames to packets, binary data included
//   Socket                 what an application uses: events, acknowledgements, reconnection
//
// A *frame* is what travels as a unit: a string, or bytes (Uint8Array). Every frame, in and out, is handed to the
// `trace` callback with the transport that carried it, so that a page can show the wire.

// ─── Engine.IO ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Engine.IO packet types: the first character of every text frame. */
export const Engineio = Object.freeze({ OPEN: "0", CLOSE: "1", PING: "2", PONG: "3", MESSAGE: "4", UPGRADE: "5", NOOP: "6" });

/** Separates the packets that share the body of one polling request or answer. */
const RECORD_SEPARATOR = "\x1e";

/** Lets everything that waits for a promise go on; unlike a timer, a message to oneself is not slowed down by browsers. */
function nextTurn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** What the first request may take before we give up, in milliseconds. Later the heartbeat watches. */
const OPEN_TIMEOUT = 20_000;

/** What the WebSocket beside polling may take to answer our probe, in milliseconds. */
const PROBE_TIMEOUT = 10_000;

/**
 * One Engine.IO connection. It opens once and closes once; a new connection is a new Engine.
 *
 * `transport` is "auto" (polling first, then WebSocket), "polling" or "websocket".
 * `events` has the callbacks `open(handshake)`, `message(frame)`, `close(reason)`, `transport(name)` and `trace(entry)`.
 */
export class Engine {
  /** The transport that carries our messages now: "polling" or "websocket". */
  transport;
  /** What the server told us when it opened the session: sid, upgrades, pingInterval, pingTimeout, maxPayload. */
  handshake = null;

  #url;
  #wish;
  #events;
  #state = "opening"; // opening → open → closed
  #waiting = []; // packets that nobody has written yet, in order
  #heartbeat; // fires when the server was silent for too long
  #abort = new AbortController(); // ends the polling requests that are under way

  // Polling. While an upgrade runs, `#paused` keeps new requests from being started.
  #paused = false;
  #getting = null; // a promise: the GET that waits at the server
  #posting = null; // a promise: the POST under way

  #socket = null; // the WebSocket, once it is the transport
  #probe = null; // the WebSocket that is being tried beside polling

  constructor(url, transport, events) {
    this.#url = new URL(url, location.href);
    this.#wish = transport;
    this.#events = events;
    this.transport = transport === "websocket" ? "websocket" : "polling";
    this.#expectServer(OPEN_TIMEOUT);
    if (this.transport === "websocket") this.#openWebSocket();
    else this.#openPolling();
  }

  /** Sends one message: a string, or bytes. */
  send(data) {
    this.#write(typeof data === "string" ? Engineio.MESSAGE + data : data);
  }

  /** Says goodbye, after a last message if there is one, and closes. */
  close(reason = "closed by this page", ...messages) {
    const farewell = [...messages.map((message) => Engineio.MESSAGE + message), Engineio.CLOSE];
    if (this.#state === "open" && this.transport === "websocket") {
      for (const frame of farewell) this.#sendFrame(this.#socket, frame);
    } else if (this.#state === "open") {
      this.#farewell(farewell);
    }
    this.#closed(reason);
  }

  #closed(reason) {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#heartbeat);
    this.#abort.abort();
    this.#probe?.close();
    this.#socket?.close();
    this.#note(`Connection closed: ${reason}.`);
    this.#events.close(reason);
  }

  // What both transports share.

  /** Handles one packet from the server. */
  #receive(frame) {
    if (this.#state === "closed") return;
    if (this.#state === "opening") return this.#receiveOpen(frame);
    this.#expectServer();
    if (typeof frame !== "string") return this.#events.message(frame); // binary frames are messages, always
    switch (frame[0]) {
      case Engineio.PING:
        return this.#write(Engineio.PONG + frame.slice(1));
      case Engineio.MESSAGE:
        return this.#events.message(frame.slice(1));
      case Engineio.CLOSE:
        return this.#closed("the server closed it");
      case Engineio.NOOP:
        return; // it only ends a GET that was waiting
      default:
        return this.#closed("the server sent something unexpected");
    }
  }

  /** The first packet is the handshake; nothing else may come before it. */
  #receiveOpen(frame) {
    if (typeof frame !== "string" || frame[0] !== Engineio.OPEN) return this.#closed("the server did not open a session");
    this.handshake = JSON.parse(frame.slice(1));
    this.#state = "open";
    this.#url.searchParams.set("sid", this.handshake.sid);
    this.#expectServer();
    this.#events.transport(this.transport);
    this.#events.open(this.handshake);
    if (this.#wish === "auto" && this.handshake.upgrades.includes("websocket")) this.#upgrade();
  }

  /** The server pings every pingInterval. If nothing at all comes for pingInterval + pingTimeout, it is gone. */
  #expectServer(patience = this.handshake.pingInterval + this.handshake.pingTimeout) {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => this.#closed("the server fell silent"), patience);
  }

  /** Queues a packet and writes what may be written. */
  #write(frame) {
    if (this.#state === "closed") return;
    this.#waiting.push(frame);
    this.#flush();
  }

  #flush() {
    if (this.#state !== "open" || this.#paused) return;
    if (this.transport === "websocket") {
      for (const frame of this.#waiting.splice(0)) this.#sendFrame(this.#socket, frame);
    } else if (!this.#posting && this.#waiting.length > 0) {
      this.#posting = this.#post().finally(() => {
        this.#posting = null;
        this.#flush();
      });
    }
  }

  #trace(direction, transport, frame, more = {}) {
    this.#events.trace({ direction, transport, frame, time: Date.now(), ...more });
  }

  #note(text) {
    this.#events.trace({ direction: "note", text, time: Date.now() });
  }

  #address(transport) {
    const url = new URL(this.#url);
    url.searchParams.set("EIO", "4");
    url.searchParams.set("transport", transport);
    if (transport === "websocket") url.protocol = url.protocol.replace("http", "ws");
    return url;
  }

  // Polling: a GET waits at the server until there is something to tell us; what we have to say goes out in POSTs.

  async #openPolling() {
    await this.#getOnce();
    this.#poll();
  }

  /** Keeps one GET waiting at the server, for as long as polling is the transport. */
  async #poll() {
    while (this.#state === "open" && this.transport === "polling" && !this.#paused && !this.#getting) {
      await this.#getOnce();
    }
  }

  #getOnce() {
    this.#getting = this.#get().finally(() => (this.#getting = null));
    return this.#getting;
  }

  async #get() {
    let body;
    try {
      body = await this.#request("GET");
    } catch (error) {
      return this.#closed(error.message);
    }
    const packets = body.split(RECORD_SEPARATOR).map(fromText);
    for (const [index, frame] of packets.entries()) {
      // Each packet gets a turn of its own, as a WebSocket gives it: what awaits an acknowledgement goes on before the next event.
      if (index > 0) await nextTurn();
      if (this.#state === "closed") return;
      this.#trace("in", "polling", frame, { via: "GET", index, count: packets.length });
      this.#receive(frame);
    }
  }

  /** Sends as many of the waiting packets as fit into one body; there is never more than one POST under way. */
  async #post() {
    const packets = [];
    let size = 0;
    while (this.#waiting.length > 0) {
      const frame = this.#waiting[0];
      size += sizeInBody(frame) + 1;
      if (packets.length > 0 && size > this.handshake.maxPayload) break;
      packets.push(this.#waiting.shift());
    }
    packets.forEach((frame, index) => this.#trace("out", "polling", frame, { via: "POST", index, count: packets.length }));
    try {
      await this.#request("POST", packets.map(toText).join(RECORD_SEPARATOR));
    } catch (error) {
      this.#closed(error.message);
    }
  }

  /** Sends the last packets in a request that outlives us, and even the page. */
  #farewell(packets) {
    packets.forEach((frame, index) => this.#trace("out", "polling", frame, { via: "POST", index, count: packets.length }));
    const body = packets.join(RECORD_SEPARATOR);
    fetch(this.#address("polling"), { method: "POST", body, keepalive: true }).catch(() => {});
  }

  async #request(method, body) {
    let response;
    try {
      response = await fetch(this.#address("polling"), { method, body, cache: "no-store", signal: this.#abort.signal });
    } catch {
      throw new Error("the server cannot be reached");
    }
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return response.text();
  }

  // WebSocket: one frame for each packet, binary data as it is.

  #openWebSocket() {
    this.#socket = this.#connect((frame) => {
      this.#trace("in", "websocket", frame);
      this.#receive(frame);
    });
    this.#socket.onclose = () =>
      this.#closed(this.#state === "opening" ? "the server cannot be reached" : "the WebSocket was closed");
  }

  #connect(onframe) {
    const socket = new WebSocket(this.#address("websocket"));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => onframe(typeof data === "string" ? data : new Uint8Array(data));
    return socket;
  }

  #sendFrame(socket, frame) {
    if (socket.readyState !== WebSocket.OPEN) return;
    this.#trace("out", "websocket", frame);
    socket.send(frame);
  }

  // The upgrade. Polling goes on as before while a second connection, a WebSocket with the same sid, is tried:
  //
  //   we, on the WebSocket        2probe      does this way work?
  //   server, on the WebSocket    3probe      it does
  //   server, on the GET          6           so that the GET that waits comes back
  //   we, on the WebSocket        5           from now on everything goes this way
  //
  // Between 3probe and 5 we start no request, and we wait for those under way: what they carry is then complete, and
  // nothing is lost or doubled. If anything goes wrong before the 5, polling simply goes on.

  #upgrade() {
    this.#note("A WebSocket is tried beside polling, with the same sid.");
    const probe = (this.#probe = this.#connect(async (frame) => {
      this.#trace("in", "websocket", frame);
      if (frame !== Engineio.PONG + "probe") return giveUp();
      this.#paused = true;
      await Promise.all([this.#getting, this.#posting]);
      if (this.#probe !== probe || this.#state !== "open") return;
      clearTimeout(timeout);
      this.#sendFrame(probe, Engineio.UPGRADE);
      this.#adopt(probe);
    }));
    const giveUp = () => {
      if (this.#probe !== probe) return;
      clearTimeout(timeout);
      this.#probe = null;
      this.#paused = false;
      probe.close();
      if (this.#state !== "open") return;
      this.#note("The WebSocket did not work out; polling goes on.");
      this.#flush();
      this.#poll();
    };
    const timeout = setTimeout(giveUp, PROBE_TIMEOUT);
    probe.onopen = () => this.#sendFrame(probe, Engineio.PING + "probe");
    probe.onclose = giveUp;
  }

  #adopt(socket) {
    this.#probe = null;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const frame = typeof data === "string" ? data : new Uint8Array(data);
      this.#trace("in", "websocket", frame);
      this.#receive(frame);
    };
    socket.onclose = () => this.#closed("the WebSocket was closed");
    this.transport = "websocket";
    this.#paused = false;
    this.#note("Upgraded: polling is over, the WebSocket carries everything.");
    this.#events.transport(this.transport);
    this.#flush();
  }
}

// In the text of a polling body, binary data is "b" and base64.

function toText(frame) {
  return typeof frame === "string" ? frame : "b" + toBase64(frame);
}

function fromText(text) {
  return text[0] === "b" ? fromBase64(text.slice(1)) : text;
}

function sizeInBody(frame) {
  return typeof frame === "string" ? new TextEncoder().encode(frame).length : 1 + 4 * Math.ceil(frame.length / 3);
}

function toBase64(bytes) {
  let text = "";
  // In pieces: a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// ─── Socket.IO ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Socket.IO packet types: the first character of every Engine.IO text message. */
export const Socketio = Object.freeze({
  CONNECT: "0",
  DISCONNECT: "1",
  EVENT: "2",
  ACK: "3",
  CONNECT_ERROR: "4",
  BINARY_EVENT: "5",
  BINARY_ACK: "6",
});

const BINARY_TYPES = { [Socketio.EVENT]: Socketio.BINARY_EVENT, [Socketio.ACK]: Socketio.BINARY_ACK };

/**
 * Turns a packet into frames: one text, `<type>[<attachments>-][<namespace>,][<ack id>][<json>]`, then its attachments.
 * Bytes in the data are taken out; in their place the JSON has {"_placeholder": true, "num": n}.
 */
export function encode({ type, namespace = "/", id, data }) {
  const attachments = [];
  const json = JSON.stringify(data, (_key, value) => {
    const bytes = asBytes(value);
    return bytes ? { _placeholder: true, num: attachments.push(bytes) - 1 } : value;
  });
  const wireType = attachments.length > 0 ? BINARY_TYPES[type] : type;
  const count = attachments.length > 0 ? `${attachments.length}-` : "";
  const name = namespace === "/" ? "" : `${namespace},`;
  return [`${wireType}${count}${name}${id ?? ""}${json ?? ""}`, ...attachments];
}

function asBytes(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null;
}

/** Returns the value with the contents in place of its files: a promise if there are any, otherwise at once. */
function readFiles(value) {
  if (value instanceof Blob) return value.arrayBuffer();
  if (value === null || typeof value !== "object" || asBytes(value)) return value;
  const items = Object.values(value).map(readFiles);
  if (!items.some((item) => item instanceof Promise)) return value;
  return Promise.all(items).then((read) =>
    Array.isArray(value) ? read : Object.fromEntries(Object.keys(value).map((key, index) => [key, read[index]])),
  );
}

const TEXT_FRAME = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*)(?:,|$))?(\d+)?(.*)$/s;

/** Puts packets together again. Feed it every message in order; it returns a packet when one is complete, else null. */
export class Decoder {
  #packet = null;
  #missing = 0;
  #attachments = [];

  feed(frame) {
    if (typeof frame !== "string") {
      if (this.#missing === 0) throw new Error("an attachment that nothing announced");
      this.#attachments.push(frame);
      if (--this.#missing > 0) return null;
      return { ...this.#packet, data: fill(this.#packet.data, this.#attachments) };
    }
    const parts = this.#missing === 0 && TEXT_FRAME.exec(frame);
    if (!parts) throw new Error("this is no Socket.IO packet");
    const [, type, count, namespace, id, json] = parts;
    const packet = {
      type,
      namespace: (namespace ?? "/").split("?")[0],
      id: id === undefined ? undefined : Number(id),
      data: json === "" ? undefined : JSON.parse(json),
    };
    this.#missing = Number(count ?? 0);
    if (this.#missing === 0) return packet;
    this.#packet = packet;
    this.#attachments = [];
    return null;
  }
}

/** Puts the attachments where their placeholders are. */
function fill(value, attachments) {
  if (Array.isArray(value)) return value.map((item) => fill(item, attachments));
  if (value === null || typeof value !== "object") return value;
  if (value._placeholder === true) return attachments[value.num];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, attachments)]));
}

/** What an acknowledgement may take, in milliseconds. */
const ACK_TIMEOUT = 15_000;

/** The server refused our CONNECT; `message` says why, `data` may say more. */
export class ConnectError extends Error {
  constructor({ message, data } = {}) {
    super(message ?? "The server refused the connection.");
    this.data = data;
  }
}

/**
 * One client in one namespace, over a connection of its own.
 *
 *   const socket = new Socket({ namespace: "/chat", auth: { name: "Ada" } });
 *   socket.on("message", (message) => …);             // its return value acknowledges, if the server asked for that
 *   socket.emit("typing", true);                      // no acknowledgement
 *   const { id, answer } = socket.ask("say", "Hi");   // with one: `answer` is a promise
 *   socket.connect();
 *
 * Its own events: connect(sid), connect_error(ConnectError), disconnect(reason), reconnecting(attempt, milliseconds),
 * transport(name). After a connection is lost it tries again, ever more slowly, until `disconnect()` is called.
 */
export class Socket {
  connected = false;
  sid = null;

  #options;
  #handlers = new Map();
  #engine = null;
  #decoder = null;
  #nextId = 0;
  #pending = new Map(); // ack id → who waits for it
  #attempt = 0;
  #retry = null;

  constructor(options = {}) {
    this.#options = {
      url: "/socket.io/",
      namespace: "/",
      auth: undefined,
      transport: "auto",
      firstDelay: 500,
      longestDelay: 10_000,
      trace: () => {},
      ...options,
    };
  }

  /** The transport in use, or null while there is no connection. */
  get transport() {
    return this.#engine?.handshake ? this.#engine.transport : null;
  }

  on(event, handler) {
    this.#handlers.set(event, handler);
    return this;
  }

  /** Connects, now, whatever was planned. */
  connect() {
    clearTimeout(this.#retry);
    if (this.#engine) return;
    this.#decoder = new Decoder();
    this.#engine = new Engine(this.#options.url, this.#options.transport, {
      // CONNECT asks for a namespace; until the server answers it, nothing else may be sent.
      open: () => this.#send({ type: Socketio.CONNECT, data: this.#options.auth }),
      message: (frame) => this.#receive(frame),
      close: (reason) => this.#lost(reason),
      transport: (name) => this.#tell("transport", name),
      trace: this.#options.trace,
    });
  }

  /** Leaves, and does not come back by itself. */
  disconnect() {
    clearTimeout(this.#retry);
    if (!this.#engine) return;
    const engine = this.#engine;
    this.#engine = null; // so that `#lost` knows that it was us
    if (this.connected) engine.close("left by this page", ...encode({ ...this.#home, type: Socketio.DISCONNECT }));
    else engine.close();
    this.#left("left by this page");
  }

  /** Sends an event. */
  emit(event, ...args) {
    this.#sendData({ type: Socketio.EVENT, data: [event, ...args] });
  }

  /** Sends an event that asks for an acknowledgement: `id` is its ack id, `answer` a promise of the first value. */
  ask(event, ...args) {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => {
      const timeout = setTimeout(() => this.#settle(id, "reject", new Error("No acknowledgement came in time.")), ACK_TIMEOUT);
      this.#pending.set(id, { resolve, reject, timeout });
      if (this.connected) this.#sendData({ type: Socketio.EVENT, id, data: [event, ...args] });
      else this.#settle(id, "reject", new Error("There is no connection."));
    });
    return { id, answer };
  }

  #settle(id, how, value) {
    const waiting = this.#pending.get(id);
    if (!waiting) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timeout);
    waiting[how](value);
  }

  /** Sends a packet whose data may have bytes in it. If a File has to be read first, later packets may overtake it. */
  #sendData(packet) {
    if (!this.connected) return;
    const data = readFiles(packet.data);
    if (data instanceof Promise) data.then((read) => this.connected && this.#send({ ...packet, data: read }));
    else this.#send({ ...packet, data });
  }

  #send(packet) {
    for (const frame of encode({ ...this.#home, ...packet })) this.#engine.send(frame);
  }

  get #home() {
    return { namespace: this.#options.namespace };
  }

  #receive(frame) {
    let packet;
    try {
      packet = this.#decoder.feed(frame);
    } catch (error) {
      return this.#engine.close(`parse error (${error.message})`);
    }
    if (packet === null || packet.namespace !== this.#options.namespace) return;
    switch (packet.type) {
      case Socketio.CONNECT:
        this.connected = true;
        this.sid = packet.data.sid;
        this.#attempt = 0;
        return this.#tell("connect", this.sid);
      case Socketio.CONNECT_ERROR:
        this.disconnect();
        return this.#tell("connect_error", new ConnectError(packet.data));
      case Socketio.DISCONNECT:
        return this.#engine.close("the server ended it");
      case Socketio.EVENT:
      case Socketio.BINARY_EVENT:
        return this.#receiveEvent(packet);
      case Socketio.ACK:
      case Socketio.BINARY_ACK:
        return this.#settle(packet.id, "resolve", packet.data[0]);
    }
  }

  async #receiveEvent({ id, data: [event, ...args] }) {
    const result = await this.#tell(event, ...args);
    if (id !== undefined) this.#sendData({ type: Socketio.ACK, id, data: result === undefined ? [] : [result] });
  }

  #tell(event, ...args) {
    return this.#handlers.get(event)?.(...args);
  }

  /** The connection is gone: tell the application, and try again after 0.5 s, 1 s, 2 s, … at most 10 s. */
  #lost(reason) {
    if (!this.#engine) return; // `disconnect` was called: it has said so already
    this.#engine = null;
    this.#left(reason);
    const delay = Math.min(this.#options.firstDelay * 2 ** this.#attempt, this.#options.longestDelay);
    const spread = Math.round(delay * (0.75 + Math.random() / 2)); // so that not all clients of a server come at once
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.connect(), spread);
    this.#tell("reconnecting", this.#attempt, spread);
  }

  #left(reason) {
    const was = this.connected;
    this.connected = false;
    this.sid = null;
    for (const id of [...this.#pending.keys()]) this.#settle(id, "reject", new Error("The connection was lost."));
    if (was) this.#tell("disconnect", reason);
  }
}
