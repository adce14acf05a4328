// What follows from a payload: advice, its table in ClickHouse, and itself in another form.

import { byId, count, el, share, size } from "./format.js";

/** Rules of `core`, largest share first. */
export async function showAdvice(client, paths, onColumn) {
  const pane = byId("advice");
  const advice = await client.call("advice", []);
  if (!advice.length) return pane.replaceChildren(el("p", { textContent: "Nothing stands out: no column, buffer or batch takes more than it should." }));
  const items = advice.map(({ column, share: part, message, rule }) => {
    const at = column === null ? -1 : paths.indexOf(column);
    const link = at >= 0 ? el("button", { type: "button", className: "link", textContent: column }) : null;
    if (link) link.onclick = () => onColumn(at);
    return el("li", { "data-rule": rule }, el("span", { className: "share", textContent: share(part, 1), title: "of the payload" }), el("span", {}, link, link ? ": " : column ? `${column}: ` : "", message));
  });
  pane.replaceChildren(el("p", { className: "soft", textContent: "Told from sizes alone, with how much of the payload each is about." }), el("ul", {}, ...items));
}

/** The table as one of ClickHouse. */
export async function showSql(client, summary, table, name) {
  const pane = byId("sql");
  const sheet = await client.call("clickhouse", [table, name]);
  if (!sheet) return pane.replaceChildren(el("p", { textContent: "There is no schema to make a table of." }));
  const { tops } = summary.tables[table];
  const input = el("input", { id: "sql-name", value: name, spellcheck: false, autocomplete: "off", "aria-label": "Table name" });
  const form = el("form", {}, el("label", { htmlFor: "sql-name", textContent: "Table" }), input, copying("Copy CREATE TABLE", sheet.create), copying("Copy INSERT", sheet.insert));
  form.onsubmit = (event) => event.preventDefault();
  input.onchange = () => showSql(client, summary, table, input.value || name);
  const rows = sheet.columns.slice(0, 2000).map((column, at) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("span", { textContent: column.name }), el("small", { textContent: summary.inspection.columns[tops[at]].type })),
      el("td", {}, el("code", { textContent: column.type ?? "none" }), column.note ? el("small", { textContent: column.note }) : null),
      el("td", { className: `fit ${column.fit}`, textContent: column.fit === "none" ? "no type" : column.fit }),
    ),
  );
  const heads = ["Arrow", "ClickHouse", "Fit"].map((text) => el("th", { scope: "col", textContent: text }));
  const create = sheet.create ? el("pre", { textContent: sheet.create, tabIndex: 0 }) : el("p", { textContent: "A column has no type in ClickHouse: leave it out or change it before loading." });
  pane.replaceChildren(form, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)), el("h3", { textContent: "Statement" }), create);
}

/** A button that copies a text; none where it is null. */
export function copying(label, text) {
  const button = el("button", { type: "button", textContent: label, disabled: text === null });
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser refuses";
    }
    setTimeout(() => (button.textContent = label), 1500);
  };
  return button;
}

const ENDINGS = { csv: ["csv", "text/csv"], ndjson: ["ndjson", "application/x-ndjson"], arrow: ["arrows", "application/vnd.apache.arrow.stream"] };

/** Saves a whole table in another form, batch by batch; `tell` hears how far it is. */
export async function exportTable(client, summary, table, format, name, { isSelection, tell }) {
  const [ending, type] = ENDINGS[format.split(":")[0]];
  const last = summary.tables[table].batches + 1;
  const parts = [];
  for (let part = 0; part <= last; part++) {
    tell(`exporting: ${share(part, last)}`);
    parts.push(await client.call("exportPart", [table, part, format]));
  }
  const blob = new Blob(parts, { type });
  download(blob, `${stemOf(name) || "rows"}.${ending}`);
  tell(`exported ${isSelection ? "all " : ""}${count(summary.tables[table].rows)} rows: ${size(blob.size)}`);
}

/** The name of a payload without what says that it is one. */
export const stemOf = (name) => name.replace(/\.(arrows?|ipc|feather)$/i, "").replace(/[^\w.-]+/g, "-");

export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
