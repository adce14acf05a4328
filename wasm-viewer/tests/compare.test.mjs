// Two payloads held against each other.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

import { cells, fixture, golden, inBrowser, inEveryLook, page, pick, site } from "./helpers.mjs";

inBrowser();

/** Opens one payload and holds another against it. */
async function compare(one, other, name = "other.arrows") {
  await pick(page, "fleet.arrows", one);
  await page.locator("#tab-compare").click();
  await page.locator("#compare-picker").setInputFiles({ name, mimeType: "", buffer: Buffer.from(other) });
  return verdict(name);
}

async function verdict(name) {
  await page.waitForFunction((name) => document.getElementById("compare").dataset.whole === name, name);
  return page.locator("#compare .verdict h3").textContent();
}

/** The open payload in another encoding, from the page itself. */
async function exported(format) {
  const download = page.waitForEvent("download");
  await page.locator("#export").selectOption(format);
  return fs.readFileSync(await (await download).path());
}

const table = (name) => page.locator(`#compare .${name} tbody tr`).evaluateAll((rows) => rows.map((row) => [...row.children].map(({ innerText }) => innerText.replaceAll("\n", " "))));

/** With one byte of a value of `ts` changed: the first of the row. */
async function changed(row) {
  await pick(page, "fleet.arrows", fixture("fleet.arrows"));
  const bytes = await exported("arrow:none");
  const first = Buffer.alloc(8);
  first.writeBigInt64LE(1_748_000_000_000_000n + 250_000n * BigInt(row));
  const at = bytes.indexOf(first);
  assert.ok(at > 0);
  bytes[at] ^= 1;
  return bytes;
}

test("two encodings of one batch are the same rows", async () => {
  const one = fixture("fleet.arrows");
  await pick(page, "fleet.arrows", one);
  const other = await exported("arrow:lz4");
  const more = (100 * (other.length / one.length - 1)).toFixed(1);
  assert.equal(await compare(one, other), `✓ same rows, different encoding: lz4 takes ${more} % more than zstd`);
  assert.match(await page.locator("#compare p.soft").first().textContent(), /^20,000 compared by their place · none differs$/);
  const sizes = await table("side-by-side");
  assert.deepEqual(sizes.map(([name]) => name).slice(0, 4), ["device", "ts", "cpu", "up"]);
  const bytes = await page.locator("#compare .sum [data-bytes]").evaluateAll((all) => all.map((cell) => Number(cell.dataset.bytes)));
  assert.deepEqual(bytes, [one.length, other.length]);
  // A file of the same batches, and the same bytes.
  assert.match(await compare(one, fixture("fleet.arrow"), "fleet.arrow"), /^✓ same rows, different encoding: the second takes 0\.\d % more$/);
  assert.equal(await compare(one, one, "again.arrows"), "✓ the same bytes");
});

test("a row that differs is named, and one click away", async () => {
  const other = await changed(12_345);
  assert.equal(await compare(fixture("fleet.arrows"), other), "≠ row 12345 differs in ts");
  const [row] = await table("differences");
  assert.deepEqual(row, ["12,345", "ts", "2025-05-23 12:24:46.250000Z", "2025-05-23 12:24:46.250001Z"]);
  // From a filter that hides it.
  await page.locator("#filter").fill("device = lab");
  await page.locator("#filter").press("Enter");
  await page.waitForFunction(() => document.getElementById("rows-text").textContent === "4,000 of 20,000 rows");
  await page.locator("#compare .differences button").click();
  await page.waitForFunction(() => document.querySelector("#cell b")?.textContent === "ts · 12,345");
  assert.equal(await page.locator("#grid .cursor").textContent(), "2025-05-23 12:24:46.250000Z");
  assert.equal(await page.locator("#filter").inputValue(), "");
});

test("other columns are told from the schema, and what both have is compared", async () => {
  assert.match(await compare(golden("dictionaries-none.arrows"), golden("dictionaries-zstd.arrow")), /^✓ same rows, different encoding: /);
  const found = await compare(golden("scalars-none.arrows"), golden("nested-none.arrows"));
  assert.match(found, /^≠ /);
  const changes = await table("changes");
  assert.ok(changes.some(([, change]) => change === "added") && changes.some(([, change]) => change === "removed"), changes.join("\n"));
});

test("a damaged payload says where, and the rest is compared", async () => {
  const one = fixture("fleet.arrows");
  assert.match(await compare(one, one.subarray(0, 300_000), "cut"), /^\? not everything can be read; what can does not differ$/);
  assert.match(await page.locator("#compare .problem").first().textContent(), /^B, \w+ from row 10,000, byte [\d,]+: /);
  assert.match(await compare(one, Buffer.from("{}"), "other.json"), /^\? the second has no schema that can be read$/);
});

test("the other one comes by drop, and as the next that is opened", async () => {
  const one = fixture("fleet.arrows");
  await pick(page, "fleet.arrows", one);
  await page.locator("#tab-compare").click();
  const base64 = one.toString("base64");
  await page.evaluate((base64) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], "dropped.arrows"));
    document.querySelector("#compare .invite").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }, base64);
  assert.equal(await verdict("dropped.arrows"), "✓ the same bytes");
  assert.equal(await page.locator("#file").textContent(), "fleet.arrows");

  await page.locator("#compare button", { hasText: "Another…" }).click();
  await page.locator("#compare button", { hasText: "Take the next" }).press("Enter");
  assert.equal(await page.locator("#compare [aria-pressed]").getAttribute("aria-pressed"), "true");
  await page.locator("#picker").setInputFiles({ name: "next.arrow", mimeType: "", buffer: fixture("fleet.arrow") });
  assert.match(await verdict("next.arrow"), /^✓ same rows/);
  // And only that one.
  await pick(page, "third.arrows", one);
  assert.equal(await page.locator("#file").textContent(), "third.arrows");
  assert.equal(await page.locator("#compare .invite").count(), 1);
  assert.equal((await cells(page)).length > 5, true);
});

test("comparing breaks no rule of accessibility", async () => {
  const other = await changed(7);
  await inEveryLook(site.url, async (check) => {
    await pick(page, "fleet.arrows", fixture("fleet.arrows"));
    await page.locator("#tab-compare").click();
    await check("invited");
    await compare(fixture("fleet.arrows"), other);
    await check("different");
    await compare(fixture("fleet.arrows"), fixture("fleet.arrow"), "fleet.arrow");
    await check("same");
  });
});
