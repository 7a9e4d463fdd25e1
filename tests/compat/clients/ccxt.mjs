// ccxt for Node: its own addresses, its cache of candles, its local order book.

import ccxt from "ccxt";
import {
  againAndAgain,
  once,
  REST_URL,
  say,
  sayBest,
  sayBook,
  sayHistory,
  sayTicker,
  sayTrade,
  WS_URL,
} from "./reporting.mjs";

const MARKET = "BTC/USDT";
const exchange = new ccxt.pro.binance({
  newUpdates: false, // all candles of the cache, not only those that changed
  options: { defaultType: "spot", fetchMarkets: { types: ["spot"] } },
});
exchange.urls.api.public = `${REST_URL}/api/v3`;
exchange.urls.api.ws.spot = `${WS_URL}/ws`;
const said = { "1s": 0, "1m": 0, trade: 0 };

async function trades() {
  for (const trade of await exchange.watchTrades(MARKET)) {
    if (Number(trade.id) > said.trade) {
      said.trade = Number(trade.id);
      sayTrade(trade.info);
    }
  }
}

async function candles(interval) {
  // ccxt does not say whether a candle has ended; the last of the cache is the one that runs.
  for (const [at, open, high, low, close, volume] of (await exchange.watchOHLCV(MARKET, interval)).slice(0, -1)) {
    if (at > said[interval]) {
      said[interval] = at;
      say("candle", { interval, at, open, high, low, close, volume });
    }
  }
}

await exchange.loadMarkets();
await once("history", async () => {
  for (const interval of ["1m", "1h", "1d"]) {
    sayHistory(interval, await exchange.fetchOHLCV(MARKET, interval, undefined, 100));
  }
  const book = await exchange.fetchOrderBook(MARKET);
  sayBook(book.nonce, book.bids, book.asks);
});
await Promise.all([
  againAndAgain("trades", trades),
  againAndAgain("candles", () => candles("1s")),
  againAndAgain("candles", () => candles("1m")),
  againAndAgain("ticker", async () => sayTicker((await exchange.watchTicker(MARKET)).info)),
  againAndAgain("best", async () => sayBest((await exchange.watchBidsAsks([MARKET]))[MARKET].info)),
  againAndAgain("book", async () => {
    const book = await exchange.watchOrderBook(MARKET);
    sayBook(book.nonce, [...book.bids], [...book.asks]);
  }),
]);
await exchange.close();
process.exit(0);
