// The package `binance` of npm: its REST client and its WebSocket client.

import { MainClient, WebsocketClient } from "binance";
import {
  once,
  REST_URL,
  SECONDS,
  SYMBOL,
  say,
  sayBest,
  sayBook,
  sayCandle,
  sayHistory,
  sayTicker,
  sayTrade,
  WS_URL,
} from "./reporting.mjs";

const rest = new MainClient({ baseUrl: REST_URL, beautifyResponses: false });
await once("history", async () => {
  for (const interval of ["1m", "1h", "1d"]) {
    sayHistory(interval, await rest.getKlines({ symbol: SYMBOL, interval, limit: 100 }));
  }
  const book = await rest.getOrderBook({ symbol: SYMBOL });
  sayBook(book.lastUpdateId, book.bids, book.asks);
  await rest.getExchangeInfo();
  await rest.get24hrChangeStatistics({ symbol: SYMBOL });
  await rest.getSymbolPriceTicker({ symbol: SYMBOL });
  await rest.getSymbolOrderBookTicker({ symbol: SYMBOL });
  await rest.getAvgPrice({ symbol: SYMBOL });
  await rest.getRecentTrades({ symbol: SYMBOL });
});

const sockets = new WebsocketClient({ wsUrl: WS_URL, beautify: false });
sockets.on("message", ({ stream, data, ...raw }) => {
  const event = data ?? raw;
  if (event.e === "trade") {
    sayTrade(event);
  } else if (event.e === "kline") {
    sayCandle(event.k);
  } else if (event.e === "24hrTicker") {
    sayTicker(event);
  } else if (event.lastUpdateId !== undefined) {
    sayBook(event.lastUpdateId, event.bids, event.asks);
  } else if (event.u !== undefined && event.B !== undefined) {
    sayBest(event);
  }
});
sockets.on("exception", (error) => say("error", { where: "streams", text: JSON.stringify(error) }));
await sockets.subscribe(
  ["trade", "kline_1s", "kline_1m", "ticker", "bookTicker", "depth20@100ms"].map(
    (kind) => `${SYMBOL.toLowerCase()}@${kind}`,
  ),
  "main",
);
await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
process.exit(0);
