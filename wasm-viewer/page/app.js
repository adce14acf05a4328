// The page: what is open, and which column and region of it is in focus.

import { assets } from "./assets.js";
import { Client } from "./client.js";
import { Columns } from "./columns.js";
import { Compare } from "./compare.js";
import { showEnvelope } from "./envelope.js";
import { Filter } from "./filter.js";
import { byId, count, el, ratio, share, size } from "./format.js";
import { fragment } from "./fragment.js";
import { Grid } from "./grid.js";
import { Hex } from "./hex.js";
import { startLive } from "./live.js";
import { ByteMap } from "./map.js";
import { startOpening } from "./open.js";
import { Regions } from "./regions.js";
import { showSchema } from "./schema.js";
import { exportTable, showAdvice, showSql } from "./sheets.js";
import { startTabs } from "./tabs.js";
import { startTheme } from "./theme.js";
import { Values } from "./values.js";
import { addFaults, showVerdict } from "./verdict.js";
import { WhatIf } from "./whatif.js";

const STATES = ["empty", "busy", "failed", "opened"];

startTheme();
const panes = startTabs("tab-columns", "tab-rows", "tab-bytes");
const sheets = startTabs("tab-sizes", "tab-schema", "tab-values", "tab-advice", "tab-sql", "tab-whatif", "tab-compare");
const values = new Values();
const columns = new Columns({ onColumn: showColumn, onFault: showByte });
const grid = new Grid({ onColumn: showColumn, onFault: showByte });
const hex = new Hex({ onRegion: showRegion, onColumn: backToColumn });
const map = new ByteMap({ onRegion: showRegion });
const whatIf = new WhatIf({ onOpen: openOther });
const filter = new Filter(grid);
const compare = new Compare({ onCell: showCell, onFault: showByte });

/** What the address had in focus when the page began: of the first payload that opens. */
let wanted = { column: fragment.get("column"), byte: fragment.get("byte"), sheet: fragment.get("sheet"), filter: fragment.get("filter"), sort: fragment.get("sort") };
/** Topics and files of `volley view`, where it serves the page. */
let live = null;
/** The open payload, or null. */
let open = null;
/** Record batches that wait for the payload that has their schema. */
let bare = null;
let attempts = 0;

function state(name) {
  for (const other of STATES) byId(other).hidden = other !== name;
  document.body.dataset.state = name;
  byId("close").hidden = name !== "opened";
}

function close() {
  attempts++;
  open?.client.end();
  open = null;
  for (const part of [columns, grid, hex, map, values, whatIf, compare]) part.clear();
  byId("strip").replaceChildren();
  byId("schema").replaceChildren();
  showEnvelope(null);
  live?.closed();
  fragment.set({ file: null, topic: null, partition: null, offset: null, column: null, byte: null, filter: null, sort: null });
  byId("file").textContent = "";
  document.title = "Volley: Arrow IPC inspector";
}

/** Whatever comes in: the other one of two, where that is awaited, or the next to open. */
function receive(name, promise, from) {
  const isOther = compare.takes(name, promise);
  if (!isOther) take(name, promise, from);
  return isOther;
}

/** Opens what `promise` gives. `from` says where it is, of a message with its envelope. */
async function take(name, promise, from = {}) {
  const waiting = bare && { name: bare.name, bytes: await bare.bytes };
  bare = null;
  close();
  const attempt = attempts;
  fragment.set(from.state ?? {});
  state("busy");
  byId("busy-text").textContent = `Opening ${name}…`;
  try {
    const bytes = await promise;
    const opened = waiting ? await Client.open(waiting.bytes, bytes) : await Client.open(bytes);
    if (attempt !== attempts) return opened.client.end();
    await show(waiting ? waiting.name : name, opened, from);
  } catch (error) {
    if (attempt === attempts) fail(waiting ? `The schema of ${name} cannot be used: ${error.message}` : error.message);
  }
}

function fail(message) {
  const { hash } = location;
  close();
  // What could not be opened is what the address names all the same.
  history.replaceState(null, "", hash || location.pathname + location.search);
  byId("failed-text").textContent = message;
  state("failed");
  byId("failed-back").focus();
}

