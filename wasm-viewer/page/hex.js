// The bytes of the payload, coloured as in the map.

import { byId, count, el, size } from "./format.js";
import { Scroller } from "./scroller.js";

const ROW = 22;
/** Bytes fetched at a time. */
const CHUNK = 1 << 12;
const MAX_CHUNKS = 64;

export class Hex {
  #chunks = new Map();
  #isFetching = false;
  #generation = 0;

  constructor({ onRegion, onColumn }) {
    this.onRegion = onRegion;
    this.onColumn = onColumn;
    this.viewport = byId("hex");
    this.scroller = new Scroller(this.viewport, { rowHeight: ROW, render: () => this.draw() });
    this.viewport.addEventListener("click", (event) => {
      const at = event.target.closest("[data-at]")?.dataset.at;
      if (at !== undefined) this.onRegion(this.regions.at(Number(at)), Number(at));
    });
    this.viewport.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#fit()).observe(this.viewport);
  }

  show(client, regions, paths) {
    Object.assign(this, { client, regions, paths, region: null, mark: null });
    this.#chunks.clear();
    this.#generation++;
    this.#isFetching = false;
    this.perLine = 0;
    this.#fit();
  }

  clear() {
    this.client = null;
    this.#generation++;
    this.#chunks.clear();
    this.scroller.layer.replaceChildren();
    byId("region").replaceChildren();
  }

  /** As many bytes a line as fit. */
  #fit() {
    if (!this.client) return;
    const room = this.viewport.clientWidth;
    const perLine = room > 560 ? 16 : room > 310 ? 8 : 4;
    if (perLine === this.perLine) return;
    this.perLine = perLine;
    this.scroller.reset(Math.ceil(this.regions.bytes / perLine));
    if (this.mark !== null) this.scroller.show(Math.floor(this.mark / perLine));
  }

  /** Shows a region from its first byte, or from one inside it. */
  async select(region, mark = this.regions.offsets[region]) {
    Object.assign(this, { region, mark });
    this.scroller.show(Math.floor(mark / this.perLine));
    this.draw();
    await this.#tell(region);
  }

  async #tell(region) {
    const { client } = this;
    const detail = await client.call("region", [region]).catch(() => null);
    if (!detail || region !== this.region || client !== this.client) return;
    const swatch = el("i");
    swatch.style.background = this.regions.color(region);
    const parts = [swatch, el("b", { textContent: detail.kind })];
    if (detail.column !== null) {
      const back = el("button", { type: "button", className: "link", id: "region-column", textContent: this.paths[detail.column], title: "Show the column" });
      back.onclick = () => this.onColumn(detail.column);
      parts.push(" of ", back);
    }
    const message = detail.message_kind ? ` · ${detail.message_kind}, message ${count(detail.message)}` : "";
    const unpacked = detail.is_stored_raw ? ", stored as it is" : detail.raw && detail.codec !== "none" ? `, ${detail.codec} of ${size(detail.raw)}` : "";
    parts.push(` ${size(detail.len)} at ${count(detail.offset)}${unpacked}${message}`);
    byId("region").replaceChildren(...parts);
  }

  #byte(at) {
    return this.#chunks.get(Math.floor(at / CHUNK))?.[at % CHUNK];
  }

  draw() {
    if (!this.client || !this.perLine) return;
    const { scroller, regions, perLine } = this;
    const digits = Math.max(regions.bytes.toString(16).length, 4);
    const lines = [];
    for (let line = 0; line < scroller.count; line++) {
      const start = (scroller.first + line) * perLine;
      const end = Math.min(start + perLine, regions.bytes);
      const hex = el("span", { className: "digits" });
      const text = el("span", { className: "text" });
      let region = regions.at(start);
      for (let at = start; at < end; at++) {
        while (region + 1 < regions.length && regions.offsets[region + 1] <= at) region++;
        const byte = this.#byte(at);
        const shown = byte === undefined ? "··" : byte.toString(16).padStart(2, "0");
        const digit = el("span", { textContent: shown });
        digit.dataset.at = at;
        digit.style.setProperty("--c", regions.color(region));
        if (region === this.region) digit.className = at === this.mark ? "in mark" : "in";
        hex.append(digit);
        const isPrintable = byte >= 0x20 && byte < 0x7f;
        const letter = el("span", { textContent: byte === undefined ? " " : isPrintable ? String.fromCharCode(byte) : "·" });
        letter.dataset.at = at;
        if (region === this.region) letter.className = "in";
        text.append(letter);
      }
      hex.style.width = `${perLine * 24}px`;
      const offset = el("span", { className: "offset", textContent: start.toString(16).padStart(digits, "0") });
      const row = el("div", { className: "line" }, offset, hex, text);
      row.style.top = `${line * ROW - scroller.shift}px`;
      lines.push(row);
    }
    scroller.layer.replaceChildren(...lines);
    this.#fetch();
  }

  async #fetch() {
    if (this.#isFetching) return;
    const first = Math.floor((this.scroller.first * this.perLine) / CHUNK);
    const end = Math.min((this.scroller.first + this.scroller.count) * this.perLine, this.regions.bytes);
    for (let chunk = first; chunk * CHUNK < end; chunk++) {
      if (this.#chunks.has(chunk)) continue;
      const generation = this.#generation;
      this.#isFetching = true;
      try {
        const bytes = await this.client.call("bytes", [chunk * CHUNK, CHUNK]);
        if (generation !== this.#generation) return;
        this.#chunks.set(chunk, bytes);
      } catch {
        // The page says why the decoder stopped.
        return;
      }
      while (this.#chunks.size > MAX_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value);
      this.#isFetching = false;
      return this.draw();
    }
  }

  #key(event) {
    if (!this.client || event.ctrlKey || event.altKey || event.metaKey) return;
    const { page, total } = this.scroller;
    const now = Math.floor((this.mark ?? 0) / this.perLine);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -now, End: total - 1 - now };
    const bytes = { ArrowLeft: -1, ArrowRight: 1 };
    if (!(event.key in steps) && !(event.key in bytes)) return;
    event.preventDefault();
    const to = (this.mark ?? 0) + (bytes[event.key] ?? steps[event.key] * this.perLine);
    const at = Math.max(Math.min(to, this.regions.bytes - 1), 0);
    this.scroller.reveal(Math.floor(at / this.perLine));
    this.onRegion(this.regions.at(at), at);
  }
}
