// Times and ages as text.

/** An age as text: 0.4 s, 12 s, 3 min, 5 h, 2 d. */
export function ageText(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
  if (seconds < 84600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** Whole seconds from `nowMs` until `ms`, as a sentence; empty without a time. */
export function countdownText(ms, nowMs) {
  if (ms === null || ms === undefined) return "";
  const seconds = Math.ceil((ms - nowMs) / 1000);
  return seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now …";
}

const timeFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const zoneFormat = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });

/** The short name of the reader's time zone. */
export const zone = zoneFormat.formatToParts(new Date()).find((part) => part.type === "timeZoneName").value;

let lastSecond = null;
let lastSecondText = "";

/** A time of day in the reader's zone. The last text is cached: most trades share the second of the one before. */
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
