// The anatomy of a frame: which characters belong to which layer, and what they mean. Pure functions, no page needed.

const ENGINE_TYPES = {
  0: ["open", "Engine.IO: the server opens the session and says how it will be kept alive."],
  1: ["close", "Engine.IO: one side ends the session."],
  2: ["ping", "Engine.IO: the server asks whether we are still there. (The client sends it once, to probe a WebSocket.)"],
  3: ["pong", "Engine.IO: the answer to a ping."],
  4: ["message", "Engine.IO: what follows belongs to the layer above, Socket.IO."],
  5: ["upgrade", "Engine.IO: from now on the WebSocket carries the session."],
  6: ["noop", "Engine.IO: nothing; it only ends a polling request that was waiting."],
};

const SOCKET_TYPES = {
  0: ["CONNECT", "Socket.IO: join a namespace, or the server's yes to that."],
  1: ["DISCONNECT", "Socket.IO: leave a namespace."],
  2: ["EVENT", "Socket.IO: an event, its name and its arguments."],
  3: ["ACK", "Socket.IO: the acknowledgement of an event; the ack id says of which."],
  4: ["CONNECT_ERROR", "Socket.IO: the server refuses the namespace and says why."],
  5: ["BINARY_EVENT", "Socket.IO: an event with attachments: bytes that follow in frames of their own."],
  6: ["BINARY_ACK", "Socket.IO: an acknowledgement with attachments."],
};

const MESSAGE = /^4([0-6])(?:(\d+)-)?(?:(\/[^,]*,?))?(\d+)?(.*)$/s;

/**
 * Splits a frame into its parts, in order; their texts together are the frame.
 *
 * With `base64`, bytes are shown as a polling body has them. Each part is { layer: "engine" | "socket", kind, text, name, meaning }. `kind` is one of engine-type, engine-data,
 * socket-type, attachments, namespace, ack, json, bytes.
 */
export function explain(frame, { base64 = false } = {}) {
  if (typeof frame !== "string") return base64 ? explainBase64(frame) : explainBytes(frame);
  const type = ENGINE_TYPES[frame[0]];
  if (!type) return [part("engine", "engine-data", frame, "unknown", "This is no Engine.IO packet.")];
  const head = part("engine", "engine-type", frame[0], ...type);
  const message = MESSAGE.exec(frame);
  if (message) return [head, ...explainMessage(message)];
  const rest = frame.slice(1);
  if (rest === "") return [head];
  if (frame[0] === "0") return [head, part("engine", "json", rest, "handshake", HANDSHAKE)];
  return [head, part("engine", "engine-data", rest, "data", "Engine.IO: “probe” marks the ping and pong that try the WebSocket.")];
}

const HANDSHAKE =
  "Engine.IO: the session's id, what it may be upgraded to, how often the server pings and how long it waits (in milliseconds), " +
  "and how many bytes one payload may have.";

function explainMessage([, type, attachments, namespace, ack, json]) {
  const parts = [part("socket", "socket-type", type, ...SOCKET_TYPES[type])];
  if (attachments !== undefined) {
    const meaning = "Socket.IO: so many binary frames follow; each fills the placeholder with its number.";
    parts.push(part("socket", "attachments", `${attachments}-`, plural(Number(attachments), "attachment"), meaning));
  }
  if (namespace !== undefined) {
    parts.push(part("socket", "namespace", namespace, "namespace", "Socket.IO: the namespace, up to the comma. Without one it is “/”."));
  }
  if (ack !== undefined) {
    const answers = type === "3" || type === "6";
    const meaning = answers
      ? "Socket.IO: the ack id of the event that this answers."
      : "Socket.IO: the ack id. The other side is to acknowledge the event with the same number.";
    parts.push(part("socket", "ack", ack, answers ? `acks ${ack}` : `ack id`, meaning));
  }
  if (json !== "") parts.push(part("socket", "json", json, nameOfData(type, json), meaningOfData(type)));
  return parts;
}

function explainBytes(bytes) {
  const start = [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return [
    part("engine", "engine-type", "", "message", "Engine.IO: a binary WebSocket frame has no type digit; it is always a message."),
    part("socket", "bytes", bytes.length > 8 ? `${start} …` : start, "attachment", FILLS),
  ];
}

const FILLS = "Socket.IO: it fills a placeholder in the packet before it.";

function explainBase64(bytes) {
  const start = btoa(String.fromCharCode(...bytes.subarray(0, 15)));
  const head = "Engine.IO: bytes in the text of a polling body. There they travel as base64.";
  return [
    part("engine", "engine-type", "b", "binary", head),
    part("socket", "bytes", bytes.length > 15 ? `${start} …` : start, "attachment", FILLS),
  ];
}

function nameOfData(type, json) {
  const data = parse(json);
  if (type === "2" || type === "5") return Array.isArray(data) ? `event “${data[0]}”` : "event";
  if (type === "3" || type === "6") return "the answer";
  if (type === "4") return "the reason";
  return data && "sid" in data ? "our sid here" : "auth";
}

function meaningOfData(type) {
  if (type === "2" || type === "5") return "JSON: the event's name, then its arguments.";
  if (type === "3" || type === "6") return "JSON: the arguments of the acknowledgement.";
  return "JSON: from the client its auth data, from the server the id of the socket or the reason of a refusal.";
}

/** Returns what a text says as JSON, or undefined. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function part(layer, kind, text, name, meaning) {
  return { layer, kind, text, name, meaning };
}
