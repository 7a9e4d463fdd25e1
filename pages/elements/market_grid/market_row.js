// One row of the live grid: its cells, and how they are updated. Values may come while the row is out of sight; they are
// written when it is seen.
import { make, setText } from "dom";
import { compact, grouped, splitUnchanged } from "number_format";
import { flash } from "price_flash";
import { PriceSpark } from "price_spark";
import { ageText, timeText } from "time_format";

const MILLION = 1e6;
const LONG_SIZE = 9; // characters that the column of sizes has room for
const NOTHING = {
  price: "",
  is_ticker: false,
  direction: 0,
  size: "",
  side: "",
  ts: 0,
  recv_ts: 0,
  change: "",
  bid: "",
  ask: "",
};

export class MarketRow {
  constructor(symbol) {
    this.element = make("tr", "", "", { role: "row", "data-symbol": symbol, tabindex: "-1", draggable: "true" });
    this.symbol = this.cell("th", "symbol", { scope: "row", role: "rowheader" });
    this.last = this.cell("td", "last");
    this.change = this.cell("td", "change");
    this.bid = this.cell("td", "bid");
    this.ask = this.cell("td", "ask");
    this.trace = this.cell("td", "trace");
    this.size = this.cell("td", "size");
    this.side = this.cell("td", "side");
    this.time = this.cell("td", "time");
    this.age = this.cell("td", "age");
    this.buildCells();
    this.button = make("button", "remove", "×", { type: "button", tabindex: "-1" });
    this.cell("td", "remove").append(this.button);
    this.clear();
  }

  cell(tag, name, attributes = {}) {
    const cell = make(tag, `col-${name}`, "", { role: "gridcell", ...attributes });
    this.element.append(cell);
    return cell;
  }

  buildCells() {
    this.mark = make("span", "quality", "", { "aria-hidden": "true" });
    this.name = make("span", "pair");
    this.tag = make("span", "tag");
    this.state = make("span", "state");
    this.symbol.append(this.mark, this.name, " ", this.state);
    this.price = make("span", "price");
    this.changed = make("span");
    this.unchanged = make("span", "unchanged");
    this.price.append(this.changed, this.unchanged);
    this.arrow = make("span", "arrow", "", { "aria-hidden": "true" });
    this.arrowWord = make("span", "visually-hidden");
    this.note = make("span", "note");
    this.veil = make("span", "veil", "", { "aria-hidden": "true" });
    this.last.append(this.veil, this.note, this.price, this.arrow, this.arrowWord);
    this.timeText = make("span", "time-text");
    this.timeAge = make("span", "time-age"); // in place of the time where there is no column for the age
    this.time.append(this.timeText, this.timeAge);
    this.spark = new PriceSpark();
    this.trace.append(this.spark.element);
  }

  /** Apply a line: names and mark of the row, and the note while there is no price. */
  describe(line) {
    this.name.replaceChildren(line.base || line.symbol);
    if (line.base) this.name.append(make("span", "quote", `/${line.quote}`));
    this.tagText = line.tag;
    this.showTag();
    this.button.setAttribute("aria-label", `Remove ${line.symbol}`);
    this.button.title = `Remove ${line.symbol} (Delete)`;
    setText(this.state, line.state ?? "");
    this.state.title = line.reason ?? "";
    this.state.hidden = !line.state;
    this.mark.dataset.quality = line.state || "live";
    this.element.dataset.state = line.state || "live";
    this.mark.title = [line.state || "live", line.reason].filter(Boolean).join(": ");
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
    setText(this.note, this.shown.price ? "" : (this.noteText ?? ""));
  }

  clear() {
    this.values = { ...NOTHING };
    this.isDue = true;
    this.mayFlash = false;
    this.shown = {}; // whatever is written is out of date
    this.spark.clear();
  }

  seed(prices) {
    this.spark.seed(prices);
  }

  /** Take values in the order of these names. Those that are left out at the end stay. */
  take(names, values, mayFlash) {
    const before = this.values.price;
    for (let at = 0; at < values.length; at++) this.values[names[at]] = values[at];
    const { price, is_ticker: isTicker } = this.values;
    if (price && price !== before && !isTicker) this.spark.push(price);
    this.isDue = true;
    this.mayFlash = mayFlash;
  }

  /** Write what changed since the row was last painted. */
  paint(hasTrace) {
    if (hasTrace) this.spark.draw();
    if (!this.isDue) return;
    this.isDue = false;
    const { values, shown } = this;
    this.shown = { ...values };
    if (values.price !== shown.price || values.is_ticker !== shown.is_ticker) this.showPrice(values, shown);
    if (values.direction !== shown.direction) this.showDirection(values.direction);
    if (values.change !== shown.change) this.showChange(values.change);
    if (values.bid !== shown.bid) setText(this.bid, grouped(values.bid));
    if (values.ask !== shown.ask) setText(this.ask, grouped(values.ask));
    if (values.size !== shown.size) this.showSize(values.size);
    if (values.side !== shown.side) {
      setText(this.side, values.side);
      this.side.dataset.side = values.side;
    }
    if (values.ts !== shown.ts) {
      setText(this.timeText, values.ts ? timeText(values.ts) : "");
      this.timeText.title = values.ts ? new Date(values.ts).toISOString() : "";
    }
  }

  showPrice({ price, is_ticker: isTicker, direction }, before) {
    const [changed, unchanged] = splitUnchanged(grouped(price), grouped(before.price ?? ""));
    setText(this.changed, changed);
    setText(this.unchanged, unchanged);
    this.price.classList.toggle("from-ticker", isTicker);
    this.price.title = isTicker && price ? "24 h ticker: no trade has come yet" : "";
    if (this.mayFlash && before.price && direction && !isTicker) flash(this.veil, direction);
    this.showNote();
  }

  showDirection(direction) {
    const name = direction > 0 ? "up" : direction < 0 ? "down" : "";
    setText(this.arrow, { up: "▲", down: "▼" }[name] ?? "");
    setText(this.arrowWord, name);
    this.last.dataset.direction = name;
  }

  showChange(change) {
    setText(this.change, change ? `${change} %` : "");
    this.change.dataset.sign = { "+": "up", "−": "down" }[change[0]] ?? "";
  }

  /** A size that is too long for its column is shortened; the whole number is told on hover. */
  showSize(size) {
    const whole = grouped(size);
    const isLong = whole.length > LONG_SIZE || Number(size) >= MILLION;
    setText(this.size, isLong ? compact(size) : whole);
    this.size.title = whole;
  }

  showAge(now, tone) {
    if (!this.shown.recv_ts) {
      setText(this.age, "");
      setText(this.timeAge, "");
      return;
    }
    const age = now - this.shown.recv_ts;
    setText(this.age, ageText(age));
    const isLive = tone === "live" && this.element.dataset.state !== "stale";
    setText(this.timeAge, isLive ? "" : ageText(age));
  }
}
