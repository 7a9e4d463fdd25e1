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
