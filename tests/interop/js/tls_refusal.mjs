// A client that must not get in, for TLS does not let it: prints the error, as one JSON line, with the options that the test gives.
//
//   node js/tls_refusal.mjs https://localhost:3443 polling '{"ca": "ca.pem"}'
import { readFileSync } from "node:fs";
import { io } from "socket.io-client";

const [url, transport, given] = process.argv.slice(2);
const files = Object.entries(JSON.parse(given)).map(([name, path]) => [name, readFileSync(path)]);
const socket = io(url, { transports: [transport], reconnection: false, timeout: 20_000, ...Object.fromEntries(files) });

const end = (values) => {
  socket.close();
  process.stdout.write(JSON.stringify(values) + "\n", () => process.exit());
};
socket.on("connect", () => end({ connected: true }));
socket.on("connect_error", (error) => {
  const cause = error.description?.error ?? error.description ?? error.context?.statusText ?? {};
  end({ connected: false, message: error.message, code: cause.code ?? null, detail: String(cause.message ?? cause) });
});
