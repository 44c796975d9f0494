// The chat. The protocol is in socketio.js, the panel that shows it in wire.js.

import { explain, plural } from "./explain.js";
import { Socket } from "./socketio.js";
import { anatomy, make, Wire } from "./wire.js";

const IMAGE_BYTES = 900_000;
const MESSAGES_KEPT = 300; // per room, on the page
const TYPING_PAUSE = 2_500; // after so many milliseconds without a key, one is not typing any more
const TYPING_EXPIRES = 6_000;

const $ = (selector) => document.querySelector(selector);
const wire = new Wire();

let socket = null;
let me = "";
let current = null; // the name of the room that is shown
const rooms = new Map(); // name → what this page knows of a room it is in
let allRooms = []; // what the server says there is: [{ room, people }]

// ─── The way in ─────────────────────────────────────────────────────────────────────────────────────────────────────

const parameters = new URLSearchParams(location.search);
const joinForm = $("#join-form");

joinForm.elements.name.value = parameters.get("name") ?? remembered("name") ?? "";
joinForm.elements.room.value = parameters.get("room") ?? "lobby";
for (const radio of joinForm.elements.transport) if (radio.value === parameters.get("transport")) radio.checked = true;
$("#specimen").append(...anatomy(explain('42/chat,7["say","lobby","Hi"]')));
if (!matchMedia("(pointer: coarse)").matches) joinForm.elements.name.focus(); // no keyboard jumps up on a phone

joinForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, room, transport } = joinForm.elements;
  for (const input of [name, room]) {
    if (input.value.trim()) continue;
    input.focus();
    return refuseJoin(input === name ? "Tell the others what to call you." : "Which room?");
  }
  $("#join-error").textContent = "";
  $("#join").disabled = true;
  signIn(name.value.trim(), room.value.trim(), transport.value);
});

function refuseJoin(text) {
  $("#join-error").textContent = text;
  $("#join").disabled = false;
}

function signIn(name, room, transport) {
  const options = { namespace: "/chat", auth: { name }, transport, trace: (entry) => trace(entry) };
  socket = new Socket(options)
    .on("connect", () => connected(room))
    .on("connect_error", (error) => (current ? outage(error.message) : refuseJoin(error.message)))
    .on("disconnect", (reason) => disconnected(reason))
    .on("reconnecting", (attempt, delay) => reconnecting(attempt, delay))
    .on("transport", (name) => showTransport(name))
    .on("message", (message) => received(message))
    .on("people", ({ room, people }) => showPeople(room, people))
    .on("rooms", (list) => showRooms(list))
    .on("typing", ({ room, name, typing }) => showTyping(room, name, typing));
  remember("name", name);
  socket.connect();
}

$("#leave").addEventListener("click", () => {
  socket.disconnect();
  location.assign(location.pathname + location.search);
});

// A page that goes away says goodbye, and one that comes back from the browser's memory connects again.
addEventListener("pagehide", () => socket?.disconnect());
addEventListener("pageshow", ({ persisted }) => persisted && socket?.connect());

// ─── The connection ─────────────────────────────────────────────────────────────────────────────────────────────────

function trace(entry) {
  if (entry.frame === "2probe") wire.stage("probing");
  wire.add(entry);
}

function showTransport(name) {
  wire.stage(name);
  $(".status-text").textContent = name === "websocket" ? "WebSocket" : "polling";
}

let countdown; // shows how long it is until the next attempt

async function connected(firstRoom) {
  complain("");
  const names = rooms.size > 0 ? [...rooms.keys()] : [firstRoom];
  for (const name of names) {
    const answer = await ask("join", name);
    if (answer.ok) joined(answer);
    if (answer.ok && current === null) enter(answer.room);
    else if (!answer.ok && current === null) {
      socket.disconnect();
      return refuseJoin(answer.error);
    } else if (!answer.ok) complain(answer.error);
  }
  clearInterval(countdown);
  $("#outage").hidden = true;
  $("#status").dataset.state = "online";
  $("#send").disabled = false;
}

function disconnected(reason) {
  $("#status").dataset.state = "offline";
  $(".status-text").textContent = "offline";
  $("#send").disabled = true;
  wire.stage("offline");
  for (const room of rooms.values()) room.typing.clear();
  drawTyping();
  outage(`${reason[0].toUpperCase()}${reason.slice(1)}.`);
}

