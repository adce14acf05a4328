// What each column is and takes, in a table whose last line is the whole payload.

import { byId, count, el, ratio, share, size } from "./format.js";
import { colorOf, colorOfKind } from "./theme.js";

/** Columns shown at once: a schema may have 65,536. */
const BATCH = 500;

const HEADS = [
  ["Column", ""],
  ["Nulls", "number"],
  ["Stored, share", "number"],
  ["Raw, ratio", "number"],
  ["", "size"],
  ["Least, greatest", "extremes"],
];

export class Columns {
  constructor({ onColumn, onFault }) {
    this.onColumn = onColumn;
    this.onFault = onFault;
    this.pane = byId("sizes");
    this.pane.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("theme-changed", () => this.#color());
  }

  show(summary) {
    this.summary = summary;
    this.rows = [];
    this.selected = null;
    const { inspection } = summary;
    this.largest = Math.max(1, inspection.metadata_bytes, ...inspection.columns.map((column) => column.stored));
    const head = el("tr", {}, ...HEADS.map(([text, name]) => (text ? el("th", { scope: "col", className: name, textContent: text }) : el("td", { className: name }))));
    this.body = el("tbody");
    this.foot = el("tfoot", {}, ...this.#rest());
    this.pane.replaceChildren(el("table", {}, el("thead", {}, head), this.body, this.foot));
    this.#more();
  }

  clear() {
    this.pane.replaceChildren();
    delete this.pane.dataset.extremes;
    this.summary = null;
    this.rows = [];
  }

  #more() {
    const { columns } = this.summary.inspection;
    const end = Math.min(this.rows.length + BATCH, columns.length);
    for (let index = this.rows.length; index < end; index++) {
      const row = this.#row(index);
      this.rows.push(row);
      this.body.append(row);
    }
    if (this.rows.length && !this.body.querySelector("[tabindex='0']")) this.#focusable(0);
    if (end < columns.length) {
      const button = el("button", { type: "button", textContent: `Show more: ${count(end)} of ${count(columns.length)}` });
      const line = el("tr", { className: "more" }, el("td", { colSpan: HEADS.length }, button));
      button.onclick = () => {
        line.remove();
        this.#more();
      };
      this.body.append(line);
    }
  }

  #row(index) {
    const column = this.summary.inspection.columns[index];
    const about = this.summary.columns[index];
    const name = about.is_dictionary ? "dictionary" : about.name || "(no name)";
    const swatch = el("i");
    swatch.style.background = colorOf(index);
    const button = el("button", { type: "button", tabIndex: -1, title: `${column.path}: show its bytes` }, swatch, el("span", { textContent: name }));
    button.onclick = () => this.onColumn(index);
    const type = el("small", { textContent: column.type, title: column.type });
    const cell = el("th", { scope: "row" }, button, type);
    cell.style.paddingInlineStart = `${8 + Math.min(about.depth, 8) * 14}px`;
    const extremes = el("td", { className: "extremes" });
    extremes.append(el("span", { textContent: about.has_order ? "…" : "–" }));
    return el(
      "tr",
      { id: `column-${index}` },
      cell,
      this.#number(column.nulls ? count(column.nulls) : "0", column.values ? share(column.nulls, column.values) : ""),
      ...this.#sizes(column.stored, column.raw, colorOf(index)),
      extremes,
    );
  }

