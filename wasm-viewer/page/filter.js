// Which rows are shown, and in which order: the field above them, and the headers of the columns.

import { byId, count } from "./format.js";
import { fragment } from "./fragment.js";

const TESTS = [
  [/^is\s+not\s+null$/i, "not null"],
  [/^is\s+null$/i, "null"],
  [/^contains\s+(.*)$/is, "contains"],
  [/^(?:<>|!=)\s*(.*)$/s, "!="],
  [/^<=\s*(.*)$/s, "<="],
  [/^>=\s*(.*)$/s, ">="],
  [/^<\s*(.*)$/s, "<"],
  [/^>\s*(.*)$/s, ">"],
  [/^==?\s*(.*)$/s, "="],
];

/** `cpu > 90` as `{ position, test, value }`, given the names of the columns. */
export function parseFilter(text, names) {
  const trimmed = text.trim();
  // The longest name that it begins with, in quotes or not: names may hold anything.
  const begins = names.flatMap((name, position) => [name, JSON.stringify(name)].map((written) => ({ written, position })));
  const fitting = begins.filter(({ written }) => written && trimmed.startsWith(written)).sort((one, other) => other.written.length - one.written.length);
  for (const { written, position } of fitting) {
    const rest = trimmed.slice(written.length).trimStart();
    for (const [pattern, test] of TESTS) {
      const found = pattern.exec(rest);
      if (found) return { position, test, value: (found[1] ?? "").replace(/^"(.*)"$/s, "$1") };
    }
  }
  const [known] = fitting;
  throw new Error(known ? `After ${known.written} comes < <= = != >= > contains, is null or is not null.` : "It begins with the name of a column, as in its header.");
}

export class Filter {
  #generation = 0;
  /** `{ position, isDescending }`, or null. */
  #sort = null;
  /** What is shown, or was refused. */
  #applied = null;

  constructor(grid) {
    this.grid = grid;
    this.input = byId("filter");
    grid.onSort = (position) => this.sort(position);
    byId("filter-form").onsubmit = (event) => {
      event.preventDefault();
      this.#apply();
    };
    // Left with another text than it was entered with.
    this.input.onchange = () => this.#apply();
    this.input.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      this.clear();
      grid.viewport.focus();
    };
    grid.viewport.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "s" && grid.tops.length) this.sort(grid.column);
      else if (event.key === "Escape" && this.isActive) this.clear();
      else return;
      // With the same keys the page does something else.
      event.stopPropagation();
    });
  }

  /** Whether not all rows are wanted, or not in their own order. */
  get isActive() {
    return Boolean(this.input.value.trim() || this.#sort);
  }

  /** Begins with all rows of a table, which the grid is about to show. */
  show(client, summary, table) {
    Object.assign(this, { client, summary, table });
    this.#generation++;
    this.#sort = null;
    this.input.value = "";
    this.#applied = this.#wanted();
    this.#tell("");
    const { tops } = summary.tables[table] ?? { tops: [] };
    this.names = tops.map((top) => summary.columns[top].name);
    const number = tops.findIndex((top) => summary.columns[top].is_number);
    this.input.disabled = tops.length === 0;
    this.input.placeholder = number >= 0 ? `Filter, such as ${this.names[number]} > 0` : "Filter";
    this.#select(null, null).catch(() => {});
  }

  /** What a shared address has: `cpu > 90`, `-ts`. */
  restore(text, sort) {
    const position = this.names.indexOf(sort?.replace(/^-/, ""));
    this.input.value = text ?? "";
    this.#sort = position < 0 ? null : { position, isDescending: sort.startsWith("-") };
    this.#apply();
  }

  clear() {
    this.input.value = "";
    this.#sort = null;
    return this.#apply();
  }

  /** By a column: least first, then greatest first, then not. */
  sort(position) {
    const { position: before, isDescending } = this.#sort ?? {};
    if (position !== before) this.#sort = { position, isDescending: false };
    else this.#sort = isDescending ? null : { position, isDescending: true };
    this.#apply();
  }

  #wanted() {
    return JSON.stringify([this.input.value.trim(), this.#sort]);
  }

  async #apply() {
    if (this.#wanted() === this.#applied) return;
    this.#applied = this.#wanted();
    const generation = ++this.#generation;
    const text = this.input.value.trim();
    const sort = this.#sort;
    const of = this.summary.tables[this.table].rows;
    const say = (words) => (byId("rows-text").textContent = words);
    this.#tell("");
    try {
      await this.#select(text ? parseFilter(text, this.names) : null, sort);
      let told = { done: 0, of: this.isActive ? 1 : 0 };
      while (told.done < told.of) {
        told = await this.client.call("selectMore", []);
        if (generation !== this.#generation) return;
        say(told.done < told.of ? `${count(told.rows)} of ${count(told.done)} rows…` : `${count(told.rows)} of ${count(of)} rows`);
      }
      if (!this.isActive) say("");
      if (told.left_out) this.#tell(`${count(told.left_out)} rows cannot be read and are left out: ${told.fault.message}`);
      fragment.set({ filter: text || null, sort: sort && `${sort.isDescending ? "-" : ""}${this.names[sort.position]}` });
      this.grid.arrange(this.isActive ? told.rows : null, sort);
    } catch (error) {
      if (generation !== this.#generation) return;
      // All rows again: none of those that were asked for are there.
      this.#sort = null;
      this.#applied = this.#wanted();
      this.#select(null, null).catch(() => {});
      this.#tell(error.message, true);
      say("");
      fragment.set({ filter: null, sort: null });
      this.grid.arrange(null, null);
    }
  }

  #select(filter, sort) {
    return this.client.call("select", [this.table, filter, sort]);
  }

  #tell(message, isError = false) {
    this.input.setAttribute("aria-invalid", isError);
    const line = byId("filter-problem");
    line.textContent = message;
    line.hidden = !message;
    // Exports know nothing of a selection.
    byId("export").options[0].textContent = this.isActive && !isError ? "Export all…" : "Export…";
  }
}
