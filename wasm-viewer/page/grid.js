// The rows of a table: only what is in view exists, and is fetched when it comes into view.

import { byId, count, el } from "./format.js";
import { Scroller } from "./scroller.js";
import { colorOf } from "./theme.js";

const ROW = 24;
const HEAD = 42;
/** Rows fetched at a time. */
const CHUNK = 64;
const MAX_CHUNKS = 400;
const KINDS = { v: "", n: "null", e: "empty", f: "float", x: "damaged" };
const SHOWN = { n: "null", e: "empty" };

export class Grid {
  #chunks = new Map();
  #isFetching = false;
  #cursor = { row: 0, column: 0 };
  #generation = 0;
  tops = [];
  /** How the rows are sorted: `{ position, isDescending }`, or null. */
  #sort = null;
  /** Whether not all rows are shown, or not in their own order. */
  #isSelection = false;
  /** Where each column begins, in pixels; null until the first rows are there. */
  lefts = null;

  constructor({ onColumn, onFault }) {
    this.onColumn = onColumn;
    this.onFault = onFault;
    this.onSort = () => {};
    this.viewport = byId("grid");
    this.scroller = new Scroller(this.viewport, { rowHeight: ROW, head: HEAD, render: () => this.draw() });
    this.viewport.addEventListener("keydown", (event) => this.#key(event));
    this.viewport.addEventListener("pointerdown", (event) => this.#point(event));
  }

  /** Shows a table of an open payload. */
  async show(client, summary, table) {
    this.client = client;
    this.table = table;
    this.summary = summary;
    const { tops, rows } = summary.tables[table] ?? { tops: [], rows: 0 };
    this.tops = tops;
    this.rows = rows;
    this.lefts = null;
    this.#chunks.clear();
    this.#generation++;
    this.#isFetching = false;
    this.#cursor = { row: 0, column: 0 };
    this.#sort = null;
    this.#isSelection = false;
    // The first rows decide how wide columns are, so that nothing moves when they are there.
    const some = tops.slice(0, 40).map((_, position) => position);
    if (rows > 0 && some.length > 0) {
      const window = await client.call("rows", [table, 0, CHUNK, some]);
      if (client !== this.client || table !== this.table) return;
      this.#keep(0, some, window);
    }
    this.widths = tops.map((column, position) => this.#width(column, position));
    this.numbers = Math.max(count(Math.max(rows - 1, 0)).length * 8 + 20, 48);
    this.lefts = [this.numbers];
    for (const width of this.widths) this.lefts.push(this.lefts.at(-1) + width);
    this.viewport.setAttribute("aria-rowcount", rows + 1);
    this.viewport.setAttribute("aria-colcount", tops.length + 1);
    byId("rows-text").textContent = tops.length === 0 && rows > 0 ? `${count(rows)} rows of no columns` : "";
    this.scroller.reset(tops.length ? rows : 0, this.lefts.at(-1));
  }

  /** Shows the rows that the worker has selected, so many; null is all rows again. */
  arrange(selected, sort) {
    if (!this.client || !this.lefts) return;
    const { scrollLeft } = this.viewport;
    this.#isSelection = selected !== null;
    this.#sort = sort;
    this.rows = selected ?? this.summary.tables[this.table].rows;
    this.#chunks.clear();
    this.#generation++;
    this.#isFetching = false;
    this.#cursor.row = 0;
    this.viewport.setAttribute("aria-rowcount", this.rows + 1);
    this.scroller.reset(this.tops.length ? this.rows : 0, this.lefts.at(-1));
    this.viewport.scrollLeft = scrollLeft;
  }

  /** Brings a cell into view, while all rows are shown. */
  reveal(row, position) {
    if (!this.lefts || row >= this.rows || position >= this.tops.length) return;
    this.#cursor = { row, column: position };
    this.#revealColumn(position);
    this.scroller.show(row);
    this.draw();
  }

  /** Position of the column that the cursor is in. */
  get column() {
    return this.#cursor.column;
  }

  clear() {
    this.client = null;
    this.rows = 0;
    this.tops = [];
    this.#generation++;
    this.#chunks.clear();
    this.scroller.layer.replaceChildren();
    byId("cell").textContent = "";
  }

  /** Marks the column and brings it into view. */
  select(column) {
    this.selected = column;
    const position = this.tops.indexOf(column);
    if (position >= 0 && this.lefts) {
      this.#cursor.column = position;
      this.#revealColumn(position);
    }
    this.draw();
  }

  #width(column, position) {
    const { name } = this.summary.columns[column];
    const { type } = this.summary.inspection.columns[column];
    const texts = this.#chunks.get(0)?.get(position)?.texts ?? [];
    const longest = Math.max(0, ...texts.map((text) => text.length));
    const header = Math.max(name.length * 8, Math.min(type.length, 18) * 6.6);
    return Math.round(Math.min(Math.max(header + 50, longest * 7.6 + 20, 72), 300));
  }

  #visibleColumns() {
    const left = this.viewport.scrollLeft;
    const right = left + this.viewport.clientWidth;
    const positions = [];
    for (let position = 0; position < this.tops.length; position++) {
      if (this.lefts[position + 1] > left + this.numbers && this.lefts[position] < right) positions.push(position);
    }
    return positions;
  }

  draw() {
    if (!this.client || !this.lefts) return;
    const { scroller, viewport } = this;
    const positions = this.#visibleColumns();
    const left = viewport.scrollLeft;
    const place = (element, position) => {
      element.style.left = `${this.lefts[position] - left}px`;
      element.style.width = `${this.widths[position]}px`;
      return element;
    };
    const head = el("div", { className: "head", role: "row", "aria-rowindex": 1 });
    head.style.height = `${HEAD}px`;
    for (const position of positions) head.append(place(this.#header(position), position));
    head.append(this.#number("", "columnheader"));
    const body = el("div", { className: "body", role: "rowgroup" });
    body.style.top = `${HEAD}px`;
    for (let at = 0; at < scroller.count; at++) {
      const row = scroller.first + at;
      const line = el("div", { className: row % 2 ? "row odd" : "row", role: "row", "aria-rowindex": row + 2 });
      line.style.top = `${at * ROW - scroller.shift}px`;
      for (const position of positions) line.append(place(this.#cell(row, position), position));
      const number = this.#numberOf(row);
      line.append(this.#number(number === undefined ? "…" : count(number), "rowheader"));
      body.append(line);
    }
    scroller.layer.replaceChildren(el("div", { role: "rowgroup" }, head), body);
    const { row, column } = this.#cursor;
    viewport.setAttribute("aria-activedescendant", `cell-${row}-${column}`);
    this.#tell();
    this.#fetch(positions);
  }

  /** Which row of the table it is. */
  #numberOf(row) {
    return this.#isSelection ? this.#chunks.get(Math.floor(row / CHUNK))?.numbers[row % CHUNK] : row;
  }

  #number(text, role) {
    const element = el("div", { className: "number", role, "aria-colindex": 1, textContent: text });
    if (!text) element.append(el("span", { className: "unseen", textContent: "row" }));
    element.style.width = `${this.numbers}px`;
    return element;
  }

  #header(position) {
    const column = this.tops[position];
    const { name } = this.summary.columns[column];
    const { type } = this.summary.inspection.columns[column];
    const swatch = el("i");
    swatch.style.background = colorOf(column);
    const sorted = position === this.#sort?.position ? (this.#sort.isDescending ? "descending" : "ascending") : "none";
    const mark = { none: "↕", ascending: "▲", descending: "▼" }[sorted];
    const header = el(
      "div",
      { className: "cell", role: "columnheader", "aria-colindex": position + 2, "aria-sort": sorted, title: `${name}: ${type}` },
      el("b", {}, swatch, el("span", { textContent: name || "(no name)" })),
      el("small", { textContent: type }),
      el("span", { className: "sort", "aria-hidden": "true", title: "Sort (S in the column)", textContent: mark }),
    );
    header.dataset.position = position;
    if (column === this.selected) header.classList.add("selected");
    return header;
  }

  #at(row, position) {
    const column = this.#chunks.get(Math.floor(row / CHUNK))?.get(position);
    const at = row % CHUNK;
    return column && { kind: column.kinds[at], text: column.texts[at], faults: column.faults };
  }

  #cell(row, position) {
    const column = this.tops[position];
    const value = this.#at(row, position);
    const classes = ["cell", value ? KINDS[value.kind] : "waiting"];
    if (this.summary.columns[column].is_number) classes.push("end");
    if (column === this.selected) classes.push("selected");
    const { row: at, column: below } = this.#cursor;
    if (row === at && position === below) classes.push("cursor");
    const text = value ? (SHOWN[value.kind] ?? value.text) : "";
    const cell = el("div", { className: classes.join(" "), role: "gridcell", "aria-colindex": position + 2, id: `cell-${row}-${position}`, textContent: text });
    if (value?.kind === "x") cell.append(el("span", { className: "unseen", textContent: "cannot be read" }));
    Object.assign(cell.dataset, { row, position });
    return cell;
  }

  /** The line below says the whole of the cell, and what it is where its text does not tell. */
  #tell() {
    const { row, column: position } = this.#cursor;
    const line = byId("cell");
    const value = this.#at(row, position);
    if (!value) return line.replaceChildren();
    const path = this.summary.inspection.columns[this.tops[position]].path;
    const where = el("b", { textContent: `${path} · ${count(this.#numberOf(row))}` });
    if (value.kind === "x") {
      const [fault] = value.faults;
      const jump = el("button", { type: "button", className: "link", textContent: fault ? `byte ${count(fault.offset)}` : "" });
      jump.onclick = () => this.onFault(fault.offset);
      return line.replaceChildren(where, jump, fault?.message ?? "it cannot be read");
    }
    const what = { n: "null: no value", e: "empty: a text of no bytes", f: `${value.text}: no finite number` }[value.kind];
    line.replaceChildren(where, what ?? value.text);
  }

  #keep(chunk, positions, window) {
    const columns = this.#chunks.get(chunk) ?? new Map();
    positions.forEach((position, at) => columns.set(position, window.columns[at]));
    columns.numbers = window.numbers;
    // Last used, last dropped.
    this.#chunks.delete(chunk);
    this.#chunks.set(chunk, columns);
    while (this.#chunks.size > MAX_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value);
  }

  async #fetch(positions) {
    if (this.#isFetching || !this.client || !this.rows) return;
    const { first, count: rows } = this.scroller;
    const last = Math.floor(Math.max(first + rows - 1, first) / CHUNK);
    for (let chunk = Math.floor(first / CHUNK); chunk <= last; chunk++) {
      const missing = positions.filter((position) => !this.#chunks.get(chunk)?.has(position));
      if (missing.length === 0) continue;
      const { client } = this;
      const generation = this.#generation;
      this.#isFetching = true;
      try {
        const window = await client.call("rows", [this.table, chunk * CHUNK, CHUNK, missing]);
        if (generation !== this.#generation) return;
        this.#keep(chunk, missing, window);
      } catch {
        // The page says why the decoder stopped.
        return;
      }
      this.#isFetching = false;
      return this.draw();
    }
  }

  #revealColumn(position) {
    const { viewport } = this;
    const [start, end] = [this.lefts[position] - this.numbers, this.lefts[position + 1]];
    if (start < viewport.scrollLeft) viewport.scrollLeft = start;
    else if (end > viewport.scrollLeft + viewport.clientWidth) viewport.scrollLeft = end - viewport.clientWidth;
  }

  #key(event) {
    if (!this.rows || !this.tops.length || event.altKey || event.metaKey) return;
    const cursor = this.#cursor;
    const [lastRow, lastColumn] = [this.rows - 1, this.tops.length - 1];
    const { page } = this.scroller;
    const moves = {
      ArrowUp: () => (cursor.row -= 1),
      ArrowDown: () => (cursor.row += 1),
      ArrowLeft: () => (cursor.column -= 1),
      ArrowRight: () => (cursor.column += 1),
      PageUp: () => (cursor.row -= page),
      PageDown: () => (cursor.row += page),
      Home: () => {
        cursor.row = 0;
        if (event.ctrlKey) cursor.column = 0;
      },
      End: () => {
        cursor.row = lastRow;
        if (event.ctrlKey) cursor.column = lastColumn;
      },
      Enter: () => this.onColumn(this.tops[cursor.column]),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
    cursor.row = Math.max(Math.min(cursor.row, lastRow), 0);
    cursor.column = Math.max(Math.min(cursor.column, lastColumn), 0);
    this.#revealColumn(cursor.column);
    this.scroller.reveal(cursor.row);
    this.draw();
  }

  #point(event) {
    const cell = event.target.closest("[data-position]");
    if (!cell) return;
    const position = Number(cell.dataset.position);
    if (event.target.closest(".sort")) return this.onSort(position);
    if (cell.dataset.row === undefined) return this.onColumn(this.tops[position]);
    this.#cursor = { row: Number(cell.dataset.row), column: position };
    this.draw();
  }
}
