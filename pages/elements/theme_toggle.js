// The theme button. The script in the head of the page stores the choice: style/theme.js.

export default {
  template: `
    <button type="button" class="icon-button theme-toggle" :aria-label="label" :title="label" @click="next">
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6">
        <g v-if="choice === 'light'"><circle cx="10" cy="10" r="3.6"/><path stroke-linecap="round"
          d="M10 1.8v2M10 16.2v2M1.8 10h2M16.2 10h2M4.2 4.2l1.4 1.4M14.4 14.4l1.4 1.4M4.2 15.8l1.4-1.4M14.4 5.6l1.4-1.4"/></g>
        <path v-else-if="choice === 'dark'" stroke-linejoin="round" d="M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7z"/>
        <g v-else><circle cx="10" cy="10" r="7"/><path fill="currentColor" stroke="none" d="M10 3a7 7 0 0 1 0 14z"/></g>
      </svg>
    </button>`,
  data() {
    return { choice: window.liveMarketsTheme.choice() };
  },
  computed: {
    label() {
      return `Theme: ${this.choice}. Press to change`;
    },
  },
  mounted() {
    this.onTheme = () => (this.choice = window.liveMarketsTheme.choice());
    window.addEventListener("live-markets-theme", this.onTheme);
  },
  unmounted() {
    window.removeEventListener("live-markets-theme", this.onTheme);
  },
  methods: {
    next() {
      const order = ["system", "light", "dark"];
      window.liveMarketsTheme.choose(order[(order.indexOf(this.choice) + 1) % order.length]);
    },
  },
};
