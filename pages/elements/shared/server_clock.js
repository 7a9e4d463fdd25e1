// The server's clock, and one timer for all elements.

const FAST_MS = 250;

/** The server's clock. Ages are computed with it, because the clock of the browser may be wrong. */
export const clock = {
  offset: null,
  /** Note the server's time. The message with the smallest delay gives the largest offset, which is the best one. */
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

/** Call `listener` four times a second while the page is visible. Returns a function that stops this. */
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
