// A canvas that is sharp on every screen, and the colours of the theme.

const colours = new Map();
// This listener is registered before those of the elements, so they redraw with the new colours.
window.addEventListener("live-markets-theme", () => colours.clear());

/** Return a colour of the theme by the name of its token. It is cached until the theme changes: canvases are drawn many
 * times a second, and reading a computed style forces the browser to recalculate pending styles. */
export function themeColour(name) {
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`));
  }
  return colours.get(name);
}

/** Clear a canvas of this size in CSS px and return its context. Its memory is reallocated only for a new size. */
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
