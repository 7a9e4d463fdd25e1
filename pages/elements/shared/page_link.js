// What this page hears of its server, and whether it still does. The browser judges it: nothing reaches a page that is
// cut off.
import { clock, onTick } from "server_clock";
import { ageText } from "time_format";

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

/** So many ticks of silence, 2.5 s, mean a lost link: the server speaks at least every 1.25 s, see
 * `ConnectionBadge`. Ticks are counted, not time: a browser that stood still itself cannot blame the link. */
const SILENT_TICKS = 10;

export const link = {
  isLost: false,
  /** What to say about the last data: `Last data 12 s ago.` */
  ageText() {
    return lastTrade.ms === null ? "No data yet." : `Last data ${ageText(clock.now() - lastTrade.ms)} ago.`;
  },
};

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

/** The framework makes its socket after the elements. */
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

// Nothing is sent to a hidden page, and nothing ticks in it.
document.addEventListener("visibilitychange", () => (silentTicks = 0));
