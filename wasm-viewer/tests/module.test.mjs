// The module's typed API on real data, in Node and in a worker of a browser.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";

import { cases } from "./module.mjs";
import { FIXTURES, GOLDEN, inBrowser, module, page, RECORDED } from "./helpers.mjs";

const { wasm, memory } = module();

async function read(name) {
  const file = [FIXTURES, GOLDEN, RECORDED].map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
  return Uint8Array.from(fs.readFileSync(file));
}

const all = cases(wasm, memory, read);

describe("in Node", () => {
  for (const [name, run] of Object.entries(all)) test(name, run);
});

describe("in Chromium", { skip: !process.env.VOLLEY_CHROMIUM && "there is no Chromium" }, () => {
  inBrowser();
  for (const name of Object.keys(all)) {
    test(name, async () => {
      const failed = await page.evaluate((name) => {
        const worker = new Worker("tests/module.worker.js");
        return new Promise((resolve) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => resolve(message || "the worker did not start");
          worker.postMessage(name);
        });
      }, name);
      assert.equal(failed, null);
    });
  }
});
