// The selected symbol: last price, chart and figures. One message brings them all, so that all of them come from the
// same trades.
import { clearCanvas, themeColour } from "canvas";
import { decimalsOf, grouped } from "number_format";
import { link } from "page_link";
import { onTick } from "server_clock";
import { ageText, timeText } from "time_format";

const INSET = { top: 10, right: 88, bottom: 20, left: 2 };
const FIGURES = ["Window", "High", "Low", "Trades/s", "Buy volume", "Largest trade"];
const NONE = "–";

export default {
  template: `
    <section class="symbol-panel" :aria-label="title" :data-link="isLost ? 'lost' : 'open'">
      <header><h2>{{ title }}</h2><span class="panel-last">{{ last || none }}</span><span v-if="tag" class="tag">{{ tag }}</span><span v-if="isLost" class="tag">not connected</span></header>
      <div class="panel-chart"><canvas ref="canvas" role="img" :aria-label="'Course of ' + title"></canvas></div>
      <dl class="panel-figures">
        <div v-for="(name, at) in names" :key="name"><dt>{{ name }}</dt><dd>{{ figures[at] ?? none }}</dd></div>
      </dl>
    </section>`,
  props: {
    title: { type: String, default: "" },
    tag: { type: String, default: "" },
    base: { type: String, default: "" },
  },
  data() {
    return { last: "", figures: [], isLost: false };
  },
  created() {
    [this.names, this.none] = [FIGURES, NONE];
    this.points = []; // [ms, price]; prices are floats here, for drawing only
    this.latest = {};
  },
  mounted() {
    this.fontFamily = getComputedStyle(this.$refs.canvas).fontFamily;
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.$refs.canvas);
    this.stopTicking = onTick(() => (this.isLost = link.isLost));
    this.onTheme = () => this.draw();
    window.addEventListener("live-markets-theme", this.onTheme);
  },
  unmounted() {
    this.observer.disconnect();
    this.stopTicking();
    window.removeEventListener("live-markets-theme", this.onTheme);
  },
  methods: {
    /** Replace everything by `[[ms, price]…]`, oldest first, and the figures; null while there is no trade. */
    fill(points, figures) {
      this.points = [];
      this.latest = {};
      this.last = "";
      this.figures = [];
      this.extend(points, figures);
    },
    /** Append points, and update the figures that the message has. */
    extend(points, figures) {
      this.points.push(...points.map(([ms, price]) => [ms, Number(price)]));
      if (figures) {
        Object.assign(this.latest, figures);
        this.trim(figures.from_ts);
        this.summarise(this.latest);
      }
      this.draw();
    },
    summarise(latest) {
      this.last = grouped(latest.last);
      const span = latest.span_ms >= 1000 ? ` in ${ageText(latest.span_ms)}` : "";
      this.figures = [
        `${latest.trades.toLocaleString("en-US")} trades${span}`,
        grouped(latest.high),
        grouped(latest.low),
        latest.per_second ? latest.per_second.toFixed(1) : NONE,
        latest.bought === null ? NONE : `${latest.bought} %`,
        `${grouped(latest.largest)} ${this.base}`,
      ];
    },
    /** Drop the points that the figures no longer cover. */
    trim(fromMs) {
      const first = this.points.findIndex(([ms]) => ms >= fromMs);
      this.points.splice(0, Math.max(first, 0));
    },
    draw() {
      const canvas = this.$refs.canvas;
      const { clientWidth: width, clientHeight: height } = canvas;
      if (!width || !height) return;
      const context = clearCanvas(canvas, width, height);
      const { points } = this;
      if (points.length < 2) return;
      const plot = this.scales(points, width, height);
      context.font = `12px ${this.fontFamily}`;
      this.drawLevels(context, plot);
      this.drawCourse(context, plot);
      this.drawTimes(context, plot, height);
    },
    scales(points, width, height) {
      const prices = points.map((point) => point[1]);
      const [low, high] = [Math.min(...prices), Math.max(...prices)];
      const [first, newest] = [points[0][0], points[points.length - 1][0]];
      const right = width - INSET.right;
      const bottom = height - INSET.bottom;
      return {
        points,
        low,
        high,
        first,
        newest,
        right,
        x: (ms) => INSET.left + ((ms - first) / (newest - first || 1)) * (right - INSET.left),
        y: (price) =>
          high === low ? (INSET.top + bottom) / 2 : bottom - ((price - low) / (high - low)) * (bottom - INSET.top),
      };
    },
    drawLevels(context, plot) {
      const last = plot.points[plot.points.length - 1][1];
      const decimals = decimalsOf(this.last);
      context.textBaseline = "middle";
      for (const [price, ink] of [
        [plot.high, "muted"],
        [plot.low, "muted"],
        [last, "text"],
      ]) {
        const isCrowded = price !== last && Math.abs(plot.y(price) - plot.y(last)) < 14;
        context.strokeStyle = themeColour(price === last ? "accent" : "line");
        context.lineWidth = 1;
        context.setLineDash(price === last ? [3, 3] : []);
        context.beginPath();
        context.moveTo(INSET.left, Math.round(plot.y(price)) + 0.5);
        context.lineTo(plot.right, Math.round(plot.y(price)) + 0.5);
        context.stroke();
        context.fillStyle = themeColour(ink);
        if (!isCrowded)
          context.fillText(grouped(price.toFixed(decimals)), plot.right + 8, plot.y(price), INSET.right - 8);
      }
      context.setLineDash([]);
    },
    drawCourse(context, plot) {
      context.beginPath();
      let before = null;
      for (const [ms, price] of plot.points) {
        // A price holds until the next trade, so the line has steps: nobody traded at prices on a slope.
        if (before !== null) context.lineTo(plot.x(ms), plot.y(before));
        context.lineTo(plot.x(ms), plot.y(price));
        before = price;
      }
      context.strokeStyle = themeColour("text");
      context.lineWidth = 1.25;
      context.lineJoin = "round";
      context.stroke();
    },
    drawTimes(context, plot, height) {
      context.fillStyle = themeColour("muted");
      context.textBaseline = "alphabetic";
      context.textAlign = "left";
      context.fillText(timeText(plot.first), INSET.left, height - 4);
      context.textAlign = "right";
      context.fillText(timeText(plot.newest), plot.right, height - 4);
      context.textAlign = "left";
    },
  },
};
