// What tests/clients/reading.py is, with /client.js. The variable CLIENT_MODULE has the path of the library.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { connect } = await import(pathToFileURL(process.env.CLIENT_MODULE));
const { url, symbols, folder, run, sleeps, order } = JSON.parse(process.argv[2]);
const [items, frames] = [`${folder}/items.jsonl`, `${folder}/frames-${run}.jsonl`];
const after = {};
if (existsSync(items))
  for (const line of readFileSync(items, "utf8").split("\n").slice(0, -1)) {
    const { symbol, position } = JSON.parse(line);
    after[symbol] = position;
  }

class Tapped extends (globalThis.WebSocket ?? createRequire(import.meta.url)("ws")) {
  constructor(...given) {
    super(...given);
    // What comes after the library has let go of the socket is for nobody.
    this.addEventListener("message", ({ data }) => this.onmessage && appendFileSync(frames, `${data}\n`));
  }
}

const markets = connect(url, {
  WebSocket: Tapped,
  timings: { firstPauseMs: 50, longestPauseMs: 300, tooSlowPauseMs: 300, silenceMs: 2000, openMs: 3000 },
  onState: ({ state, code, reason }) => console.log(state, code, reason),
});
const trades = markets.trades(symbols, { after, buffer: 5000, order });
for await (const item of trades) {
  const isTrade = item.type === "trade";
  const isPending = item.cause === "pending";
  const cause = isPending ? (item.takes_back ? "taken back" : "") : (item.cause ?? "server");
  const text = isTrade ? `${item.price} ${item.size} ${item.side}` : cause;
  const [first, last] = isTrade ? [item.id, item.id] : [item.from_id, item.to_id];
  const kind = isPending ? "pending" : item.type;
  const position = trades.position()[item.symbol];
  appendFileSync(items, `${JSON.stringify({ run, kind, symbol: item.symbol, first, last, text, position })}\n`);
  if (sleeps && Math.random() < 0.002) await new Promise((resolve) => setTimeout(resolve, 400 * Math.random()));
}
