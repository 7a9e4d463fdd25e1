// The client library for browsers and Node.js, without dependencies, served as /client.js.
//
//   import { connect } from "/client.js";
//   const markets = connect(location.origin);
//   for await (const item of markets.trades(["BTCUSDT", "ETHUSDT"])) console.log(item);
//
// It reconnects, resumes every stream, and says what is missing: docs/ws-markets.md, "A client library".
// Prices and sizes are strings with the exchange's digits.

export const CODES = Object.freeze({
  OPENED: 0,
  CLOSED: 1,
  WELCOMED: 2,
  RETRY: 3,
  UNREACHABLE: 4,
  LOST: 5,
  SILENT: 6,
  SERVER_DEFECT: 7,
  UNREADABLE: 8,
  OTHER_PROTOCOL: 9,
  BUFFER_FULL: 11, // nobody reads: the connection is closed until there is room again
});
const PROTOCOL = 1;
const FINAL_CODES = [1002, 1003, 1007, 1008, 1009, 1010];
const ASK_SECONDS = 5;
const PASSING_STATUSES = [408, 425, 429];
const MOST_SYMBOLS = 50; // in one message, so that it stays below limits.message_bytes
const CHANNEL_OF = { trade: "trades", ticker: "tickers", tickers: "tickers", candle: "candles" };
const DIGITS =
  /"(price|size|last|open|high|low|close|volume|quote_volume|taker_buy_volume|change|change_percent|bid|bid_size|ask|ask_size)":(-?\d[\d.eE+-]*)/g;
const LEVEL = /\[(\d[\d.eE+-]*),(\d[\d.eE+-]*)\]/g;

function parse(text) {
  const whole = text.replace(DIGITS, '"$1":"$2"');
  return JSON.parse(whole.includes('"bids":') ? whole.replace(LEVEL, '["$1","$2"]') : whole);
}

const upper = (symbol) => symbol.trim().replace(/[a-z]+/g, (letters) => letters.toUpperCase());
const keyOf = ({ exchange, channel, symbol, interval }) =>
  JSON.stringify([exchange, channel, symbol, interval ?? null]);

/** The connection was refused, or closed, in a way that another attempt cannot change. */
export class ConnectionEnded extends Error {
  constructor(code, reason) {
    super(`${reason} (${code})`);
    Object.assign(this, { name: "ConnectionEnded", code, reason });
  }
}

/** Symbols were refused; the others of the same subscription go on: iterate again. */
export class SubscribeError extends Error {
  constructor(refusals) {
    super(refusals.map(({ message }) => message).join("; "));
    Object.assign(this, { name: "SubscribeError", refusals });
  }
}

/** Some trades or candles will not come; only with `onGap: "raise"`. */
export class GapError extends Error {
  constructor(gap) {
    super(
      `${gap.exchange} ${gap.symbol}: ${gap.from_id ?? gap.from_open_ts} to ${gap.to_id ?? gap.to_open_ts} will not come`,
    );
    Object.assign(this, { name: "GapError", gap });
  }
}

// --- accounts: nothing twice, nothing out of order, nothing missing that is not said ---------------------

class TradeAccount {
  constructor(after) {
    this.after = after;
  }
  take(trade) {
    const last = this.after;
    if (last !== undefined && trade.id <= last) return [];
    this.after = trade.id;
    return last === undefined || trade.id === last + 1 ? [trade] : [undeclared(trade, last + 1, trade.id - 1), trade];
  }
  takeGap(gap) {
    const last = this.after;
    const restarts = gap.to_id < gap.from_id; // the exchange begins its ids again
    if (last !== undefined && !restarts && gap.to_id <= last) return [];
    this.after = gap.to_id;
    if (last === undefined || restarts || gap.from_id === last + 1) return [gap];
    if (gap.from_id > last + 1) return [undeclared(gap, last + 1, gap.from_id - 1), gap];
    return [{ ...gap, from_id: last + 1 }];
  }
}

