// A button that copies a text, or the address of the page, and says that it did.
import { copy } from "market_kit";

const SAID_MS = 1600;

export default {
  template: `
    <button type="button" class="button copy-text" @click="onClick">
      <span :class="{ 'is-away': said }">{{ label }}</span
      ><span class="copy-said" role="status">{{ said }}</span>
    </button>`,
  props: { label: { type: String, default: "Copy" }, text: { type: String, default: "" } },
  data() {
    return { said: "" };
  },
  unmounted() {
    clearTimeout(this.timer);
  },
  methods: {
    async onClick() {
      try {
        await copy(this.text || location.href);
        this.said = "Copied";
      } catch {
        this.said = "Not allowed";
      }
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.said = ""), SAID_MS);
    },
  },
};
