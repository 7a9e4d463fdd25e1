// tardis-dev's real-time feed of Binance, normalised, used as its own documents show it.
"use strict";
const argument = (name) => process.argv[process.argv.indexOf(name) + 1];
const port = Number(argument("--port"));
const wanted = Number(argument("--trades"));
const WARM_UP = 500;

const { BinanceRealTimeFeed } = require("tardis-dev/dist/realtimefeeds/binance.js");
Object.defineProperty(BinanceRealTimeFeed.prototype, "wssURL", {
  get: () => `ws://127.0.0.1:${port}/stream`,
  set: () => {}, // its constructor would write the exchange's address here
});
const { normalizeTrades, streamNormalized } = require("tardis-dev");

async function run() {
  let seen = 0,
    cpu,
    began;
  for await (const message of streamNormalized({ exchange: "binance", symbols: ["btcusdt"] }, normalizeTrades)) {
    if (message.type !== "trade") continue;
    seen += 1;
    if (seen === WARM_UP) {
      cpu = process.cpuUsage();
      began = performance.now();
    } else if (seen === wanted) {
      const used = process.cpuUsage(cpu);
      const [user, system] = [used.user / 1e6, used.system / 1e6];
      const wall = (performance.now() - began) / 1e3;
      console.log(JSON.stringify({ user, system, total: user + system, wall, trades: seen - WARM_UP }));
      process.exit(0);
    }
  }
}

run();