/** The ids of a stream that were passed over, and have neither come nor been declared. */
class OpenIds {
  constructor(after) {
    this.next = after === undefined ? undefined : after + 1; // the id after the highest one that is known
    this.begin = undefined; // the lowest that has come, if lower ones may turn out to be pending
    this.open = [];
  }
  get completeTo() {
    return this.next === undefined ? undefined : (this.open[0]?.[0] ?? this.next) - 1;
  }
  get known() {
    return this.next === undefined ? [] : without([[this.begin ?? 0, this.next - 1]], this.open);
  }
  settle(from, to) {
    this._beginAt(from);
    const opened = this._expect(from - 1);
    const settled = this.open.filter(([low, high]) => low <= to && high >= from);
    const fresh = settled.map(([low, high]) => [Math.max(low, from), Math.min(high, to)]);
    if (fresh.length) this.open = without(this.open, fresh);
    if (to >= this.next) {
      fresh.push([Math.max(from, this.next), to]);
      this.next = to + 1;
    }
    return [opened, fresh];
  }
  /** Note what is pending. Return that of which nothing was known, and that which had come. */
  expect(from, to) {
    this._beginAt(from);
    const opened = [];
    const begin = this.begin ?? from;
    if (from < begin) {
      opened.push([from, Math.min(to, begin - 1)]);
      this.begin = from;
    }
    const came = without([[Math.max(from, begin), Math.min(to, this.next - 1)]], this.open);
    this.open = [...this.open, ...opened, ...came].sort(([a], [b]) => a - b);
    return [[...opened, ...this._expect(to)], came];
  }
  restart(next) {
    Object.assign(this, { next, begin: undefined, open: [] });
  }
  _beginAt(from) {
    if (this.next === undefined) this.next = this.begin = from;
  }
  _expect(newest) {
    if (newest < this.next) return [];
    const opened = [this.next, newest];
    this.open.push(opened);
    this.next = newest + 1;
    return [opened];
  }
}

/** The ids of `ranges` that are in none of `others`. */
function without(ranges, others) {
  let left = ranges.filter(([from, to]) => from <= to);
  for (const [low, high] of others)
    left = left.flatMap(([from, to]) =>
      [
        [from, Math.min(to, low - 1)],
        [Math.max(from, high + 1), to],
      ].filter(([first, last]) => first <= last),
    );
  return left;
}

/** Every trade in the order in which the server reads them, each id once. */
class ArrivalAccount {
  constructor(after) {
    this.ids = new OpenIds(after);
    this.earlier = this.ids.known; // from earlier connections; this server may call it pending
  }
  get after() {
    return this.ids.completeTo;
  }
  reconnect() {
    this.earlier = this.ids.known;
  }
  take(trade) {
    const [opened, settled] = this.ids.settle(trade.id, trade.id);
    if (!settled.length) this.earlier = without(this.earlier, [[trade.id, trade.id]]); // this server has it too
    return [...pending(trade, opened), ...settled.map(() => trade)];
  }
  takeGap(gap) {
    const { from_id, to_id, cause } = gap;
    if (to_id < from_id) {
      this.ids.restart(to_id + 1);
      this.earlier = [];
      return [gap];
    }
    if (cause === "pending") {
      const [opened, came] = this.ids.expect(from_id, to_id);
      const again = without(came, this.earlier);
      for (const [from, to] of without(came, again)) this.ids.settle(from, to);
      return [...pending(gap, opened), ...pending(gap, again, { takes_back: true })];
    }
    const [opened, settled] = this.ids.settle(from_id, to_id);
    return [...pending(gap, opened), ...settled.map(([from, to]) => ({ ...gap, from_id: from, to_id: to }))];
  }
}

function pending({ exchange, symbol }, ranges, more = {}) {
  const gap = { type: "gap", exchange, channel: "trades", symbol, cause: "pending", ...more };
  return ranges.map(([from_id, to_id]) => ({ ...gap, from_id, to_id }));
}

