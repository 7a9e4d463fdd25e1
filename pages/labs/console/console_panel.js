// The message of the console, its WebSocket, and the frames. The socket never opens by itself.
import { FrameLog } from "frame_log";

const EDIT_PAUSE_MS = 150;

export default {
  template: `
    <div class="console-panel">
      <div class="console-write">
        <label class="console-label" :for="'message-' + id">Message</label>
        <textarea class="console-message" ref="text" :id="'message-' + id" :aria-describedby="'fault-' + id"
          :maxlength="longest" rows="4" spellcheck="false" autocapitalize="off" autocomplete="off"
          @input="onInput" @keydown.ctrl.enter="send" @keydown.meta.enter="send"></textarea>
        <p class="console-fault" :id="'fault-' + id" role="status" :data-right="!fault"
          >{{ fault || "The server takes this message." }}</p>
        <div class="console-actions">
          <button type="button" class="button is-main" title="Ctrl + Enter" @click="send">Send</button>
          <button type="button" class="button" @click="isOpen ? close() : connect()">{{
            isOpen ? "Disconnect" : "Connect" }}</button>
          <span class="console-state" role="status" :data-state="state"><span class="dot" aria-hidden="true"></span>
            <span>{{ said }}</span></span>
        </div>
      </div>
      <div class="console-tools">
        <input class="field" type="search" ref="words" aria-label="Show only frames with these words"
          placeholder="Show only: trade, BTCUSDT, …" maxlength="64" autocomplete="off" spellcheck="false"
          @input="onFilter">
        <button type="button" class="button" :aria-pressed="isPaused" @click="pause">{{
          isPaused ? "Go on" : "Pause" }}</button>
        <button type="button" class="button" @click="clear">Clear</button>
        <span class="console-count">{{ count }}</span>
      </div>
      <ol class="console-frames" ref="frames" tabindex="0" aria-label="Frames, oldest first"></ol>
    </div>`,
  props: {
    id: { type: String, default: "console" },
    path: { type: String, required: true },
    message: { type: String, default: "" },
    words: { type: String, default: "" },
    fault: { type: String, default: "" },
    meanings: { type: Object, required: true },
    longest: { type: Number, default: 16384 },
  },
  emits: ["edit", "filter"],
  data() {
    return { state: "idle", said: "Not connected", isPaused: false, count: "No frames" };
  },
  computed: {
    isOpen() {
      return this.state === "live" || this.state === "connecting";
    },
  },
  mounted() {
    this.$refs.text.value = this.message;
    this.$refs.words.value = this.words;
    this.log = new FrameLog(this.$refs.frames, this.meanings, (count) => (this.count = count));
    this.log.filter(this.words);
  },
  unmounted() {
    clearTimeout(this.editing);
    clearTimeout(this.filtering);
    this.log.end();
    this.drop();
  },
  methods: {
    put(text) {
      this.$refs.text.value = text;
    },
    onInput() {
      clearTimeout(this.editing);
      this.editing = setTimeout(() => this.$emit("edit", this.$refs.text.value), EDIT_PAUSE_MS);
    },
    onFilter() {
      const words = this.$refs.words.value;
      this.log.filter(words);
      clearTimeout(this.filtering);
      this.filtering = setTimeout(() => this.$emit("filter", words), EDIT_PAUSE_MS);
    },
    pause() {
      this.isPaused = !this.isPaused;
      this.log.pause(this.isPaused);
    },
    clear() {
      this.log.clear();
    },
    send() {
      const text = this.$refs.text.value;
      if (this.state === "live") this.sendNow(text);
      else this.connect(text);
    },
    sendNow(text) {
      this.socket.send(text);
      this.log.add(text, true);
    },
    /** Open the socket, and then send `first` if there is one. A message that waits is replaced. */
    connect(first = null) {
      this.waiting = typeof first === "string" ? first : null;
      if (this.state === "connecting") return;
      this.show("connecting", "Connecting …");
      const socket = new WebSocket(new URL(this.path, location.href.replace(/^http/, "ws")));
      let wasOpen = false;
      this.socket = socket;
      socket.onopen = () => {
        wasOpen = true;
        this.show("live", "Connected");
        if (this.waiting !== null) this.sendNow(this.waiting);
      };
      socket.onmessage = ({ data }) => this.log.add(data, false);
      socket.onclose = (event) => this.ended(event, wasOpen);
    },
    close() {
      const socket = this.socket;
      this.drop();
      this.show("idle", "Not connected");
      if (socket) this.log.note("Disconnected");
    },
    /** Leave the socket without another word of it. */
    drop() {
      const socket = this.socket;
      this.socket = null;
      if (!socket) return;
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
    async ended({ code, reason }, wasOpen) {
      this.socket = null;
      const advice = this.meanings.closes[code];
      let why = `Closed with ${code}${reason ? ` ${reason}` : ""}`;
      if (!wasOpen) why = await this.refusal();
      if (this.socket) return; // the person has connected again meanwhile
      this.show("down", why);
      this.log.note(advice ? `${why}. That is: ${advice}` : why);
    },
    /** Why there is no connection: a WebSocket does not tell it, a plain request does. */
    async refusal() {
      try {
        const answer = await fetch(this.path, { cache: "no-store" });
        if (answer.status === 426) {
          return "Refused, though the server is there: too many clients, or a proxy does not pass WebSockets on";
        }
        return `Refused with HTTP ${answer.status}`;
      } catch {
        return "No connection to the server";
      }
    },
    show(state, said) {
      this.state = state;
      this.said = said;
    },
  },
};
