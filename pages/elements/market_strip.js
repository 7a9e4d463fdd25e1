// The strip under the header: whether the prices below can be trusted, in words that cannot be overlooked.
import * as kit from "market_kit";

export default {
  template: `
    <div class="market-strip" :data-tone="tone">
      <p role="status" aria-live="polite"><span class="strip-mark" aria-hidden="true">{{ mark }}</span
        ><strong v-if="head">{{ head }}</strong> {{ text }}</p>
      <p class="strip-retry" v-if="retry">{{ retry }}</p>
    </div>`,
  props: {
    tone: { type: String, default: "quiet" },
    head: { type: String, default: "" },
    text: { type: String, default: "" },
    retryTs: { type: Number, default: null },
    now: { type: Number, default: 0 },
  },
  data() {
    return { retry: "" };
  },
  computed: {
    mark() {
      return { simulated: "⚠", stale: "⚠", down: "⚠" }[this.tone] ?? "";
    },
  },
  watch: {
    now() {
      this.refresh();
    },
    retryTs() {
      this.refresh();
    },
  },
  mounted() {
    kit.clock.sync(this.now);
    this.refresh();
    this.stopTicking = kit.onTick(() => this.refresh());
  },
  unmounted() {
    this.stopTicking();
  },
  methods: {
    refresh() {
      const isWaiting = this.tone !== "live" && this.retryTs !== null;
      this.retry = isWaiting ? kit.countdownText(this.retryTs) : "";
    },
  },
};