class CandleAccount {
  constructor(after) {
    this.closedTo = after;
  }
  get after() {
    return this.closedTo ?? (this.running === undefined ? undefined : this.running - 1);
  }
  take(candle) {
    const isKnown = this.closedTo !== undefined && candle.open_ts <= this.closedTo;
    if (isKnown && !candle.revised) return [];
    if (!candle.closed) this.running = candle.open_ts;
    else if (!isKnown) this.closedTo = candle.open_ts;
    return [candle];
  }
  takeGap(gap) {
    if (gap.type === "lagged") return [gap]; // the candles follow
    const isSetBack = gap.to_open_ts < gap.from_open_ts;
    if (this.closedTo !== undefined && !isSetBack && gap.to_open_ts <= this.closedTo) return [];
    const from = isSetBack ? gap.from_open_ts : Math.max(gap.from_open_ts, (this.closedTo ?? 0) + 1);
    this.closedTo = gap.to_open_ts;
    return [{ ...gap, from_open_ts: from }];
  }
}

class NewestAccount {
  take(update) {
    if (update.id !== undefined && update.id === this.last) return []; // a trade again, after a reconnect
    this.last = update.id;
    return [update];
  }
  takeGap() {
    return [];
  }
}

function undeclared({ exchange, symbol }, from_id, to_id) {
  return { type: "gap", exchange, channel: "trades", symbol, from_id, to_id, cause: "undeclared" };
}

// --- what a program iterates over ------------------------------------------------------------------------

/** What was subscribed: an async iterator. */
class Subscription {
  constructor(markets, symbols, { onGap = "yield", after = {}, buffer = 10000, isNewest = false, order }) {
    Object.assign(this, { symbols, refused: {}, quality: {}, missed: 0, isFull: false });
    Object.assign(this, { _markets: markets, _onGap: onGap, _capacity: buffer, _isNewest: isNewest });
    Object.assign(this, {
      _items: [],
      _at: 0,
      _newest: new Map(),
      _errors: [],
      _readers: [],
      _positions: { ...after },
      _open: order === "arrival" ? new Map() : undefined, // symbol → the ids that are open for the reader
    });
    if (this._open) for (const [symbol, id] of Object.entries(after)) this._open.set(symbol, new OpenIds(id));
  }

  /** How many items have been received and not been read. */
  get unread() {
    return this._items.length - this._at + this._newest.size;
  }

  /**
   * By symbol, the last id (of candles: `open_ts`) that was read or said to be missing, in order of arrival the id
   * before the first one that is pending; to be given as `after`.
   */
  position() {
    return { ...this._positions };
  }

