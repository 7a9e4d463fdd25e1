// What the elements of Live Markets share in the browser: one clock, one ticker, one way to write numbers.

const FAST_MS = 250;

/** The server's clock. Ages are told by it, whatever the reader's own clock says. */
export const clock = {
  offset: null,
  /** Take note of the server's time. The smallest delay on the way gives the largest, best difference. */
  sync(serverMs, isFresh = false) {
    const offset = serverMs - Date.now();
    if (this.offset === null || isFresh || offset > this.offset) this.offset = offset;
  },
  now() {
    return Date.now() + (this.offset ?? 0);
  },
};

/** When the page last heard a trade, on the server's clock; null while it has heard none. */
export const lastTrade = {
  ms: null,
  note(ms) {
    if (this.ms === null || ms > this.ms) this.ms = ms;
  },
  forget() {
    this.ms = null;
  },
};

const listeners = new Set();
let timer = null;

function tick() {
  if (!document.hidden) listeners.forEach((listener) => listener());
}

/** Call `listener` four times a second while the page is visible. Returns the function that ends it. */
export function onTick(listener) {
  listeners.add(listener);
  timer ??= setInterval(tick, FAST_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** An age as people say it: 0.4 s, 12 s, 3 min, 5 h, 2 d. */
export function ageText(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
  if (seconds < 84600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** Whole seconds from `nowMs` until `ms`, as words; empty when there is nothing to wait for. */
export function countdownText(ms, nowMs) {
  if (ms === null || ms === undefined) return "";
  const seconds = Math.ceil((ms - nowMs) / 1000);
  return seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now …";
}

const timeFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const zoneFormat = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });

/** The reader's zone, as its clocks name it. */
export const zone = zoneFormat.formatToParts(new Date()).find((part) => part.type === "timeZoneName").value;

let lastSecond = null;
let lastSecondText = "";

/** A time of day in the reader's zone; most trades share their second with the one before. */
export function timeText(ms) {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastSecondText = timeFormat.format(second * 1000);
  }
  return lastSecondText;
}

/** A time of day with milliseconds. */
export function preciseTimeText(ms) {
  return `${timeText(ms)}.${String(ms % 1000).padStart(3, "0")}`;
}

/** Digits with a separator between thousands; digits after the point are left alone. */
export function grouped(text) {
  const [whole, fraction] = text.split(".");
  const withSeparators = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? withSeparators : `${withSeparators}.${fraction}`;
}

/** How many digits stand after the point. */
export function decimalsOf(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** Split `text` before the digits at its end that are the same as at the end of `previous`. */
export function splitUnchanged(text, previous) {
  if (!previous || previous === text) return [text, ""];
  let same = 0;
  const most = Math.min(text.length, previous.length);
  while (same < most && text[text.length - 1 - same] === previous[previous.length - 1 - same]) same += 1;
  return [text.slice(0, text.length - same), text.slice(text.length - same)];
}

/** Set the text of a node unless it has it already: an unchanged node costs no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A new element with a class and, where given, a text and attributes. */
export function make(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** A cleared canvas of this size in CSS px, sharp on this screen. Its memory is taken anew only when it grew. */
export function clearCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [deviceWidth, deviceHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== deviceWidth || canvas.height !== deviceHeight) {
    canvas.width = deviceWidth;
    canvas.height = deviceHeight;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const FLASH_MS = 400;
const MARK_MS = 1500;

/** Show that a value rose (`direction` 1) or fell (-1): a ground that fades, or a still mark.
 *
 * `veil` covers the value's cell. Its opacity alone changes, which the compositor does by itself: to fade the
 * ground of the cell would have the whole row painted anew sixty times a second.
 */
export function flash(veil, direction) {
  const name = direction < 0 ? "down" : "up";
  if (!reducedMotion.matches) {
    veil.dataset.flash = name;
    veil.fading?.cancel();
    veil.fading = veil.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FLASH_MS });
    return;
  }
  veil.dataset.mark = name;
  clearTimeout(veil.markTimer);
  veil.markTimer = setTimeout(() => delete veil.dataset.mark, MARK_MS);
}

/** Copy `text`. Works also where the clipboard interface is missing, as on plain HTTP in a local network. */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const box = make("textarea", "", "", { readonly: "", style: "position:fixed;opacity:0" });
  box.value = text;
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  if (!isCopied) throw new Error("copying is not allowed here");
}
