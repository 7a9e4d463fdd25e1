// A small plot: the lower line is the middle value, the upper one the worst.
const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, EDGE] = [140, 24, 2];

function node(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The path of one of both values; a place without values ends the line. */
function path(places, which, low, high) {
  const step = WIDTH / Math.max(1, places.length - 1);
  const scale = (HEIGHT - 2 * EDGE) / (high - low || 1);
  let isDrawing = false;
  return places
    .map((pair, at) => {
      const command = isDrawing ? "L" : "M";
      isDrawing = pair !== null;
      if (!pair) return "";
      const point = `${(at * step).toFixed(1)} ${(HEIGHT - EDGE - (pair[which] - low) * scale).toFixed(1)}`;
      return `${command}${point}${command === "M" ? `h0.1` : ""}`;
    })
    .join("");
}

const number = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

/** Return a plot of the pairs [middle, worst], and what it says for a person who does not see it. */
export function plot(places) {
  const known = places.filter((pair) => pair !== null);
  const low = Math.min(...known.map((pair) => pair[0]), 0);
  const high = Math.max(...known.map((pair) => pair[1]), 0);
  const label = known.length
    ? `between ${number.format(Math.min(...known.map((pair) => pair[0])))} and ${number.format(high)} ms`
    : "no measurement";
  const drawing = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", "aria-label": label });
  drawing.append(node("path", { d: path(places, 1, low, high), class: "plot-worst" }));
  drawing.append(node("path", { d: path(places, 0, low, high), class: "plot-middle" }));
  return drawing;
}
