// The connection badge of the header, and its panel.
import { lastTrade, link } from "page_link";
import { clock, onTick } from "server_clock";
import { ageText, countdownText, timeText } from "time_format";

export default {
  template: `
    <div class="connection-badge" @keydown.escape="close" @focusout="onFocusOut">
      <button type="button" class="badge-button" ref="button" :aria-expanded="String(isOpen)" aria-haspopup="dialog"
        :data-state="shownState" @click="toggle">
        <span class="dot" aria-hidden="true"></span>
        <span class="badge-name">{{ shownLabel }}</span><span class="badge-word">{{ shownWord }}</span>
        <span v-if="tag" class="tag">{{ tag }}</span>
        <span v-if="hasAge" class="badge-age" :aria-label="age ? 'last trade ' + age + ' ago' : undefined">{{ age }}</span>
      </button>
      <div v-if="isOpen" class="badge-panel" role="dialog" aria-label="Connections">
        <section v-if="isLost">
          <h2><span class="dot" data-state="lost" aria-hidden="true"></span>Not connected</h2>
          <p>This page has lost the connection to its server. It reconnects automatically.</p>
          <dl v-if="hasAge"><dt>Last data</dt><dd>{{ age ? age + ' ago' : 'none on this page' }}</dd></dl>
        </section>
        <section v-else v-for="item in exchanges" :key="item.exchange">
          <h2><span class="dot" :data-state="item.state" aria-hidden="true"></span>{{ item.label }} {{ item.word }}</h2>
          <dl>
            <template v-if="item.reason"><dt>Reason</dt><dd>{{ item.reason }}</dd></template>
            <dt>Since</dt><dd>{{ since(item.since, panelMs) }}</dd>
            <template v-if="item.retry_ts"><dt>Next attempt</dt><dd>{{ retry(item.retry_ts, panelMs) }}</dd></template>
            <template v-if="item.exchange === shown"><dt>Last trade</dt><dd>{{ age ? age + ' ago' : 'none on this page' }}</dd></template>
          </dl>
        </section>
      </div>
    </div>`,
  props: {
    exchanges: { type: Array, default: () => [] },
    asked: { type: String, default: "" },
    shown: { type: String, default: "" },
    tag: { type: String, default: "" },
    hasAge: { type: Boolean, default: false },
    now: { type: Number, default: 0 },
  },
  data() {
    return { isOpen: false, age: "", panelMs: 0, isLost: false };
  },
  computed: {
    item() {
      return this.exchanges.find((item) => item.exchange === this.asked) ?? {};
    },
    shownState() {
      return this.isLost ? "lost" : this.item.state;
    },
    shownLabel() {
      return this.isLost ? "" : this.item.label; // the state of the exchange is unknown now
    },
    shownWord() {
      return this.isLost ? "not connected" : this.item.word;
    },
  },
  mounted() {
    clock.sync(this.now);
    this.stopTicking = onTick(() => this.refresh());
    this.onPress = (event) => {
      if (!this.$el.contains(event.target)) this.isOpen = false;
    };
    document.addEventListener("pointerdown", this.onPress);
  },
  unmounted() {
    this.stopTicking();
    document.removeEventListener("pointerdown", this.onPress);
  },
  methods: {
    /** The heartbeat of the server, with its time. Any message resets the silence that `page_link.js` counts. */
    beat(now) {
      clock.sync(now);
    },
    refresh() {
      this.isLost = link.isLost;
      this.age = lastTrade.ms === null ? "" : ageText(clock.now() - lastTrade.ms);
      if (this.isOpen) this.panelMs = clock.now();
    },
    since(ms, nowMs) {
      return `${timeText(ms)}, ${ageText(nowMs - ms)} ago`;
    },
    retry(ms, nowMs) {
      return countdownText(ms, nowMs);
    },
    toggle() {
      this.isOpen = !this.isOpen;
      this.refresh();
    },
    close() {
      if (!this.isOpen) return;
      this.isOpen = false;
      this.$refs.button.focus();
    },
    onFocusOut(event) {
      if (event.relatedTarget && !this.$el.contains(event.relatedTarget)) this.isOpen = false;
    },
  },
};
