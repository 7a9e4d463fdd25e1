// The newest frames of a connection, in both directions, each with what its fields mean.
import { make } from "dom";
import { preciseTimeText } from "time_format";

const MOST_FRAMES = 300;
const MOST_CHARACTERS = 2_000_000;
const FLUSH_MS = 250;
const LINE_CHARACTERS = 300; // of a frame in one line
const SHOWN_CHARACTERS = 20_000; // of a frame that is opened
const VALUE_CHARACTERS = 60;

const encoder = new TextEncoder();

/** A number of bytes as text. */
function sizeText(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 999_500 ? `${(bytes / 1000).toFixed(bytes < 9950 ? 1 : 0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export class FrameLog {
  /**
   * @param {Element} list has an entry for each frame.
   * @param {object} meanings what messages, errors and closings mean.
   * @param {function(string)} tell is told how many frames there are.
   */
  constructor(list, meanings, tell) {
    this.list = list;
    this.meanings = meanings;
    this.tell = tell;
    this.words = [];
    this.isPaused = false;
    this.clear();
  }

  /** Forget every frame. */
  clear() {
    this.frames = [];
    this.fresh = []; // not shown yet
    this.characters = this.total = this.bytes = this.passed = 0;
    this.list.replaceChildren();
    this.count();
  }

  end() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    this.passed = 0;
    this.count();
  }

  /** Show only frames that contain each word. Others that come are counted, and not kept. */
  filter(words) {
    this.words = words
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean);
    this.fresh = [];
    this.list.replaceChildren(...this.frames.filter((frame) => this.fits(frame)).map((frame) => this.node(frame)));
    this.toNewest();
  }

  fits(frame) {
    if (!this.words.length || frame.isNote) return true;
    const text = `${frame.isSent ? "sent" : "received"} ${frame.text.toLowerCase()}`;
    return this.words.every((word) => text.includes(word));
  }

  add(data, isSent) {
    const text = typeof data === "string" ? data : "(a binary frame)";
    const size = encoder.encode(text).length;
    this.total += 1;
    this.bytes += size;
    const frame = { at: Date.now(), text, size, isSent, isNote: false };
    if (this.isPaused) this.passed += 1;
    else if (this.fits(frame)) this.keep(frame);
    this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** Add a line of our own, such as the end of the connection. */
  note(text) {
    this.keep({ at: Date.now(), text, size: 0, isSent: false, isNote: true });
    this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  keep(frame) {
    this.frames.push(frame);
    this.fresh.push(frame);
    this.characters += frame.text.length;
    while (this.frames.length > MOST_FRAMES || (this.characters > MOST_CHARACTERS && this.frames.length > 1)) {
      this.characters -= this.frames.shift().text.length;
    }
    if (this.fresh.length > MOST_FRAMES) this.fresh.shift();
  }

  flush() {
    this.timer = null;
    const kept = new Set(this.frames);
    const isAtEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
    this.list.append(...this.fresh.filter((frame) => kept.has(frame)).map((frame) => this.node(frame)));
    this.fresh = [];
    while (this.list.firstChild && !kept.has(this.list.firstChild.frame)) this.list.firstChild.remove();
    if (isAtEnd) this.toNewest();
    this.count();
  }

  toNewest() {
    this.list.scrollTop = this.list.scrollHeight;
  }

  count() {
    const kept = this.frames.filter((frame) => !frame.isNote).length;
    const all = this.total === 1 ? "1 frame" : `${this.total.toLocaleString("en")} frames`;
    const parts = this.total ? [`${all}, ${sizeText(this.bytes)}`] : ["No frames"];
    if (kept < this.total) parts.push(`${kept} kept`);
    if (this.isPaused) parts.push(`paused, ${this.passed.toLocaleString("en")} passed by`);
    this.tell(parts.join("; "));
  }

  node(frame) {
    const node = make("li", frame.isNote ? "console-note" : "console-frame");
    node.frame = frame;
    if (frame.isNote) {
      node.append(make("span", "console-time", preciseTimeText(frame.at)), make("span", "", frame.text));
      return node;
    }
    const button = make("button", "", "", { type: "button", "aria-expanded": "false" });
    const type = parsed(frame.text)?.type;
    button.append(
      make("span", "console-time", preciseTimeText(frame.at)),
      make("span", "console-way", frame.isSent ? "sent" : "received"),
      make("span", "console-type", typeof type === "string" ? type : "?"),
      make("span", "console-size", sizeText(frame.size)),
      make("span", "console-text", frame.text.slice(0, LINE_CHARACTERS)),
    );
    button.addEventListener("click", () => this.toggle(node, button));
    node.append(button);
    return node;
  }

  toggle(node, button) {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) node.lastChild.remove();
    else node.append(this.explained(node.frame));
  }

  /** What a frame says, field by field. */
  explained(frame) {
    const box = make("div", "console-meaning");
    const message = parsed(frame.text);
    const known = this.meanings.messages;
    const about = known[`${message?.type} ${message?.channel}`] ?? known[message?.type];
    if (about) box.append(make("p", "", about.summary));
    else box.append(make("p", "", message ? "This is no message of the contract." : "This is not JSON."));
    if (about) box.append(this.table(message, about.fields));
    const text = frame.text.length > SHOWN_CHARACTERS ? `${frame.text.slice(0, SHOWN_CHARACTERS)} …` : frame.text;
    box.append(make("pre", "", text, { tabindex: "0" }));
    return box;
  }

  table(message, meanings) {
    const table = make("table");
    const head = make("tr");
    head.append(...["Field", "Value", "Meaning"].map((name) => make("th", "", name, { scope: "col" })));
    table.append(head);
    for (const [path, value] of fieldsOf(message)) {
      const row = make("tr");
      const text = JSON.stringify(value) ?? "";
      const isCode = path === "code" || path.endsWith(".code");
      row.append(
        make("th", "", path, { scope: "row" }),
        make("td", "console-value", text.length > VALUE_CHARACTERS ? `${text.slice(0, VALUE_CHARACTERS)} …` : text),
        make("td", "", (isCode && this.meanings.errors[value]) || meanings[path] || "Not in the contract."),
      );
      table.append(row);
    }
    return table;
  }
}

/** Each field of a message with its path and value; of a list, the fields of its first entry. */
function* fieldsOf(message, above = "") {
  for (const [name, value] of Object.entries(message)) {
    if (!above && name === "type") continue;
    yield [above + name, value];
    const first = Array.isArray(value) ? value[0] : null;
    if (first && typeof first === "object" && !Array.isArray(first)) yield* fieldsOf(first, `${above}${name}.`);
  }
}
