// A button, and a dialog that lists the keys of the page. The key ? opens it too.

export default {
  template: `
    <div class="key-help">
      <button type="button" class="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)"
        aria-haspopup="dialog" aria-keyshortcuts="?" @click="open">?</button>
      <dialog ref="dialog" aria-labelledby="key-help-title" @click="onClick">
        <div class="key-help-box">
          <div class="key-help-head"><h2 id="key-help-title">Keyboard shortcuts</h2>
            <button type="button" class="icon-button" aria-label="Close" @click="$refs.dialog.close()">×</button></div>
          <dl><div v-for="{ keys, text } in shortcuts" :key="text">
            <dt><kbd v-for="key in keys" :key="key">{{ key }}</kbd></dt><dd>{{ text }}</dd>
          </div></dl>
        </div>
      </dialog>
    </div>`,
  props: { shortcuts: { type: Array, default: () => [] } }, // {keys, text}
  mounted() {
    this.onKey = (event) => {
      if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
      event.preventDefault();
      if (this.$refs.dialog.open) this.$refs.dialog.close();
      else this.open();
    };
    document.addEventListener("keydown", this.onKey);
  },
  unmounted() {
    document.removeEventListener("keydown", this.onKey);
  },
  methods: {
    open() {
      this.$refs.dialog.showModal();
    },
    /** A click beside the box closes the dialog. */
    onClick(event) {
      if (event.target === this.$refs.dialog) this.$refs.dialog.close();
    },
  },
};
