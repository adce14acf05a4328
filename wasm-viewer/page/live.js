// The pane of topics, partitions, messages and files that `volley view` serves.

import { get, getBytes, isServed, topicPath } from "./api.js";
import { byId, count, el, size } from "./format.js";
import { fragment } from "./fragment.js";
import { Messages } from "./messages.js";
import { Partition, Tail } from "./sources.js";

/** Calls `onOpen(name, promise of bytes, { envelope, topic, about })` for what is chosen. */
export async function startLive(onOpen) {
  if (!isServed) return null;
  const live = new Live(onOpen);
  try {
    await live.start();
  } catch (error) {
    live.problem(error.message);
  }
  return live;
}

class Live {
  #topic = null;
  #about = null;
  #source = null;
  /** The message that is open. */
  #open = null;

  constructor(onOpen) {
    this.onOpen = onOpen;
    this.messages = new Messages({ onOpen: (envelope) => this.#openMessage(envelope) });
    byId("topic").onchange = () => this.#choose(byId("topic").value);
    byId("partition").onchange = () => this.#browse(Number(byId("partition").value));
    byId("tail-pause").onclick = () => this.#pause(!this.#source.isPaused);
    byId("tail-follow").onchange = () => this.messages.update({ isFollowing: this.#isFollowing });
    byId("list").onclick = () => this.show(!document.body.classList.contains("listed"));
    this.messages.viewport.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && this.#unfollow(), { passive: true });
    this.messages.viewport.addEventListener("keydown", ({ key }) => /Up|Home/.test(key) && this.#unfollow());
  }

  async start() {
    const { files, brokers } = await get("view");
    const index = fragment.get("file");
    if (files.length) this.#showFiles(files);
    if (files.length && (index !== null || (files.length === 1 && !brokers))) this.#openFile(files, Number(index ?? 0));
    if (!brokers) {
      byId("cluster").hidden = true;
      if (files.length > 1) this.#appear();
      return;
    }
    this.#appear();
    byId("live-title").title = brokers;
    const topics = await get("topics");
    const select = byId("topic");
    select.replaceChildren(...topics.map(({ name, partitions }) => el("option", { value: name, textContent: `${name} (${count(partitions)})` })));
    if (!topics.length) return this.#say("The cluster has no topic yet.");
    const wanted = fragment.get("topic");
    const [chosen] = topics.filter(({ name }) => name === wanted);
    const largest = chosen ?? topics[0];
    select.value = largest.name;
    const partition = fragment.get("partition");
    const offset = fragment.get("offset");
    await this.#choose(largest.name, chosen && partition !== null ? Number(partition) : null);
    if (chosen && partition !== null && offset !== null) await this.#openAt(Number(partition), Number(offset));
  }

  /** Shows or hides the list, where it has to make room. */
  show(isShown) {
    document.body.classList.toggle("listed", isShown);
    byId("list").setAttribute("aria-expanded", isShown);
    if (isShown) byId("messages").focus({ preventScroll: true });
  }

  problem(message) {
    this.#appear();
    byId("live-problem").hidden = !message;
    byId("live-problem").textContent = message ?? "";
  }

  /** The payload of a message was closed. */
  closed() {
    this.#open = null;
    this.messages.mark(null);
  }

  /** Opens the message before (-1) or after (1). */
  async step(by) {
    if (!this.#open) return;
    const { partition, offset } = this.#open;
    await this.#openAt(partition, offset + by);
  }

  #appear() {
    byId("live").hidden = false;
    byId("list").hidden = false;
    this.show(true);
  }

  #say(text) {
    byId("live-text").textContent = text;
  }

  #showFiles(files) {
    byId("files").hidden = false;
    byId("file-list").replaceChildren(
      ...files.map(({ name, bytes }, index) => {
        const button = el("button", { type: "button", className: "link", textContent: name.split("/").at(-1), title: name });
        button.onclick = () => this.#openFile(files, index);
        return el("li", {}, button, el("small", { textContent: bytes === null ? "gone" : size(bytes) }));
      }),
    );
  }

  #openFile(files, index) {
    const name = files[index]?.name ?? `file ${index}`;
    this.onOpen(name, getBytes(`files/${index}`), { state: { file: index } });
  }

  async #choose(topic, partition = null) {
    this.#topic = topic;
    this.#end();
    this.problem(null);
    this.messages.show({ total: 0 });
    try {
      this.#about = await get(topicPath(topic));
    } catch (error) {
      return this.problem(error.message);
    }
    if (topic !== this.#topic) return;
    const { partitions } = this.#about;
    const options = partitions.map((p) => el("option", { value: p.partition, textContent: `Partition ${p.partition}: ${count(p.high - p.low)}` }));
    byId("partition").replaceChildren(el("option", { value: -1, textContent: "Live, all partitions" }), ...options);
    const fullest = partitions.reduce((most, p) => (p.high - p.low > most.high - most.low ? p : most), partitions[0]);
    const wanted = partitions.find((p) => p.partition === partition) ?? (fullest.high > fullest.low ? fullest : null);
    byId("partition").value = wanted?.partition ?? -1;
    this.#browse(wanted?.partition ?? -1);
  }

  /** A partition, or with -1 what comes into all of them. */
  #browse(partition) {
    this.#end();
    this.problem(null);
    const isTail = partition < 0;
    byId("tail").hidden = !isTail;
    const onProblem = (message) => this.problem(message);
    if (isTail) {
      byId("tail-follow").checked = true;
      this.#source = new Tail(this.#topic, { onProblem, onChange: (gone) => this.#told(gone) });
      this.#told(0);
    } else {
      const marks = this.#about.partitions.find((p) => p.partition === partition);
      this.#source = new Partition(this.#topic, marks, { onProblem, onChange: () => this.messages.draw() });
      this.#say(marks.high > marks.low ? `offsets ${count(marks.low)} to ${count(marks.high - 1)}` : "It is empty.");
    }
    this.messages.show(this.#source);
  }

  #told(gone) {
    const tail = this.#source;
    byId("tail-pause").textContent = tail.isPaused ? "Continue" : "Pause";
    const state = tail.isPaused ? "paused" : tail.isOpen ? "waiting for messages" : "connecting";
    this.#say(tail.total && !tail.isPaused ? `the last ${count(tail.total)}` : state);
    byId("tail-rate").textContent = `${tail.rate >= 10 ? count(Math.round(tail.rate)) : tail.rate.toFixed(1)}/s`;
    byId("tail-seen").textContent = count(tail.seen);
    byId("tail-dropped").textContent = count(tail.dropped);
    byId("tail-dropped").classList.toggle("some", tail.dropped > 0);
    this.messages.update({ isFollowing: this.#isFollowing, gone });
  }

  get #isFollowing() {
    return byId("tail-follow").checked;
  }

  #unfollow() {
    byId("tail-follow").checked = false;
  }

  #pause(isPaused) {
    this.#source.pause(isPaused);
    this.#told(0);
  }

