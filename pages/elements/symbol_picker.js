// The symbol picker: a combobox over the exchange's symbols. Python searches; this script draws and handles keys.
//
// What Enter picks depends on the keys alone, not on whether the search has been answered by then. So the choice is
// a position among the hits for the typed text. If these hits are not here yet, text and position go to Python, which
// finds the symbol.

const TYPING_MS = 80;
const SLOW_MS = 250; // after this time without an answer, the list says that it is waiting
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
      <div class="picker-list" v-show="isOpen || waitingText" @mousedown.prevent>
        <p class="picker-message" role="status" v-show="waitingText">{{ waitingText }}</p>
        <ul role="listbox" :id="listId" aria-label="Symbols">
          <li v-for="(hit, index) in hits" :key="hit.symbol" role="option" :id="listId + '-' + index"
            :aria-selected="String(index === active)" :data-symbol="hit.symbol" @click="pick(index)"
            @mousemove="position = index">
            <span class="pair">{{ hit.base }}<span class="quote">/{{ hit.quote }}</span></span>
            <span class="picker-symbol">{{ hit.symbol }}</span>
            <span class="picker-state">{{ hit.shown ? 'on this page' : hit.trading ? '' : 'not trading' }}</span>
          </li>
        </ul>
        <p class="picker-message" v-if="isOpen && message">{{ message }}</p>
      </div>
    </div>`,
  props: { placeholder: { type: String, default: "Search symbols" } },
  emits: ["search", "pick", "enter"],
  data() {
    return { hits: [], message: "", position: null, isOpen: false, waiting: [], isSlow: false };
  },
  computed: {
    /** The index of the marked hit, -1 while there is none. Positions wrap around at both ends. */
    active() {
      const count = this.hits.length;
      return this.position === null || count === 0 ? -1 : ((this.position % count) + count) % count;
    },
    waitingText() {
      return this.isSlow ? `Looking for “${this.waiting.join("”, “")}” …` : "";
    },
    activeId() {
      return this.isOpen && this.active >= 0 ? `${this.listId}-${this.active}` : undefined;
    },
  },
  created() {
    count += 1;
    this.inputId = `symbol-picker-${count}`;
    this.listId = `symbol-picker-list-${count}`;
    this.asked = null; // the text searched last, null once something was picked
    this.answered = null; // the text that the hits belong to
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
    clearTimeout(this.slow);
  },
  methods: {
    typed() {
      return this.$refs.input.value.trim();
    },
    /** Show the answer to a search, unless the person has typed on or picked something since. */
    show({ query, hits, message }) {
      if (query !== this.typed() || query !== this.asked) return;
      this.answered = query;
      this.hits = hits;
      this.message = message;
      this.isOpen = document.activeElement === this.$refs.input && (hits.length > 0 || message !== "");
    },
    onFocus() {
      this.begin();
      this.search();
    },
    onInput() {
      clearTimeout(this.typing);
      this.begin();
      this.typing = setTimeout(() => this.search(), TYPING_MS);
    },
    /** Mark the best hit for a text; without a text, none of the symbols offered. */
    begin() {
      this.position = this.typed() ? 0 : null;
    },
    search() {
      clearTimeout(this.typing);
      this.asked = this.typed();
      this.$emit("search", this.asked);
    },
    onKey(event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        this.move(event.key === "ArrowDown" ? 1 : -1);
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
    move(step) {
      this.position = this.position === null ? Math.min(step, 0) : this.position + step;
      if (this.answered === this.typed()) this.isOpen = this.hits.length > 0;
      else this.search();
    },
    onEnter() {
      const text = this.typed();
      if (!text && this.position === null) return;
      if (this.isOpen && this.answered === text && this.active >= 0) this.pick(this.active);
      else this.take("enter", { text, position: this.position }, text);
    },
    onEscape() {
      if (this.waitingText) this.settle();
      else if (this.isOpen) this.close();
      else if (this.typed()) this.clear();
      else this.$refs.input.blur();
    },
    pick(index) {
      const { symbol } = this.hits[index];
      this.take("pick", symbol, symbol);
    },
    take(event, argument, text) {
      this.$emit(event, argument);
      this.waiting.push(text);
      this.slow ??= setTimeout(() => (this.isSlow = true), SLOW_MS);
      this.clear();
    },
    /** Python has handled `text` and everything picked before it; without a text, everything. */
    settle(text) {
      this.waiting.splice(0, this.waiting.indexOf(text) + 1 || this.waiting.length);
      if (this.waiting.length) return;
      clearTimeout(this.slow);
      this.slow = null;
      this.isSlow = false;
    },
    clear() {
      clearTimeout(this.typing);
      this.$refs.input.value = "";
      [this.hits, this.message, this.asked, this.answered] = [[], "", null, null];
      this.close();
      this.$refs.input.focus();
    },
    close() {
      this.isOpen = false;
      this.begin();
    },
  },
};
