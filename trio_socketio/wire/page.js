
"use strict";
// Everything that was on the wire reaches the page as the text of an element, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const heartbeat = (step) => step.kind === "ping" || step.kind === "pong";
const SOCKETIO = new Set(["connect", "connect_error", "disconnect", "event", "ack"]);
const GAP = 1.5; // seconds without a packet that are worth a mark
const RUN = 4; // heartbeats in a row that are folded

const named = data.sessions.filter((session) => session.sid).length;

const state = { session: data.sessions.length === 1 ? 0 : null, query: "", fold: true, unfolded: new Set(), chosen: null };
let rows = new Map();

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  const { data: attributes, ...rest } = properties;
  Object.assign(element, rest);
  Object.assign(element.dataset, attributes ?? {});
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function seconds(value) {
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${(value * 1000).toPrecision(value < 0.1 ? 2 : 3)} ms`;
  return value < 120 ? `${value.toPrecision(3)} s` : `${Math.round(value / 60)} min`;
}
function bytes(count) {
  if (count < 1000) return `${count} B`;
  const unit = count < 999_500 ? "kB" : "MB";
  return `${(count / (unit === "kB" ? 1e3 : 1e6)).toPrecision(3)} ${unit}`;
}
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function sessionName(index) {
  const { sid } = data.sessions[index];
  return sid ? `${sid.slice(0, 6)}${sid.length > 6 ? "…" : ""}` : "beside the sessions";
}

function begin() {
  const { total, omitted } = data;
  const parts = [
    counted(total.sessions, "session"),
    `${counted(total.toServer.count, "packet")} to the server (${bytes(total.toServer.size)})`,
    `${total.toClient.count.toLocaleString("en")} to the client (${bytes(total.toClient.size)})`,
    seconds(total.seconds),
  ];
  if (total.acks.asked) {
    const median = total.acks.median === null ? "" : `, median ${seconds(total.acks.median)}`;
    parts.push(`${total.acks.answered} of ${counted(total.acks.asked, "acknowledgement")} came${median}`);
  }
  at("total").append(parts.join(" · "));
  if (total.faults) at("total").append(" · ", make("b", {}, counted(total.faults, "fault")));
  if (omitted) {
    at("omitted").textContent = `This page shows the first ${counted(data.steps.length, "packet")}. `
      + `${omitted.toLocaleString("en")} more followed and ${omitted === 1 ? "is" : "are"} left out; a recording has them all.`;
    at("omitted").hidden = false;
  }
  const choice = at("session");
  if (data.sessions.length !== 1) choice.append(make("option", { value: "" }, named === 1 ? "Everything" : `All sessions (${named})`));
  data.sessions.forEach((session, index) => {
    const way = ["polling", "websocket"].filter((lane) => session.lanes[lane]).join(" → ");
    const text = [`${named > 1 && session.sid ? `${index + 1}: ` : ""}${sessionName(index)}`, way, counted(session.steps, "packet")];
    choice.append(make("option", { value: index }, text.filter(Boolean).join(" · ")));
  });
  choice.value = state.session ?? "";
  choice.addEventListener("change", () => { state.session = choice.value === "" ? null : Number(choice.value); draw(); });
  let timer = 0;
  at("query").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { state.query = at("query").value.trim().toLowerCase(); draw(); }, 120);
  });
  at("fold").addEventListener("change", () => { state.fold = at("fold").checked; state.unfolded.clear(); draw(); });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", onKey);
  addEventListener("resize", join);
  addEventListener("hashchange", followHash);
  idle();
  draw();
  followHash();
}

function followHash() {
  const found = /^#packet-(\d+)$/.exec(location.hash);
  if (found && data.steps[found[1]]) choose(Number(found[1]), { scroll: true });
}

// ── The diagram ──────────────────────────────────────────────────────────────────────────────────────────────────────

function searched(step) {
  step.searched ??= [step.label, step.contents, step.kind, step.namespace, step.detail, step.transport,
    data.sessions[step.session].sid, ...(step.frames ?? []).flatMap((frame) => frame.spans.map((span) => span[0]))]
    .filter(Boolean).join("\n").toLowerCase();
  return step.searched;
}

/** What is to be drawn: numbers of steps, and between them gaps, bands and folded heartbeats. */
function plan() {
  const shown = [];
  data.steps.forEach((step, index) => {
    if (state.session !== null && step.session !== state.session) return;
    if (state.query && !searched(step).includes(state.query)) return;
    shown.push(index);
  });
  const items = [];
  let before = null;
  for (let place = 0; place < shown.length; place += 1) {
    const index = shown[place];
    const step = data.steps[index];
    let end = place;
    while (end < shown.length && heartbeat(data.steps[shown[end]])) end += 1;
    const run = shown.slice(place, end);
    const folds = state.fold && !state.query && run.length >= RUN;
    if (before !== null && step.time - before > GAP && !folds) items.push({ type: "gap", index, seconds: step.time - before });
    const { move } = data.sessions[step.session];
    if (move && move[0] === index) items.push({ type: "band", edge: "begin", index });
    if (folds && !state.unfolded.has(run[0])) {
      items.push({ type: "fold", index, run });
      place = end - 1;
      before = data.steps[run.at(-1)].time;
      continue;
    }
    if (folds) items.push({ type: "fold", index, run, open: true });
    for (const one of folds ? run : [index]) {
      items.push({ type: "step", index: one });
      if (move && move[1] === one) items.push({ type: "band", edge: "end", index: one });
      before = data.steps[one].time;
    }
    if (folds) place = end - 1;
  }
  return items;
}

/** Which lanes are in use at a step: those of its session, or of all sessions that are shown. */
function lanesAt(index) {
  const sessions = state.session === null ? data.sessions : [data.sessions[state.session]];
  return ["polling", "websocket"].filter((lane) => sessions.some(({ lanes }) => lanes[lane] && lanes[lane][0] <= index && index <= lanes[lane][1]));
}

function draw() {
  const items = plan();
  rows = new Map();
  const several = state.session === null && named > 1;
  at("steps").replaceChildren(...items.map((item) => {
    const lanes = make("span", { className: "lanes" });
    for (const lane of lanesAt(item.index)) lanes.classList.add(`has-${lane}`);
    return (item.type === "step" ? drawStep : item.type === "fold" ? drawFold : drawMark)(item, lanes, several);
  }));
  at("nothing").hidden = items.length > 0;
  const first = rows.get(state.chosen) ?? rows.values().next().value;
  if (first) first.querySelector("button").tabIndex = 0;
  mark();
  join();
}

/* A name in the row of a packet, shortened in the middle: the whole one is told where the packet is looked at. */
function inRow(name) {
  return name.length > 32 ? `${name.slice(0, 18)}…${name.slice(-12)}` : name;
}

function drawStep({ index }, lanes, several) {
  const step = data.steps[index];
  const { move } = data.sessions[step.session];
  lanes.classList.add(`kind-${step.kind}`, step.sender ? `from-${step.sender}` : "from-nobody");
  if (step.transport === "polling") lanes.classList.add("on-polling");
  if (SOCKETIO.has(step.kind)) lanes.classList.add("socketio");
  if (heartbeat(step) || step.kind === "noop") lanes.classList.add("thin");
  const tags = [];
  if (step.namespace && step.namespace !== "/") tags.push(inRow(step.namespace));
  if (step.asks) tags.push(`wants ack ${step.id}`);
  if (step.kind === "ack") tags.push(`#${step.id}`);
  if (step.answers !== null) tags.push(`after ${seconds(step.answers)}`);
  const size = step.kind === "note" ? "" : bytes(step.size);
  const text = make("span", { className: "text" },
    make("span", { className: "label" }, step.label),
    step.contents ? make("span", { className: "contents" }, step.contents) : null,
    make("span", { className: "tags" }, tags.join(" · "), make("span", { className: "more" }, tags.length && size ? ` · ${size}` : size)));
  lanes.append(text, make("span", { className: "arrow" }));
  const time = make("span", { className: "time" }, step.time.toFixed(3));
  if (several && data.sessions[step.session].sid) time.prepend(chip(step.session));
  const way = step.sender === "client" ? "client to server" : step.sender === "server" ? "server to client" : "";
  const button = make("button", { type: "button", tabIndex: -1 }, time, lanes);
  const said = [`${step.time.toFixed(3)} seconds`, way, step.transport, step.label, step.contents, ...tags, size];
  button.setAttribute("aria-label", said.filter(Boolean).join(", "));
  button.addEventListener("click", () => choose(index, { focus: false }));
  const row = make("li", { className: "row", id: `packet-${index}`, data: { index } }, button);
  row.classList.toggle("moving", Boolean(move && move[0] <= index && index <= move[1]));
  rows.set(index, row);
  return row;
}

