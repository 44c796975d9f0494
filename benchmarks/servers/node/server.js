// The application of the comparison, on socket.io for Node.js with its default WebSocket engine.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

const options = parseArgs({
  options: {
    "ping-interval": { type: "string" },
    "ping-timeout": { type: "string" },
    namespaces: { type: "string", default: "0" },
  },
}).values;

const httpServer = createServer();
const io = new Server(httpServer, {
  pingInterval: Number(options["ping-interval"]) * 1000,
  pingTimeout: Number(options["ping-timeout"]) * 1000,
});

const names = ["/", ...Array.from({ length: Number(options.namespaces) }, (_, number) => `/n${number}`)];

for (const name of names) {
  const namespace = io.of(name);
  namespace.on("connection", (socket) => {
    socket.on("message", (...args) => {
      socket.emit("message-back", ...args);
    });
    socket.on("message-with-ack", (...args) => {
      const ack = args.pop();
      ack(...args);
    });
    socket.on("join", (...args) => {
      const ack = args.pop();
      socket.join(args);
      ack();
    });
    socket.on("to-room", (room, ...args) => {
      namespace.to(room).emit("from-room", ...args);
    });
    socket.on("everyone", (...args) => {
      namespace.emit("from-everyone", ...args);
    });
  });
}

httpServer.listen(0, "127.0.0.1", () => {
  const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", import.meta.url), "utf8"));
  const names = ["socket.io", "engine.io", "ws"];
  const versions = Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`].version]));
  versions["Node.js"] = process.versions.node;
  console.log(JSON.stringify({ port: httpServer.address().port, versions }));
});
