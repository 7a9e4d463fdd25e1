// A table of facts. Python sends cells; the browser makes texts of moments, and goes on counting ages.
import { make, setText } from "dom";
import { plot } from "plot";
import { clock, onTick } from "server_clock";
import { ageText, timeText } from "time_format";

export default {
  template: `<div class="fact-table" role="region" :aria-label="title" hidden></div>`,
  props: {
    title: { type: String, required: true },
    caption: { type: String, default: "" },
    columns: { type: Array, required: true }, // {name, title, hint, text}
    hasHead: { type: Boolean, default: true },
  },
  created() {
    this.rows = new Map(); // key -> {element, cells: Map(name -> td)}
    this.moving = new Map(); // td -> the cell, of those whose text changes by itself
  },
  mounted() {
    const table = make("table");
    if (this.caption) table.append(make("caption", "", this.caption));
    const head = make("tr");
    for (const column of this.columns) {
      const cell = make("th", column.text ? "is-text" : "", column.title, { scope: "col" });
      if (column.hint) cell.title = column.hint;
      head.append(cell);
    }
    const top = make("thead", this.hasHead ? "" : "visually-hidden");
    top.append(head);
    this.body = make("tbody");
    table.append(top, this.body);
    this.rest = make("p", "fact-rest");
    this.$el.append(table, this.rest);
    // The keyboard has to reach what can be scrolled, and need not stop elsewhere.
    this.observer = new ResizeObserver(() => {
      if (this.$el.scrollWidth > this.$el.clientWidth) this.$el.tabIndex = 0;
      else this.$el.removeAttribute("tabindex");
    });
    this.observer.observe(this.$el);
    this.observer.observe(table);
    this.stopTicking = onTick(() => this.moving.forEach((cell, node) => this.write(node, cell)));
  },
  unmounted() {
    this.stopTicking();
    this.observer.disconnect();
  },
  methods: {
    clear() {
      this.rows.clear();
      this.moving.clear();
      this.body.replaceChildren();
      this.rest.textContent = "";
      this.$el.hidden = true;
    },
    /** Apply what changed: `{now, order, cells, rest}`; what did not change is absent. */
    apply({ now, order, cells = {}, rest }) {
      clock.sync(now);
      if (order) this.arrange(order);
      for (const [key, changed] of Object.entries(cells)) {
        const row = this.rows.get(key);
        for (const [name, cell] of Object.entries(changed)) this.put(row.cells.get(name), cell);
      }
      if (rest !== undefined) this.rest.textContent = rest;
      this.$el.hidden = this.rows.size === 0;
    },
    arrange(order) {
      const kept = new Set(order);
      for (const [key, row] of this.rows) if (!kept.has(key)) this.drop(key, row);
      let next = this.body.firstChild;
      for (const key of order) {
        if (!this.rows.has(key)) this.rows.set(key, this.makeRow(key));
        const { element } = this.rows.get(key);
        if (element === next) next = next.nextSibling;
        else this.body.insertBefore(element, next);
      }
    },
    makeRow(key) {
      const element = make("tr", "", "", { "data-row": key });
      const cells = new Map();
      this.columns.forEach((column, at) => {
        const attributes = { "data-column": column.name, ...(at === 0 && { scope: "row" }) };
        const cell = make(at === 0 ? "th" : "td", column.text ? "is-text" : "", "", attributes);
        cells.set(column.name, cell);
        element.append(cell);
      });
      return { element, cells };
    },
    drop(key, row) {
      for (const cell of row.cells.values()) this.moving.delete(cell);
      row.element.remove();
      this.rows.delete(key);
    },
    put(node, cell) {
      if (!node) return;
      node.dataset.tone = cell.tone ?? "";
      this.moving.delete(node);
      if (cell.plot) {
        node.replaceChildren(plot(cell.plot));
        return;
      }
      if (cell.age !== undefined || cell.left !== undefined) this.moving.set(node, cell);
      this.write(node, cell);
    },
    write(node, { text, age, left, time }) {
      if (age !== undefined) setText(node, text + ageText(clock.now() - age));
      else if (left !== undefined) setText(node, text + ageText(left - clock.now()));
      else if (time !== undefined) setText(node, text + timeText(time));
      else setText(node, text);
    },
  },
};