function drawFold({ run, open }, lanes) {
  const steps = run.map((index) => data.steps[index]);
  const times = steps.filter((step) => step.kind === "pong" && step.answers !== null).map((step) => step.answers);
  const range = times.length ? `, answered within ${seconds(Math.max(...times))}` : "";
  lanes.append(make("span", { className: "text" }, make("span", {}, `${run.length} pings and pongs${range}`)));
  const button = make("button", { type: "button" }, make("span", { className: "time" }, steps[0].time.toFixed(3)), lanes);
  button.setAttribute("aria-expanded", String(Boolean(open)));
  button.addEventListener("click", () => {
    if (open) state.unfolded.delete(run[0]); else state.unfolded.add(run[0]);
    draw();
    document.querySelector(`[data-fold="${run[0]}"] button`)?.focus();
  });
  return make("li", { className: `row fold${open ? " open" : ""}`, data: { fold: run[0] } }, button);
}

function drawMark(item, lanes, several) {
  let text = "";
  if (item.type === "gap") text = `${seconds(item.seconds)} later`;
  else {
    const name = several ? `session ${data.steps[item.index].session + 1}` : "the session";
    text = item.edge === "begin" ? `${name} moves to WebSocket` : `${name} is on WebSocket now`;
  }
  lanes.append(make("span", { className: "text" }, make("span", {}, text)));
  return make("li", { className: `row ${item.type} ${item.edge ?? ""}` }, make("span", { className: "time" }), lanes);
}

