// The symbols that moved most, in groups. Each has the same width, so nothing shifts when another one moves up.
export default {
  template: `
    <div class="movers" :title="hint">
      <section v-for="group in groups" :key="group.title" :aria-label="group.title">
        <h2>{{ group.title }}</h2>
        <ul>
          <li v-for="item in group.items" :key="item.symbol">
            <a :href="item.href"><span class="mover-name">{{ item.title }}</span>
              <span class="mover-change" :data-sign="sign(item.change)">{{ item.change }} %</span></a>
          </li>
        </ul>
      </section>
    </div>`,
  props: {
    hint: { type: String, default: "" },
  },
  data() {
    return { groups: [] };
  },
  methods: {
    show(groups) {
      this.groups = groups;
    },
    sign(change) {
      return change.startsWith("+") ? "up" : "down";
    },
  },
};
