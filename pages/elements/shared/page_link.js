// Whether this page still receives messages from its server, and the time of its last trade. Only the browser can
// decide this: no message reaches a page that is disconnected.
import { clock, onTick } from "server_clock";
import { ageText } from "time_format";

/** When the server received the page's last trade, ms; null while the page has none. */
export const lastTrade = {
  ms: null,
  note(ms) {
    if (this.ms === null || ms > this.ms) this.ms = ms;
  },
  forget() {
    this.ms = null;
  },
};

/** Ticks without a message, 2.5 s, after which the link counts as lost: the server sends at least every 1.25 s, see
 * `ConnectionBadge`. Ticks are counted, not time: while the browser itself is suspended, no tick passes. */
const SILENT_TICKS = 10;

export const link = {
  isLost: false,
  /** The age of the last data: `Last data 12 s ago.` */
  ageText() {
    return lastTrade.ms === null ? "No data yet." : `Last data ${ageText(clock.now() - lastTrade.ms)} ago.`;
  },
};

/** Wait until the link is open and somebody looks at the page. */
export function onceOpen() {
  return new Promise((resolve) => {
    const stop = onTick(() => {
      if (link.isLost) return;
      stop();
      resolve();
    });
  });
}

let socket = null;
let silentTicks = 0;

function setLost(isLost) {
  link.isLost = isLost;
  document.documentElement.dataset.link = isLost ? "lost" : "open";
}

function hear() {
  silentTicks = 0;
  if (link.isLost) setLost(false);
}

/** The framework creates its socket after the elements. */
function watchSocket() {
  socket = window.socket;
  socket.on("connect", hear);
  socket.on("disconnect", () => setLost(true));
  socket.onAny(hear);
  setLost(false);
}

onTick(() => {
  if (!socket && window.socket) watchSocket();
  silentTicks += 1;
  if (silentTicks >= SILENT_TICKS) setLost(true);
});

// A hidden page receives nothing, and its timer does not run.
document.addEventListener("visibilitychange", () => (silentTicks = 0));
