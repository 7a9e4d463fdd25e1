// The address of the page in the browser. Python decides what stands in it.

export default {
  template: `<div hidden></div>`,
  emits: ["open"],
  mounted() {
    this.onStep = () => this.$emit("open", new URLSearchParams(location.search).get("selected") ?? "");
    window.addEventListener("popstate", this.onStep);
  },
  unmounted() {
    window.removeEventListener("popstate", this.onStep);
  },
  methods: {
    /** Write an address; as a step of its own, to which Back leads, if `isStep`. */
    write(url, isStep) {
      if (isStep) history.pushState({}, "", url);
      else history.replaceState({}, "", url);
    },
  },
};
