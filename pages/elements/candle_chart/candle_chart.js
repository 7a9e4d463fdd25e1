// The chart of candles. It holds them and draws them with ECharts, at most twice a second; the values under the pointer
// stand above as text.
import { CandleList } from "candle_list";
import { dataOf, fullTime, lookOf } from "chart_options";
import { compact, grouped } from "number_format";
import { link, onceOpen } from "page_link";
import { onTick } from "server_clock";
import { zone } from "time_format";

const REDRAW_MS = 500;
const CANDLE_PX = 6; // of a candle in sight at first
const LEAST_IN_SIGHT = 20;
const LOAD_AGAIN_MS = 1000;

export default {
  template: `
    <section class="candle-chart" :aria-label="'Chart of ' + title" :data-link="isLost ? 'lost' : 'open'">
      <header class="chart-bar">
        <div class="chart-intervals" role="group" aria-label="Interval">
          <button v-for="(name, at) in intervals" :key="name" type="button" :aria-pressed="String(name === interval)"
            :aria-keyshortcuts="String(at + 1)" :title="'Candles of ' + name + ' (key ' + (at + 1) + ')'"
            @click="$emit('interval', name)">{{ name }}</button>
        </div>
        <button type="button" class="chart-book" :aria-pressed="String(book)" aria-keyshortcuts="b" title="Key b"
          @click="$emit('book')">Book</button>
        <p class="chart-values" aria-live="off"><template v-if="values">
          <span class="chart-time">{{ values.time }}</span>
          <span v-for="one in values.figures" :key="one.name"><abbr :title="one.title">{{ one.name }}</abbr> {{ one.text }}</span>
          <span :data-direction="values.direction">{{ values.change }}</span>
          <span v-for="word in values.words" :key="word" class="chart-word">{{ word }}</span>
        </template></p>
      </header>
      <div class="chart-plot" ref="plot" role="img" tabindex="0" :aria-label="described" @keydown="onKey"></div>
      <p v-if="!count" class="chart-hint">{{ hint }}</p>
    </section>`,
  props: {
    intervals: { type: Array, required: true },
    interval: { type: String, default: "" },
    mostCandles: { type: Number, required: true },
    title: { type: String, default: "" },
    base: { type: String, default: "" },
    hint: { type: String, default: "" },
    book: { type: Boolean, default: false },
  },
  emits: ["interval", "book"],
  data() {
    return { values: null, count: 0, isLost: false };
  },
  computed: {
    described() {
      return `Candles of ${this.title}, ${this.interval} each, times in ${zone}. Arrow keys move, plus and minus zoom.`;
    },
  },
  created() {
    this.list = new CandleList(this.mostCandles);
    this.pointedAt = null; // the index of the candle under the pointer
    this.drawnAt = 0;
    this.of = { title: "", interval: "" }; // whose candles these are; the properties may change a moment earlier or later
  },
  async mounted() {
    const echarts = await this.load();
    if (!echarts) return;
    this.chart = echarts.init(this.$refs.plot, null, { renderer: "canvas" });
    this.chart.on("datazoom", () => (this.hasZoomed = true));
    this.chart.on("updateAxisPointer", (event) => this.point(event));
    this.chart.getZr().on("globalout", () => this.showValues(null));
    this.resizing = new ResizeObserver(() => this.chart.resize());
    this.resizing.observe(this.$refs.plot);
    this.seeing = new IntersectionObserver(([entry]) => this.see(entry.isIntersecting));
    this.seeing.observe(this.$refs.plot);
    this.onTheme = () => this.draw({ hasLook: true });
    window.addEventListener("live-markets-theme", this.onTheme);
    this.stopTicking = onTick(() => (this.isLost = link.isLost));
    this.draw({ hasLook: true });
  },
  unmounted() {
    clearTimeout(this.redraw);
    this.resizing?.disconnect();
    this.seeing?.disconnect();
    this.stopTicking?.();
    window.removeEventListener("live-markets-theme", this.onTheme);
    this.chart?.dispose();
  },
  methods: {
    /** ECharts, or null once the chart is gone. It is a megabyte, so nothing else waits for it, and the network may be
     * lost while it is on its way. */
    async load() {
      while (this.$refs.plot) {
        try {
          const { echarts } = await import("nicegui-echart");
          return this.$refs.plot ? echarts : null;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, LOAD_AGAIN_MS));
          await onceOpen();
        }
      }
      return null;
    },
    /** Take candles: `{of, whole, candles, running, afterHoles}`. `of` is their `{title, interval}`; `candles` has a list
     * for each of `open_ts`, `open`, `high`, `low`, `close`, `volume`; `running` is the open time of the one that is not
     * closed, or null; `afterHoles` has those of all candles before which some are missing. */
    apply(payload) {
      const before = this.list.candles.length;
      const isOther = payload.of.title !== this.of.title || payload.of.interval !== this.of.interval;
      const dropped = this.list.apply(payload);
      this.of = payload.of;
      this.count = this.list.candles.length;
      if (payload.whole) {
        this.pointedAt = null;
        this.list.shaded = new Set();
      }
      if (isOther) this.window = null;
      if (this.count) this.window = this.windowAfter(before, payload.whole ? before - this.count : dropped);
      this.showValues(this.pointedAt);
      this.drawSoon(payload.whole);
    },
    /** Mark the candles with these open times: trades are missing in them. */
    shade(openTimes) {
      this.list.shaded = new Set(openTimes);
      this.drawSoon();
    },
    see(isInSight) {
      this.isHidden = !isInSight;
      if (isInSight && this.isOwed) this.drawSoon();
    },
    drawSoon(hasLook = false) {
      this.hasNewLook ||= hasLook;
      const wait = this.drawnAt + REDRAW_MS - performance.now();
      if (wait <= 0) this.draw({ hasLook: this.hasNewLook });
      else this.redraw ??= setTimeout(() => this.draw({ hasLook: this.hasNewLook }), wait);
    },
    draw({ hasLook }) {
      clearTimeout(this.redraw);
      this.redraw = null;
      this.isOwed = this.isHidden || !this.chart;
      if (this.isOwed) {
        this.hasNewLook ||= hasLook;
        return;
      }
      this.drawnAt = performance.now();
      this.hasNewLook = false;
      const { candles } = this.list;
      const option = dataOf(this.list);
      const [startValue, endValue] = this.window ?? [0, 0];
      const zoom = { type: "inside", xAxisIndex: [0, 1], minValueSpan: LEAST_IN_SIGHT, zoomLock: false };
      option.dataZoom = [{ ...zoom, startValue, endValue }];
      if (!hasLook) return this.chart.setOption(option, { lazyUpdate: false, silent: true });
      const look = lookOf(this.of.interval, candles.length ? candles[candles.length - 1].close : "0.00");
      option.xAxis = look.xAxis.map((axis, at) => ({ ...axis, ...option.xAxis[at] }));
      this.chart.setOption({ ...look, ...option }, { notMerge: true, silent: true });
    },
    /** Which candles are in sight after news: the same ones as before, or the newest if these were in sight.
     * `moved` is by how many places the candles moved to the front. */
    windowAfter(before, moved) {
      const newest = this.count - 1;
      if (!this.window || !before) {
        const inSight = Math.max(LEAST_IN_SIGHT, Math.floor(this.$refs.plot.clientWidth / CANDLE_PX));
        return [Math.max(0, newest - inSight + 1), newest];
      }
      const [first, last] = this.shownWindow();
      const width = last - first;
      if (last >= before - 1) return [Math.max(0, newest - width), newest];
      return [Math.max(0, first - moved), Math.max(Math.min(width, newest), last - moved)];
    },
    /** Which candles the person sees now: the wheel and dragging change it. */
    shownWindow() {
      if (!this.hasZoomed) return this.window;
      this.hasZoomed = false; // to ask for it copies all data
      const { startValue, endValue } = this.chart.getOption().dataZoom[0];
      if (Number.isFinite(startValue)) this.window = [startValue, endValue];
      return this.window;
    },
    point(event) {
      const axis = event.axesInfo?.find((one) => one.axisDim === "x");
      this.showValues(axis ? axis.value : null);
    },
    /** Show the values of a candle; those of the newest one with null. */
    showValues(at) {
      this.pointedAt = at === null || at >= this.list.candles.length ? null : at;
      const candle = this.list.candles[this.pointedAt ?? this.list.candles.length - 1];
      this.values = candle ? this.describe(candle) : null;
    },
    describe(candle) {
      const time = fullTime(candle.openMs, this.of.interval);
      if (candle.missing) {
        const words = [candle.missing === 1 ? "1 candle is missing" : `${candle.missing} candles are missing`];
        return { time, figures: [], change: "", direction: 0, words };
      }
      const [open, close] = candle.drawn;
      const percent = open ? (100 * (close - open)) / open : 0;
      const sign = percent < 0 ? "\u2212" : "+";
      const words = [];
      if (this.list.isRunning(candle)) words.push("running");
      if (this.list.isShaded(candle)) words.push("trades are missing");
      return {
        time,
        figures: [
          { name: "O", title: "Open", text: grouped(candle.open) },
          { name: "H", title: "High", text: grouped(candle.high) },
          { name: "L", title: "Low", text: grouped(candle.low) },
          { name: "C", title: "Close", text: grouped(candle.close) },
          { name: "V", title: `Volume in ${this.base}`, text: compact(candle.volume) },
        ],
        change: `${sign}${Math.abs(percent).toFixed(2)} %`,
        direction: Math.sign(close - open),
        words,
      };
    },
    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.list.candles.length) return;
      const newest = this.list.candles.length - 1;
      const at = this.pointedAt ?? newest;
      if (event.key === "ArrowLeft") this.pointTo(Math.max(0, at - 1));
      else if (event.key === "ArrowRight") this.pointTo(Math.min(newest, at + 1));
      else if (event.key === "+" || event.key === "-") this.zoom(event.key === "+" ? 0.5 : 2);
      else if (event.key === "Escape") this.pointTo(null);
      else return;
      event.preventDefault();
    },
    /** Show the crosshair at a candle, and bring it into sight. */
    pointTo(at) {
      if (at === null) this.chart?.dispatchAction({ type: "hideTip" });
      this.showValues(at);
      if (at === null) return;
      const [first, last] = this.shownWindow();
      const shift = at < first ? at - first : at > last ? at - last : 0;
      if (shift) this.setWindow(first + shift, last + shift);
      const seriesId = this.list.candles[at].missing ? "missing" : "candles"; // the one that has a value there
      this.chart?.dispatchAction({ type: "showTip", seriesId, dataIndex: at });
    },
    zoom(factor) {
      const [first, last] = this.shownWindow();
      const width = Math.max(LEAST_IN_SIGHT, Math.round((last - first + 1) * factor));
      this.setWindow(Math.max(0, last - width + 1), last);
    },
    setWindow(startValue, endValue) {
      this.window = [startValue, endValue];
      this.hasZoomed = false;
      this.chart?.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, startValue, endValue });
    },
  },
};
