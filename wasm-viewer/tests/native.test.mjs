// The module says of every golden payload what native code says, and damage never stops it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fixture, golden, goldenNames, module, mutants } from "./helpers.mjs";

const wasm = module();
const open = (bytes) => new wasm.Payload(Uint8Array.from(bytes), undefined);

function show(payload) {
  const summary = JSON.parse(payload.summary());
  const windows = [];
  const extremes = [];
  for (const [at, table] of summary.tables.entries()) {
    windows.push(JSON.parse(payload.rows(at, 0, 200, Uint32Array.from(table.tops.keys()))));
    extremes.push(Array.from({ length: table.n_columns }, (_, column) => JSON.parse(payload.extremes(at, column))));
  }
  const map = payload.map();
  const lists = [map.offsets(), map.lens(), map.columns(), map.messages()].map((list) => [...list]);
  map.free();
  const regions = lists[0].map((_, index) => JSON.parse(payload.region(index)));
  return { summary, windows, extremes, regions, map: lists };
}

/** With 32-bit pointers arrow-rs cannot be trusted with these: such columns say so, in both. */
function withoutLargeListViews(shown, native) {
  const { inspection } = shown.summary;
  const supported = inspection.diagnostics.filter(({ code }) => code !== "unsupported-type");
  const n = inspection.diagnostics.length - supported.length;
  if (n === 0) return 0;
  inspection.diagnostics = supported;
  const isRefused = ({ faults }) => faults.some(({ message }) => message.includes("[unsupported-type]"));
  for (const [table, { columns }] of shown.windows.entries()) {
    for (const [position, column] of columns.entries()) {
      if (isRefused(column)) columns[position] = native.windows[table].columns[position];
    }
    for (const [column, { fault }] of shown.extremes[table].entries()) {
      if (fault?.message.includes("[unsupported-type]")) shown.extremes[table][column] = native.extremes[table][column];
    }
  }
  return n;
}

test("golden payloads look the same in wasm and natively", () => {
  const native = JSON.parse(fixture("native.json"));
  assert.deepEqual(Object.keys(native).sort(), goldenNames().sort());
  let n_unsupported = 0;
  for (const name of goldenNames()) {
    const payload = open(golden(name));
    const shown = show(payload);
    payload.free();
    n_unsupported += withoutLargeListViews(shown, native[name]);
    assert.deepEqual(shown, native[name], name);
  }
  assert.ok(n_unsupported > 0);
});

test("damaged payloads never trap and always explain", () => {
  let shown = 0;
  let explained = 0;
  for (const name of goldenNames()) {
    for (const { at, bytes } of mutants(golden(name), 24)) {
      const payload = open(bytes);
      const { summary, windows, extremes } = show(payload);
      payload.free();
      const cells = windows.flatMap(({ columns }) => columns);
      const faults = cells.flatMap(({ faults }) => faults);
      for (const { kinds, faults } of cells) assert.equal(kinds.includes("x"), faults.length > 0, `${name}, byte ${at}`);
      const errors = summary.inspection.diagnostics.filter(({ severity }) => severity === "error");
      for (const { message, offset } of [...errors, ...faults]) {
        assert.ok(message && offset <= bytes.length, `${name}, byte ${at}: ${message}`);
      }
      assert.ok(extremes.flat().every(({ done, batches }) => done <= batches));
      explained += errors.length + faults.length > 0;
      shown += cells.some(({ kinds }) => /[vnef]/.test(kinds));
    }
  }
  assert.ok(explained > 200 && shown > 200, `${explained} explained, ${shown} shown`);
});

test("what-if sizes are those of native code, at every level", () => {
  const native = JSON.parse(fixture("what-if.json"));
  const payload = open(fixture("few.arrows"));
  payload.what_if_start(0, 3_600_000);
  let report;
  do {
    payload.what_if_step(0);
    report = JSON.parse(payload.what_if_report("bytes"));
  } while (!report.rows || report.points.length < report.candidates);
  const name = ({ rows, codec, dictionary }) => `${rows} rows, ${codec}${dictionary ? ", dictionaries" : ""}`;
  const sizes = Object.fromEntries(report.points.map(({ point, size }, index) => [name(point), [size.bytes, size.largest, payload.what_if_message(index).length]]));
  payload.free();
  assert.deepEqual(Object.keys(sizes).sort(), Object.keys(native).sort());
  for (const [name, found] of Object.entries(sizes)) {
    // With 32-bit pointers its hashes are others, and so are the matches.
    if (name.includes("lz4")) found.forEach((bytes, at) => assert.ok(Math.abs(bytes / native[name][at] - 1) < 0.03, `${name}: ${found} and ${native[name]}`));
    else assert.deepEqual(found, native[name], name);
  }
  const levels = new Set(report.points.map(({ point }) => point.codec));
  assert.deepEqual([...levels].sort(), ["lz4", "none", "zstd:1", "zstd:19", "zstd:3", "zstd:6", "zstd:9"]);
});