  #end() {
    this.#source?.end();
    this.#source = null;
  }

  /** A message that may not be in view. */
  async #openAt(partition, offset) {
    try {
      const { messages, low, high } = await get(`${topicPath(this.#topic, partition)}?first=${offset}&count=1`);
      const [envelope] = messages;
      if (!envelope || envelope.offset !== offset) throw new Error(`partition ${partition} has no message at offset ${count(offset)}: it has ${count(low)} to ${count(high - 1)}`);
      this.problem(null);
      this.#openMessage(envelope);
    } catch (error) {
      return this.problem(error.message);
    }
    if (this.#source instanceof Partition && this.#source.partition === partition) this.messages.reveal(offset - this.#source.low);
  }

  #openMessage(envelope) {
    const { partition, offset } = envelope;
    const topic = this.#topic;
    const name = `${topic} / ${partition} / ${count(offset)}`;
    const isTombstone = envelope.value_bytes === null;
    const value = isTombstone ? Promise.reject(new Error("The message has no value: it is a tombstone, which tells that its key was deleted.")) : getBytes(topicPath(topic, partition, offset));
    if (matchMedia("(max-width: 900px)").matches) this.show(false);
    const isCompared = this.onOpen(name, value, { envelope, topic, about: this.#about, state: { topic, partition, offset } });
    // The open one stays open.
    if (isCompared) return;
    this.messages.mark(partition, offset);
    this.#open = envelope;
  }
}
