// The keys of the selected market. Whoever types into a field, or uses a modifier, means something else.
export default {
  template: "<span hidden></span>",
  props: { keys: { type: Array, required: true } },
  emits: ["press"],
  mounted() {
    this.onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !this.keys.includes(event.key)) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
      this.$emit("press", event.key);
    };
    document.addEventListener("keydown", this.onKey);
  },
  unmounted() {
    document.removeEventListener("keydown", this.onKey);
  },
};