  /** Unsubscribe. What was not read is dropped. */
  close() {
    Object.assign(this, { _items: [], _at: 0, isFull: false });
    this._newest.clear();
    this._markets._drop(this);
    this._end(null);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async return(value) {
    this.close();
    return { done: true, value };
  }

  async next() {
    while (true) {
      if (this._errors.length) throw this._errors.shift();
      const item = this._pop();
      if (item === undefined) {
        if (this._ended === null) return { done: true, value: undefined };
        if (this._ended) throw this._ended();
        await new Promise((resolve) => this._readers.push(resolve));
        continue;
      }
      this._note(item);
      if (item.cause === "pending") {
        if (this._onGap !== "yield") continue; // nothing is lost yet
        return { done: false, value: item };
      }
      if (item.type !== "gap" && item.type !== "lagged") return { done: false, value: item };
      this.missed += 1;
      if (this._onGap === "raise" && !(item.type === "lagged" && item.channel === "candles")) throw new GapError(item);
      if (this._onGap === "yield") return { done: false, value: item };
      console.warn(new GapError(item).message);
    }
  }

  _note(item) {
    if (this._open) {
      this._noteArrival(item);
      return;
    }
    const before = this._positions[item.symbol];
    if (item.type === "trade") this._positions[item.symbol] = item.id;
    else if (item.to_id !== undefined) this._positions[item.symbol] = item.to_id;
    else if (item.type === "gap") this._positions[item.symbol] = item.to_open_ts;
    else if (item.type === "candle" && (item.closed || before === undefined))
      this._positions[item.symbol] = Math.max(before ?? 0, item.closed ? item.open_ts : item.open_ts - 1);
  }

  _noteArrival({ type, symbol, id, from_id = id, to_id = id, cause }) {
    if (!this._open.has(symbol)) this._open.set(symbol, new OpenIds());
    const ids = this._open.get(symbol);
    if (cause === "pending") ids.expect(from_id, to_id);
    else if (type === "gap" && to_id < from_id) ids.restart(to_id + 1);
    else ids.settle(from_id, to_id);
    this._positions[symbol] = ids.completeTo;
  }

  _put(item) {
    if (this._isNewest) {
      const before = this._newest.get(item.symbol);
      const skipped = before ? (item.skipped ?? 0) + (before.skipped ?? 0) + 1 : item.skipped;
      this._newest.set(item.symbol, skipped === undefined ? item : { ...item, skipped });
    } else {
      this._items.push(item);
      this.isFull = this.unread >= this._capacity;
    }
    this._wake();
  }

  _pop() {
    if (this._isNewest) {
      for (const [symbol, item] of this._newest) {
        this._newest.delete(symbol);
        return item;
      }
      return undefined;
    }
    const item = this._items[this._at];
    if (item === undefined) return undefined;
    this._at += 1;
    if (this._at > 1000 && this._at * 2 > this._items.length) {
      this._items = this._items.slice(this._at);
      this._at = 0;
    }
    if (this.isFull && this.unread === 0) {
      this.isFull = false;
      this._markets._hasRoom();
    }
    return item;
  }

  _fail(error) {
    this._errors.push(error);
    this._wake();
  }

  _end(ended) {
    this._ended = this._ended === undefined ? ended : this._ended;
    this._wake();
  }

  _wake() {
    for (const resolve of this._readers.splice(0)) resolve();
  }
}

// --- the client ------------------------------------------------------------------------------------------

const TIMINGS = {
  firstPauseMs: 1000,
  longestPauseMs: 30000,
  tooSlowPauseMs: 30000,
  openMs: 10000,
  silenceMs: undefined,
};

/** A connection that is made anew whenever it is lost; see `connect`. */
class Markets {
  constructor(url, options) {
    const { token, exchange, WebSocket, onState, onStatus, onQuality, timings } = options;
    if (WebSocket === undefined) throw new Error("there is no WebSocket here: connect(url, { WebSocket })");
    const address = new URL(url.replace(/^http/, "ws"));
    if (address.pathname === "/") address.pathname = "/ws/markets";
    Object.assign(this, { url: address.href, exchange, state: "NEW", exchanges: {} });
    Object.assign(this, { _WebSocket: WebSocket, _onState: onState, _onStatus: onStatus, _onQuality: onQuality });
    this._timings = { ...TIMINGS, ...timings };
    this._token = token;
    this._streams = new Map(); // key → { request, account, subscription, wasAccepted }
    this._attempt = 0;
    this._move("CONNECTING", CODES.OPENED, "opened");
    this._dial();
  }

  /**
   * Every trade of symbols. `after`: what `position()` has returned; `order`: `id`, in which trades wait behind
   * missing ones, or `arrival`, in which a `gap` with the cause `pending` says what is missing for the moment.
   */
  trades(symbols, { snapshot = 1, everyMs, exchange, ...options } = {}) {
    const isArrival = options.order === "arrival";
    if (everyMs !== undefined && (options.after || isArrival))
      throw new Error("with everyMs there is neither after nor order");
    const latest = everyMs === undefined ? {} : { mode: "latest", interval_ms: everyMs };
    const terms = { snapshot, ...latest, ...(isArrival ? { order: "arrival" } : {}) };
    const inOrder = isArrival ? ArrivalAccount : TradeAccount;
    const account = everyMs === undefined ? inOrder : NewestAccount;
    return this._subscribe("trades", symbols, terms, account, exchange, {
      ...options,
      isNewest: everyMs !== undefined,
    });
  }

  /** Every closed candle once, and the running one at each update. */
  candles(symbols, { interval, snapshot = 1, exchange, ...options }) {
    return this._subscribe("candles", symbols, { snapshot, interval }, CandleAccount, exchange, options);
  }

  /** The figures over 24 hours; `"*"` is all symbols. The newest of a symbol replaces the one before. */
  tickers(symbols, options = {}) {
    return this._newest("tickers", symbols, {}, options);
  }

  /** The best bid and ask. */
  book(symbols, options = {}) {
    return this._newest("book", symbols, {}, options);
  }

  /** The best price levels of the order book. */
  depth(symbols, { levels = 20, ...options } = {}) {
    return this._newest("depth", symbols, { levels }, options);
  }

