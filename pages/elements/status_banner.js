// The banner under the header: whether the prices below are live, and if not, why.
import { link } from "page_link";
import { clock, onTick } from "server_clock";
import { countdownText } from "time_format";

export default {
  template: `
    <section class="market-strip" aria-label="State of the prices" :data-tone="shownTone"
      :class="{ 'is-wrong': isWrong || isLost }">
      <p role="status" aria-live="polite"><span class="strip-mark" aria-hidden="true">{{ mark }}</span
        ><strong v-if="shownHead">{{ shownHead }}</strong> {{ shownText }}</p>
      <p class="strip-retry" v-if="retry">{{ retry }}</p>
      <button type="button" class="strip-action" v-if="action && !isLost" @click="$emit('action')">{{ action }}</button>
    </section>`,
  props: {
    tone: { type: String, default: "quiet" },
    head: { type: String, default: "" },
    text: { type: String, default: "" },
    isWrong: { type: Boolean, default: false }, // otherwise the badge says enough
    action: { type: String, default: "" },
    retryTs: { type: Number, default: null },
    now: { type: Number, default: 0 },
  },
  emits: ["action"],
  data() {
    return { retry: "", isLost: false };
  },
  computed: {
    mark() {
      return { simulated: "⚠", stale: "⚠", down: "⚠", lost: "⚠" }[this.shownTone] ?? "";
    },
    /** Simulated prices stay marked as simulated while the page is not connected. */
    shownTone() {
      return this.isLost && this.tone !== "simulated" ? "lost" : this.tone;
    },
    shownHead() {
      if (!this.isLost) return this.head;
      return this.tone === "simulated" ? `Not connected. ${this.head}` : "Not connected.";
    },
    shownText() {
      return this.isLost
        ? "This page has lost the connection to its server. Its values are the last received."
        : this.text;
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
    clock.sync(this.now);
    this.refresh();
    this.stopTicking = onTick(() => this.refresh());
  },
  unmounted() {
    this.stopTicking();
  },
  methods: {
    refresh() {
      this.isLost = link.isLost;
      if (this.isLost) {
        this.retry = link.ageText();
        return;
      }
      const isWaiting = this.tone !== "live" && this.retryTs !== null;
      this.retry = isWaiting ? countdownText(this.retryTs, clock.now()) : "";
    },
  },
};
