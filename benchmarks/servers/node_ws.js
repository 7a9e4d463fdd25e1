// Node.js with its `ws` package, compression off: one `send` per reader and trade.
"use strict";
const { WebSocketServer, WebSocket } = require("ws");
const port = Number(process.argv[process.argv.indexOf("--port") + 1]);
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false });
let number = 1000000;

function trade() {
  const now = Date.now();
  return JSON.stringify({
    type: "trade",
    exchange: "binance",
    symbol: "BTCUSDT",
    price: 61837.63127891,
    size: 0.02134567,
    side: "sell",
    ts: now,
    id: number++,
    recv_ts: now,
  });
}

function publish(burst) {
  for (let at = 0; at < burst; at++) {
    const message = trade();
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(message);
    }
  }
}

function follow(ticks, burst) {
  if (ticks <= 0) {
    console.log("DONE");
    return;
  }
  publish(burst);
  setImmediate(follow, ticks - burst, burst);
}

server.on("listening", () => console.log(`LISTEN ${port}`));
process.stdin.on("data", (text) => follow(...text.toString().trim().split(" ").map(Number)));
process.stdin.on("end", () => process.exit(0));