  /** Close the connection. The subscriptions end when what they have received is read. */
  close() {
    if (this.state === "CLOSED") return;
    this._leave(CODES.CLOSED);
    this._move("CLOSED", CODES.CLOSED, "closed by this program");
    this._finish(null);
  }

  _newest(channel, symbols, terms, { everyMs, exchange, ...options }) {
    const mode = everyMs === undefined ? {} : { mode: "latest", interval_ms: everyMs };
    return this._subscribe(channel, symbols, { ...terms, ...mode }, NewestAccount, exchange, {
      ...options,
      isNewest: true,
    });
  }

  _subscribe(channel, symbols, terms, Account, exchange = this.exchange, options = {}) {
    const names = [...new Set([symbols].flat().map(upper))];
    const after = Object.fromEntries(Object.entries(options.after ?? {}).map(([symbol, id]) => [upper(symbol), id]));
    const subscription = new Subscription(this, names, { ...options, after });
    const keys = names.map((symbol) => keyOf({ exchange, channel, symbol, interval: terms.interval }));
    if (keys.some((key) => this._streams.has(key))) throw new Error(`one of ${names} is subscribed already`);
    const request = { exchange, channel, ...terms, ...(options.quality ? { quality: true } : {}) };
    names.forEach((symbol, index) => {
      this._streams.set(keys[index], { symbol, request, account: new Account(after[symbol]), subscription });
    });
    if (this.state === "CLOSED") subscription._end(this._ended);
    this._ask();
    return subscription;
  }

  _drop(subscription) {
    for (const [key, stream] of this._streams) {
      if (stream.subscription !== subscription) continue;
      this._streams.delete(key);
      if (this._asked?.delete(key)) {
        const { exchange, channel, interval } = stream.request;
        this._send({ type: "unsubscribe", exchange, channel, interval, symbols: [stream.symbol] });
      }
    }
    this._hasRoom();
  }

  _hasRoom() {
    if (this.state === "WAITING" && this._code === CODES.BUFFER_FULL && !this._isFull()) this._again();
  }

  _isFull() {
    return [...this._streams.values()].some(({ subscription }) => subscription.isFull);
  }

  // --- a connection ----------------------------------------------------------------------------------------

  _dial() {
    const bearer = (token) => btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const protocols = this._token === undefined ? [] : ["livemarkets.v1", `bearer.${bearer(this._token)}`];
    const socket = new this._WebSocket(this.url, protocols);
    Object.assign(this, { _socket: socket, _asked: undefined, _accepted: new Set(), _requests: new Map(), _ids: 0 });
    let wasOpen = false;
    this._listen(this._timings.openMs);
    socket.onopen = () => {
      wasOpen = true;
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this._socket) return;
      this._listen(this._silenceMs ?? this._timings.openMs);
      try {
        this._take(parse(data));
      } catch (error) {
        if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
        this._lose(CODES.UNREADABLE, `the server sent what is no message: ${error.message}`);
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this._socket) return;
      if (!wasOpen) this._askWhy();
      else if (code === undefined || code === 1006) this._lose(CODES.LOST, "the connection was lost");
      else this._lose(code, reason || "closed by the server");
    };
    socket.onerror = () => {
      if (socket === this._socket && !wasOpen) this._askWhy();
    };
  }

  _listen(milliseconds) {
    clearTimeout(this._timer);
    const reason = `no message for ${milliseconds / 1000} s`;
    this._timer = setTimeout(() => this._lose(CODES.SILENT, reason), milliseconds);
  }

  /** A WebSocket does not tell why it was refused; plain HTTP does. */
  async _askWhy() {
    this._leave();
    const headers = this._token === undefined ? {} : { Authorization: `Bearer ${this._token}` };
    const asking = new AbortController();
    this._asking = asking;
    const late = new Promise((resolve) => {
      this._timer = setTimeout(resolve, ASK_SECONDS * 1000);
    });
    const request = fetch(this.url.replace(/^ws/, "http"), { headers, signal: asking.signal });
    const answer = await Promise.race([request, late]).catch(() => undefined);
    if (this._asking !== asking) return; // closed meanwhile
    this._asking = undefined;
    asking.abort();
    request.catch(() => {});
    const status = answer?.status;
    const retry = Number(answer?.headers.get("Retry-After") ?? Number.NaN) * 1000;
    if (status === undefined || status === 426) this._lose(CODES.UNREACHABLE, "no connection");
    else this._lose(status, `the server answered with HTTP ${status}`, Number.isNaN(retry) ? undefined : retry);
  }

