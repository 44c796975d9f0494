// The panel that shows the wire: one row for each frame, an arrow between this page and the server, and below it the
// frame itself with a gloss under each of its parts.

import { explain, parse, plural } from "./explain.js";

/** How many rows are kept. */
const ROWS = 400;

/** Makes an element: `make("li", { class: "row" }, "text", child, …)`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function size(bytes) {
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(bytes < 100_000 ? 1 : 0)} kB`;
}

/** Draws a frame: its layers, in each the parts, under each part its name. */
export function anatomy(parts) {
  const layers = [];
  for (const part of parts) {
    if (layers.at(-1)?.dataset.layer !== part.layer) {
      const title = part.layer === "engine" ? "Engine.IO" : "Socket.IO";
      const tokens = make("span", { class: "tokens" });
      layers.push(make("span", { class: "layer", "data-layer": part.layer }, make("span", { class: "layer-name" }, title), tokens));
    }
    const token = make("span", { class: "token", "data-kind": part.kind }, make("code", {}, part.text), make("small", {}, part.name));
    layers.at(-1).lastChild.append(token);
  }
  return layers;
}

export class Wire {
  #list = document.querySelector("#frames");
  #scroll = document.querySelector("#wire-scroll");
  #newest = document.querySelector("#newest");
  #tally = { out: { frames: 0, bytes: 0 }, in: { frames: 0, bytes: 0 } };
  #announced = { out: [], in: [] }; // per direction: the attachments that are still to come
  #asked = new Map(); // ack id → the row that asked for it, and when
  #following = true;

  /** The row of the last packet that came in: what an event handler was called for. */
  lastReceived = null;