function chip(session) {
  const element = make("span", { className: "chip", title: sessionName(session) }, String(session + 1));
  const hue = (session * 137.5) % 360;
  element.style.setProperty("--chip", `light-dark(oklch(0.45 0.11 ${hue}), oklch(0.8 0.09 ${hue}))`);
  return element;
}

/** Draw what joins each acknowledgement with its event, in the gutter beside the one that asked. */
function join() {
  const canvas = at("hooks").parentElement.getBoundingClientRect();
  const ends = { client: [], server: [] };
  const gutter = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--gutter")) * 16;
  const paths = [];
  for (const [index, row] of rows) {
    const step = data.steps[index];
    if (step.kind !== "ack" || step.partner === null || !rows.has(step.partner)) continue;
    const side = data.steps[step.partner].sender;
    const [from, to] = [rows.get(step.partner), row].map((one) => one.querySelector(".arrow").getBoundingClientRect());
    const [top, bottom] = [from.top - canvas.top + 1, to.top - canvas.top + 1];
    let level = ends[side].findIndex((end) => end < top);
    if (level < 0) level = ends[side].length;
    ends[side][level] = bottom;
    const edge = side === "client" ? "left" : "right";
    const outward = side === "client" ? -1 : 1;
    const x = (rect) => rect[edge] - canvas.left;
    const lane = side === "client" ? Math.min(x(from), x(to)) : Math.max(x(from), x(to));
    const out = lane + outward * Math.min(gutter - 2, gutter * 0.38 + level * 5);
    const bend = Math.min(5, (bottom - top) / 2) * outward;
    const down = Math.abs(bend);
    paths.push([index, `M${x(from)},${top}H${out - bend}Q${out},${top} ${out},${top + down}V${bottom - down}Q${out},${bottom} ${out - bend},${bottom}H${x(to)}`]);
  }
  at("hooks").replaceChildren(...paths.map(([index, way]) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", way);
    const chosen = index === state.chosen || data.steps[index].partner === state.chosen;
    if (chosen && state.chosen !== null) path.setAttribute("class", "chosen");
    return path;
  }));
}

// ── The packet that is looked at ─────────────────────────────────────────────────────────────────────────────────────

function partnersOf(index) {
  const found = data.steps[index].partner;
  const answers = data.steps.flatMap((step, other) => (step.partner === index ? [other] : []));
  return { asked: found, answers };
}

function mark() {
  const { asked = null, answers = [] } = state.chosen === null ? {} : partnersOf(state.chosen);
  for (const [index, row] of rows) {
    if (index === state.chosen) row.setAttribute("aria-current", "true"); else row.removeAttribute("aria-current");
    row.classList.toggle("partner", index === asked || answers.includes(index));
  }
}

function choose(index, { scroll = false, focus = true } = {}) {
  if (scroll && !rows.has(index)) {
    Object.assign(state, { query: "", fold: false, session: state.session === null ? null : data.steps[index].session });
    at("query").value = "";
    at("fold").checked = false;
    at("session").value = state.session ?? "";
    draw();
  }
  state.chosen = index;
  for (const row of rows.values()) row.querySelector("button").tabIndex = -1;
  const row = rows.get(index);
  if (row) {
    const button = row.querySelector("button");
    button.tabIndex = 0;
    if (scroll) row.scrollIntoView({ block: "center" });
    if (focus) button.focus({ preventScroll: true });
  }
  history.replaceState(null, "", `#packet-${index}`);
  mark();
  join();
  show(index);
}

function idle() {
  state.chosen = null;
  at("detail").classList.add("idle");
  at("detail").replaceChildren(make("p", { className: "hint" },
    "Click an arrow to see its frame taken apart. The keys ↑ and ↓ walk through the packets, Enter opens one, Esc closes it, and / goes to the search."));
}

