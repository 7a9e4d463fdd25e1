// A button that copies a text, or the address of the page, and confirms it.
import { make } from "dom";

const SAID_MS = 1600;

/** Copy `text`. Works also without the clipboard API, which plain HTTP in a local network does not have. */
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const box = make("textarea", "", "", { readonly: "", style: "position:fixed;opacity:0" });
  box.value = text;
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  if (!isCopied) throw new Error("copying is not allowed here");
}

export default {
  template: `
    <button type="button" class="button copy-text" @click="onClick">
      <span :class="{ 'is-away': said }">{{ label }}</span
      ><span class="copy-said" role="status">{{ said }}</span>
    </button>`,
  props: {
    label: { type: String, default: "Copy" },
    text: { type: String, default: "" },
    address: { type: String, default: "" }, // of a page of this host, from the root on
  },
  data() {
    return { said: "" };
  },
  unmounted() {
    clearTimeout(this.timer);
  },
  methods: {
    async onClick() {
      try {
        await copy(this.text || new URL(this.address || location.href, location.href).href);
        this.said = "Copied";
      } catch {
        this.said = "Not allowed";
      }
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.said = ""), SAID_MS);
    },
  },
};
