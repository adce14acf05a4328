// The byte map: the whole payload as one bar.

import { byId, count } from "./format.js";

const HEIGHT = 34;

export class ByteMap {
  constructor({ onRegion }) {
    this.onRegion = onRegion;
    this.bar = byId("map");
    this.canvas = this.bar.querySelector("canvas");
    this.marker = this.bar.querySelector("i");
    new ResizeObserver(() => this.draw()).observe(this.bar);
    addEventListener("theme-changed", () => this.draw());
    this.bar.addEventListener("pointermove", (event) => this.#tell(this.#regionAt(event)));
    this.bar.addEventListener("pointerleave", () => this.#tell(this.region));
    this.bar.addEventListener("click", (event) => {
      const region = this.#regionAt(event);
      if (region !== null) this.onRegion(region);
    });
    this.bar.addEventListener("keydown", (event) => this.#key(event));
  }

  show(regions, paths) {
    Object.assign(this, { regions, paths, region: null, column: null });
    this.bar.setAttribute("aria-valuemin", 0);
    this.bar.setAttribute("aria-valuemax", Math.max(regions.length - 1, 0));
    this.draw();
    this.select(0);
  }

  clear() {
    this.regions = null;
  }

  select(region) {
    if (!this.regions?.length) return this.#tell(null);
    this.region = region;
    this.column = this.regions.columnOf(region);
    this.bar.setAttribute("aria-valuenow", region);
    this.bar.setAttribute("aria-valuetext", this.regions.describe(region, this.paths));
    this.#tell(region);
    this.draw();
  }

  #regionAt(event) {
    if (!this.regions?.length) return null;
    const box = this.bar.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    const byte = Math.min(Math.max(Math.floor(part * this.regions.bytes), 0), this.regions.bytes - 1);
    return this.regions.at(byte);
  }

  #tell(region) {
    const text = region === null || !this.regions ? "" : `${this.regions.describe(region, this.paths)} · region ${count(region + 1)} of ${count(this.regions.length)}`;
    byId("map-text").textContent = text;
  }

  /** Each pixel has the colour of the region that takes the most of it. */
  draw() {
    const width = Math.floor(this.bar.clientWidth);
    if (!this.regions || !width) return;
    const scale = devicePixelRatio || 1;
    const pixels = Math.floor(width * scale);
    this.canvas.width = pixels;
    this.canvas.height = HEIGHT * scale;
    const context = this.canvas.getContext("2d");
    const { regions } = this;
    const perPixel = regions.bytes / pixels;
    const most = new Float64Array(pixels);
    const winner = new Int32Array(pixels).fill(-1);
    for (let region = 0; region < regions.length; region++) {
      const start = regions.offsets[region] / perPixel;
      const end = (regions.offsets[region] + regions.lens[region]) / perPixel;
      for (let pixel = Math.floor(start); pixel < end && pixel < pixels; pixel++) {
        const part = Math.min(end, pixel + 1) - Math.max(start, pixel);
        if (part > most[pixel]) [most[pixel], winner[pixel]] = [part, region];
      }
    }
    let start = 0;
    for (let pixel = 1; pixel <= pixels; pixel++) {
      if (winner[pixel] === winner[start] && pixel < pixels) continue;
      const region = winner[start];
      if (region >= 0) {
        const isOther = this.column !== null && regions.columnOf(region) !== this.column;
        context.globalAlpha = isOther ? 0.3 : 1;
        context.fillStyle = regions.color(region);
        context.fillRect(start, 0, pixel - start, HEIGHT * scale);
        // A line between neighbours of one colour, where there is room for one.
        if (pixel - start > 3 * scale) context.clearRect(pixel - 1, 0, 1, HEIGHT * scale);
      }
      start = pixel;
    }
    if (this.region !== null) {
      const at = (regions.offsets[this.region] / regions.bytes) * width;
      const wide = Math.max((regions.lens[this.region] / regions.bytes) * width, 3);
      this.marker.style.left = `${Math.min(at, width - 3)}px`;
      this.marker.style.width = `${wide}px`;
    }
  }

  #key(event) {
    if (!this.regions?.length) return;
    const last = this.regions.length - 1;
    const now = this.region ?? 0;
    const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, PageDown: now - 20, PageUp: now + 20, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.onRegion(Math.max(Math.min(to, last), 0));
  }
}