  #number(text, small = "") {
    return el("td", { className: "number" }, text, small ? el("small", { textContent: small }) : null);
  }

  #sizes(stored, raw, color) {
    const { bytes } = this.summary.inspection;
    const exact = (text, small, n) => {
      const cell = this.#number(text, small);
      cell.title = `${count(n)} bytes`;
      cell.dataset.bytes = n;
      return cell;
    };
    const bar = el("i", { className: "bar" });
    bar.style.width = `${(100 * stored) / this.largest}%`;
    bar.style.background = color;
    return [
      exact(size(stored), share(stored, bytes), stored),
      raw === null ? el("td") : exact(size(raw), ratio(raw, stored), raw),
      el("td", { className: "size" }, raw === null || !color ? share(stored, bytes) : el("span", { className: "track" }, bar)),
    ];
  }

  /** What belongs to no column, and the sum. */
  #rest() {
    const { inspection, padding_bytes, unclaimed_bytes } = this.summary;
    const line = (name, title, bytes, color) => {
      const swatch = el("i");
      swatch.style.background = color;
      return el("tr", {}, el("th", { scope: "row", colSpan: 2, title }, swatch, name), ...this.#sizes(bytes, null, color), el("td"));
    };
    const lines = [line("Metadata", "Prefixes, flatbuffers, end markers, footer", inspection.metadata_bytes, colorOfKind("metadata"))];
    lines.push(line("Padding", "Bytes that align what follows", padding_bytes, colorOfKind("padding")));
    if (unclaimed_bytes) lines.push(line("Unclaimed", "Bytes without a known meaning", unclaimed_bytes, colorOfKind("unclaimed")));
    const sum = el("tr", { className: "sum" }, el("th", { scope: "row", colSpan: 2 }, "Payload"), ...this.#sizes(inspection.bytes, inspection.raw_bytes, null), el("td"));
    return [...lines, sum];
  }

  /**
   * Fills in least and greatest values, column after column, while the payload stays open. Returns
   * what could not be read, `{ path, fault, damaged, batches }` a column at the top.
   */
  async extremes(client) {
    const { summary } = this;
    const faults = [];
    const left = summary.tables.flatMap(({ first_column: first, n_columns: n }, table) =>
      Array.from({ length: n }, (_, column) => [table, column]).filter(([, column]) => {
        const { has_order, depth } = summary.columns[first + column];
        return has_order || depth === 0;
      }),
    );
    while (left.length) {
      const found = await client.call("extremes", [left.slice(0, 100)]);
      if (this.summary !== summary) return faults;
      for (const extremes of found) {
        if (extremes.done < extremes.batches) break;
        const [table, column] = left.shift();
        const index = summary.tables[table].first_column + column;
        this.#tell(index, extremes);
        const { path } = summary.inspection.columns[index];
        if (extremes.fault && summary.columns[index].depth === 0) faults.push({ path, ...extremes });
      }
    }
    this.pane.dataset.extremes = "whole";
    return faults;
  }

  #tell(index, { min, max, damaged, batches, fault }) {
    const cell = this.rows[index]?.querySelector(".extremes");
    if (!cell) return;
    // A whole second says no more with its zeros.
    const short = (text) => text.replace(/(:\d\d)\.0+(Z?)$/, "$1$2") || "(empty)";
    const shown = (text) => el("span", { textContent: short(text), title: text });
    const parts = min === null ? [] : [shown(min), shown(max)];
    if (fault) {
      const of = batches > 1 ? `damaged: ${count(damaged)} of ${count(batches)}` : "damaged";
      const jump = el("button", { type: "button", className: "link", textContent: of, title: fault.message });
      jump.onclick = () => this.onFault(fault.offset);
      parts.push(jump);
    }
    if (!parts.length) parts.push(el("span", { textContent: this.summary.columns[index].has_order ? "no values" : "–" }));
    cell.replaceChildren(...parts);
  }

  select(index) {
    this.rows[this.selected]?.classList.remove("selected");
    this.rows[this.selected]?.removeAttribute("aria-current");
    this.selected = index;
    if (index === null) return;
    while (index >= this.rows.length && this.body.querySelector(".more button")) this.body.querySelector(".more button").click();
    const row = this.rows[index];
    if (!row) return;
    row.classList.add("selected");
    row.setAttribute("aria-current", "true");
    this.#focusable(index);
    this.#reveal(row);
  }

  /** Like scrollIntoView, under a head and above a foot that stay. */
  #reveal(row) {
    const head = this.pane.querySelector("thead").offsetHeight;
    const foot = this.foot.offsetHeight;
    const { scrollTop, clientHeight } = this.pane;
    if (row.offsetTop - head < scrollTop) this.pane.scrollTop = row.offsetTop - head;
    const bottom = row.offsetTop + row.offsetHeight + foot;
    if (bottom > scrollTop + clientHeight) this.pane.scrollTop = bottom - clientHeight;
  }

  #focusable(index) {
    this.body.querySelector("[tabindex='0']")?.setAttribute("tabindex", -1);
    const button = this.rows[index].querySelector("button");
    button.tabIndex = 0;
    return button;
  }

  #key(event) {
    const row = event.target.closest("tbody tr");
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    if (!row || !(event.key in steps)) return;
    event.preventDefault();
    const to = this.rows.indexOf(row) + steps[event.key];
    const index = Math.max(Math.min(to, this.rows.length - 1), 0);
    this.#focusable(index).focus({ preventScroll: true });
    this.#reveal(this.rows[index]);
  }

  #color() {
    if (!this.summary) return;
    this.rows.forEach((row, index) => {
      row.querySelector("th i").style.background = colorOf(index);
      row.querySelector(".bar")?.style.setProperty("background", colorOf(index));
    });
    this.foot.replaceChildren(...this.#rest());
  }
}
