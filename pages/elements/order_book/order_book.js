// The order book: bids at the left, asks at the right, the best ones on top. Vue does not know the rows: only the texts
// that changed are written.
import { make, setText } from "dom";
import { compactFrom, grouped } from "number_format";
import { link } from "page_link";
import { onTick } from "server_clock";

const SIDES = ["bids", "asks"];

export default {
  template: `
    <section class="order-book" :aria-label="'Order book of ' + title" :data-link="isLost ? 'lost' : 'open'">
      <header class="book-bar"><h2>Order book</h2><p class="book-spread">{{ spread }}</p></header>
      <p v-if="!hasLevels" class="book-hint">{{ isLost ? 'Not connected.' : hint }}</p>
      <div class="book-scroll" tabindex="0" role="group" aria-label="Price levels">
        <table>
          <thead><tr><th scope="col">Size</th><th scope="col">Bid</th><th scope="col">Ask</th><th scope="col">Size</th></tr></thead>
          <tbody ref="rows" @mouseover="tellSum"></tbody>
        </table>
      </div>
    </section>`,
  props: {
    levels: { type: Number, required: true },
    title: { type: String, default: "" },
    base: { type: String, default: "" },
    hint: { type: String, default: "" },
  },
  emits: ["displayed"],
  data() {
    return { spread: "", hasLevels: false, isLost: false };
  },
  created() {
    this.empty();
  },
  mounted() {
    this.build();
    this.stopTicking = onTick(() => (this.isLost = link.isLost));
    this.measuring = new ResizeObserver(() => this.tellDisplayed());
    this.measuring.observe(this.$el);
  },
  unmounted() {
    this.stopTicking();
    this.measuring.disconnect();
  },
  methods: {
    /** Forget all levels: another symbol is shown. */
    clear() {
      this.empty();
      this.paint();
    },
    /** Tell the server whether the layout displays this. What was told before the page was connected is lost. */
    tellDisplayed() {
      this.$emit("displayed", this.$el.offsetHeight > 0);
    },
    /** Take the levels that changed: `{bids, asks}`, each a list of `{level, price, size}`. Empty text: no such level. */
    apply(changed) {
      for (const side of SIDES) {
        for (const { level, price, size } of changed[side]) this.book[side][level] = { price, size };
      }
      this.paint();
    },
    empty() {
      const none = () => Array.from({ length: this.levels }, () => ({ price: "", size: "" }));
      this.book = { bids: none(), asks: none() };
    },
    build() {
      this.rows = Array.from({ length: this.levels }, () => {
        const row = make("tr");
        const cells = ["book-size", "book-bid", "book-ask", "book-size"].map((name) => make("td", name));
        row.append(...cells);
        this.$refs.rows.append(row);
        return { row, bids: { size: cells[0], price: cells[1] }, asks: { price: cells[2], size: cells[3] } };
      });
    },
    paint() {
      const sums = Object.fromEntries(SIDES.map((side) => [side, this.sums(side)]));
      const most = Math.max(...SIDES.map((side) => sums[side][this.levels - 1]));
      this.rows.forEach((parts, level) => {
        for (const side of SIDES) {
          const { price, size } = this.book[side][level];
          setText(parts[side].price, price && grouped(price));
          setText(parts[side].size, size && compactFrom(size));
          const share = price && most ? Math.round((100 * sums[side][level]) / most) : 0;
          parts.row.style.setProperty(`--${side}`, `${share}%`);
        }
      });
      const [bid, ask] = SIDES.map((side) => this.book[side][0].price);
      this.hasLevels = Boolean(bid || ask);
      this.spread = bid && ask ? this.spreadText(bid, ask) : "";
    },
    /** The sizes of a side summed up from the best level, for the bars. */
    sums(side) {
      let sum = 0;
      return this.book[side].map(({ size }) => (sum += Number(size)));
    },
    spreadText(bid, ask) {
      const decimals = ask.includes(".") ? ask.length - ask.indexOf(".") - 1 : 0;
      const spread = Number(ask) - Number(bid);
      const share = (200 * spread) / (Number(ask) + Number(bid));
      return `Spread ${grouped(spread.toFixed(decimals))} · ${share.toFixed(3)} %`;
    },
    /** Tell the whole size and the running sum of the level under the pointer. */
    tellSum(event) {
      const row = event.target.closest("tr");
      const level = this.rows.findIndex((parts) => parts.row === row);
      if (level < 0) return;
      for (const side of SIDES) {
        const { price, size } = this.book[side][level];
        const sum = this.sums(side)[level].toLocaleString("en-US", { maximumFractionDigits: 8 });
        const text = price ? `${grouped(size)} ${this.base} at ${grouped(price)}; ${sum} ${this.base} up to here` : "";
        cellsOf(this.rows[level], side).forEach((cell) => (cell.title = text));
      }
    },
  },
};

function cellsOf(row, side) {
  return [row[side].price, row[side].size];
}
