// The candles that the browser has, oldest first. Values stay the exchange's text; `drawn` has them as numbers, in the
// order in which ECharts wants them: open, close, lowest, highest.

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
  apply({ whole, candles, running }) {
    if (whole) this.candles = [];
    const news = unpacked(candles);
    news.forEach((candle) => this.put(candle));
    if (running !== null) this.runningMs = running;
    else if (news.some((candle) => candle.openMs === this.runningMs)) this.runningMs = null;
    return this.candles.splice(0, Math.max(0, this.candles.length - this.most)).length;
  }

  /** Put a candle in its place: nearly always the last one, or behind it. */
  put(candle) {
    const { candles } = this;
    let at = candles.length - 1;
    while (at >= 0 && candles[at].openMs > candle.openMs) at -= 1;
    if (at >= 0 && candles[at].openMs === candle.openMs) candles[at] = candle;
    else candles.splice(at + 1, 0, candle);
  }

  isRunning(candle) {
    return candle.openMs === this.runningMs;
  }

  isShaded(candle) {
    return this.shaded.has(candle.openMs);
  }
}
