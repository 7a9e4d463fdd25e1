// The live grid. Vue does not know the rows: each value has one text node, and only changed values are written.
import { make } from "dom";
import { MarketRow } from "market_row";
import { lastTrade, link } from "page_link";
import { clock, onTick } from "server_clock";
import { zone } from "time_format";

const COLUMNS = [
  ["symbol", "Symbol"],
  ["last", "Last"],
  ["trace", "Recent"],
  ["size", "Size"],
  ["side", "Side"],
  ["time", `Time (${zone})`],
  ["age", "Age"],
  ["remove", ""],
];

export default {
  template: `<div class="market-grid" :data-tone="tone" :data-simulated="simulated"></div>`,
  props: {
    lines: { type: Array, default: () => [] },
    selected: { type: String, default: "" },
    tone: { type: String, default: "quiet" },
    simulated: { type: Boolean, default: false },
    fields: { type: Array, required: true }, // the names of the values of a packed row
    sides: { type: Array, required: true }, // a packed row holds an index into this
  },
  emits: ["select", "remove", "visibility"],
  watch: {
    lines() {
      this.layOut();
    },
    selected() {
      this.markSelected();
      this.rows.get(this.selected)?.element.scrollIntoView({ block: "nearest" }); // on a phone the selected row is taller
    },
    tone() {
      this.refreshAges();
    },
  },
  created() {
    this.rows = new Map();
    this.pending = new Map();
    this.frame = null;
  },
  mounted() {
    this.buildTable();
    this.layOut();
    this.stopTicking = onTick(() => this.refreshAges());
    this.onVisibility = () => this.$emit("visibility", !document.hidden);
    document.addEventListener("visibilitychange", this.onVisibility);
    if (document.hidden) this.onVisibility();
  },
  unmounted() {
    this.stopTicking();
    cancelAnimationFrame(this.frame);
    document.removeEventListener("visibilitychange", this.onVisibility);
  },
  methods: {
    /** Apply new values: `{now, full, rows, traces}`. With `full`, rows that are not named become empty. */
    apply(payload) {
      clock.sync(payload.now, payload.full);
      if (payload.full) {
        this.pending.clear();
        this.rows.forEach((row) => row.clear());
        lastTrade.forget();
      }
      for (const [symbol, prices] of Object.entries(payload.traces ?? {})) this.rows.get(symbol)?.seed(prices);
      for (const values of payload.rows) {
        const trade = this.unpack(values);
        this.pending.set(trade.symbol, trade);
      }
      this.frame ??= requestAnimationFrame(() => this.paint(payload.full));
    },
    unpack(values) {
      const trade = Object.fromEntries(this.fields.map((name, at) => [name, values[at]]));
      trade.side = this.sides[trade.side];
      return trade;
    },
    paint(isFull) {
      this.frame = null;
      for (const [symbol, trade] of this.pending) {
        this.rows.get(symbol)?.show(trade, !isFull);
        lastTrade.note(trade.recv_ts);
      }
      this.pending.clear();
      this.alignDecimals();
      this.refreshAges();
    },
    buildTable() {
      const table = make("table", "", "", { role: "grid", "aria-label": "Last trades" });
      const head = table.createTHead().insertRow();
      head.setAttribute("role", "row");
      for (const [name, title] of COLUMNS) {
        const attributes = { scope: "col", role: "columnheader" };
        const cell = make("th", `col-${name}`, title, attributes);
        if (!title) cell.append(make("span", "visually-hidden", "Remove"));
        head.append(cell);
      }
      this.body = table.createTBody();
      this.body.addEventListener("click", (event) => this.onClick(event));
      this.body.addEventListener("keydown", (event) => this.onKey(event));
      this.$el.append(table);
    },
    layOut() {
      const kept = new Map();
      for (const line of this.lines) {
        const row = this.rows.get(line.symbol) ?? new MarketRow(line.symbol);
        row.describe(line);
        kept.set(line.symbol, row);
      }
      this.rows = kept;
      const focused = document.activeElement?.closest?.("tr");
      this.body.replaceChildren(...[...kept.values()].map((row) => row.element));
      if (focused && this.body.contains(focused)) focused.focus();
      this.alignDecimals();
      this.markSelected();
    },
    markSelected() {
      for (const [symbol, row] of this.rows) {
        const isSelected = symbol === this.selected;
        row.element.setAttribute("aria-selected", String(isSelected));
        row.element.tabIndex = isSelected || (!this.rows.has(this.selected) && !row.element.previousSibling) ? 0 : -1;
      }
    },
    alignDecimals() {
      for (const column of ["last", "size"]) {
        const rows = [...this.rows.values()];
        const most = Math.max(0, ...rows.map((row) => row.decimals(column)));
        rows.forEach((row) => row.align(column, most));
      }
    },
    refreshAges() {
      const now = clock.now();
      const isLost = link.isLost;
      this.$el.dataset.link = isLost ? "lost" : "open";
      this.rows.forEach((row) => {
        row.showLink(isLost);
        row.showAge(now, isLost ? "lost" : this.tone);
      });
    },
    onClick(event) {
      const symbol = event.target.closest("tr").dataset.symbol;
      this.$emit(event.target.closest(".remove") ? "remove" : "select", symbol);
    },
    onKey(event) {
      const row = event.target.closest("tr");
      if (event.target !== row) return;
      const step = { ArrowDown: row.nextSibling, ArrowUp: row.previousSibling }[event.key];
      if (step) step.focus();
      else if (event.key === "Enter" || event.key === " ") this.$emit("select", row.dataset.symbol);
      else if (event.key === "Delete") this.$emit("remove", row.dataset.symbol);
      else return;
      event.preventDefault();
    },
  },
};
