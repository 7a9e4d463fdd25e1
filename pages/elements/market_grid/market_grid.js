// The live grid. Vue does not know the rows: each value has one text node, and only changed values of rows in sight are
// written.
import { make } from "dom";
import { MarketRow } from "market_row";
import { lastTrade, link } from "page_link";
import { arrangeNodes, letRowsBeCarried, letRowsBeDragged } from "row_order";
import { clock, onTick } from "server_clock";
import { buildHead, markSorted } from "sort_head";
import { zone } from "time_format";

const SPARE_ROWS = 2; // painted above and below what is in sight

export default {
  template: `<div class="market-grid" :data-tone="tone" :data-simulated="simulated"></div>`,
  props: {
    columns: { type: Array, required: true }, // {name, title, hint, fixed}
    fields: { type: Array, required: true }, // the names of the values of a row; the first is `symbol`
    lines: { type: Array, default: () => [] },
    selected: { type: String, default: "" },
    sort: { type: String, default: "" },
    descending: { type: Boolean, default: false },
    tone: { type: String, default: "quiet" },
    simulated: { type: Boolean, default: false },
  },
  emits: ["select", "remove", "move", "sort", "hold", "visibility"],
  watch: {
    lines() {
      this.layOut();
    },
    selected() {
      this.markSelected();
      this.rows.get(this.selected)?.element.scrollIntoView({ block: "nearest" });
    },
    sort() {
      this.markHead();
    },
    descending() {
      this.markHead();
    },
    tone() {
      this.refreshAges();
    },
  },
  created() {
    this.rows = new Map(); // by symbol, in the order of the rows
    this.frame = null;
    this.hold = { pointer: false, focus: false, carried: false, told: false };
  },
  mounted() {
    this.buildTable();
    this.layOut();
    this.stopTicking = onTick(() => this.refreshAges());
    this.onVisibility = () => this.$emit("visibility", !document.hidden);
    document.addEventListener("visibilitychange", this.onVisibility);
    this.onTheme = () => this.redraw();
    window.addEventListener("live-markets-theme", this.onTheme);
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.$el);
    if (document.hidden) this.onVisibility();
  },
  unmounted() {
    this.stopTicking();
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("live-markets-theme", this.onTheme);
  },
  methods: {
    /** Apply new values: `{now, full, rows, traces}`. A row is a list of values in the order of `fields`; those that
     * have not changed are left out at its end. With `full`, rows that are not named become empty. */
    apply(payload) {
      clock.sync(payload.now, payload.full);
      if (payload.full) {
        this.isFull = true;
        this.rows.forEach((row) => row.clear());
        lastTrade.forget();
      }
      for (const [symbol, prices] of Object.entries(payload.traces ?? {})) this.rows.get(symbol)?.seed(prices);
      for (const values of payload.rows) {
        const row = this.rows.get(values[0]);
        row?.take(this.fields, values, !payload.full);
        if (row?.values.ts) lastTrade.note(row.values.recv_ts);
      }
      this.askPaint();
    },
    /** Bring the rows into this order: a list of their symbols. */
    arrange(order) {
      const rows = order.map((symbol) => [symbol, this.rows.get(symbol)]).filter(([, row]) => row);
      this.rows = new Map(rows);
      const focused = document.activeElement;
      arrangeNodes(
        this.body,
        rows.map(([, row]) => row.element),
      );
      if (this.body.contains(focused)) focused.focus();
      this.askPaint();
    },
    askPaint() {
      this.frame ??= requestAnimationFrame(() => this.paint());
    },
    paint() {
      this.frame = null;
      this.inSight().forEach((row) => row.paint(this.hasTrace));
      if (this.isFull) this.refreshAges(); // otherwise they have their own pace
      this.isFull = false;
    },
    inSight() {
      const rows = [...this.rows.values()];
      if (!this.rowHeight) return rows;
      const first = Math.floor(this.$el.scrollTop / this.rowHeight) - SPARE_ROWS;
      const count = Math.ceil(this.height / this.rowHeight) + 2 * SPARE_ROWS;
      return rows.slice(Math.max(0, first), Math.max(0, first + count));
    },
    redraw() {
      for (const row of this.rows.values()) row.spark.isDue = true;
      this.askPaint();
    },
    measure() {
      this.height = this.$el.clientHeight;
      this.hasTrace = this.head.querySelector(".col-trace").offsetWidth > 0;
      const tallest = this.body.firstChild?.getBoundingClientRect().height ?? 0;
      this.rowHeight = tallest || Number.parseFloat(getComputedStyle(this.$el).getPropertyValue("--row")) || 32;
      this.askPaint();
    },
    buildTable() {
      const table = make("table", "", "", { role: "grid", "aria-label": "Watch list" });
      this.head = buildHead(this.columns, (name) => this.$emit("sort", name));
      const time = this.head.querySelector(".col-time button");
      time.title += `, ${zone}`;
      time.firstChild.after(make("span", "zone", ` (${zone})`));
      this.head.querySelector(".col-remove").append(make("span", "visually-hidden", "Remove"));
      this.body = make("tbody", "", "", { role: "rowgroup" });
      table.append(this.head, this.body);
      this.body.addEventListener("click", (event) => this.onClick(event));
      this.body.addEventListener("keydown", (event) => this.onKey(event));
      // A finger does not rest on the rows as a mouse does.
      const isMouse = (event) => event.pointerType === "mouse";
      this.body.addEventListener("pointerenter", (event) => isMouse(event) && this.setHold({ pointer: true }));
      this.body.addEventListener("pointerleave", () => this.setHold({ pointer: false }));
      this.body.addEventListener("focusin", ({ target }) => this.setHold({ focus: target.matches(":focus-visible") }));
      this.body.addEventListener("focusout", () => this.setHold({ focus: false }));
      const orderOf = () => [...this.rows.keys()];
      const onMove = (symbol, place) => this.$emit("move", { symbol, place });
      letRowsBeCarried(this.body, this.$el, { orderOf, onMove, onCarry: (carried) => this.setHold({ carried }) });
      letRowsBeDragged(this.body, orderOf, onMove);
      this.$el.addEventListener("scroll", () => this.askPaint(), { passive: true });
      this.$el.append(table);
      this.markHead();
    },
    setHold(change) {
      Object.assign(this.hold, change);
      const isHeld = this.hold.pointer || this.hold.focus || this.hold.carried;
      if (isHeld !== this.hold.told) this.$emit("hold", isHeld);
      this.hold.told = isHeld;
    },
    layOut() {
      const focused = document.activeElement?.closest?.("tr");
      const place = focused && this.body.contains(focused) ? [...this.body.children].indexOf(focused) : -1;
      const kept = new Map();
      for (const line of this.lines) {
        const row = this.rows.get(line.symbol) ?? new MarketRow(line.symbol);
        row.describe(line);
        kept.set(line.symbol, row);
      }
      this.rows = kept;
      const nodes = [...kept.values()].map((row) => row.element);
      arrangeNodes(this.body, nodes);
      this.markSelected();
      this.measure();
      if (place >= 0) this.keepFocus(focused, nodes, place);
    },
    /** The focus stays on its row; if that was removed, it goes to the neighbour. */
    keepFocus(focused, nodes, place) {
      if (this.body.contains(document.activeElement)) return;
      const next = nodes.includes(focused) ? focused : nodes[Math.min(place, nodes.length - 1)];
      if (next) next.focus();
      else document.querySelector("[role=combobox]")?.focus();
    },
    markHead() {
      markSorted(this.head, this.sort, this.descending);
    },
    markSelected() {
      for (const [symbol, row] of this.rows) {
        const isSelected = symbol === this.selected;
        row.element.setAttribute("aria-selected", String(isSelected));
        row.element.tabIndex = isSelected || (!this.rows.has(this.selected) && !row.element.previousSibling) ? 0 : -1;
      }
    },
    refreshAges() {
      const now = clock.now();
      const isLost = link.isLost;
      this.$el.dataset.link = isLost ? "lost" : "open";
      for (const row of this.inSight()) {
        row.showLink(isLost);
        row.showAge(now, isLost ? "lost" : this.tone);
      }
    },
    onClick(event) {
      const symbol = event.target.closest("tr").dataset.symbol;
      this.$emit(event.target.closest(".remove") ? "remove" : "select", symbol);
    },
    onKey(event) {
      const row = event.target.closest("tr");
      if (event.target !== row || event.ctrlKey || event.metaKey) return;
      const symbol = row.dataset.symbol;
      const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (way && event.altKey) this.$emit("move", { symbol, place: [...this.rows.keys()].indexOf(symbol) + way });
      else if (way) (way > 0 ? row.nextSibling : row.previousSibling)?.focus();
      else if (event.key === "Enter" || event.key === " ") this.$emit("select", symbol);
      else if (event.key === "Delete") this.$emit("remove", symbol);
      else return;
      event.preventDefault();
    },
  },
};
