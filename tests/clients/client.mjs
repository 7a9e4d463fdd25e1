// A program that uses /client.js. Its argument: { module, url, token, symbols, channel, options, timings, sleeps }.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const told = JSON.parse(process.argv[2]);
const { connect } = await import(pathToFileURL(told.module));
const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws");
const { token, timings } = told;

function onState({ state, code, reason, retryInMs }) {
  console.log(state, code, reason, retryInMs === undefined ? "" : `; again in ${(retryInMs / 1000).toFixed(2)} s`);
}

const onQuality = ({ symbol, state }) => console.log("quality", symbol, state);
const markets = connect(told.url, { WebSocket, token, timings, onState, onQuality });
const subscription = markets[told.channel ?? "trades"](told.symbols, told.options);
process.on("SIGTERM", () => markets.close());
let goesOn = true;
while (goesOn) {
  goesOn = false;
  try {
    for (;;) {
      const { done, value: item } = await subscription.next();
      if (done) break;
      if (item.cause === "pending") console.log(`pending: ${item.symbol} ${item.from_id} to ${item.to_id}`);
      else if (item.type === "trade") console.log(item.symbol, item.id, item.side, item.price, item.size);
      else if (item.from_id !== undefined)
        console.log(`${item.type}: ${item.symbol} ${item.from_id} to ${item.to_id} will not come`, item.cause ?? "");
      else console.log(JSON.stringify(item));
      if (told.sleeps && Math.random() < 0.01) await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } catch (error) {
    console.log(`${error.name}: ${error.message}`);
    goesOn = error.name === "SubscribeError" && Object.keys(subscription.refused).length < subscription.symbols.length;
  }
}
console.log("position", JSON.stringify(subscription.position()));
markets.close();