function reconnecting(attempt, delay) {
  if (current === null) {
    socket.disconnect();
    return refuseJoin("The server cannot be reached. Is it running?");
  }
  const due = Date.now() + delay;
  const show = () => {
    const seconds = Math.ceil((due - Date.now()) / 1000);
    outage(seconds > 0 ? `Attempt ${attempt} in ${plural(seconds, "second")}.` : `Attempt ${attempt} …`);
    if (seconds <= 0) clearInterval(countdown);
  };
  clearInterval(countdown);
  countdown = setInterval(show, 500);
  show();
}

function outage(text) {
  $("#outage").hidden = false;
  $("#outage-text").textContent = text;
}

$("#retry-now").addEventListener("click", () => socket.connect());

/** Asks the server and returns its acknowledgement; what goes wrong on the way is one too. */
async function ask(event, ...args) {
  return socket.ask(event, ...args).answer.catch((error) => ({ ok: false, error: error.message }));
}

// ─── Rooms ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function joined({ room: name, you, people, history }) {
  me = you;
  if (!rooms.has(name)) {
    const list = make("ol", { class: "messages", "data-room": name, hidden: "" });
    const empty = make("li", { class: "empty" }, "Nobody has said anything here yet. ");
    empty.append(make("a", { href: secondTab(name), target: "_blank", rel: "noopener" }, "Open a second tab"), " and talk to yourself.");
    list.append(empty);
    $("#log").append(list);
    rooms.set(name, { list, people, typing: new Map(), unread: 0, last: null });
  }
  const { list } = rooms.get(name);
  for (const message of history) {
    if (!list.querySelector(`[data-id="${CSS.escape(message.id)}"]`)) addMessage(message, { own: message.name === me, state: "old" });
  }
  showPeople(name, people);
}

function enter(room) {
  $("#welcome").hidden = true;
  $("#app").hidden = false;
  wire.toEnd();
  show(room);
}

function secondTab(room) {
  return `?${new URLSearchParams({ ...Object.fromEntries(parameters), room, name: "" })}`;
}

function show(name) {
  current = name;
  const room = rooms.get(name);
  room.unread = 0;
  for (const { list } of rooms.values()) list.hidden = list !== room.list;
  $("#room-title").textContent = name;
  $("#log").setAttribute("aria-label", `Messages in ${name}`);
  document.title = `${name} · Interlinear`;
  drawPeople();
  drawRooms();
  drawTyping();
  scrollLog();
  closePanels();
  if (wide.rail.matches) $("#text").focus({ preventScroll: true }); // on a phone the keyboard would hide the room
}

async function join(name) {
  const answer = await ask("join", name);
  if (!answer.ok) return complain(answer.error);
  joined(answer);
  show(answer.room);
}

async function leave(name) {
  const answer = await ask("leave", name);
  if (!answer.ok) return complain(answer.error);
  rooms.get(name).list.remove();
  rooms.delete(name);
  if (current === name) show([...rooms.keys()].at(-1));
  else drawRooms();
}

$("#room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = $("#other-room");
  if (input.value.trim()) join(input.value.trim());
  input.value = "";
});

function showRooms(list) {
  allRooms = list;
  drawRooms();
}

function drawRooms() {
  const focused = document.activeElement?.dataset?.room;
  const others = allRooms.filter(({ room }) => !rooms.has(room));
  const counts = new Map(allRooms.map(({ room, people }) => [room, people]));
  const items = [...rooms.keys()].map((name) => {
    const { unread } = rooms.get(name);
    const button = make("button", { type: "button", class: "room", "data-room": name }, make("bdi", {}, name));
    if (name === current) button.setAttribute("aria-current", "true");
    if (unread > 0) button.append(make("span", { class: "unread", "aria-label": `${unread} unread` }, String(unread)));
    else button.append(make("span", { class: "count", "aria-label": plural(counts.get(name) ?? 1, "person").replace("persons", "people") }, String(counts.get(name) ?? 1)));
    button.addEventListener("click", () => show(name));
    const item = make("li", { "data-testid": "room-item" }, button);
    if (rooms.size > 1) {
      const out = make("button", { type: "button", class: "icon room-leave", "aria-label": `Leave ${name}`, title: "Leave" }, "×");
      out.addEventListener("click", () => leave(name));
      item.append(out);
    }
    return item;
  });
  for (const { room, people } of others.slice(0, 20)) {
    const button = make("button", { type: "button", class: "room other", "data-room": room }, make("bdi", {}, room), make("span", { class: "count" }, String(people)));
    button.setAttribute("aria-label", `Join ${room}`);
    button.addEventListener("click", () => join(room));
    items.push(make("li", { "data-testid": "room-item" }, button));
  }
  $("#rooms").replaceChildren(...items);
  if (focused) $(`#rooms [data-room="${CSS.escape(focused)}"]`)?.focus();
  $(".unread-dot").hidden = ![...rooms.values()].some(({ unread }) => unread > 0);
}

