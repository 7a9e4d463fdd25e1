// One row of the live grid: its cells, and how they are updated.
import { make, setText } from "dom";
import { decimalsOf, grouped, splitUnchanged } from "number_format";
import { flash } from "price_flash";
import { PriceSpark } from "price_spark";
import { ageText, timeText } from "time_format";

const QUIET_AFTER_MS = 60_000;

export class MarketRow {
  constructor(symbol) {
    this.element = make("tr", "", "", { role: "row", "data-symbol": symbol, tabindex: "-1" });
    this.symbol = this.cell("th", "symbol", { scope: "row", role: "rowheader" });
    this.last = this.cell("td", "last");
    this.trace = this.cell("td", "trace");
    this.size = this.cell("td", "size", { "data-label": "Size" });
    this.side = this.cell("td", "side", { "data-label": "Side" });
    this.time = this.cell("td", "time", { "data-label": "Time" });
    this.age = this.cell("td", "age", { "data-label": "Age" });
    this.buildPrice();
    this.spark = new PriceSpark();
    this.trace.append(this.spark.element);
    this.button = make("button", "remove", "×", { type: "button", tabindex: "-1" });
    this.cell("td", "remove-cell").append(this.button);
    this.clear();
  }

  cell(tag, name, attributes = {}) {
    const cell = make(tag, `col-${name}`, "", { role: "gridcell", ...attributes });
    this.element.append(cell);
    return cell;
  }

  buildPrice() {
    this.price = make("span", "price");
    this.changed = make("span");
    this.unchanged = make("span", "unchanged");
    this.price.append(this.changed, this.unchanged);
    this.arrow = make("span", "arrow", "", { "aria-hidden": "true" });
    this.arrowWord = make("span", "visually-hidden");
    this.note = make("span", "note");
    this.veil = make("span", "veil", "", { "aria-hidden": "true" });
    this.state = make("span", "state");
    this.last.append(this.veil, this.state, this.note, this.price, this.arrow, this.arrowWord);
    this.sizeText = make("span", "number");
    this.size.append(this.sizeText);
  }

  /** Apply a line: names and mark of the row, and the note while there is no price. */
  describe(line) {
    const name = make("span", "pair");
    if (line.base) name.append(line.base, make("span", "quote", `/${line.quote}`));
    else name.append(line.symbol);
    this.tag = make("span", "tag");
    this.symbol.replaceChildren(name);
    this.tagText = line.tag;
    this.showTag();
    this.button.setAttribute("aria-label", `Remove ${line.symbol}`);
    this.button.title = `Remove ${line.symbol}`;
    setText(this.state, line.state ?? "");
    this.state.title = line.reason ?? "";
    this.state.hidden = !line.state;
    this.noteText = line.note;
    this.showNote();
  }

  /** The marks that hold for every value of the row. */
  showTag() {
    const words = [this.tagText, this.isLost ? "not connected" : ""].filter(Boolean).join(" · ");
    setText(this.tag, words);
    if (!words) this.tag.remove();
    else if (!this.tag.parentNode) this.symbol.append(" ", this.tag);
  }

  showLink(isLost) {
    if (this.isLost === isLost) return;
    this.isLost = isLost;
    this.showTag();
  }

  showNote() {
    setText(this.note, this.id === null ? (this.noteText ?? "") : "");
  }

  clear() {
    this.id = null;
    this.text = "";
    this.recvMs = null;
    for (const node of [this.changed, this.unchanged, this.arrow, this.arrowWord, this.sizeText, this.side]) {
      node.textContent = "";
    }
    this.time.textContent = "";
    this.age.textContent = "";
    this.spark.clear();
    this.showNote();
  }

  seed(prices) {
    this.spark.seed(prices);
  }

  /** Show a trade: a `GridRow` of Python. Showing the same trade again changes nothing. */
  show({ price, direction, size, side, ts, recv_ts, id }, mayFlash) {
    if (id === this.id) return;
    const isFirst = this.id === null;
    this.id = id;
    this.recvMs = recv_ts;
    const text = grouped(price);
    if (text !== this.text) {
      const [changed, unchanged] = splitUnchanged(text, this.text);
      setText(this.changed, changed);
      setText(this.unchanged, unchanged);
      this.text = text;
      if (mayFlash && !isFirst && direction) flash(this.veil, direction);
    }
    this.showDirection(direction);
    this.sizeValue = size;
    setText(this.sizeText, grouped(size));
    setText(this.side, side);
    this.side.dataset.side = side;
    setText(this.time, timeText(ts));
    this.time.title = new Date(ts).toISOString();
    this.spark.push(price);
    if (isFirst) this.showNote();
  }

  showDirection(direction) {
    const name = direction > 0 ? "up" : direction < 0 ? "down" : "";
    setText(this.arrow, { up: "▲", down: "▼" }[name] ?? "");
    setText(this.arrowWord, name);
    this.last.dataset.direction = name;
  }

  decimals(column) {
    return decimalsOf(column === "last" ? this.text : this.sizeText.textContent);
  }

  /** Align the decimal points of a column: padding replaces the digits that this row does not have. */
  align(column, most) {
    const node = column === "last" ? this.price : this.sizeText;
    const own = this.decimals(column);
    const missing = most - own + (own === 0 && most > 0 ? 0.5 : 0);
    const padding = `${missing}ch`;
    if (node.style.paddingRight !== padding) node.style.paddingRight = padding;
  }

  showAge(now, tone) {
    if (this.recvMs === null) return;
    const age = now - this.recvMs;
    const isQuiet = tone === "live" && age > QUIET_AFTER_MS;
    setText(this.age, isQuiet ? `quiet · ${ageText(age)}` : ageText(age));
  }
}