async function show(name, { client, summary, map: raw }, from) {
  const regions = new Regions(raw, summary);
  const paths = summary.inspection.columns.map((column) => column.path);
  open = { client, summary, regions, paths, name, table: 0, column: null, sqlName: from.topic ?? "volley" };
  state("opened");
  byId("file").textContent = name;
  document.title = `${name} · Volley`;
  strip(summary);
  showEnvelope(from.envelope ? from : null, client, (by) => live.step(by));
  showVerdict(summary, {
    onByte: showByte,
    onSchema: () => {
      // They come back from the worker, which ends when the next payload opens.
      bare = { name, bytes: client.call("bytes", [0, summary.inspection.bytes]) };
      byId("picker").click();
    },
  });
  byId("opened").classList.toggle("foreign", summary.looks_like !== null);
  columns.show(summary);
  showSchema(summary, showColumn);
  map.show(regions, paths);
  hex.show(client, regions, paths);
  const select = byId("table");
  select.hidden = summary.tables.length < 2;
  select.replaceChildren(...summary.tables.map((table, at) => el("option", { value: at, textContent: `Table ${at + 1}: ${count(table.rows)} rows` })));
  select.onchange = () => {
    showTable(Number(select.value));
    showSheet();
  };
  byId("export").value = "";
  byId("export").hidden = !summary.tables.length;
  if (regions.length) hex.select(0);
  compare.show(client, summary, name);
  showSheet();
  await showTable(0);
  document.body.dataset.painted = name;
  restore();
  const faults = await columns.extremes(client);
  if (open?.client === client) addFaults(faults, showByte);
}

function showTable(table) {
  open.table = table;
  byId("table").value = table;
  filter.show(open.client, open.summary, table);
  fragment.set({ filter: null, sort: null });
  return grid.show(open.client, open.summary, table);
}

function strip(summary) {
  const { inspection } = summary;
  const n_columns = summary.tables.reduce((sum, table) => sum + table.tops.length, 0);
  const framing = { stream: "stream", file: "file", messages: "batches alone" }[inspection.framing];
  const several = summary.streams > 1 ? `${count(summary.streams)} streams` : framing;
  const tiles = [
    ["Rows", count(inspection.rows), `${count(inspection.record_batches)} ${inspection.record_batches === 1 ? "batch" : "batches"}`],
    ["Columns", count(n_columns), inspection.columns.length === n_columns ? several : `${count(inspection.columns.length)} with nested`],
    ["Bytes", size(inspection.bytes), `${count(inspection.bytes)} · ${several}`],
    ["Codec", inspection.codec, "of the buffers"],
    ["Ratio", ratio(inspection.raw_bytes, inspection.bytes), `${size(inspection.raw_bytes)} raw`],
    ["Bytes a row", inspection.rows ? (inspection.bytes / inspection.rows).toPrecision(3).replace(/e\+.*/, "") : "–", "all counted"],
    ["Metadata", share(inspection.metadata_bytes, inspection.bytes), `${count(inspection.metadata_bytes)} bytes`],
    ["Dictionaries", count(inspection.dictionaries), inspection.dictionaries === 1 ? "message" : "messages"],
  ];
  const { looks_like } = summary;
  const foreign = [["Bytes", size(inspection.bytes), count(inspection.bytes)], ["Looks like", looks_like?.name ?? "", "from its bytes"]];
  byId("strip").replaceChildren(
    ...(looks_like ? foreign : tiles).map(([name, value, small]) => el("div", {}, el("dt", { textContent: name }), el("dd", { textContent: value }), el("dd", { className: "small", textContent: small }))),
  );
}

/** What the address named: a column, a byte. */
function restore() {
  const { column, byte, sheet, filter: text, sort } = wanted;
  wanted = {};
  if (text || sort) filter.restore(text, sort);
  if (sheet && byId(`tab-${sheet}`)) sheets.choose(`tab-${sheet}`);
  if (column && column in open.paths) showColumn(Number(column));
  if (byte && /^\d+$/.test(byte)) showByte(Number(byte));
}

/** Brings the sheet that is in view up to the open payload. */
function showSheet() {
  if (!open) return;
  const { client, summary, paths, table, column, sqlName } = open;
  const sheet = sheets.list.querySelector("[aria-selected=true]").id.replace("tab-", "");
  fragment.set({ sheet: sheet === "sizes" ? null : sheet });
  const shown = {
    values: () => values.show(client, summary, column ?? summary.tables[table]?.tops[0] ?? 0),
    advice: () => showAdvice(client, paths, showColumn),
    sql: () => showSql(client, summary, table, sqlName),
    whatif: () => whatIf.show(client, summary, table, open.name),
  }[sheet]?.();
  // The page says why the decoder stopped.
  shown?.catch(() => {});
}

