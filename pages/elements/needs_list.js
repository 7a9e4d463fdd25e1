// What needs a person. It also tells Python whether anybody can see the page.
import { timeText } from "time_format";

export default {
  template: `
    <div class="needs" role="status">
      <p v-if="!items.length" class="needs-none">{{ none }}</p>
      <ul v-else>
        <li v-for="item in items" :key="item.kind + item.what" :data-level="item.level" :data-kind="item.kind">
          <span class="need-level">{{ item.level }}</span>
          <div>
            <strong>{{ item.what }}<template v-if="item.until"> It ends at {{ time(item.until) }}.</template></strong>
            <p><template v-for="part in parts(item.way)"><code v-if="part.isCode">{{ part.text }}</code>
              <template v-else>{{ part.text }}</template></template></p>
          </div>
        </li>
      </ul>
    </div>`,
  props: {
    none: { type: String, required: true },
  },
  emits: ["visibility"],
  data() {
    return { items: [] }; // {kind, level, what, way, until}
  },
  mounted() {
    this.onVisibility = () => this.$emit("visibility", !document.hidden);
    document.addEventListener("visibilitychange", this.onVisibility);
    if (document.hidden) this.onVisibility();
  },
  unmounted() {
    document.removeEventListener("visibilitychange", this.onVisibility);
  },
  methods: {
    show(items) {
      this.items = items;
    },
    time(ms) {
      return timeText(ms);
    },
    /** Cut a text at its backquotes: every second part is a command or a name. */
    parts(text) {
      return text.split("`").map((part, at) => ({ text: part, isCode: at % 2 === 1 }));
    },
  },
};
