// What the rows would take if they were written otherwise: measured here, when asked for.

import { byId, count, el, size } from "./format.js";
import { glyph, pareto } from "./pareto.js";
import { copying, download, stemOf } from "./sheets.js";

/** Longest time of all of it, and of the worker at a time, so that it answers others meanwhile; ms. */
const BUDGET = 20_000;
const SLICE = 120;

const OBJECTIVES = { balanced: "Bytes and work", bytes: "Fewest bytes", cpu: "Least work" };

/** Heads of the table: the name, what it is sorted by, and whether the greatest comes first. */
const HEADS = [
  ["Rows a batch", ({ point }) => point.rows],
  ["Codec", ({ point }) => point.codec.replace(/\d+/, (level) => level.padStart(2, "0"))],
  ["Bytes a row", ({ bytes }) => bytes],
  ["Encode, ns", ({ encode_ns }) => encode_ns?.median ?? 0],
  ["Decode, ns", ({ decode_ns }) => decode_ns?.median ?? 0],
];

const digits = (value) => (value >= 99.95 ? count(Math.round(value)) : String(Number(value.toPrecision(3))));
const change = (part) => {
  const percent = Math.round(100 * part);
  return percent ? `${percent < 0 ? "−" : "+"}${count(Math.abs(percent))} %` : "as now";
};
const nameOf = ({ rows, codec, dictionary }) => `${count(rows)} rows, ${codec}${dictionary ? ", dictionaries" : ""}`;

export class WhatIf {
  /** The payload and table that are shown, as `{ client, table }`; another one starts over. */
  #shown = null;
  #isRunning = false;
  #objective = "balanced";
  #sort = { by: 2, isDescending: false };
  /** Points so far, and the one that was clicked or, until then, the recommended one. */
  #report = null;
  #chosen = null;
  #lines = [];

  /** `onOpen(name, bytes)` opens a message in place of the payload. */
  constructor({ onOpen }) {
    this.onOpen = onOpen;
    this.pane = byId("whatif");
  }

  clear() {
    this.#shown = null;
    this.#isRunning = false;
    this.pane.replaceChildren();
    delete this.pane.dataset.state;
  }

  async show(client, summary, table, name) {
    if (this.#shown?.client === client && this.#shown.table === table) return;
    this.clear();
    if (!summary.tables[table]?.rows) return this.pane.replaceChildren(el("p", { textContent: "There are no rows to write otherwise." }));
    const { inspection } = summary;
    const { rows, batches } = summary.tables[table];
    // Of one table among several the payload does not tell.
    const now = summary.tables.length === 1 ? { bytes: inspection.bytes / rows, rows: rows / batches, codec: inspection.codec } : null;
    this.#shown = { client, table, name, now, rows };
    this.#build();
    this.#forget();
  }

  #forget() {
    this.#report = null;
    this.#chosen = null;
    this.#lines = [];
    this.body = null;
    this.choice.dataset.key = "";
    for (const part of [this.choice, this.chart, this.legend, this.table]) part.replaceChildren();
  }

