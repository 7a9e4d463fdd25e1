// The table of all symbols. It has the values of a window around what is in sight, and nodes for what is in sight.
import { make } from "dom";
import { PaintedRow } from "overview_row";
import { lastTrade, link } from "page_link";
import { clock, onTick } from "server_clock";
import { buildHead, markSorted } from "sort_head";

const SPARE_ROWS = 4; // painted above and below what is in sight

const ANSWER_MS = 500; // an answer that has not come by then was lost

export default {
  template: `<div class="overview-table" :data-tone="tone" :data-simulated="simulated"></div>`,
  props: {
    fields: { type: Array, required: true }, // the names of the values of a packed row
    columns: { type: Array, required: true }, // {name, title, hint}
    sort: { type: String, default: "" },
    descending: { type: Boolean, default: true },
    tone: { type: String, default: "quiet" },
    simulated: { type: Boolean, default: false },
    opening: { type: String, default: "" },
  },
  emits: ["sort", "hold", "window", "visibility"],
  watch: {
    sort() {
      this.markHead();
    },
    descending() {
      this.markHead();
    },
    opening() {
      this.askPaint();
    },
  },
  created() {
    this.total = 0;
    this.first = 0;
    this.symbols = []; // of the window, from `first` on
    this.values = new Map();
    this.painted = new Map(); // by symbol, or by place while the symbol is not known
    this.activeAt = null;
    this.frame = null;
    this.hold = { pointer: false, focus: false, told: false };
    this.asked = "";
    this.askedMs = Number.NEGATIVE_INFINITY;
  },
  mounted() {
    this.build();
    this.stopTicking = onTick(() => (this.$el.dataset.link = link.isLost ? "lost" : "open"));
    this.onVisibility = () => this.$emit("visibility", !document.hidden);
    document.addEventListener("visibilitychange", this.onVisibility);
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.$el);
    if (document.hidden) this.onVisibility();
  },
  unmounted() {
    this.stopTicking();
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    document.removeEventListener("visibilitychange", this.onVisibility);
  },
  methods: {
    /** Apply what changed: `{now, total, first, symbols, rows, news, full}`; what did not change is absent. */
    apply(payload) {
      clock.sync(payload.now, payload.full);
      if (payload.full) {
        this.values.clear();
        this.symbols = [];
        this.asked = "";
        lastTrade.forget();
      }
      for (const packed of payload.rows ?? []) {
        const row = Object.fromEntries(this.fields.map((name, at) => [name, packed[at]]));
        this.values.set(row.symbol, row);
      }
      if (payload.symbols) this.takeWindow(payload);
      if (payload.news) lastTrade.note(payload.news);
      this.askPaint();
    },
    takeWindow({ total, first, symbols }) {
      this.total = total;
      this.first = first;
      this.symbols = symbols;
      this.askedMs = Number.NEGATIVE_INFINITY;
      const kept = new Set(symbols);
      for (const symbol of this.values.keys()) if (!kept.has(symbol)) this.values.delete(symbol);
      if (this.activeAt !== null) this.activeAt = Math.min(this.activeAt, Math.max(0, total - 1));
      this.table.setAttribute("aria-rowcount", String(total + 1));
    },
    /** Show the first rows: other symbols are shown now. */
    toTop() {
      this.$el.scrollTop = 0;
      this.activeAt = this.activeAt === null ? null : 0;
      this.askPaint();
    },
    build() {
      this.table = make("table", "", "", { role: "grid", tabindex: "0", "aria-label": "All symbols" });
      this.head = buildHead(this.columns, (name) => this.$emit("sort", name));
      this.body = make("tbody", "", "", { role: "rowgroup" });
      [this.above, this.below] = [this.makeSpace(), this.makeSpace()];
      this.body.append(this.above, this.below);
      this.table.append(this.head, this.body);
      this.$el.append(this.table);
      this.$el.addEventListener("scroll", () => this.askPaint(), { passive: true });
      this.table.addEventListener("keydown", (event) => this.onKey(event));
      this.table.addEventListener("focus", () => this.onFocus());
      this.table.addEventListener("blur", () => this.setHold({ focus: false }));
      this.body.addEventListener("click", (event) => this.onClick(event));
      // A finger does not rest on the rows as a mouse does.
      const isMouse = (event) => event.pointerType === "mouse";
      this.body.addEventListener("pointerenter", (event) => isMouse(event) && this.setHold({ pointer: true }));
      this.body.addEventListener("pointerleave", () => this.setHold({ pointer: false }));
      this.markHead();
    },
    makeSpace() {
      const row = make("tr", "space", "", { "aria-hidden": "true" });
      const cell = make("td"); // it spans no columns, for some may be hidden
      row.append(cell);
      row.fill = (height) => {
        row.hidden = height === 0;
        cell.style.height = `${height}px`;
      };
      return row;
    },
    markHead() {
      markSorted(this.head, this.sort, this.descending);
    },
    measure() {
      this.rowHeight = Number.parseFloat(getComputedStyle(this.$el).getPropertyValue("--row")) || 32;
      this.headHeight = this.head.offsetHeight;
      this.height = this.$el.clientHeight;
      this.askPaint();
    },
    askPaint() {
      this.frame ??= requestAnimationFrame(() => this.paint());
    },
    inSight() {
      const top = this.$el.scrollTop;
      const first = Math.floor(top / this.rowHeight);
      return [first, Math.ceil((top + this.height - this.headHeight) / this.rowHeight)];
    },
    paint() {
      this.frame = null;
      if (!this.rowHeight) return;
      const [first, last] = this.inSight();
      const from = Math.max(0, Math.min(first - SPARE_ROWS, this.total - 1));
      const until = Math.min(this.total, last + SPARE_ROWS);
      this.askWindow(from, until);
      const wanted = [];
      for (let at = from; at < until; at += 1) wanted.push([this.symbols[at - this.first] ?? `#${at}`, at]);
      this.recycle(new Set(wanted.map(([name]) => name)));
      let next = this.above.nextSibling;
      for (const [name, at] of wanted) {
        const row = this.rowOf(name);
        row.place(at, at === this.activeAt && this.hold.focus);
        row.show(this.values.get(name) ?? null, this.opening);
        if (row.element === next) next = next.nextSibling;
        else this.body.insertBefore(row.element, next);
      }
      this.above.fill(from * this.rowHeight);
      this.below.fill(Math.max(0, this.total - until) * this.rowHeight);
      const isActive = this.hold.focus && this.activeAt !== null && this.activeAt >= from && this.activeAt < until;
      if (isActive) this.table.setAttribute("aria-activedescendant", `overview-row-${this.activeAt}`);
      else this.table.removeAttribute("aria-activedescendant");
    },
    recycle(wanted) {
      for (const [name, row] of this.painted) {
        if (wanted.has(name)) continue;
        row.element.remove();
        this.painted.delete(name);
      }
    },
    rowOf(name) {
      if (!this.painted.has(name)) this.painted.set(name, new PaintedRow(this.columns));
      return this.painted.get(name);
    },
    /** Ask for a window of three screens around what is painted, before a person can scroll out of the present one. One
     * question at a time: while a person scrolls, each frame would have its own. */
    askWindow(from, until) {
      const screen = until - from;
      const margin = screen / 2;
      const end = this.first + this.symbols.length;
      const has = this.first <= Math.max(0, from - margin) && end >= Math.min(this.total, until + margin);
      const range = { first: Math.max(0, from - screen), last: until + screen };
      const name = `${range.first}-${range.last}-${this.total}`;
      const isWaiting = performance.now() - this.askedMs < ANSWER_MS;
      if (has || screen <= 0 || name === this.asked || isWaiting) return;
      this.asked = name;
      this.askedMs = performance.now();
      this.$emit("window", range);
    },
    setHold(change) {
      Object.assign(this.hold, change);
      const isHeld = this.hold.pointer || this.hold.focus;
      if (isHeld !== this.hold.told) this.$emit("hold", isHeld);
      this.hold.told = isHeld;
      this.askPaint();
    },
    onFocus() {
      this.setHold({ focus: true });
      const [first, last] = this.inSight();
      if (this.activeAt === null || this.activeAt < first || this.activeAt >= last) {
        this.activate(Math.ceil(this.$el.scrollTop / this.rowHeight));
      }
    },
    onClick(event) {
      const row = event.target.closest("tr");
      const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
      if (isPlain && !event.target.closest("a")) row.querySelector("a[href]")?.click();
    },
    onKey(event) {
      if (event.target !== this.table || event.ctrlKey || event.metaKey || event.altKey) return;
      const page = Math.max(1, Math.floor((this.height - this.headHeight) / this.rowHeight) - 1);
      const at = this.activeAt ?? 0;
      const goals = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page };
      const goal = { ...goals, Home: 0, End: this.total - 1 }[event.key];
      if (goal !== undefined) this.activate(goal);
      else if (event.key === "Enter") this.painted.get(this.symbols[at - this.first])?.link.click();
      else return;
      event.preventDefault();
    },
    /** Make a row the active one, and scroll as little as shows it. */
    activate(position) {
      this.activeAt = Math.max(0, Math.min(position, this.total - 1));
      const top = this.activeAt * this.rowHeight;
      const room = this.height - this.headHeight - this.rowHeight;
      this.$el.scrollTop = Math.max(top - room, Math.min(this.$el.scrollTop, top));
      this.askPaint();
    },
  },
};
