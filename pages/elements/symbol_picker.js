// The symbol picker: a combobox over the exchange's symbols. Python searches; this draws and takes the keys.

const TYPING_MS = 80;
let count = 0;

export default {
  template: `
    <div class="symbol-picker" ref="root">
      <label class="visually-hidden" :for="inputId">Add a symbol</label>
      <kbd aria-hidden="true">/</kbd>
      <input ref="input" :id="inputId" type="text" role="combobox" autocomplete="off" autocapitalize="characters"
        spellcheck="false" maxlength="200" :placeholder="placeholder" aria-autocomplete="list" aria-keyshortcuts="/"
        :aria-expanded="String(isOpen)" :aria-controls="listId" :aria-activedescendant="activeId"
        @input="onInput" @keydown="onKey" @focus="onFocus" @blur="close">
      <div class="picker-list" v-show="isOpen" @mousedown.prevent>
        <ul role="listbox" :id="listId" aria-label="Symbols">
          <li v-for="(hit, index) in hits" :key="hit.symbol" role="option" :id="listId + '-' + index"
            :aria-selected="String(index === active)" :data-symbol="hit.symbol" @click="pick(index)"
            @mousemove="active = index">
            <span class="pair">{{ hit.base }}<span class="quote">/{{ hit.quote }}</span></span>
            <span class="picker-symbol">{{ hit.symbol }}</span>
            <span class="picker-state">{{ hit.shown ? 'on the page' : hit.trading ? '' : 'not trading' }}</span>
          </li>
        </ul>
        <p class="picker-message" v-if="message">{{ message }}</p>
      </div>
    </div>`,
  props: { placeholder: { type: String, default: "Search symbols" } },
  emits: ["search", "pick"],
  data() {
    return { hits: [], message: "", active: -1, isOpen: false };
  },
  computed: {
    activeId() {
      return this.isOpen && this.active >= 0 ? `${this.listId}-${this.active}` : undefined;
    },
  },
  created() {
    count += 1;
    this.inputId = `symbol-picker-${count}`;
    this.listId = `symbol-picker-list-${count}`;
  },
  mounted() {
    this.onShortcut = (event) => {
      const isTyping = event.target.closest?.("input, select, textarea, [contenteditable]");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
      event.preventDefault();
      this.$refs.input.focus();
    };
    document.addEventListener("keydown", this.onShortcut);
  },
  unmounted() {
    document.removeEventListener("keydown", this.onShortcut);
    clearTimeout(this.typing);
  },
  methods: {
    /** Show the answer to a search, unless the person has typed on meanwhile. */
    show({ query, hits, message }) {
      if (query !== this.$refs.input.value.trim()) return;
      this.hits = hits;
      this.message = message;
      this.active = hits.length ? 0 : -1;
      this.isOpen = document.activeElement === this.$refs.input && (hits.length > 0 || message !== "");
    },
    onFocus() {
      this.search();
    },
    onInput() {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.search(), TYPING_MS);
    },
    search() {
      this.$emit("search", this.$refs.input.value.trim());
    },
    onKey(event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (!this.hits.length) return;
        const step = event.key === "ArrowDown" ? 1 : -1;
        this.isOpen = true;
        this.active = (this.active + step + this.hits.length) % this.hits.length;
        this.$nextTick(() => document.getElementById(this.activeId)?.scrollIntoView({ block: "nearest" }));
      } else if (event.key === "Enter") {
        this.onEnter();
      } else if (event.key === "Escape") {
        this.onEscape();
      } else {
        return;
      }
      event.preventDefault();
    },
    onEnter() {
      const typed = this.$refs.input.value.trim();
      const isOneWord = !typed.includes(",");
      if (this.isOpen && this.active >= 0 && isOneWord && !this.isBehind()) this.pick(this.active);
      else if (typed) this.take(typed);
    },
    /** Whether the hits on the screen belong to an earlier query. */
    isBehind() {
      const typed = this.$refs.input.value.replace(/^\s*[a-z]+:/i, "").replace(/[a-z]/g, (letter) => letter.toUpperCase());
      const words = typed.split(/[\s/_:$-]+/).filter(Boolean);
      return !words.every((word) => this.hits[this.active].symbol.includes(word));
    },
    onEscape() {
      if (this.isOpen) this.close();
      else if (this.$refs.input.value) this.$refs.input.value = "";
      else this.$refs.input.blur();
    },
    pick(index) {
      this.take(this.hits[index].symbol);
    },
    take(text) {
      clearTimeout(this.typing);
      this.$emit("pick", text);
      this.$refs.input.value = "";
      this.close();
      this.$refs.input.focus();
    },
    close() {
      this.isOpen = false;
      this.active = -1;
    },
  },
};
