// What a visitor downloads is small, and grows only on purpose.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import zlib from "node:zlib";

import { SITE } from "./helpers.mjs";

const NUMBERS = path.join(import.meta.dirname, "../sizes.json");
const LIMITS = { wasm: 400_000, page: 100_000 };
const GROWTH = 1.02;

const brotli = (file) => zlib.brotliCompressSync(fs.readFileSync(path.join(SITE, file)), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

test("the page is small", () => {
  const files = fs.readdirSync(SITE);
  const sum = (names) => names.reduce((sum, name) => sum + brotli(name), 0);
  const sizes = { wasm: sum(files.filter((name) => name.endsWith(".wasm"))), page: sum(files.filter((name) => !name.endsWith(".wasm"))) };
  console.log(`brotli: wasm ${sizes.wasm} bytes, page without it ${sizes.page} bytes`);
  for (const [name, limit] of Object.entries(LIMITS)) {
    assert.ok(sizes[name] <= limit, `${name} is ${sizes[name]} bytes with brotli, over the limit of ${limit}`);
  }
  if (process.env.VOLLEY_UPDATE_SIZES) return fs.writeFileSync(NUMBERS, `${JSON.stringify(sizes, null, 2)}\n`);
  const known = JSON.parse(fs.readFileSync(NUMBERS));
  for (const name of Object.keys(LIMITS)) {
    assert.ok(
      sizes[name] <= known[name] * GROWTH,
      `${name} grew from ${known[name]} to ${sizes[name]} bytes with brotli, by more than 2 %: if that is meant, run \`cargo xtask viewer-test --update-sizes\` and commit wasm-viewer/sizes.json`,
    );
  }
});
