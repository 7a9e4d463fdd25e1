// A canvas that is sharp on every screen, and the colours to draw with.

const colours = new Map();
// This listener came first, so whoever draws on the same event gets the new colours.
window.addEventListener("live-markets-theme", () => colours.clear());

/** A colour of the theme by the name of its token. It is kept until the theme changes: a canvas is drawn many times a
 * second, and to ask for computed styles has the browser settle all styles that are open. */
export function themeColour(name) {
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`));
  }
  return colours.get(name);
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