  /** Let go of the socket; whatever it still says is for nobody. */
  _leave() {
    const socket = this._socket;
    clearTimeout(this._timer);
    this._asking?.abort();
    this._socket = this._asked = this._asking = undefined;
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {};
      socket.close();
    }
  }

  _lose(code, reason, retryAfter) {
    this._leave();
    const isFinalStatus = code >= 400 && code < 500 && !PASSING_STATUSES.includes(code);
    if (FINAL_CODES.includes(code) || isFinalStatus || code === CODES.OTHER_PROTOCOL) {
      this._move("CLOSED", code, reason);
      this._finish(() => new ConnectionEnded(code, reason));
      return;
    }
    if (code === CODES.BUFFER_FULL) {
      this._move("WAITING", code, reason);
      return;
    }
    // Until there was a server, a wrong address would otherwise be silent for ever.
    if (this._silenceMs === undefined && reason !== this._warned) console.warn(`${reason}; it is tried again`);
    this._warned = reason;
    const pause = this._pause(code, retryAfter ?? /retry_after_ms\W{0,3}(\d{1,9})\b/.exec(reason)?.[1]);
    this._attempt += 1;
    this._move("WAITING", code, reason, pause);
    this._timer = setTimeout(() => this._again(), pause);
  }

  _pause(code, asked) {
    const { firstPauseMs, longestPauseMs, tooSlowPauseMs } = this._timings;
    if (code === 1013 && asked === undefined) return tooSlowPauseMs * (0.5 + Math.random() / 2);
    const jitter = Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this._attempt, 30));
    if (asked === undefined) return jitter;
    return Number(asked) + (code >= 1000 && this._attempt === 0 ? 0 : jitter);
  }

  _again() {
    this._move("CONNECTING", CODES.RETRY, "the pause is over");
    this._dial();
  }

  _move(state, code, reason, retryInMs) {
    Object.assign(this, { state, _code: code });
    this._onState?.({ state, code, reason, retryInMs });
  }

  _finish(ended) {
    this._ended = ended;
    for (const { subscription } of this._streams.values()) subscription._end(ended);
  }

  // --- what goes out ---------------------------------------------------------------------------------------

  _send(message) {
    this._ids += 1;
    this._socket.send(JSON.stringify({ ...message, id: this._ids }));
    return this._ids;
  }

  /** Ask for everything that was not asked for on this connection. */
  _ask() {
    if (this._asked === undefined) return; // there is no welcome yet
    const groups = new Map();
    for (const [key, stream] of this._streams) {
      if (this._asked.has(key)) continue;
      this._asked.add(key);
      const terms = JSON.stringify(stream.request);
      groups.set(terms, [...(groups.get(terms) ?? []), [key, stream]]);
    }
    for (const group of groups.values())
      for (let begin = 0; begin < group.length; begin += MOST_SYMBOLS) {
        const part = group.slice(begin, begin + MOST_SYMBOLS);
        const known = part.filter(([, { account }]) => account.after !== undefined);
        const after = Object.fromEntries(known.map(([, { symbol, account }]) => [symbol, account.after]));
        const symbols = part.map(([, { symbol }]) => symbol);
        const message = { type: "subscribe", ...part[0][1].request, symbols };
        this._requests.set(this._send(known.length ? { ...message, after } : message), part);
      }
  }

  // --- what comes in ---------------------------------------------------------------------------------------

  _take(message) {
    const { type } = message;
    if (type === "welcome") this._takeWelcome(message);
    else if (this._asked === undefined) this._lose(CODES.UNREADABLE, "the server's first message is no welcome");
    else if (type === "subscribed") this._takeResults(message.id, message.results);
    else if (type === "error") this._takeError(message);
    else if (type === "status") this._takeStatus(message);
    else if (message.symbol !== undefined || type === "tickers") this._takeData(message);
  }

  _takeWelcome({ protocol, heartbeat_seconds, exchanges, server }) {
    if (protocol !== PROTOCOL) {
      this._lose(CODES.OTHER_PROTOCOL, `the server speaks protocol ${protocol}, this library ${PROTOCOL}`);
      return;
    }
    this._silenceMs = this._timings.silenceMs ?? 3000 * heartbeat_seconds;
    for (const [exchange, state] of Object.entries(exchanges)) this._takeStatus({ exchange, state });
    this._asked = new Set();
    for (const { account } of this._streams.values()) account.reconnect?.();
    this._move("CONNECTED", CODES.WELCOMED, `welcomed by ${server}`);
    this._ask();
  }

  _takeStatus(status) {
    this.exchanges[status.exchange] = status;
    this._onStatus?.(status);
  }

  _takeResults(id, results) {
    const part = this._requests.get(id) ?? [];
    this._requests.delete(id);
    const refused = [];
    part.forEach(([key, stream], index) => {
      if (this._streams.get(key) !== stream) return; // closed meanwhile
      if (results[index].ok) {
        stream.wasAccepted = true;
        this._accepted.add(key);
        delete stream.subscription.refused[stream.symbol];
      } else refused.push([key, stream, results[index]]);
    });
    this._refuse(refused);
  }

  _refuse(refused) {
    const news = new Map();
    for (const [key, stream, refusal] of refused) {
      stream.subscription.refused[stream.symbol] = refusal;
      if (stream.wasAccepted) continue; // asked for again at the next connection
      this._streams.delete(key);
      news.set(stream.subscription, [...(news.get(stream.subscription) ?? []), refusal]);
    }
    for (const [subscription, refusals] of news) {
      const isLeft = [...this._streams.values()].some((stream) => stream.subscription === subscription);
      if (isLeft) subscription._fail(new SubscribeError(refusals));
      else subscription._end(() => new SubscribeError(Object.values(subscription.refused)));
    }
  }

  _takeError({ id, code, message }) {
    const part = this._requests.get(id) ?? [];
    if (code === "internal") this._lose(CODES.SERVER_DEFECT, message);
    else if (code === "rate_limited") {
      const [socket, asked] = [this._socket, this._asked];
      for (const [key] of part) asked.delete(key);
      setTimeout(() => socket === this._socket && this._ask(), 1000);
    } else if (part.length === 0) console.warn(`${code}: ${message}`);
    else this._refuse(part.map(([key, stream]) => [key, stream, { symbol: stream.symbol, code, message }]));
  }

  _takeData(message) {
    const { type, exchange } = message;
    const channel = message.channel ?? CHANNEL_OF[type] ?? type;
    const key = keyOf({ ...message, channel, symbol: type === "tickers" ? "*" : message.symbol });
    const stream = this._streams.get(key);
    if (stream === undefined || !this._accepted.has(key)) return;
    this._attempt = 0;
    const kind = { trades: "trade", candles: "candle", tickers: "ticker" }[channel] ?? channel;
    let items = [];
    if (type === "quality") {
      if (!stream.request.quality) return;
      stream.subscription.quality[message.symbol] = message;
      this._onQuality?.(message);
    } else if (type === "gap" || type === "lagged") items = stream.account.takeGap(message);
    else
      for (const row of message.data ?? [message]) items.push(...stream.account.take({ ...row, exchange, type: kind }));
    for (const item of items) stream.subscription._put(item);
    if (stream.subscription.isFull) this._lose(CODES.BUFFER_FULL, "this program does not read: the buffer is full");
  }
}

/**
 * Return a client. It connects at once, and again whenever the connection is lost.
 *
 * @param url the server's address, `https://host` or `wss://host/ws/markets`
 * @param options `token`; `exchange`, of subscriptions that name none; `WebSocket`, where there is no global one;
 *   `onState({state, code, reason, retryInMs})`; `onStatus({exchange, state, reason})`; `onQuality(message)`, of
 *   streams that were subscribed with `quality: true`; `timings` in milliseconds
 */
export function connect(url, options = {}) {
  return new Markets(url, { exchange: "binance", WebSocket: globalThis.WebSocket, ...options });
}
