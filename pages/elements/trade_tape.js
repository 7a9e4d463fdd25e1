// The tape: the trades of one symbol, newest on top. Vue does not know the lines; their number is bounded.
import { make } from "dom";
import { compactFrom, grouped } from "number_format";
import { link } from "page_link";
import { onTick } from "server_clock";
import { preciseTimeText } from "time_format";

const TYPING_MS = 300;

export default {
  template: `
    <section class="trade-tape" :aria-label="'Trade tape of ' + title" :data-tone="lost ? 'lost' : tone">
      <header class="tape-bar">
        <h2>Tape</h2>
        <label class="tape-minimum" title="The smallest value of a trade, price times size">Value from
          <input ref="minimum" type="text" inputmode="decimal" autocomplete="off" maxlength="24" placeholder="0"
            :aria-invalid="invalid" @input="onMinimum" :disabled="!title"> {{ quote }}
        </label>
        <button type="button" class="button tape-pause" :aria-pressed="String(paused)" :disabled="!title"
          aria-keyshortcuts="p" title="Key p" @click="$emit('pause', !paused)">{{ paused ? '▶ Resume' : '❚❚ Pause' }}</button>
      </header>
      <p class="tape-note"><span v-if="tag" class="tag">{{ tag }}</span>{{ lost || stateText }}<span class="tape-filter">{{ filter }}</span></p>
      <div class="tape-scroll" ref="scroll" tabindex="0" role="group" aria-label="Trades, newest first">
        <ol class="tape-lines" ref="lines" role="list"></ol>
      </div>
    </section>`,
  props: {
    title: { type: String, default: "" },
    base: { type: String, default: "" },
    quote: { type: String, default: "" },
    tag: { type: String, default: "" },
    tone: { type: String, default: "quiet" },
    paused: { type: Boolean, default: false },
    minimum: { type: String, default: "" },
    invalid: { type: Boolean, default: false },
    hint: { type: String, default: "" },
    maxLines: { type: Number, required: true },
  },
  emits: ["pause", "minimum"],
  data() {
    return { waiting: 0, lost: "", filter: "" };
  },
  computed: {
    stateText() {
      if (this.invalid) return "This is not a value. Example: 1000";
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
    /** Add lines: `{reset, lines, left_out}`, oldest first. A line is a trade, `[ts, price, size, side]`, or `[lost]`, the
     * number of trades that are missing there. */
    apply(payload) {
      const { lines, scroll } = this.$refs;
      if (payload.reset) {
        lines.replaceChildren();
        scroll.scrollTop = 0;
        this.waiting = 0;
      }
      const fresh = payload.lines
        .slice(-this.maxLines)
        .reverse()
        .map((line) => (line.length === 1 ? this.remark(this.lostText(line[0])) : this.trade(line)));
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
    lostText(count) {
      return `… ${count.toLocaleString("en-US")} lost on the way from the exchange`;
    },
    remark(text) {
      return make("li", "tape-left-out", text);
    },
    /** A trade as a line. The spaces are for screen readers, which read the line as one text. */
    trade([ts, price, size, side]) {
      const line = make("li", "tape-line", "", { "data-side": side });
      const amount = make("span", "tape-size", compactFrom(size));
      if (amount.textContent !== grouped(size)) amount.title = `${grouped(size)} ${this.base}`;
      const time = make("span", "tape-time", preciseTimeText(ts));
      line.append(
        time,
        " ",
        make("span", "tape-price", grouped(price)),
        " ",
        amount,
        " ",
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
