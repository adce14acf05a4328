// Writes the golden payloads of arrow-js beside this script, and their rows into expected.txt.
//
//     npm install apache-arrow && node make.mjs

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// From where the packages are installed, not from where this file lies.
const require = createRequire(join(process.cwd(), "make.cjs"));
const arrow = require("apache-arrow");
const here = new URL("./", import.meta.url);
const n = 25;
const at = Array.from({ length: n }, (_, i) => i);

const table = new arrow.Table({
  bool: arrow.vectorFromArray(at.map((i) => (i % 4 ? i % 2 === 0 : null)), new arrow.Bool()),
  i32: arrow.vectorFromArray(at.map((i) => (i % 5 ? i : null)), new arrow.Int32()),
  i64: arrow.vectorFromArray(at.map((i) => BigInt(i)), new arrow.Int64()),
  f64: arrow.vectorFromArray(at.map((i) => i / 2), new arrow.Float64()),
  utf8: arrow.vectorFromArray(at.map((i) => (i % 3 ? `text ${i}` : null)), new arrow.Utf8()),
  time: arrow.vectorFromArray(at.map((i) => 1e12 + i), new arrow.TimestampMillisecond()),
  list: arrow.vectorFromArray(
    at.map((i) => (i % 4 ? [i, i + 1].slice(i % 2) : null)),
    new arrow.List(new arrow.Field("item", new arrow.Int16(), true)),
  ),
  coded: arrow.vectorFromArray(
    at.map((i) => ["red", "green", null][i % 3]),
    new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8()),
  ),
});

const rows = readFileSync(new URL("expected.txt", here), "utf8").trim().split("\n");
const kept = rows.filter((line) => !line.startsWith("arrow-js"));
for (const [name, kind] of [["arrow-js.arrow", "file"], ["arrow-js.arrows", "stream"]]) {
  writeFileSync(new URL(name, here), arrow.tableToIPC(table, kind));
  kept.push(`${name} ${n}`);
}
writeFileSync(new URL("expected.txt", here), kept.sort().join("\n") + "\n");
