// Numbers as text. They arrive as text and stay text, so no digit is lost to a float.

/** A number with separators between thousands; its decimals are unchanged. */
export function grouped(text) {
  const [whole, fraction] = text.split(".");
  const withSeparators = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? withSeparators : `${withSeparators}.${fraction}`;
}

/** The number of decimals. */
export function decimalsOf(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** Split `text` before the trailing digits that `previous` ends with too. */
export function splitUnchanged(text, previous) {
  if (!previous || previous === text) return [text, ""];
  let same = 0;
  const most = Math.min(text.length, previous.length);
  while (same < most && text[text.length - 1 - same] === previous[previous.length - 1 - same]) same += 1;
  return [text.slice(0, text.length - same), text.slice(text.length - same)];
}

const UNITS = ["", "K", "M", "B", "T"];

/** A number in three significant digits with its unit: 1130123456 is `1.13 B`. Numbers from 0.01 to
 * 1,000 have two decimals. */
export function compact(text) {
  const value = Number(text);
  if (value < 1000) return value >= 0.01 || value === 0 ? (Math.floor(value * 100) / 100).toFixed(2) : text;
  const power = Math.min(UNITS.length - 1, Math.floor((text.split(".")[0].length - 1) / 3));
  const scaled = value / 1000 ** power;
  const decimals = scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  const cut = Math.floor(scaled * 10 ** decimals) / 10 ** decimals; // 999,999 is not 1,000 K
  return `${cut.toFixed(decimals)}\u2009${UNITS[power]}`;
}

const LONG_DIGITS = 7;

/** A number as it is, or compact if it has seven digits or more before its decimals. */
export function compactFrom(text) {
  return text.split(".")[0].length >= LONG_DIGITS ? compact(text) : grouped(text);
}
