// A list of messages, of which only those in view exist: of a partition by offset, or of a tail.

import { byId, count, el, size } from "./format.js";
import { Scroller } from "./scroller.js";

const ROW = 44;

/** A key or a header's value: text, or an object with its digits. */
export function textOf(value) {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : `0x${value.hex}`;
}

/** `22:13:20.123`, with the day where it is not today's. */
function timeOf({ timestamp }) {
  if (!timestamp) return "no time";
  const [day, time] = timestamp.replace("Z", "").split("T");
  return new Date().toISOString().startsWith(day) ? time : `${day} ${time}`;
}

export class Messages {
  /** What is in view, from `source.at(index)`: an envelope, null where there is none, undefined where it is on its way. */
  #source = { total: 0, at: () => undefined, nameOf: String };
  #cursor = 0;
  #open = null;
  /** Index that was chosen before it was there. */
  #wanted = null;

  constructor({ onOpen }) {
    this.onOpen = onOpen;
    this.viewport = byId("messages");
    this.scroller = new Scroller(this.viewport, { rowHeight: ROW, render: () => this.draw() });
    this.viewport.addEventListener("keydown", (event) => this.#key(event));
    this.viewport.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.#choose(Number(row.dataset.index));
    });
  }

  /** Shows a source from its end, where the newest are. */
  show(source) {
    this.#source = source;
    this.#wanted = null;
    this.#cursor = Math.max(source.total - 1, 0);
    this.scroller.reset(source.total);
    if (source.total) this.scroller.reveal(source.total - 1);
  }

  /** The source has changed; `gone` of its first are no longer there. */
  update({ isFollowing, gone = 0 }) {
    const { total } = this.#source;
    this.scroller.total = total;
    this.#cursor = isFollowing ? Math.max(total - 1, 0) : Math.max(this.#cursor - gone, 0);
    this.scroller.resize();
    if (isFollowing && total) this.scroller.reveal(total - 1);
  }

  /** Marks a message as the open one. */
  mark(partition, offset) {
    this.#open = partition === null ? null : `${partition}/${offset}`;
    this.draw();
  }

  /** Scrolls to an index. */
  reveal(index) {
    this.#cursor = index;
    this.scroller.show(index);
  }

  draw() {
    const { scroller } = this;
    if (this.#wanted !== null && this.#source.at(this.#wanted) !== undefined) return this.#choose(this.#wanted);
    const rows = [];
    for (let at = 0; at < scroller.count; at++) {
      const index = scroller.first + at;
      const row = this.#row(index, this.#source.at(index));
      row.style.top = `${at * ROW - scroller.shift}px`;
      rows.push(row);
    }
    scroller.layer.replaceChildren(...rows);
    this.viewport.setAttribute("aria-activedescendant", this.#source.total ? `message-${this.#cursor}` : "");
    this.#source.wants?.(scroller.first, scroller.first + scroller.count);
  }

  #row(index, envelope) {
    const { total, nameOf } = this.#source;
    const row = el("div", { className: "message", role: "option", id: `message-${index}`, "aria-setsize": total, "aria-posinset": index + 1 });
    row.dataset.index = index;
    row.setAttribute("aria-selected", Boolean(envelope && `${envelope.partition}/${envelope.offset}` === this.#open));
    if (index === this.#cursor) row.classList.add("cursor");
    if (!envelope) {
      row.append(el("b", { textContent: nameOf(index) }), el("span", { textContent: envelope === null ? "no message: compacted away, or a marker" : "" }));
      return row;
    }
    const key = textOf(envelope.key);
    const value = envelope.value_bytes === null ? "tombstone" : size(envelope.value_bytes);
    row.append(
      el("b", { textContent: nameOf(index) }),
      el("time", { textContent: timeOf(envelope), title: envelope.timestamp ?? "" }),
      el("span", { className: key === null ? "none" : "", textContent: key ?? "no key" }),
      el("span", { className: "end", textContent: envelope.rows === null ? value : `${count(envelope.rows)} rows, ${value}` }),
    );
    return row;
  }

  #choose(index) {
    this.#cursor = index;
    const envelope = this.#source.at(index);
    this.#wanted = envelope === undefined ? index : null;
    if (envelope) this.onOpen(envelope);
    this.draw();
  }

  #key(event) {
    const { total } = this.#source;
    if (!total || event.altKey || event.metaKey || event.ctrlKey) return;
    const { page } = this.scroller;
    const moves = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -total, End: total };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.#choose(this.#cursor);
    }
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.#cursor = Math.max(Math.min(this.#cursor + moves[event.key], total - 1), 0);
    this.scroller.reveal(this.#cursor);
    this.draw();
  }
}
