// The tape: the trades of one symbol, newest on top. Vue does not know the lines; their number is bounded.
import { make } from "dom";
import { grouped } from "number_format";
import { link } from "page_link";
import { onTick } from "server_clock";
import { preciseTimeText } from "time_format";

const TYPING_MS = 300;

export default {
  template: `
    <section class="trade-tape" aria-label="Trade tape" :data-tone="lost ? 'lost' : tone">
      <header class="tape-bar">
        <h2>{{ title || 'Tape' }}</h2>
        <label class="tape-minimum">Min size
          <input ref="minimum" type="text" inputmode="decimal" autocomplete="off" maxlength="24" placeholder="0"
            :aria-invalid="invalid" @input="onMinimum" :disabled="!title">
        </label>
        <button type="button" class="button tape-pause" :aria-pressed="String(paused)" :disabled="!title"
          @click="$emit('pause', !paused)">{{ paused ? '▶ Resume' : '❚❚ Pause' }}</button>
      </header>
      <p class="tape-note"><span v-if="tag" class="tag">{{ tag }}</span>{{ lost || stateText }}<span class="tape-filter">{{ filter }}</span></p>
      <div class="tape-lines" ref="lines" role="log" aria-live="off" aria-label="Trades, newest first" tabindex="0"></div>
    </section>`,
  props: {
    title: { type: String, default: "" },
    tag: { type: String, default: "" },
    tone: { type: String, default: "quiet" },
    paused: { type: Boolean, default: false },
    minimum: { type: String, default: "" },
    invalid: { type: Boolean, default: false },
    hint: { type: String, default: "" },
    maxLines: { type: Number, required: true },
    sides: { type: Array, required: true }, // a trade holds an index into this
  },
  emits: ["pause", "minimum"],
  data() {
    return { waiting: 0, lost: "", filter: "" };
  },
  computed: {
    stateText() {
      if (this.invalid) return "This is not a size. Example: 0.5";
      if (this.paused) return `Paused · +${this.waiting.toLocaleString("en-US")} new`;
      return this.hint;
    },
  },
  mounted() {
    this.$refs.minimum.value = this.minimum; // a binding would overwrite it while a person types
    this.stopTicking = onTick(() => (this.lost = link.isLost ? `Not connected. ${link.ageText()}` : ""));
  },
  unmounted() {
    this.stopTicking();
    clearTimeout(this.typing);
  },
  methods: {
    /** Add trades: `{reset, trades: [[ts, price, size, side] or [number lost]…], left_out}`, oldest first. */
    apply(payload) {
      const lines = this.$refs.lines;
      if (payload.reset) {
        lines.replaceChildren();
        lines.scrollTop = 0;
        this.waiting = 0;
      }
      const fresh = payload.trades
        .slice(-this.maxLines)
        .reverse()
        .map((trade) => this.draw(trade));
      if (payload.left_out > 0) fresh.push(this.remark(`… ${payload.left_out.toLocaleString("en-US")} more`));
      lines.prepend(...fresh);
      while (lines.childElementCount > this.maxLines) lines.lastElementChild.remove();
    },
    /** Show how many trades have arrived since the tape was paused. */
    count(waiting) {
      this.waiting = waiting;
    },
    /** Show what the filter hides; empty text without a filter. */
    showFilter(filter) {
      this.filter = filter;
    },
    draw(trade) {
      if (trade.length > 1) return this.line(trade);
      return this.remark(`… ${trade[0].toLocaleString("en-US")} lost on the way from the exchange`);
    },
    remark(text) {
      return make("div", "tape-left-out", text);
    },
    line([tradeMs, price, size, sideIndex]) {
      const side = this.sides[sideIndex];
      const line = make("div", "tape-line", "", { "data-side": side });
      line.append(
        make("span", "tape-time", preciseTimeText(tradeMs)),
        make("span", "tape-price", grouped(price)),
        make("span", "tape-size", grouped(size)),
        make("span", "tape-side", side),
      );
      return line;
    },
    onMinimum(event) {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.$emit("minimum", event.target.value), TYPING_MS);
    },
  },
};
