// The server's clock, and the one ticker by which elements follow it.

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