function show(index) {
  const step = data.steps[index];
  const { asked, answers } = partnersOf(index);
  const close = make("button", { type: "button", className: "close", title: "Close (Esc)" }, "×");
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", leave);
  const facts = make("dl", { className: "facts" });
  const fact = (name, ...value) => facts.append(make("dt", {}, name), make("dd", {}, ...value));
  if (step.sender) fact("From", step.sender === "client" ? "client, to the server" : "server, to the client");
  if (step.transport) fact("Over", step.transport === "websocket" ? "WebSocket" : "HTTP long-polling");
  fact("Time", `${step.time.toFixed(6)} s, ${new Date((data.start + step.time) * 1000).toISOString().replace("T", " ").replace("Z", " UTC")}`);
  fact("Session", make("code", {}, data.sessions[step.session].sid || "not known"));
  if (step.namespace) fact("Namespace", make("code", {}, step.namespace));
  if (step.id !== null) fact("Ack id", String(step.id));
  if (step.kind !== "note") fact("Size", `${bytes(step.size)}${step.frames && step.frames.length > 1 ? ` in ${step.frames.length} frames` : ""}`);
  if (asked !== null) fact("Answers", jump(asked), step.answers === null ? "" : ` after ${seconds(step.answers)}`);
  else if (step.answers !== null) fact("Answers", `after ${seconds(step.answers)}`);
  for (const answer of answers) fact("Answered by", jump(answer), data.steps[answer].answers === null ? "" : ` after ${seconds(data.steps[answer].answers)}`);
  if (step.asks && !answers.length) fact("Answered by", "nothing that was seen");
  if (step.detail) fact(step.kind === "fault" ? "Fault" : "Note", `${step.detail}.`);
  const kind = step.kind === "event" || (step.kind === "ack" && step.label !== "ack") ? `${step.kind} ` : "";
  const title = make("h2", {}, make("span", {}, step.kind === "ack" || !kind ? step.label : `${kind}${step.label}`), close);
  const parts = [title, facts];
  if (step.frames === null) parts.push(make("p", { className: "notice" }, "The frames of this packet are left out: the page would become too large."));
  (step.frames ?? []).forEach((frame, number) => parts.push(...anatomy(frame, number, step.frames.length)));
  at("detail").classList.remove("idle");
  at("detail").replaceChildren(...parts);
  at("detail").scrollTop = 0;
  // On a phone the packet's sheet lies over the diagram; the arrow itself is to stay in sight.
  const row = rows.get(index)?.getBoundingClientRect();
  const covered = row ? row.bottom + 8 - at("detail").getBoundingClientRect().top : 0;
  if (covered > 0 && getComputedStyle(at("detail")).position === "fixed") scrollBy(0, covered);
}

function jump(index) {
  const step = data.steps[index];
  const button = make("button", { type: "button", className: "jump" }, step.label);
  button.addEventListener("click", () => choose(index, { scroll: true }));
  return button;
}

function anatomy(frame, number, count) {
  const whole = make("p", { className: "whole" });
  const list = make("ol", { className: "parts" });
  for (const [content, layer, name, meaning, section, fault] of frame.spans) {
    const attributes = fault ? { layer, fault: "" } : { layer };
    const piece = make("span", { data: attributes }, content);
    const part = make("li", { data: attributes },
      make("code", {}, content === " " ? "␣" : content),
      make("span", {}, meaning, make("small", {}, [name, section].filter(Boolean).join(" · "))));
    for (const [one, other] of [[piece, part], [part, piece]]) {
      one.addEventListener("mouseenter", () => { one.classList.add("lit"); other.classList.add("lit"); });
      one.addEventListener("mouseleave", () => { one.classList.remove("lit"); other.classList.remove("lit"); });
    }
    whole.append(piece);
    if (name !== "separator" || fault) list.append(part);
  }
  if (frame.more) list.append(make("li", {}, make("code", {}, "…"), make("span", {}, counted(frame.more, "more part"))));
  const title = `${count > 1 ? `Frame ${number + 1} of ${count}` : "Frame"}, ${frame.binary ? "binary" : "text"}, ${bytes(frame.size)}`;
  return [make("h3", {}, title), whole, list];
}

function leave() {
  const button = rows.get(state.chosen)?.querySelector("button");
  idle();
  mark();
  join();
  history.replaceState(null, "", location.pathname + location.search);
  button?.focus({ preventScroll: true });
}

function onKey(event) {
  const typing = event.target.matches?.("input, select");
  if (event.key === "Escape" && state.chosen !== null) leave();
  else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); at("query").focus(); }
  else if (!typing && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const buttons = [...at("steps").querySelectorAll("button")];
    const place = buttons.indexOf(document.activeElement);
    if (place < 0) return;
    const next = buttons[place + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
    const { index } = next.parentElement.dataset;
    if (state.chosen !== null && index !== undefined) choose(Number(index));
  }
}

begin();