  constructor() {
    this.#scroll.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
      this.#following = scrollHeight - scrollTop - clientHeight < 48;
      if (this.#following) this.#newest.hidden = true;
    });
    this.#newest.addEventListener("click", () => this.toEnd());
    document.querySelector("#clear-wire").addEventListener("click", () => this.#list.replaceChildren());
    document.querySelector("#heartbeat").addEventListener("change", ({ target }) => {
      this.#list.classList.toggle("no-heartbeat", !target.checked);
      if (this.#following) this.toEnd();
    });
    // An event and its acknowledgement belong together: pointing at one shows the other.
    for (const kind of ["pointerover", "focusin"]) {
      this.#list.addEventListener(kind, ({ target }) => this.#pair(target.closest(".frame")?.dataset.pair));
    }
    for (const kind of ["pointerleave", "focusout"]) this.#list.addEventListener(kind, () => this.#pair(undefined));
  }

  toEnd() {
    this.#following = true;
    this.#newest.hidden = true;
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  /** Takes an entry of the client's trace. */
  add(entry) {
    const row = entry.direction === "note" ? make("li", { class: "note", "data-testid": "wire-note" }, entry.text) : this.#row(entry);
    this.#list.append(row);
    while (this.#list.childElementCount > ROWS) this.#list.firstElementChild.remove();
    if (this.#following) this.toEnd();
    else this.#newest.hidden = false;
  }

  /** Says where the connection is: "offline", "polling", "probing" or "websocket". */
  stage(name) {
    for (const step of document.querySelectorAll(".stages li")) {
      if (name === "offline") step.classList.remove("reached");
      if (step.dataset.stage === name) step.classList.add("reached");
      if (step.dataset.stage === name) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    if (name !== "offline") return;
    this.#asked.clear(); // a new connection counts anew
    this.#announced = { out: [], in: [] };
  }

  /** Opens a row and goes to it; returns whether it is still there. */
  show(row) {
    if (!row?.isConnected) return false;
    row.querySelector("details").open = true;
    row.scrollIntoView({ block: "center" });
    row.querySelector("summary").focus();
    return true;
  }

  /** Returns the row of the event that was sent with an ack id. */
  asked(id) {
    return this.#asked.get(id)?.row;
  }

  #row({ direction, transport, frame, time, via, index, count }) {
    const parts = explain(frame, { base64: transport === "polling" });
    const part = (kind) => parts.find((one) => one.kind === kind);
    const bytes = typeof frame === "string" ? new TextEncoder().encode(frame).length : frame.length;
    const row = make("li", {
      class: `frame ${direction}`,
      "data-testid": "wire-row",
      "data-direction": direction,
      "data-transport": transport,
      "data-engine": part("engine-type")?.name,
      "data-socket": part("socket-type")?.name,
      "data-heartbeat": frame === "2" || frame === "3" ? "" : undefined,
    });
    this.#attach(direction, parts, bytes, row);
    this.#acknowledge(direction, part, time, row);
    this.#count(direction, bytes);

    const batch = count > 1 ? `${via} ${index + 1}/${count}` : via;
    const stamp = make(
      "span",
      { class: "stamp" },
      make("span", { class: "visually-hidden" }, direction === "out" ? "Sent " : "Received "),
      make("time", {}, clock(time)),
      make("span", {}, batch ? `${transport} ${batch}` : transport),
      make("span", {}, size(bytes)),
    );
    const summary = make("summary", {}, make("span", { class: "flow" }, stamp), make("span", { class: "anatomy" }, ...anatomy(parts)));
    const details = make("details", {}, summary);
    // The explanation is written when somebody opens it.
    details.addEventListener("toggle", () => details.childElementCount === 1 && details.append(explanation(parts, batch, count)), { once: true });
    row.append(details);
    if (direction === "in" && parts[0].kind !== "bytes" && part("socket-type")) this.lastReceived = row;
    return row;
  }

  /** Ties binary frames to the packet that announced them. */
  #attach(direction, parts, bytes, row) {
    const announced = this.#announced[direction];
    const packet = parts.find((part) => part.kind === "attachments");
    if (packet) {
      const of = parse(parts.find((part) => part.kind === "json").text)?.[0];
      const total = Number.parseInt(packet.text);
      for (let num = 0; num < total; num += 1) announced.push(`attachment ${num} of “${of}”`);
    }
    const attachment = parts.find((part) => part.kind === "bytes");
    if (!attachment) return;
    attachment.name = `${announced.shift() ?? "attachment"}, ${size(bytes)}`;
    row.dataset.socket = "attachment";
  }

  /** Ties acknowledgements to their events, and says how long they took. */
  #acknowledge(direction, part, time, row) {
    const ack = part("ack");
    if (!ack) return;
    const id = Number(ack.text);
    const answers = part("socket-type").name.endsWith("ACK");
    row.dataset.ack = id;
    row.dataset.pair = `${answers === (direction === "out") ? "in" : "out"}-${id}`;
    if (!answers && direction === "out") this.#asked.set(id, { row, time });
    const asked = answers && direction === "in" && this.#asked.get(id);
    if (!asked) return;
    ack.name = `acks ${id}`;
    row.dataset.pair = asked.row.dataset.pair;
    part("json").name = `the answer, after ${time - asked.time} ms`;
  }

  #count(direction, bytes) {
    const tally = this.#tally[direction];
    tally.frames += 1;
    tally.bytes += bytes;
    document.querySelector(`#tally-${direction}`).textContent = `${tally.frames} · ${size(tally.bytes)}`;
  }

  #pair(name) {
    for (const row of this.#list.querySelectorAll(".partner")) row.classList.remove("partner");
    if (name === undefined) return;
    const rows = this.#list.querySelectorAll(`[data-pair="${name}"]`);
    if (rows.length > 1) for (const row of rows) row.classList.add("partner");
  }
}

function explanation(parts, batch, count) {
  const list = make("dl", { class: "parts" });
  for (const { kind, text, name, meaning } of parts) {
    const json = kind === "json" ? parse(text) : undefined;
    const shown = json === undefined ? make("code", {}, text) : make("pre", {}, JSON.stringify(json, null, 2));
    list.append(make("div", { "data-kind": kind }, make("dt", {}, name), make("dd", {}, shown, make("p", {}, meaning))));
  }
  if (count > 1) {
    const text = `${plural(count, "packet")} shared one body, joined by the character 1e (record separator). This one: ${batch}.`;
    list.append(make("div", {}, make("dt", {}, "polling"), make("dd", {}, make("p", {}, text))));
  }
  return list;
}

function clock(time) {
  const date = new Date(time);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
