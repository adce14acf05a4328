// Another payload held against the open one: schemas, sizes, rows.

import { byId, count, el, ratio, size } from "./format.js";
import { colorOf } from "./theme.js";

const SHOWN = { n: "null", e: "empty", x: "damaged" };
const MARKS = { same: "✓", different: "≠", unknown: "?" };
const MAX_COLUMNS = 1000;
const NOTHING = "–";

export class Compare {
  /** Whether the next payload that comes in is the other one. */
  #isNext = false;
  #generation = 0;
  #last = null;

  constructor({ onCell, onFault }) {
    Object.assign(this, { onCell, onFault, pane: byId("compare") });
    this.picker = el("input", { type: "file", id: "compare-picker", "aria-label": "File to compare with", hidden: true });
    this.picker.onchange = () => {
      const [file] = this.picker.files;
      if (file) this.#take(file.name, file.arrayBuffer().then((buffer) => new Uint8Array(buffer)));
      this.picker.value = "";
    };
    // The page hears of it next, and asks whose it is.
    this.pane.addEventListener("drop", () => (this.#isNext = this.client !== null));
    addEventListener("theme-changed", () => this.#last && this.#draw(...this.#last));
    this.clear();
  }

  clear() {
    this.client = null;
    this.#generation++;
    this.#isNext = false;
    this.#last = null;
    delete this.pane.dataset.whole;
    this.pane.replaceChildren();
  }

  /** Of an open payload, with nothing to compare it with yet. */
  show(client, summary, name) {
    this.clear();
    Object.assign(this, { client, summary, name });
    this.#invite();
  }

  /** Takes what comes in if it was asked for. */
  takes(name, bytes) {
    if (!this.#isNext || !this.client) return false;
    this.#take(name, bytes);
    return true;
  }

  #invite(problem) {
    const choose = el("button", { type: "button", className: "primary", textContent: "Choose a file" });
    choose.onclick = () => this.picker.click();
    const next = el("button", { type: "button", textContent: "Take the next that is opened", "aria-pressed": this.#isNext });
    next.onclick = () => {
      this.#isNext = !this.#isNext;
      next.setAttribute("aria-pressed", this.#isNext);
    };
    this.pane.replaceChildren(
      el(
        "div",
        { className: "invite" },
        el("p", { textContent: "Hold another payload against this one: schemas, sizes, and rows one by one." }),
        el("p", { className: "buttons" }, choose, next),
        el("p", { className: "soft", textContent: "Or drop it here. The next that is opened may be a message of the list, a pasted payload or an address." }),
        problem ? el("p", { className: "problem", role: "alert", textContent: problem }) : null,
      ),
      this.picker,
    );
  }

  async #take(name, promise) {
    const { client } = this;
    const generation = ++this.#generation;
    this.#isNext = false;
    this.#last = null;
    delete this.pane.dataset.whole;
    this.pane.replaceChildren(el("p", { className: "soft", textContent: `Opening ${name}…` }));
    try {
      const bytes = await promise;
      if (generation !== this.#generation) return;
      const summary = await client.call("compare", [bytes], [bytes.buffer]);
      let found;
      do {
        found = await client.call("compareMore", []);
        if (generation !== this.#generation) return;
        this.#draw(name, summary, found);
      } while (found.done < found.of);
      this.#last = [name, summary, found];
      this.pane.dataset.whole = name;
    } catch (error) {
      if (generation === this.#generation) this.#invite(`${name} could not be compared: ${error.message}`);
    }
  }

  #draw(name, summary, found) {
    const again = el("button", { type: "button", textContent: "Another…" });
    again.onclick = () => this.#invite();
    const isWhole = found.done === found.of;
    const verdict = isWhole ? `${MARKS[found.outcome]} ${found.verdict}` : `comparing: ${count(found.done)} of ${count(found.of)} rows`;
    const of = (letter, title, { inspection }) => el("p", { className: "side" }, el("b", { textContent: letter }), el("span", { textContent: title, title }), el("small", { textContent: `${count(inspection.rows)} rows · ${size(inspection.bytes)} · ${inspection.codec}` }));
    this.pane.replaceChildren(
      el("div", { className: `verdict ${isWhole ? found.outcome : ""}`, role: "status" }, el("h3", { textContent: verdict }), again),
      of("A", this.name, this.summary),
      of("B", name, summary),
      ...this.#rows(found, [this.summary.inspection.rows, summary.inspection.rows]),
      ...this.#schema(found),
      ...this.#sizes(summary, found),
      this.picker,
    );
  }

  #rows({ of, done, different, differences, unread, faults }, rows) {
    const facts = [`${count(done)} compared by their place`];
    if (done === of) facts.push(different ? `${count(different)} differ` : "none differs");
    if (unread) facts.push(`${count(unread)} cannot be read in every column`);
    const [more, fewer] = rows[0] > rows[1] ? ["A", "B"] : ["B", "A"];
    if (rows[0] !== rows[1]) facts.push(`${more} has ${count(Math.abs(rows[0] - rows[1]))} more than ${fewer}`);
    const parts = [el("h3", { textContent: "Rows" }), el("p", { className: "soft", textContent: facts.join(" · ") })];
    const cell = (kind, text) => el("td", { className: { n: "null", e: "empty" }[kind] ?? "", textContent: SHOWN[kind] ?? text });
    if (differences.length) {
      const lines = differences.map(({ table, row, position, column, kinds, texts }) => {
        const jump = el("button", { type: "button", className: "link", textContent: count(row), "aria-label": `Show row ${count(row)}, ${column}` });
        jump.onclick = () => this.onCell(table, row, position);
        return el("tr", {}, el("th", { scope: "row" }, jump), el("td", { textContent: column }), cell(kinds[0], texts[0]), cell(kinds[1], texts[1]));
      });
      parts.push(tableOf("differences", ["Row", "Column", "A", "B"], lines));
      if (different > differences.length) parts.push(el("p", { className: "soft", textContent: "The first that differ; there are more." }));
    }
    for (const { side, column, row, fault } of faults) {
      const jump = el("button", { type: "button", className: "link", textContent: `byte ${count(fault.offset)}` });
      jump.onclick = () => this.onFault(fault.offset);
      parts.push(el("p", { className: "problem" }, `${"AB"[side]}, ${column} from row ${count(row)}, `, side === 0 ? jump : `byte ${count(fault.offset)}`, `: ${fault.message}`));
    }
    return parts;
  }

  #schema({ schema }) {
    const title = el("h3", { textContent: "Schema" });
    if (!schema.length) return [title, el("p", { className: "soft", textContent: "The same names, types and metadata in the same order." })];
    const lines = schema.map(({ column, change, values }) => el("tr", {}, el("th", { scope: "row", textContent: column || "(schema)" }), el("td", { textContent: change }), ...values.map((value) => el("td", {}, el("code", { textContent: value || NOTHING })))));
    return [title, tableOf("changes", ["Column", "Change", "A", "B"], lines)];
  }

  /** Stored bytes side by side, with what is behind them. */
  #sizes(other, { columns }) {
    const [one, two] = [this.summary, other].map((summary) => summary.inspection);
    const largest = Math.max(1, ...one.columns.map(({ stored }) => stored), ...two.columns.map(({ stored }) => stored));
    const line = (name, sizes, color, raws, different = 0) => {
      const swatch = el("i");
      swatch.style.background = color ?? "transparent";
      const cells = sizes.map((stored, side) => {
        const bar = el("i", { className: "bar" });
        bar.style.width = `${(100 * (stored ?? 0)) / largest}%`;
        bar.style.background = color;
        const cell = el("td", { className: "number", title: stored === null ? "" : `${count(stored)} bytes` }, stored === null ? NOTHING : size(stored));
        if (raws && stored !== null) cell.append(el("small", { textContent: `${size(raws[side])} raw, ${ratio(raws[side], stored)}` }), el("span", { className: "track" }, bar));
        cell.dataset.bytes = stored ?? "";
        return cell;
      });
      const [a, b] = sizes.map((stored) => stored ?? 0);
      const change = a === b ? "=" : `${b > a ? "+" : "−"}${size(Math.abs(b - a))}`;
      const percent = `${b > a ? "+" : "−"}${((100 * Math.abs(b - a)) / a).toFixed(1)} %`;
      const part = !a || a === b ? "" : b >= 10 * a ? `${count(Math.round(b / a))}×` : percent;
      const note = different ? el("small", { className: "differs", textContent: `${count(different)} rows differ` }) : null;
      return el("tr", {}, el("th", { scope: "row" }, swatch, name, note), ...cells, el("td", { className: `number ${b < a ? "less" : b > a ? "more" : ""}` }, change, part ? el("small", { textContent: part }) : null));
    };
    const lines = columns.slice(0, MAX_COLUMNS).map(({ one: a, other: b, different }) => {
      const sides = [a === null ? null : one.columns[a], b === null ? null : two.columns[b]];
      return line((sides[0] ?? sides[1]).path || "(no name)", sides.map((side) => side?.stored ?? null), colorOf(a ?? b), sides.map((side) => side?.raw ?? 0), different);
    });
    if (columns.length > MAX_COLUMNS) lines.push(el("tr", {}, el("td", { colSpan: 4, textContent: `and ${count(columns.length - MAX_COLUMNS)} more` })));
    lines.push(line("Metadata", [one.metadata_bytes, two.metadata_bytes]), line("Payload", [one.bytes, two.bytes], null, null));
    lines.at(-1).className = "sum";
    return [el("h3", { textContent: "Sizes" }), tableOf("side-by-side", ["Column", "A", "B", "B to A"], lines)];
  }
}

function tableOf(className, heads, lines) {
  return el("table", { className }, el("thead", {}, el("tr", {}, ...heads.map((text, at) => el("th", { scope: "col", textContent: text, className: className === "side-by-side" && at > 0 ? "number" : "" })))), el("tbody", {}, ...lines));
}
