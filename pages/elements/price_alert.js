// The price alert: a button that opens a form, what is set, and the notice when it went off.
import { tabTitle } from "tab_title";
import { timeText } from "time_format";

const TONES = [
  [0, 880],
  [0.18, 1175],
  [0.36, 880],
];
const TONE_SECONDS = 0.14;

/** Sound three tones, if the person has used the page: before that, browsers allow none. */
function sound(context) {
  for (const [startSeconds, hertz] of TONES) {
    const start = context.currentTime + startSeconds;
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0.2, start);
    volume.gain.linearRampToValueAtTime(0, start + TONE_SECONDS);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + TONE_SECONDS);
  }
}

export default {
  template: `
    <section class="price-alert" aria-label="Price alert">
      <p v-if="words" class="alert-set" :title="details"><span class="visually-hidden">Alert </span><span aria-hidden="true">⏰ </span>{{ words }}
        <button type="button" class="alert-remove" aria-label="Remove the alert" @click="$emit('remove')">×</button></p>
      <button v-else type="button" class="button alert-open" :aria-expanded="String(isOpen)" ref="opener"
        @click="toggle"><span aria-hidden="true">⏰ </span>Alert</button>
      <form v-if="isOpen && !words" class="alert-form" @submit.prevent="set" @keydown.escape.prevent="shut">
        <label>Price <select v-model="direction" class="field"><option value="above">at or above</option><option
          value="below">at or below</option></select></label>
        <label><span class="visually-hidden">Level</span><input ref="level" class="field" type="text" inputmode="decimal"
          autocomplete="off" maxlength="32" :aria-invalid="String(Boolean(fault))" aria-describedby="alert-fault"> {{ quote }}</label>
        <button type="submit" class="button">Set</button>
        <p id="alert-fault" class="alert-fault" role="alert">{{ fault }}</p>
      </form>
      <div class="alert-notice" role="alert" :class="{ 'is-on': notice }"><template v-if="notice"><span>{{ notice }}</span>
        <button type="button" class="button" @click="dismiss">Dismiss</button></template></div>
    </section>`,
  props: {
    words: { type: String, default: "" },
    details: { type: String, default: "" },
    quote: { type: String, default: "" },
    fault: { type: String, default: "" },
  },
  emits: ["set", "remove"],
  data() {
    return { isOpen: false, direction: "above", notice: "" };
  },
  watch: {
    words(words) {
      if (words) this.isOpen = false;
    },
  },
  unmounted() {
    tabTitle.alarm = "";
    this.context?.close();
  },
  methods: {
    toggle() {
      this.isOpen = !this.isOpen;
      if (this.isOpen) this.$nextTick(() => this.$refs.level.focus());
    },
    shut() {
      this.isOpen = false;
      this.$refs.opener?.focus();
    },
    set() {
      this.allowSound();
      this.$emit("set", { direction: this.direction, level: this.$refs.level.value });
    },
    /** A press of the person allows sound for as long as the page is open. */
    allowSound() {
      this.context ??= new AudioContext();
    },
    /** The alert went off: `{notice, ts, alarm}`. */
    ring({ notice, ts, alarm }) {
      this.notice = `${notice} at ${timeText(ts)}.`;
      tabTitle.alarm = alarm;
      tabTitle.write();
      if (navigator.userActivation?.hasBeenActive) this.allowSound();
      if (this.context) this.context.resume().then(() => sound(this.context));
    },
    dismiss() {
      this.notice = "";
      tabTitle.alarm = "";
      tabTitle.write();
    },
  },
};
