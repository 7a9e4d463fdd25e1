// What a client tells about the market, one JSON object a line: the same as reporting.py.

export const WS_URL = process.env.COMPAT_WS_URL;
export const REST_URL = process.env.COMPAT_REST_URL;
export const SECONDS = Number(process.env.COMPAT_SECONDS);
export const SYMBOL = "BTCUSDT";
const LEVELS = 5;

export function say(kind, values) {
  process.stdout.write(`${JSON.stringify({ kind, ...values })}\n`);
}

export function sayTrade(data) {
  say("trade", { id: data.t, price: data.p, size: data.q, time: data.T, maker: data.m });
}

export function sayCandle(data) {
  if (data.x) {
    const { i: interval, t: at, o: open, h: high, l: low, c: close, v: volume } = data;
    say("candle", { interval, at, open, high, low, close, volume });
  }
}

export function sayTicker(data) {
  say("ticker", { at: data.E, last: data.c, open: data.o, high: data.h, low: data.l, volume: data.v });
}

export function sayBest(data) {
  say("best", { at: data.u, bid: data.b, bid_size: data.B, ask: data.a, ask_size: data.A });
}

export function sayBook(at, bids, asks) {
  const cut = (side) => side.slice(0, LEVELS).map((level) => level.slice(0, 2));
  say("book", { at, bids: cut(bids), asks: cut(asks) });
}

export function sayHistory(interval, rows) {
  for (const [at, open, high, low, close, volume] of rows.slice(0, -1)) {
    say("history", { interval, at, open, high, low, close, volume });
  }
}

export async function once(where, step) {
  try {
    await step();
  } catch (error) {
    say("error", { where, text: String(error?.stack ?? JSON.stringify(error)) });
  }
}

export async function againAndAgain(where, step) {
  const ends = Date.now() + SECONDS * 1000;
  await once(where, async () => {
    while (Date.now() < ends) {
      await Promise.race([step(), new Promise((resolve) => setTimeout(resolve, ends - Date.now()))]);
    }
  });
}
