// The head of the selected market. A message brings the values that changed, by their names.
import { setText } from "dom";
import { compact, grouped } from "number_format";
import { link } from "page_link";
import { flash } from "price_flash";
import { onTick } from "server_clock";
import { keepTitle, tabTitle } from "tab_title";

const NONE = "–";
const ARROWS = { 1: "▲", 0: "", "-1": "▼" };

export default {
  template: `
    <section class="market-head" :aria-label="title" :data-link="isLost ? 'lost' : 'open'">
      <div class="head-first">
        <h2>{{ title }}</h2>
        <p class="head-last"><span class="head-veil" ref="veil"></span><span ref="last" class="head-price"></span><span
          ref="arrow" class="head-arrow" aria-hidden="true"></span></p>
        <p class="head-change" ref="change"></p>
        <span v-if="tag" class="tag">{{ tag }}</span>
        <p class="head-quality" ref="quality" :data-tone="isLost ? 'lost' : tone" :title="isLost ? '' : details"
          tabindex="0"><span class="dot" aria-hidden="true"></span>{{ isLost ? 'not connected' : words }}<span
          class="visually-hidden">. {{ details }}</span></p>
      </div>
      <dl class="head-figures" aria-label="Last 24 hours, and the spread">
        <div><dt>24 h high</dt><dd ref="high"></dd></div>
        <div><dt>24 h low</dt><dd ref="low"></dd></div>
        <div><dt>24 h volume</dt><dd ref="volume"></dd></div>
        <div><dt>Spread</dt><dd ref="spread"></dd></div>
      </dl>
    </section>`,
  props: {
    title: { type: String, default: "" },
    base: { type: String, default: "" },
    quote: { type: String, default: "" },
    tag: { type: String, default: "" },
  },
  data() {
    return { words: "", details: "", tone: "live", isLost: false };
  },
  watch: {
    title() {
      this.nameTab();
    },
  },
  created() {
    this.values = {};
    this.previous = null;
  },
  mounted() {
    this.stopTicking = onTick(() => (this.isLost = link.isLost));
    this.stopTitle = keepTitle();
    this.clear();
  },
  unmounted() {
    this.stopTicking();
    this.stopTitle();
    tabTitle.symbol = tabTitle.price = "";
  },
  methods: {
    /** Forget all values: another symbol is shown. */
    clear() {
      this.values = {};
      this.previous = null;
      this.words = this.details = "";
      this.paint();
    },
    /** Take the values that changed: of `last`, `is_from_ticker`, `change`, `high`, `low`, `volume`, `base_volume`,
     * `spread`. Empty text means that a value is not known. */
    show(changed) {
      Object.assign(this.values, changed);
      if (changed.last) this.showMove(changed.last);
      this.paint();
    },
    showQuality({ words, details, tone }) {
      Object.assign(this, { words, details, tone });
    },
    showMove(last) {
      const direction = this.previous === null ? 0 : Math.sign(Number(last) - Number(this.previous));
      this.previous = last;
      if (!direction) return;
      this.$refs.arrow.dataset.direction = direction;
      setText(this.$refs.arrow, ARROWS[direction]);
      flash(this.$refs.veil, direction);
    },
    paint() {
      const { values, quote, base } = this;
      const { last, arrow, change, high, low, volume, spread } = this.$refs;
      setText(last, values.last ? grouped(values.last) : NONE);
      last.classList.toggle("is-from-ticker", Boolean(values.is_from_ticker));
      last.title = values.is_from_ticker ? "From the 24 h ticker: no trade has come yet" : "";
      if (!values.last || values.is_from_ticker) setText(arrow, "");
      setText(change, values.change ? `${values.change.replace("-", "\u2212")} % 24 h` : "");
      change.dataset.direction = Math.sign(Number(values.change ?? 0));
      setText(high, values.high ? grouped(values.high) : NONE);
      setText(low, values.low ? grouped(values.low) : NONE);
      setText(volume, values.volume ? `${compact(values.volume)} ${quote}` : NONE);
      volume.title = values.volume ? `${grouped(values.volume)} ${quote}, ${grouped(values.base_volume)} ${base}` : "";
      setText(spread, values.spread ? grouped(values.spread) : NONE);
      this.nameTab();
    },
    nameTab() {
      tabTitle.symbol = this.title;
      tabTitle.price = this.values.last ? grouped(this.values.last) : "";
      tabTitle.write();
    },
  },
};