// ─── People ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function showPeople(room, people) {
  if (!rooms.has(room)) return;
  rooms.get(room).people = people;
  if (room === current) drawPeople();
}

function drawPeople() {
  const { people } = rooms.get(current);
  const items = people.map((name) => {
    const item = make("li", { "data-testid": "person", "data-name": name }, initial(name), make("bdi", {}, name));
    if (name === me) item.append(make("span", { class: "aside" }, "you"));
    return item;
  });
  $("#people").replaceChildren(...items);
  $("#room-count").textContent = people.length === 1 ? "only you are here" : `${people.length} people here`;
}

/** The first letter of a name on a ground of its own colour. */
function initial(name) {
  return make("span", { class: `initial hue-${hue(name)}`, "aria-hidden": "true" }, [...name][0].toUpperCase());
}

function hue(name) {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % 8;
}

function showTyping(room, name, typing) {
  const known = rooms.get(room)?.typing;
  if (!known) return;
  clearTimeout(known.get(name));
  known.delete(name);
  if (typing) known.set(name, setTimeout(() => showTyping(room, name, false), TYPING_EXPIRES));
  drawTyping();
}

function drawTyping() {
  const names = current === null ? [] : [...rooms.get(current).typing.keys()];
  const who = names.length > 2 ? `${names.length} people are` : names.length === 2 ? `${names[0]} and ${names[1]} are` : `${names[0]} is`;
  $("#typing").textContent = names.length > 0 ? `${who} typing` : "";
}

// ─── Messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Adds a message to its room. `state` is "sending" for one's own new message, otherwise "received" or "old". */
function addMessage(message, { own, state }) {
  const room = rooms.get(message.room);
  room.list.querySelector(".empty")?.remove();
  const body = message.text === undefined ? picture(message) : make("p", { class: "text", "data-testid": "message-text" }, ...linked(message.text));
  const item = make("li", {
    class: own ? "message own" : "message",
    "data-testid": "message",
    "data-author": message.name,
    "data-state": state,
    "data-id": message.id,
  });
  // What one person says in a row stands under one name.
  const last = room.last;
  if (last && last.name === message.name && message.time - last.time < 120_000) item.classList.add("follows");
  room.last = message;
  const author = make("p", { class: `author hue-${hue(message.name)}`, "data-testid": "message-author" }, make("bdi", {}, message.name));
  item.append(author, make("div", { class: "body" }, body), make("p", { class: "meta" }, make("time", {}, time(message.time))));
  room.list.append(item);
  while (room.list.childElementCount > MESSAGES_KEPT) room.list.firstElementChild.remove();
  return item;
}

function picture({ image, type, title }) {
  if (!image) return make("p", { class: "text gone", "data-testid": "message-text" }, `An image, “${title}”. It was sent before you came and is not kept.`);
  const url = URL.createObjectURL(new Blob([image], { type }));
  const picture = make("img", { src: url, alt: title, "data-testid": "message-image" });
  picture.addEventListener("load", () => scrollLog(true));
  return make("figure", {}, make("figcaption", {}, title), picture);
}

