// The candles that the browser has, oldest first. Values stay the exchange's text; `drawn` has them as numbers, in the
// order in which ECharts wants them: open, close, lowest, highest. Where candles are missing, empty ones keep their room.

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MOST_EMPTY = 20; // in one hole: a long one would leave no room for candles

/** The length of candles in ms: of `5m`, 300,000. */
function lengthOf(interval) {
  return Number.parseInt(interval, 10) * UNIT_MS[interval.slice(-1)];
}

/** The empty candles of a hole, whose real ones would open from `fromMs` on and before `toMs`. */
function emptyBetween(fromMs, toMs, lengthMs) {
  const missing = Math.round((toMs - fromMs) / lengthMs);
  const count = Math.min(missing, MOST_EMPTY);
  return Array.from({ length: count }, (_, at) => ({ openMs: fromMs + at * lengthMs, missing, drawn: [], volume: "" }));
}

/** Return the candles of a message, whose values come by their names. */
export function unpacked(columns) {
  return columns.open_ts.map((openMs, at) => {
    const { open, high, low, close, volume } = columns;
    const candle = { openMs, open: open[at], high: high[at], low: low[at], close: close[at], volume: volume[at] };
    candle.drawn = [candle.open, candle.close, candle.low, candle.high].map(Number);
    candle.drawnVolume = Number(candle.volume);
    return candle;
  });
}

export class CandleList {
  constructor(most) {
    this.most = most;
    this.candles = [];
    this.runningMs = null;
    this.shaded = new Set();
  }

  /** Take the candles of a message. Return how many were removed at the front. */
  apply({ of, whole, candles, running, afterHoles }) {
    if (whole) this.candles = [];
    const news = unpacked(candles);
    const isNew = news.map((candle) => this.put(candle)).some(Boolean);
    if (isNew) this.keepRoom(new Set(afterHoles), lengthOf(of.interval));
    if (running !== null) this.runningMs = running;
    else if (news.some((candle) => candle.openMs === this.runningMs)) this.runningMs = null;
    return this.candles.splice(0, Math.max(0, this.candles.length - this.most)).length;
  }

  /** Keep room for the candles that are missing before some of those here. */
  keepRoom(afterHoles, lengthMs) {
    const real = this.candles.filter((candle) => !candle.missing);
    this.candles = real.flatMap((candle, at) =>
      at && afterHoles.has(candle.openMs)
        ? [...emptyBetween(real[at - 1].openMs + lengthMs, candle.openMs, lengthMs), candle]
        : [candle],
    );
  }

  /** Put a candle in its place: nearly always the last one, or behind it. Return whether there was no such one. */
  put(candle) {
    const { candles } = this;
    let at = candles.length - 1;
    while (at >= 0 && candles[at].openMs > candle.openMs) at -= 1;
    const isNew = at < 0 || candles[at].openMs !== candle.openMs || Boolean(candles[at].missing);
    if (at >= 0 && candles[at].openMs === candle.openMs) candles[at] = candle;
    else candles.splice(at + 1, 0, candle);
    return isNew;
  }

  isRunning(candle) {
    return candle.openMs === this.runningMs;
  }

  isShaded(candle) {
    return Boolean(candle.missing) || this.shaded.has(candle.openMs);
  }
}
