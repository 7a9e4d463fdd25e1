// The selected symbol: last price, the course of its trades, and their figures.
import * as kit from "market_kit";

const SPAN_MS = 300_000;
const MAX_POINTS = 2_400;
const INSET = { top: 10, right: 88, bottom: 20, left: 2 };
const REDRAW_MS = 1_000;

export default {
  template: `
    <section class="symbol-panel" :aria-label="title">
      <header><h2>{{ title }}</h2><span class="panel-last">{{ last }}</span><span class="panel-span">{{ span }}</span></header>
      <div class="panel-chart"><canvas ref="canvas" role="img" :aria-label="'Course of ' + title"></canvas></div>
      <dl class="panel-figures">
        <div v-for="[name, value] in figures" :key="name"><dt>{{ name }}</dt><dd>{{ value }}</dd></div>
      </dl>
    </section>`,
  props: { title: { type: String, default: "" }, base: { type: String, default: "" } },
  data() {
    return { last: "", span: "", figures: [] };
  },
  created() {
    this.points = []; // [ms, price as a number, price as text]: the numbers are for drawing only
    this.drawnAt = 0;
  },
  mounted() {
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.$refs.canvas);
    this.stopListening = kit.onSelectedPrice((ms, price) => this.add(ms, price));
    this.stopTicking = kit.onTick(() => Date.now() - this.drawnAt >= REDRAW_MS && this.draw());
    this.onTheme = () => this.draw();
    window.addEventListener("live-markets-theme", this.onTheme);
  },
  unmounted() {
    this.observer.disconnect();
    this.stopListening();
    this.stopTicking();
    window.removeEventListener("live-markets-theme", this.onTheme);
  },
  methods: {
    /** Begin anew with `[[ms, price]…]`, oldest first. */
    fill(points) {
      this.points = points.map(([ms, price]) => [ms, Number(price)]);
      this.last = "";
      this.span = "No trade yet.";
      this.figures = [];
      this.draw();
    },
    summarise(told) {
      const words = told.span_ms >= 1000 ? ` over ${kit.ageText(told.span_ms)}` : "";
      this.span = `Last ${told.trades.toLocaleString("en-US")} trades${words}`;
      this.figures = [
        ["High", kit.grouped(told.high)],
        ["Low", kit.grouped(told.low)],
        ["Trades a second", told.per_second ? told.per_second.toFixed(1) : "–"],
        ["Bought by takers", told.bought === null ? "–" : `${told.bought} %`],
        ["Largest trade", `${kit.grouped(told.largest)} ${this.base}`],
      ];
    },
    add(ms, price) {
      this.last = kit.grouped(price);
      const newest = this.points[this.points.length - 1];
      if (newest && ms < newest[0]) return;
      this.points.push([ms, Number(price)]);
      while (this.points.length > MAX_POINTS || this.points[0][0] < ms - SPAN_MS) this.points.shift();
      this.draw();
    },
    draw() {
      const canvas = this.$refs.canvas;
      const { clientWidth: width, clientHeight: height } = canvas;
      if (!width || !height) return;
      this.drawnAt = Date.now();
      const ratio = window.devicePixelRatio || 1;
      canvas.width = width * ratio; // setting the width clears the canvas
      canvas.height = height * ratio;
      if (this.points.length < 2) return;
      const context = canvas.getContext("2d");
      context.scale(ratio, ratio);
      const style = getComputedStyle(canvas);
      const colour = (name) => style.getPropertyValue(`--${name}`);
      const plot = this.scales(width, height);
      context.font = `12px ${style.fontFamily}`;
      this.drawLevels(context, plot, width, colour);
      this.drawCourse(context, plot, colour);
      this.drawTimes(context, plot, height, colour);
    },
    scales(width, height) {
      const prices = this.points.map((point) => point[1]);
      const [low, high] = [Math.min(...prices), Math.max(...prices)];
      const [first, newest] = [this.points[0][0], this.points[this.points.length - 1][0]];
      const right = width - INSET.right;
      const bottom = height - INSET.bottom;
      return {
        low,
        high,
        first,
        newest,
        right,
        x: (ms) => INSET.left + ((ms - first) / (newest - first || 1)) * (right - INSET.left),
        y: (price) => (high === low ? (INSET.top + bottom) / 2 : bottom - ((price - low) / (high - low)) * (bottom - INSET.top)),
      };
    },
    drawLevels(context, plot, width, colour) {
      const last = this.points[this.points.length - 1][1];
      const decimals = kit.decimalsOf(this.last);
      context.textBaseline = "middle";
      for (const [price, ink] of [[plot.high, "muted"], [plot.low, "muted"], [last, "text"]]) {
        const isCrowded = price !== last && Math.abs(plot.y(price) - plot.y(last)) < 14;
        context.strokeStyle = colour(price === last ? "accent" : "line");
        context.lineWidth = 1;
        context.setLineDash(price === last ? [3, 3] : []);
        context.beginPath();
        context.moveTo(INSET.left, Math.round(plot.y(price)) + 0.5);
        context.lineTo(plot.right, Math.round(plot.y(price)) + 0.5);
        context.stroke();
        context.fillStyle = colour(ink);
        if (!isCrowded) context.fillText(kit.grouped(price.toFixed(decimals)), plot.right + 8, plot.y(price), INSET.right - 8);
      }
      context.setLineDash([]);
    },
    drawCourse(context, plot, colour) {
      context.beginPath();
      let before = null;
      for (const [ms, price] of this.points) {
        // A price holds until the next trade: steps, no slopes that nobody traded at.
        if (before !== null) context.lineTo(plot.x(ms), plot.y(before));
        context.lineTo(plot.x(ms), plot.y(price));
        before = price;
      }
      context.strokeStyle = colour("text");
      context.lineWidth = 1.25;
      context.lineJoin = "round";
      context.stroke();
    },
    drawTimes(context, plot, height, colour) {
      context.fillStyle = colour("muted");
      context.textBaseline = "alphabetic";
      context.textAlign = "left";
      context.fillText(kit.timeText(plot.first), INSET.left, height - 4);
      context.textAlign = "right";
      context.fillText(kit.timeText(plot.newest), plot.right, height - 4);
      context.textAlign = "left";
    },
  },
};