/** Marks what is in focus, also in the address. */
function focus(column, byte) {
  open.column = column ?? open.column;
  fragment.set({ column, byte: byte ?? null });
  if (column !== null) showSheet();
}

/** The rows in another form, instead of the payload that they are of. */
function openOther(name, bytes) {
  sheets.choose("tab-sizes");
  take(name, Promise.resolve(bytes));
}

async function save(format) {
  const { client, summary, table, name } = open;
  const tell = (text) => (byId("rows-text").textContent = text);
  try {
    await exportTable(client, summary, table, format, name, { tell, isSelection: filter.isActive });
  } catch (error) {
    if (open?.client === client) tell(`not exported: ${error.message}`);
  }
}

/** A column and its first bytes. */
function showColumn(column) {
  focus(column);
  columns.select(column);
  grid.select(column);
  const region = open.regions.firstOf(column);
  if (region !== null) {
    map.select(region);
    hex.select(region);
  }
  if (panes.areTabs()) panes.choose("tab-bytes");
}

/** A region, and the column it belongs to. */
function showRegion(region, byte) {
  if (!open) return;
  const column = open.regions.columnOf(region);
  focus(column, byte);
  columns.select(column);
  grid.select(column);
  map.select(region);
  hex.select(region, byte);
}

function showByte(byte) {
  if (!open?.regions.length) return;
  const at = Math.min(byte, open.regions.bytes - 1);
  showRegion(open.regions.at(at), at);
  if (panes.areTabs()) panes.choose("tab-bytes");
}

/** A cell of a table, among all of its rows. */
async function showCell(table, row, position) {
  if (open.table !== table) await showTable(table);
  else if (filter.isActive) await filter.clear();
  showColumn(open.summary.tables[table].tops[position]);
  grid.reveal(row, position);
  if (panes.areTabs()) panes.choose("tab-rows");
}

function backToColumn(column) {
  if (panes.areTabs()) panes.choose("tab-columns");
  byId("tab-sizes").click();
  columns.select(column);
  columns.rows[column]?.querySelector("button").focus({ preventScroll: true });
  grid.select(column);
}

function step(by) {
  if (!open?.regions.length) return;
  showRegion(Math.max(Math.min((map.region ?? 0) + by, open.regions.length - 1), 0));
}

function leave() {
  bare = null;
  close();
  state("empty");
  byId("choose").focus();
}

sheets.list.addEventListener("chosen", showSheet);
byId("export").onchange = ({ target }) => {
  if (target.value) save(target.value);
  target.value = "";
};
byId("picker").oncancel = () => (bare = null);
byId("close").onclick = leave;
byId("failed-back").onclick = leave;
byId("region-prev").onclick = () => step(-1);
byId("region-next").onclick = () => step(1);
addEventListener("decoder-failed", ({ detail }) => fail(detail));
addEventListener("theme-changed", () => {
  grid.draw();
  hex.draw();
  if (open) showSchema(open.summary, showColumn);
});
addEventListener("keydown", (event) => {
  if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const toFilter = () => {
    // Not as its text.
    event.preventDefault();
    focusPane("tab-rows", "filter");
  };
  const keys = { o: () => byId("open").click(), t: () => byId("theme").click(), "[": () => step(-1), "]": () => step(1) };
  if (live) Object.assign(keys, { m: () => byId("list").click(), p: () => byId("tail").hidden || byId("tail-pause").click(), ",": () => live.step(-1), ".": () => live.step(1) });
  if (open) Object.assign(keys, { Escape: leave, c: () => focusPane("tab-columns", "sizes"), r: () => focusPane("tab-rows", "grid"), f: toFilter, b: () => focusPane("tab-bytes", "hex") });
  keys[event.key]?.();
});

function focusPane(tab, id) {
  if (panes.areTabs()) panes.choose(tab);
  byId(id).focus();
}

state("empty");
startOpening(receive);
startLive(receive).then((started) => (live = started));
// Ready before the first payload comes; opening one says what failed.
assets().catch(() => {});
