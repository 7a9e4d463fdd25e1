// A box to search what a page shows. Only the person changes its text, so a slow answer cannot overwrite what is typed.
const PAUSE_MS = 120;

export default {
  template: `
    <div class="search-box">
      <kbd aria-hidden="true">/</kbd>
      <input type="search" ref="input" :aria-label="label" :placeholder="label" aria-keyshortcuts="/" maxlength="64"
        autocomplete="off" autocapitalize="off" spellcheck="false" @input="onInput" @keydown.escape="empty">
    </div>`,
  props: {
    text: { type: String, default: "" },
    label: { type: String, required: true },
  },
  emits: ["search"],
  mounted() {
    this.$refs.input.value = this.text;
    this.onSlash = (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
      event.preventDefault();
      this.$refs.input.focus();
    };
    document.addEventListener("keydown", this.onSlash);
  },
  unmounted() {
    clearTimeout(this.pause);
    document.removeEventListener("keydown", this.onSlash);
  },
  methods: {
    onInput() {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => this.$emit("search", this.$refs.input.value), PAUSE_MS);
    },
    empty() {
      this.$refs.input.value = "";
      this.onInput();
    },
  },
};
