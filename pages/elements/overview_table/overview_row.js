// One painted row of the table of all symbols.
import { make, setText } from "dom";
import { compact, grouped, splitUnchanged } from "number_format";
import { flash } from "price_flash";

export class PaintedRow {
  constructor(columns) {
    this.element = make("tr", "", "", { role: "row" });
    this.cells = {};
    for (const { name } of columns) {
      const isHead = name === "symbol";
      const cell = make(isHead ? "th" : "td", `col-${name}`, "", { role: isHead ? "rowheader" : "gridcell" });
      if (isHead) cell.scope = "row";
      this.cells[name] = cell;
      this.element.append(cell);
    }
    this.link = make("a", "pair", "", { tabindex: "-1" });
    this.base = make("span");
    this.quote = make("span", "quote");
    this.note = make("span", "tag");
    this.link.append(this.base, this.quote);
    this.cells.symbol.append(this.link, this.note);
    this.veil = make("span", "veil", "", { "aria-hidden": "true" });
    this.changed = make("span");
    this.unchanged = make("span", "unchanged");
    this.arrow = make("span", "arrow", "", { "aria-hidden": "true" });
    this.arrowWord = make("span", "visually-hidden");
    const price = make("span", "price");
    price.append(this.changed, this.unchanged);
    this.cells.last.append(this.veil, price, this.arrow, this.arrowWord);
    this.volume = make("span");
    this.unit = make("span", "unit");
    this.cells.volume.append(this.volume, this.unit);
    this.shown = null;
  }

  /** Put the row at a place. Its id is what the table names as the active one. */
  place(position, isActive) {
    this.element.setAttribute("aria-rowindex", String(position + 2)); // the head is the first row
    this.element.id = `overview-row-${position}`;
    this.element.classList.toggle("is-active", isActive);
    this.element.setAttribute("aria-selected", String(isActive));
  }

  /** Show an `OverviewRow` of Python, or nothing while it is on its way. Showing the same one again changes nothing. */
  show(row, opening) {
    if (row === this.shown && opening === this.opening) return;
    const before = this.shown?.symbol === row?.symbol ? this.shown : null;
    this.shown = row;
    this.opening = opening;
    if (!row) {
      this.link.removeAttribute("href");
      return;
    }
    this.element.dataset.symbol = row.symbol;
    this.link.href = opening.replaceAll("{}", encodeURIComponent(row.symbol));
    setText(this.base, row.base || row.symbol);
    setText(this.quote, row.base ? `/${row.quote}` : "");
    setText(this.note, row.note);
    this.note.hidden = !row.note;
    this.showPrice(row, before);
    setText(this.cells.change, `${row.change} %`);
    this.cells.change.dataset.sign = row.change.startsWith("+") ? "up" : row.change.startsWith("−") ? "down" : "";
    setText(this.cells.high, grouped(row.high) || "–");
    setText(this.cells.low, grouped(row.low) || "–");
    setText(this.volume, compact(row.volume));
    setText(this.unit, row.quote);
    this.cells.volume.title = `${grouped(row.volume)} ${row.quote}`;
    setText(this.cells.trades, grouped(String(row.trades)));
  }

  showPrice(row, before) {
    const text = grouped(row.last) || "–";
    const [changed, unchanged] = splitUnchanged(text, before ? grouped(before.last) : "");
    if (!before || row.last !== before.last) {
      setText(this.changed, changed);
      setText(this.unchanged, unchanged);
      if (before && row.direction) flash(this.veil, row.direction);
    }
    const name = row.direction > 0 ? "up" : row.direction < 0 ? "down" : "";
    setText(this.arrow, { up: "▲", down: "▼" }[name] ?? "");
    setText(this.arrowWord, name);
    this.cells.last.dataset.direction = name;
  }
}
