// The examples asgi_starlette and asgi_quart: two clients talk, and the other application counts them and talks to them.
//
//     node asgi_chat.js URL

const { io } = require("socket.io-client");

const url = process.argv[2];
let passed = 0;

function check(name, found, expected) {
  const ok = JSON.stringify(found) === JSON.stringify(expected);
  console.log(JSON.stringify({ check: name, ok, error: ok ? undefined : `got ${JSON.stringify(found)}` }));
  passed += ok ? 1 : 0;
}

const next = (client, event) => new Promise((resolve) => client.once(event, resolve));

async function main() {
  const ada = io(url);
  const bob = io(url, { transports: ["websocket"] });
  await Promise.all([next(ada, "connect"), next(bob, "connect")]);
  const heard = next(bob, "chat");
  ada.emit("chat", "hello");
  check("what one says the other hears", await heard, "hello");
  check("the other application sees them", await (await fetch(url)).text(), "2 in the lobby\n");
  const told = Promise.all([next(ada, "chat"), next(bob, "chat")]);
  const answer = await fetch(`${url}/announce/welcome`, { method: "POST" });
  check("the other application says how many it has told", await answer.json(), { reached: 2 });
  check("both have heard it", await told, ["welcome", "welcome"]);
  ada.close();
  bob.close();
  console.log(JSON.stringify({ done: passed }));
}

main().catch((error) => {
  console.log(JSON.stringify({ check: "it ran to its end", ok: false, error: String(error) }));
  process.exitCode = 1;
});
