// The schema as a tree: types, nullability, extension types, metadata.

import { byId, count, el } from "./format.js";
import { colorOf } from "./theme.js";

const MAX_FIELDS = 2000;

export function showSchema(summary, onColumn) {
  const pane = byId("schema");
  const several = summary.tables.length > 1;
  const parts = summary.tables.slice(0, 50).flatMap((table, at) => [
    several ? el("h3", { textContent: `Table ${at + 1}: ${count(table.rows)} rows in ${count(table.batches)} batches` }) : null,
    metadataOf(table.metadata, "Schema metadata"),
    treeOf(summary, table, onColumn),
  ]);
  if (!summary.tables.length) parts.push(el("p", { textContent: "No schema could be read." }));
  pane.replaceChildren(...parts.filter(Boolean));
}

function treeOf(summary, table, onColumn) {
  const root = el("ul", { className: "tree" });
  const lists = new Map();
  const end = table.first_column + Math.min(table.n_columns, MAX_FIELDS);
  for (let index = table.first_column; index < end; index++) {
    const about = summary.columns[index];
    const item = el("li", {}, fieldOf(summary, index, onColumn), metadataOf(about.metadata));
    let list = root;
    if (about.parent !== null) {
      list = lists.get(about.parent)?.querySelector(":scope > ul") ?? el("ul");
      if (!list.isConnected) lists.get(about.parent)?.append(list);
    }
    list.append(item);
    lists.set(index, item);
  }
  if (end < table.first_column + table.n_columns) root.append(el("li", { textContent: `and ${count(table.first_column + table.n_columns - end)} more` }));
  return root;
}

function fieldOf(summary, index, onColumn) {
  const about = summary.columns[index];
  const { type } = summary.inspection.columns[index];
  const swatch = el("i");
  swatch.style.background = colorOf(index);
  const name = el("button", { type: "button", className: "link", textContent: about.is_dictionary ? "dictionary" : about.name || "(no name)" });
  name.onclick = () => onColumn(index);
  const tags = [];
  if (!about.is_dictionary) tags.push(el("span", { className: "tag", textContent: about.is_nullable ? "nullable" : "not null" }));
  if (about.extension) tags.push(el("span", { className: "tag extension", textContent: about.extension, title: "Extension type" }));
  return el("div", { className: "field" }, swatch, name, el("code", { textContent: type }), ...tags);
}

function metadataOf(pairs, title) {
  if (!pairs.length) return null;
  const list = el("dl", { className: "metadata" });
  for (const [key, value] of pairs) list.append(el("dt", { textContent: key }), el("dd", { textContent: value }));
  return title ? el("details", { open: pairs.length < 6 }, el("summary", { textContent: title }), list) : list;
}