  #build() {
    const { now, rows } = this.#shown;
    this.start = el("button", { type: "button", className: "primary", textContent: "Measure" });
    this.start.onclick = () => (this.#isRunning ? this.#stop() : this.#run());
    const options = Object.entries(OBJECTIVES).map(([value, textContent]) => el("option", { value, textContent, selected: value === this.#objective }));
    const objective = el("select", { "aria-label": "What is to be small" }, ...options);
    objective.onchange = () => this.#choose(objective.value);
    this.bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Points measured" });
    this.text = el("p", { className: "soft", "aria-live": "polite" });
    const asItIs = now ? ` Now it is ${now.codec}, ${count(Math.round(now.rows))} rows a batch, ${digits(now.bytes)} bytes a row.` : "";
    this.text.textContent = `Writes and reads the first ${count(Math.min(rows, 100_000))} rows with each codec, batch size and form of text, for up to ${BUDGET / 1000} s.${asItIs} Nothing leaves this page.`;
    this.choice = el("div", { className: "choice" });
    this.chart = el("div");
    this.legend = el("p", { className: "legend" });
    this.only = el("input", { type: "checkbox", checked: true });
    this.only.onchange = () => this.#list();
    this.table = el("div");
    this.pane.replaceChildren(el("form", {}, this.start, objective, this.bar), this.text, this.choice, this.chart, this.legend, this.table);
    this.pane.querySelector("form").onsubmit = (event) => event.preventDefault();
    this.pane.dataset.state = "idle";
  }

  async #run() {
    const shown = this.#shown;
    const { client, table } = shown;
    this.#isRunning = true;
    this.#forget();
    this.start.textContent = "Stop";
    this.bar.hidden = false;
    this.bar.removeAttribute("value");
    // How far it is, the bar says; what came of it, this.
    this.text.setAttribute("aria-live", "off");
    this.text.textContent = "Reading the rows…";
    this.pane.dataset.state = "running";
    try {
      await client.call("whatIfStart", [table, BUDGET]);
      while (this.#isRunning && this.#shown === shown) {
        const report = await client.call("whatIfStep", [SLICE, this.#objective]);
        if (this.#shown !== shown) return;
        this.#draw(report);
        if (report.is_done) break;
      }
      this.#end();
    } catch (error) {
      if (this.#shown !== shown) return;
      this.#end();
      this.text.textContent = `It cannot be measured: ${error.message}.`;
    }
  }

  #stop() {
    this.#isRunning = false;
    this.start.disabled = true;
  }

  #end() {
    this.pane.dataset.state = this.#report?.is_done ? "done" : "stopped";
    this.#isRunning = false;
    this.start.disabled = false;
    this.start.textContent = "Measure again";
    this.bar.hidden = true;
    this.text.setAttribute("aria-live", "polite");
    if (this.#report) this.#tell();
  }

  /** By another objective the same points make another choice. */
  async #choose(objective) {
    this.#objective = objective;
    this.#chosen = null;
    const shown = this.#shown;
    if (!this.#report || this.#isRunning) return;
    const report = await shown.client.call("whatIfReport", [objective]);
    if (this.#shown === shown && !this.#isRunning) this.#draw(report);
  }

  #draw(report) {
    for (const point of report.points) point.bytes = point.size.bytes / point.size.rows;
    this.#report = report;
    this.codecs = [...new Set(report.points.map(({ point }) => point.codec))].sort((a, b) => this.#effort(a) - this.#effort(b));
    this.#tell();
    if (!report.points.length) return;
    this.#detail();
    this.#chart();
    this.#list();
  }

  #effort(codec) {
    const [name, level] = codec.split(":");
    return { none: -2, lz4: -1, zstd: 0 }[name] + Number(level ?? 0);
  }

  #tell() {
    const { points, candidates, rows } = this.#report;
    if (!rows) return;
    const n_times = points.reduce((sum, { encode_ns }) => sum + (encode_ns?.n ?? 0), 0);
    this.bar.value = points.length / candidates;
    const left = this.#report.is_done && points.length < candidates ? ` (the others are too large, or take longer than ${BUDGET / 1000} s together)` : "";
    const what = `${count(points.length)} of ${count(candidates)} points${left}, ${count(n_times)} trials of the first ${count(rows)} rows`;
    const then = this.#isRunning ? (points.length === candidates ? ": times get tighter…" : "…") : ". Sizes are exact, and those of volley tune (lz4 within 3 %). Times are of this browser: volley tune measures the program's.";
    this.text.textContent = what + then;
  }

  /** The point in focus: what to paste, and itself as a message. */
  #detail() {
    const { points, choice, dictionary_columns } = this.#report;
    const index = this.#chosen ?? choice?.index;
    if (index === undefined) return this.choice.replaceChildren(el("p", { textContent: "No point will do yet: every message is over the limit of 1 MB." }));
    const found = points[index];
    const { now } = this.#shown;
    const isChoice = index === choice?.index;
    const heading = el("h3", {}, el("span", { className: "tag", textContent: isChoice ? "Recommended" : "Chosen" }), ` ${nameOf(found.point)}`);
    const facts = [`${digits(found.bytes)} bytes a row${now ? ` (${change(found.bytes / now.bytes - 1)}${Math.abs(found.bytes / now.bytes - 1) < 0.005 ? "" : " against now"})` : ""}`, `largest message ${size(found.size.largest)}`];
    if (found.objection) facts.push("over the limit of 1 MB");
    const parts = [heading, el("p", { className: "soft", textContent: `${facts.join("; ")}.` })];
    if (isChoice) parts.push(el("p", { className: "soft", textContent: `Why: ${choice.reason}.` }));
    if (found.point.dictionary) parts.push(el("p", { textContent: `Dictionary-encode ${dictionary_columns.join(", ")} where the rows are made: no flag does that.` }));
    const open = el("button", { type: "button", textContent: "Open a message" });
    const save = el("button", { type: "button", textContent: "Save it" });
    const name = `${stemOf(this.#shown.name) || "rows"}-${found.point.rows}-${found.point.codec.replace(":", "-")}${found.point.dictionary ? "-dict" : ""}.arrows`;
    open.onclick = async () => this.onOpen(name, await this.#message(index));
    save.onclick = async () => download(new Blob([await this.#message(index)], { type: "application/vnd.apache.arrow.stream" }), name);
    open.title = save.title = `The first ${count(found.point.rows)} rows as one payload`;
    const line = el("div", { className: "paste" }, el("code", { textContent: found.command }), copying("Copy", found.command), open, save);
    // While it is measured the same choice comes again and again: what has the focus stays.
    const key = JSON.stringify([index, isChoice && choice.reason, facts]);
    if (this.choice.dataset.key === key) return;
    const focused = [...this.choice.querySelectorAll("button")].indexOf(document.activeElement);
    this.choice.dataset.key = key;
    this.choice.replaceChildren(...parts, line);
    this.choice.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  }

  #message(index) {
    return this.#shown.client.call("whatIfMessage", [index]);
  }

  #chart() {
    const { points, choice } = this.#report;
    const marks = points.map((found) => {
      const y = (found.encode_ns?.median ?? 0) + (found.decode_ns?.median ?? 0);
      const { point, bytes, is_front: isFront } = found;
      return { x: bytes, y, series: this.codecs.indexOf(point.codec), isHollow: point.dictionary, isFront, title: `${nameOf(point)}: ${digits(bytes)} bytes and ${digits(y)} ns a row` };
    });
    this.chart.replaceChildren(pareto(marks, { width: Math.min(this.chart.clientWidth || 560, 720), recommended: choice?.index, chosen: this.#chosen, now: this.#shown.now?.bytes, onPoint: (index) => this.#pick(index) }));
    const entries = this.codecs.map((codec, series) => el("span", {}, glyph(series, false), codec));
    if (points.some(({ point }) => point.dictionary)) entries.push(el("span", { textContent: "hollow: dictionaries" }));
    this.legend.replaceChildren(...entries, el("span", { textContent: "– – Pareto front" }), el("span", { textContent: "○ recommended" }));
  }

  #pick(index) {
    this.#chosen = index;
    this.#detail();
    this.#chart();
    this.#mark();
  }

  #list() {
    if (!this.body) this.#head();
    const { points, choice } = this.#report;
    const { by, isDescending } = this.#sort;
    const key = HEADS[by][1];
    const order = (a, b) => {
      const [one, other] = [key(points[a]), key(points[b])];
      return (one < other ? -1 : one > other ? 1 : a - b) * (isDescending ? -1 : 1);
    };
    const indices = [...points.keys()].filter((index) => !this.only.checked || points[index].is_front || index === choice?.index).sort(order);
    const lines = indices.map((index) => this.#line(index));
    const isAsBefore = lines.length === this.body.children.length && lines.every((line, at) => line === this.body.children[at]);
    if (!isAsBefore) {
      const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
      this.body.replaceChildren(...lines);
      focused?.focus({ preventScroll: true });
    }
    this.#mark();
  }

  #head() {
    const cells = HEADS.map(([name], at) => {
      const button = el("button", { type: "button", className: "sort", textContent: name });
      button.onclick = () => {
        this.#sort = { by: at, isDescending: this.#sort.by === at && !this.#sort.isDescending };
        this.#list();
      };
      return el("th", { scope: "col", className: at === 1 ? "" : "number" }, button);
    });
    this.heads = cells;
    this.body = el("tbody");
    this.body.onkeydown = (event) => this.#key(event);
    const filter = el("label", { className: "only" }, this.only, " Only the front, where nothing has both fewer bytes and less work");
    this.table.replaceChildren(filter, el("table", {}, el("thead", {}, el("tr", {}, ...cells)), this.body));
  }

  /** A line is made once and filled again: what has the focus stays. */
  #line(index) {
    const { point, bytes, encode_ns, decode_ns, is_front, objection } = this.#report.points[index];
    this.#lines[index] ??= this.#newLine(index, point);
    const [, , sizeCell, encodeCell, decodeCell] = this.#lines[index].children;
    const { now } = this.#shown;
    sizeCell.replaceChildren(digits(bytes), el("small", { textContent: objection ? "too large" : now ? change(bytes / now.bytes - 1) : "" }));
    for (const [cell, interval] of [[encodeCell, encode_ns], [decodeCell, decode_ns]]) {
      cell.textContent = interval ? digits(interval.median) : "–";
      if (interval) cell.title = `${digits(interval.low)} to ${digits(interval.high)} in ${interval.n} ${interval.n === 1 ? "trial" : "trials"}`;
    }
    this.#lines[index].classList.toggle("front", is_front);
    const note = [is_front && !this.only.checked ? "on the front" : "", index === this.#report.choice?.index ? "recommended" : ""].filter(Boolean).join(", ");
    this.#lines[index].querySelector("th small").textContent = note;
    return this.#lines[index];
  }

  #newLine(index, point) {
    const button = el("button", { type: "button", tabIndex: -1, textContent: count(point.rows), "aria-label": nameOf(point) });
    button.onclick = () => this.#pick(index);
    const codec = el("td", {}, glyph(this.codecs.indexOf(point.codec), point.dictionary), ` ${point.codec}`, point.dictionary ? el("small", { textContent: "dictionaries" }) : null);
    const number = () => el("td", { className: "number" });
    const line = el("tr", { "data-index": index }, el("th", { scope: "row", className: "number" }, button, el("small")), codec, number(), number(), number());
    line.onclick = (event) => event.target.closest("button") || this.#pick(index);
    return line;
  }

  /** Marks the point in focus, the way the table is sorted, and what Tab reaches. */
  #mark() {
    this.heads.forEach((head, at) => {
      const { by, isDescending } = this.#sort;
      if (at === by) head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const index = this.#chosen ?? this.#report.choice?.index;
    const lines = [...this.body.children];
    for (const line of lines) {
      const isChosen = Number(line.dataset.index) === index;
      line.classList.toggle("selected", isChosen);
      if (isChosen) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    }
    const reached = lines.find((line) => line.contains(document.activeElement)) ?? lines.find((line) => line.classList.contains("selected")) ?? lines[0];
    for (const line of lines) line.querySelector("button").tabIndex = line === reached ? 0 : -1;
  }

  #key(event) {
    const lines = [...this.body.children];
    const at = lines.indexOf(event.target.closest("tr"));
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    if (at < 0 || !(event.key in steps)) return;
    event.preventDefault();
    lines[Math.max(Math.min(at + steps[event.key], lines.length - 1), 0)].querySelector("button").focus();
    this.#mark();
  }
}
