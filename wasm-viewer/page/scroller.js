// Scrolls through more rows than a browser lets an element be high.
//
// Up to LIMIT pixels it is plain scrolling. Beyond, the scrollbar stands for the whole and a small
// move scrolls pixel by pixel all the same: only a move of more than a view jumps in proportion.

import { el } from "./format.js";

const LIMIT = 8_000_000;

export class Scroller {
  #top = 0;
  #expected = 0;
  #settle = 0;

  /** `head`: pixels at the top that do not scroll. `render()` is called when anything moved. */
  constructor(viewport, { rowHeight, head = 0, render }) {
    this.viewport = viewport;
    this.rowHeight = rowHeight;
    this.head = head;
    this.render = render;
    this.total = 0;
    this.layer = el("div", { className: "layer" });
    this.spacer = el("div", { className: "spacer" });
    this.spacer.setAttribute("aria-hidden", "true");
    viewport.replaceChildren(this.layer, this.spacer);
    viewport.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.resize()).observe(viewport);
  }

  reset(total, width = 0) {
    this.total = total;
    this.width = width;
    this.#top = 0;
    this.viewport.scrollTop = this.viewport.scrollLeft = this.#expected = 0;
    this.resize();
  }

  resize() {
    const { viewport, layer, spacer } = this;
    layer.style.width = `${viewport.clientWidth}px`;
    layer.style.height = `${viewport.clientHeight}px`;
    this.height = Math.max(viewport.clientHeight - this.head, this.rowHeight);
    const full = this.total * this.rowHeight;
    // The layer takes its own height at the top of what scrolls.
    spacer.style.height = `${Math.max(Math.min(full, LIMIT) + this.head - viewport.clientHeight, 0)}px`;
    spacer.style.width = `${this.width ?? 0}px`;
    this.isScaled = full > LIMIT;
    this.#go(Math.min(this.#top, this.#end()));
  }

  /** The first row in view, whole or in part, and how much of it is above the view. */
  get first() {
    return Math.floor(this.#top / this.rowHeight);
  }

  get shift() {
    return this.#top - this.first * this.rowHeight;
  }

  /** Rows in view, the one cut off at the bottom included. */
  get count() {
    const end = Math.ceil((this.#top + this.height) / this.rowHeight);
    return Math.min(end, this.total) - this.first;
  }

  /** Rows that fit whole. */
  get page() {
    return Math.max(Math.floor(this.height / this.rowHeight), 1);
  }

  /** Scrolls as little as needed for `row` to be whole in view. */
  reveal(row) {
    const top = row * this.rowHeight;
    const bottom = top + this.rowHeight - this.height;
    if (top < this.#top) this.#go(top);
    else if (bottom > this.#top) this.#go(bottom);
  }

  /** Scrolls so that `row` is a few rows below the top. */
  show(row) {
    if (row >= this.first && row < this.first + this.page) return;
    this.#go(Math.max((row - 2) * this.rowHeight, 0));
  }

  #end() {
    return Math.max(this.total * this.rowHeight - this.height, 0);
  }

  #range() {
    return Math.max(this.viewport.scrollHeight - this.viewport.clientHeight, 0);
  }

  #go(top) {
    this.#top = Math.max(Math.min(top, this.#end()), 0);
    this.#align();
    this.render();
  }

  /** Puts the scrollbar where the rows are. */
  #align() {
    const end = this.#end();
    const wanted = this.isScaled && end > 0 ? (this.#top / end) * this.#range() : this.#top;
    this.viewport.scrollTop = wanted;
    this.#expected = this.viewport.scrollTop;
  }

  #scrolled() {
    const { scrollTop } = this.viewport;
    const moved = scrollTop - this.#expected;
    this.#expected = scrollTop;
    if (!this.isScaled) {
      this.#top = Math.min(scrollTop, this.#end());
    } else if (scrollTop <= 0 && moved < 0) {
      this.#top = 0;
    } else if (scrollTop >= this.#range() - 1 && moved > 0) {
      this.#top = this.#end();
    } else if (Math.abs(moved) <= this.height) {
      this.#top = Math.max(Math.min(this.#top + moved, this.#end()), 0);
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.#align(), 200);
    } else {
      this.#top = (scrollTop / this.#range()) * this.#end();
    }
    this.render();
  }
}
