// Where a list of messages comes from: a partition, by offset; or a tail, as they come.

import { get, openTail, topicPath } from "./api.js";
import { count } from "./format.js";

/** Offsets asked for at a time. */
const CHUNK = 50;
const MAX_CHUNKS = 200;
/** Messages of a tail that are kept. */
const KEPT = 5000;

/** The messages of one partition: index 0 is the oldest that there is. */
export class Partition {
  #chunks = new Map();
  #isAsking = false;
  #isEnded = false;

  constructor(topic, { partition, low, high }, { onChange, onProblem }) {
    Object.assign(this, { topic, partition, low, onChange, onProblem });
    this.total = Math.max(high - low, 0);
    this.nameOf = (index) => count(low + index);
  }

  at(index) {
    return this.#chunks.get(Math.floor(index / CHUNK))?.[index % CHUNK];
  }

  end() {
    this.#isEnded = true;
  }

  async wants(first, end) {
    if (this.#isAsking || this.#isEnded) return;
    // The newest first: that is where a list begins.
    for (let chunk = Math.floor((end - 1) / CHUNK); chunk >= 0 && (chunk + 1) * CHUNK > first; chunk--) {
      const known = this.#chunks.get(chunk) ?? [];
      const n = Math.min(CHUNK, this.total - chunk * CHUNK);
      // An answer may be shorter: values are read for it, up to so many bytes.
      if (known.length >= n) continue;
      this.#isAsking = true;
      const from = this.low + chunk * CHUNK + known.length;
      try {
        const answer = await get(`${topicPath(this.topic, this.partition)}?first=${from}&count=${n - known.length}`);
        const place = (offset) => offset - this.low - chunk * CHUNK;
        // Between what came and what was asked for there is nothing, and retention may have taken the first.
        const known_to = answer.messages.length ? place(answer.next) : n;
        while (known.length < Math.min(known_to, n)) known.push(null);
        for (const envelope of answer.messages) if (place(envelope.offset) < n) known[place(envelope.offset)] = envelope;
        this.#chunks.set(chunk, known);
        while (this.#chunks.size > MAX_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value);
      } catch (error) {
        this.#isEnded = true;
        return this.onProblem(error.message);
      } finally {
        this.#isAsking = false;
      }
      return this.#isEnded || this.onChange();
    }
  }
}

/** What comes into a topic from now on: the newest KEPT of it. */
export class Tail {
  #messages = [];
  #rates = [];
  isPaused = false;
  isOpen = false;
  seen = 0;
  dropped = 0;
  nameOf = (index) => `${this.#messages[index].partition} / ${count(this.#messages[index].offset)}`;

  constructor(topic, { onChange, onProblem }) {
    this.socket = openTail(topic);
    this.socket.onopen = () => {
      this.isOpen = true;
      onChange(0);
    };
    this.socket.onmessage = ({ data }) => {
      const told = JSON.parse(data);
      this.seen = told.seen;
      this.dropped = told.dropped;
      const now = performance.now();
      this.#rates.push([now, told.seen]);
      while (this.#rates.length > 2 && now - this.#rates[1][0] > 5000) this.#rates.shift();
      this.#messages.push(...told.messages);
      const gone = Math.max(this.#messages.length - KEPT, 0);
      if (gone) this.#messages = this.#messages.slice(gone);
      onChange(gone);
      onProblem(told.problem);
    };
    this.socket.onclose = () => {
      this.isOpen = false;
      if (!this.isEnded) onProblem("the tail has ended: volley view does not answer, or has too many tails");
    };
  }

  get total() {
    return this.#messages.length;
  }

  at(index) {
    return this.#messages[index];
  }

  /** Messages a second, over the last five. */
  get rate() {
    const [first, last] = [this.#rates[0], this.#rates.at(-1)];
    return last?.[0] > first?.[0] ? ((last[1] - first[1]) * 1000) / (last[0] - first[0]) : 0;
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    if (this.isOpen) this.socket.send(isPaused ? "pause" : "follow");
  }

  end() {
    this.isEnded = true;
    this.socket.close();
  }
}
