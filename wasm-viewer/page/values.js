// The values of a column: how numbers lie, and what is there most often.

import { byId, count, el, share } from "./format.js";
import { colorOf } from "./theme.js";

export class Values {
  #shown = null;

  constructor() {
    this.pane = byId("values");
  }

  clear() {
    this.#shown = null;
    this.pane.replaceChildren();
    delete this.pane.dataset.whole;
  }

  /** Counts the column at the top that `column` is, or lies below. */
  async show(client, summary, column) {
    const table = summary.tables.findIndex(({ first_column, n_columns }) => column >= first_column && column < first_column + n_columns);
    const tops = summary.tables[table]?.tops ?? [];
    const position = tops.findLastIndex((top) => top <= column);
    const key = `${table}/${position}`;
    if (position < 0 || this.#shown === key) return;
    this.clear();
    this.#shown = key;
    const name = summary.columns[tops[position]].name || "(no name)";
    let values;
    do {
      try {
        values = await client.call("values", [table, position]);
      } catch {
        // The page says why the decoder stopped.
        return;
      }
      if (this.#shown !== key) return;
      this.#draw(name, colorOf(tops[position]), values);
    } while (values.done < values.batches);
    this.pane.dataset.whole = name;
  }

  #draw(name, color, values) {
    const { rows, nulls, distinct, uncounted, top, histogram, batches, done, fault } = values;
    const several = uncounted ? `more than ${count(distinct)}` : count(distinct);
    const facts = [`${count(rows)} rows`, `${count(nulls)} null`, `${several} different value${distinct === 1 ? "" : "s"}`];
    if (done < batches) facts.push(`batch ${count(done)} of ${count(batches)}…`);
    const parts = [el("h3", { textContent: name }), el("p", { className: "soft", textContent: facts.join(" · ") })];
    if (fault) parts.push(el("p", { textContent: `Damaged batches are left out: ${fault.message}` }));
    if (histogram.length) parts.push(...this.#histogram(histogram, color));
    const most = top[0]?.rows ?? 1;
    const lines = top.map(({ text, rows: n }) => {
      const bar = el("i", { className: "bar" });
      bar.style.width = `${(100 * n) / most}%`;
      bar.style.background = color;
      return el("tr", {}, el("th", { scope: "row" }, el("span", { className: text === "" ? "empty" : "", textContent: text === "" ? "empty" : text }), el("span", { className: "track" }, bar)), el("td", { className: "number", textContent: count(n) }), el("td", { className: "number", textContent: share(n, rows) }));
    });
    if (lines.length) {
      const heads = [["Most frequent", ""], ["Rows", "number"], ["Share", "number"]].map(([text, className]) => el("th", { scope: "col", textContent: text, className }));
      parts.push(el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...lines)));
    } else if (rows) parts.push(el("p", { textContent: "It is null in every row." }));
    this.pane.replaceChildren(...parts);
  }

  #histogram(bars, color) {
    const most = Math.max(...bars.map(({ rows }) => rows));
    const width = bars[1].from - bars[0].from;
    const end = bars.at(-1).from + width;
    const text = (value) => Number(value.toPrecision(6)).toString();
    const chart = el("div", { className: "histogram", role: "img", "aria-label": `Histogram: ${bars.length} bars from ${text(bars[0].from)} to ${text(end)}` });
    for (const { from, rows } of bars) {
      const bar = el("i", { title: `${text(from)} to ${text(from + width)}: ${count(rows)} rows` });
      bar.style.height = `${(100 * rows) / most}%`;
      bar.style.background = rows ? color : "transparent";
      chart.append(bar);
    }
    return [chart, el("p", { className: "axis" }, el("span", { textContent: text(bars[0].from) }), el("span", { textContent: text(end) }))];
  }
}