/** The pieces of a text, with its web addresses as links. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]])/).map((piece, index) =>
    index % 2 === 1 ? make("a", { href: piece, target: "_blank", rel: "noopener noreferrer" }, piece) : piece,
  );
}

function time(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function received(message) {
  const room = rooms.get(message.room);
  if (!room) return;
  showTyping(message.room, message.name, false);
  const row = wire.lastReceived;
  const item = addMessage(message, { own: false, state: "received" });
  tieToWire(item, "Received", () => row);
  if (message.room === current) scrollLog(true);
  else {
    room.unread += 1;
    drawRooms();
  }
}

/** Sends a message and shows how far it got: on its way, acknowledged, or failed. */
async function deliver(item, message, event, ...args) {
  setState(item, "sending", "On its way");
  const { id, answer } = socket.ask(event, message.room, ...args);
  tieToWire(item, "On its way", () => wire.asked(id));
  const started = performance.now();
  let result;
  try {
    result = await answer;
  } catch (error) {
    result = { ok: false, error: error.message };
  }
  if (result.ok) {
    item.dataset.id = result.id;
    const row = wire.asked(id);
    tieToWire(item, `Acknowledged after ${Math.round(performance.now() - started)} ms`, () => row);
    return setState(item, "acknowledged");
  }
  setState(item, "failed");
  const row = wire.asked(id);
  tieToWire(item, "Not delivered", () => row);
  const again = make("button", { type: "button", class: "again", "data-testid": "again" }, "Try again");
  const failure = make("p", { class: "failure" }, `${result.error} `, again);
  again.addEventListener("click", () => {
    if (!socket.connected) return complain("There is no connection yet.");
    failure.remove();
    deliver(item, message, event, ...args);
  });
  item.querySelector(".body").append(failure);
  scrollLog(true);
}

function setState(item, state) {
  item.dataset.state = state;
}

// One tick: it left. Two: the server acknowledged it. A cross: it did not. An arrow: it came from somebody else.
const MARKS = {
  sending: ["M1.5 6.5l3.4 3.6 6.6-8", "M9.4 8.9l1.2 1.2 6.6-8"],
  failed: ["M7 2l8 8M15 2L7 10"],
  received: ["M20 6H3m4-3.5L3 6l4 3.5"],
};

/** Puts a small button on a message that shows its frame on the wire; on one's own messages it is the tick. */
function tieToWire(item, label, find) {
  const text = `${label}. Show it on the wire`;
  const ticks = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  ticks.setAttribute("viewBox", "0 0 22 12");
  ticks.setAttribute("aria-hidden", "true");
  for (const d of MARKS[item.dataset.state] ?? MARKS.sending) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    ticks.append(path);
  }
  const button = make("button", { type: "button", class: "tick", "aria-label": text, title: text, "data-testid": "tick" }, ticks);
  button.addEventListener("click", () => {
    const row = find();
    if (row) openPanel("wire");
    if (!wire.show(row)) complain("That frame is not on the panel any more.");
  });
  item.querySelector(".tick")?.remove();
  item.querySelector(".meta").append(button);
}

// The log stays at its end while its reader is there, also when it gets smaller because a notice appears below it.

let atEnd = true;
$("#log").addEventListener("scroll", ({ target }) => (atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 48));
new ResizeObserver(() => atEnd && scrollLog()).observe($("#log"));

/** Scrolls to the newest message; gently means only if the reader is at the end already. */
function scrollLog(gently = false) {
  if (gently && !atEnd) return;
  $("#log").scrollTop = $("#log").scrollHeight;
  atEnd = true;
}

// ─── Writing ────────────────────────────────────────────────────────────────────────────────────────────────────────

const text = $("#text");

$("#composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (!words) return text.focus();
  if (!socket.connected) return complain("There is no connection. Your text stays here until there is.");
  complain("");
  text.value = "";
  grow();
  stopTyping({ tell: false }); // the message says it
  const message = { room: current, name: me, text: words, time: Date.now() };
  deliver(addMessage(message, { own: true, state: "sending" }), message, "say", words);
  scrollLog();
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("#composer").requestSubmit();
});

let typing = null; // { room, timer } while we are typing

text.addEventListener("input", () => {
  grow();
  if (!socket?.connected) return;
  if (text.value === "") return stopTyping();
  if (typing?.room !== current) {
    stopTyping();
    typing = { room: current };
    socket.emit("typing", current, true);
  }
  clearTimeout(typing.timer);
  typing.timer = setTimeout(() => stopTyping(), TYPING_PAUSE);
});

function stopTyping({ tell = true } = {}) {
  if (!typing) return;
  clearTimeout(typing.timer);
  if (tell && socket.connected) socket.emit("typing", typing.room, false);
  typing = null;
}

/** Makes the box as high as its text. */
function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

$("#file").addEventListener("change", ({ target }) => {
  if (target.files[0]) sendImage(target.files[0]);
  target.value = "";
});

text.addEventListener("paste", (event) => {
  const image = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
  if (!image) return;
  event.preventDefault();
  sendImage(image);
});

async function sendImage(file) {
  if (!socket.connected) return complain("There is no connection.");
  complain("");
  let image;
  try {
    image = await fitted(file);
  } catch {
    return complain("The browser cannot read that image.");
  }
  const title = (file.name || "image").slice(0, 80);
  const message = { room: current, name: me, image, type: image.type, title, time: Date.now() };
  deliver(addMessage(message, { own: true, state: "sending" }), message, "image", title, image);
  scrollLog();
}

