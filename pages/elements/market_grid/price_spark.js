// The sparkline of a row: its last prices. Only the shape matters, so prices are floats here.
import { clearCanvas, themeColour } from "canvas";

const POINTS = 120;
const FEW = 40; // with fewer points the line does not fill the width
const WIDTH = 112;
const HEIGHT = 22;
const INSET = 3;

export class PriceSpark {
  constructor() {
    this.element = document.createElement("canvas");
    this.element.className = "spark";
    this.element.setAttribute("aria-hidden", "true");
    this.prices = [];
  }

  clear() {
    this.prices = [];
    this.isDue = true;
  }

  seed(prices) {
    this.prices = prices.slice(-POINTS).map(Number);
    this.isDue = true;
  }

  push(price) {
    const value = Number(price);
    if (this.prices.length && this.prices[this.prices.length - 1] === value) return;
    this.prices.push(value);
    if (this.prices.length > POINTS) this.prices.shift();
    this.isDue = true;
  }

  /** Draw what changed. */
  draw() {
    if (!this.isDue) return;
    this.isDue = false;
    const context = clearCanvas(this.element, WIDTH, HEIGHT);
    if (this.prices.length < 2) return;
    const low = Math.min(...this.prices);
    const span = Math.max(...this.prices) - low || 1;
    const step = (WIDTH - 2 * INSET) / (Math.max(this.prices.length, FEW) - 1);
    const start = WIDTH - INSET - step * (this.prices.length - 1);
    const y = (price) => HEIGHT - INSET - ((price - low) / span) * (HEIGHT - 2 * INSET);
    context.beginPath();
    this.prices.forEach((price, index) => context.lineTo(start + index * step, y(price)));
    context.strokeStyle = themeColour("muted");
    context.lineWidth = 1.25;
    context.lineJoin = "round";
    context.stroke();
    context.beginPath();
    context.arc(WIDTH - INSET, y(this.prices[this.prices.length - 1]), 1.75, 0, 2 * Math.PI);
    context.fillStyle = themeColour("text");
    context.fill();
  }
}
