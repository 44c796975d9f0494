// What the pages of the examples share: finding and making elements, and the lamp that shows the connection.

import { Socket } from "./socketio.js";

/** Returns the element with an id. */
export const $ = (id) => document.getElementById(id);

/** Makes an element: make("li", { className: "own" }, "text", otherElement). Text stays text, whoever wrote it. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * Makes a socket that shows in the head of the page how it is. `connected` runs after each (re)connection, and `refused` with the
 * error when the server's middleware or connect handler has said no.
 */
export function open(options, { connected = () => {}, refused = () => {} } = {}) {
  const lamp = (state, text) => {
    $("lamp").dataset.state = state;
    $("lamp").textContent = text;
  };
  return new Socket(options)
    .on("connect", () => {
      lamp("online", "connected");
      connected();
    })
    .on("connect_error", (error) => {
      lamp("offline", error.message);
      refused(error);
    })
    .on("disconnect", (reason) => lamp("offline", reason))
    .on("reconnecting", (_attempt, milliseconds) => lamp("waiting", `trying again in ${Math.ceil(milliseconds / 1000)} s`));
}

/** Calls a function when a form is sent, and lets the page stay. */
export function onSubmit(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

/** Returns the time of the day of a number of milliseconds. */
export const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