/** Returns an image that is small enough, if need be a smaller copy. */
async function fitted(file) {
  if (file.size <= IMAGE_BYTES) return file;
  const bitmap = await createImageBitmap(file);
  for (const edge of [2000, 1400, 1000, 700]) {
    const scale = Math.min(1, edge / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const copy = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.82 });
    if (copy.size <= IMAGE_BYTES) return copy;
  }
  throw new Error("too large, whatever we do");
}

function complain(message) {
  $("#alert").textContent = message;
}

// ─── Panels: beside the chat where there is room, over it where there is not ────────────────────────────────────────

const wide = { rail: matchMedia("(min-width: 46rem)"), wire: matchMedia("(min-width: 70rem)") };
const panels = { rail: $("#rail"), wire: $("#wire") };
let opener = null; // what had the focus before a panel opened over the chat

function openPanel(name) {
  const panel = panels[name];
  const over = !wide[name].matches;
  if (over && !panel.classList.contains("open")) opener = document.activeElement;
  panel.classList.add("open");
  panel.classList.remove("closed");
  $("#app").classList.toggle("covered", over);
  $("#app").classList.remove(`without-${name}`);
  settlePanels();
  if (over) panel.querySelector("[data-closes]").focus();
  if (name === "wire") wire.toEnd();
}

function closePanel(name) {
  const panel = panels[name];
  const over = !wide[name].matches;
  if (over && !panel.classList.contains("open")) return;
  panel.classList.remove("open");
  $("#app").classList.remove("covered");
  if (!over) $("#app").classList.add(`without-${name}`);
  settlePanels();
  if (over) (opener?.isConnected ? opener : text).focus();
  else if (panel.contains(document.activeElement) || document.activeElement === document.body) $(`button[data-opens="${name}"]`).focus();
}

/** What is covered cannot be reached, neither with Tab nor by a screen reader. */
function settlePanels() {
  for (const [name, panel] of Object.entries(panels)) {
    const shown = isShown(name);
    panel.inert = !shown;
    $(`button[data-opens="${name}"]`).setAttribute("aria-expanded", String(shown));
  }
  $("#chat").inert = Object.entries(panels).some(([name, panel]) => !wide[name].matches && panel.classList.contains("open"));
}

function isShown(name) {
  if (!wide[name].matches) return panels[name].classList.contains("open");
  return !$("#app").classList.contains(`without-${name}`);
}

function closePanels() {
  for (const name of Object.keys(panels)) if (!wide[name].matches) closePanel(name);
}

for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", (event) => {
    const name = button.dataset.opens;
    if (button.tagName === "BUTTON" && isShown(name)) return closePanel(name);
    openPanel(name);
    if (button.tagName === "A") {
      event.preventDefault();
      panels[name].focus();
    }
  });
}

for (const element of document.querySelectorAll("[data-closes]")) {
  const name = element.dataset.closes;
  element.addEventListener("click", () => (name === "any" ? closePanels() : closePanel(name)));
}

addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const over = Object.keys(panels).find((name) => !wide[name].matches && isShown(name));
  if (over) return closePanel(over);
  const inside = Object.keys(panels).find((name) => panels[name].contains(document.activeElement));
  if (inside === "wire") return closePanel("wire");
  text.focus();
});

for (const query of Object.values(wide)) {
  query.addEventListener("change", () => {
    for (const panel of Object.values(panels)) panel.classList.remove("open");
    $("#app").classList.remove("covered");
    settlePanels();
  });
}
settlePanels();

// ─── Light and dark ─────────────────────────────────────────────────────────────────────────────────────────────────

const systemDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : systemDark.matches;
}

function drawTheme() {
  for (const button of document.querySelectorAll(".theme-toggle")) button.textContent = isDark() ? "Light theme" : "Dark theme";
}

for (const button of document.querySelectorAll(".theme-toggle")) {
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", document.documentElement.dataset.theme);
    drawTheme();
  });
}
systemDark.addEventListener("change", drawTheme);
drawTheme();

// ─── Memory ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function remembered(key) {
  try {
    return localStorage.getItem(`interlinear.${key}`);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`interlinear.${key}`, value);
  } catch {
    // No storage: then not.
  }
}
