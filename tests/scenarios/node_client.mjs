// A client of /ws/markets that is not Python's: Node's `ws`, strict about RFC 6455.
// Arguments: address, symbol, number of trades, "deflate" or "plain". Prints one JSON object.
import { createRequire } from "node:module";

const WebSocket = createRequire(import.meta.url)("ws");
const [url, symbol, count, compression] = process.argv.slice(2);

const report = { welcome: null, kinds: [], ids: [], prices: [], pong: null, wsPong: false, extensions: "" };
const socket = new WebSocket(url, { perMessageDeflate: compression === "deflate" });
setTimeout(() => fail("timeout"), 20_000).unref();

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

function take(text, tick) {
  report.ids.push(tick.id);
  report.prices.push(text.match(/"price":([0-9.]+)/)[1]);
}

socket.on("open", () => {
  report.extensions = socket.extensions;
});
socket.on("message", (data, isBinary) => {
  if (isBinary) fail("a binary frame");
  const text = data.toString("utf8");
  const message = JSON.parse(text);
  if (!report.kinds.includes(message.type)) report.kinds.push(message.type);
  switch (message.type) {
    case "welcome":
      report.welcome = message;
      socket.send(JSON.stringify({ type: "subscribe", exchange: "binance", channel: "trades", symbol, id: 1 }));
      break;
    case "snapshot":
      message.data.forEach((tick) => take(text, tick));
      break;
    case "trade":
      take(text, message);
      if (report.ids.length === Number(count)) socket.ping("are you there");
      break;
    case "pong":
      report.pong = message;
      socket.close(1000, "done");
      break;
    case "error":
      fail(text);
  }
});
socket.on("pong", (data) => {
  report.wsPong = data.toString() === "are you there";
  // More than 125 bytes, so that a client that compresses does compress it.
  socket.send(JSON.stringify({ type: "ping", id: "node", padding: "x".repeat(2000) }));
});
socket.on("error", (error) => fail(`${error.code}: ${error.message}`));
socket.on("close", (code, reason) => {
  console.log(JSON.stringify({ ...report, code, reason: reason.toString() }));
});
