// What follows from a payload: values, advice, its table in ClickHouse, exports; and shared addresses.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

import { cells, fixture, golden, inBrowser, inEveryLook, page, pick, settled, site, strip } from "./helpers.mjs";

inBrowser();

async function exported(format) {
  const download = page.waitForEvent("download");
  await page.locator("#export").selectOption(format);
  const saved = await download;
  return { name: saved.suggestedFilename(), bytes: fs.readFileSync(await saved.path()) };
}

const open = () => pick(page, "fleet.arrows", fixture("fleet.arrows"));
const column = (name) => page.locator("#sizes tbody button", { hasText: name }).first();

test("Arrow of any codec reopens as the source", async () => {
  await open();
  const source = await cells(page);
  for (const [format, codec] of [["arrow:zstd:1", "zstd"], ["arrow:lz4", "lz4"], ["arrow:none", "none"]]) {
    const { name, bytes } = await exported(format);
    assert.equal(name, "fleet.arrows");
    await pick(page, name, bytes);
    const { Rows, Codec } = await strip(page);
    assert.deepEqual({ Rows, Codec }, { Rows: "20,000", Codec: codec });
    assert.deepEqual(await cells(page), source, format);
    await page.locator("#grid").press("Control+End");
    assert.match((await cells(page)).at(-1), /[0-9a-f]{8}$/);
    await page.locator("#grid").press("Control+Home");
  }
});

test("CSV and lines of JSON hold every row", async () => {
  await open();
  const csv = await exported("csv");
  assert.equal(csv.name, "fleet.csv");
  const lines = csv.bytes.toString().trimEnd().split("\n");
  assert.equal(lines.length, 20_001);
  assert.equal(lines[0], "device,ts,cpu,up,note,disk,id");
  assert.match(lines[1], /^gw-1,2025-05-23 11:33:20.000000Z,0,false,,"\{read: \d+, written: \d+\}",[0-9a-f]{8}$/);
  const { bytes } = await exported("ndjson");
  const rows = bytes.toString().trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(rows.length, 20_000);
  assert.deepEqual(Object.keys(rows[0]), lines[0].split(","));
  assert.deepEqual([rows[0].note, rows[1].note, rows[13].cpu, rows[1].up], [null, "", null, true]);
  assert.equal(typeof rows[0].disk.read, "number");
  assert.match(await page.locator("#rows-text").textContent(), /^exported 20,000 rows/);
});

test("a damaged table is not exported in part", async () => {
  await pick(page, "cut", fixture("fleet.arrows").subarray(0, 300_000));
  await page.locator("#export").selectOption("csv");
  await page.waitForFunction(() => document.getElementById("rows-text").textContent.startsWith("not exported"));
  assert.match(await page.locator("#rows-text").textContent(), /column '.+' cannot be read at byte/);
});

test("values of a column are counted, and numbers have a histogram", async () => {
  await open();
  await page.locator("#tab-values").click();
  await page.waitForFunction(() => document.getElementById("values").dataset.whole === "device");
  const rows = await page.locator("#values tbody tr").allTextContents();
  assert.deepEqual(rows.sort(), ["edge-7", "edge-9", "gw-1", "gw-2", "lab"].map((name) => `${name}4,00020.0 %`));
  await page.locator("#tab-sizes").click();
  await column("cpu").click();
  await page.locator("#tab-values").click();
  await page.waitForFunction(() => document.getElementById("values").dataset.whole === "cpu");
  assert.match(await page.locator("#values p.soft").textContent(), /^20,000 rows · 206 null · /);
  const bars = await page.locator(".histogram i").evaluateAll((bars) => bars.map(({ title }) => Number(/: ([\d,]+) rows$/.exec(title)[1].replaceAll(",", ""))));
  // Of 20,000 rows 206 are null, and 207 NaN.
  assert.equal(bars.reduce((sum, n) => sum + n, 0), 20_000 - 206 - 207);
});

test("the table in ClickHouse has types, a fit, and statements to copy", async () => {
  await open();
  await page.locator("#tab-sql").click();
  await page.waitForSelector("#sql pre");
  const rows = await page.locator("#sql tbody tr").evaluateAll((rows) => rows.map((row) => [row.querySelector("th span").textContent, row.querySelector("code").textContent, row.querySelector(".fit").textContent]));
  assert.deepEqual(rows[0], ["device", "LowCardinality(String)", "exact"]);
  assert.deepEqual(rows[2], ["cpu", "Nullable(Float64)", "exact"]);
  assert.match(await page.locator("#sql pre").textContent(), /^CREATE TABLE IF NOT EXISTS `volley`\n\(\n {4}`device` LowCardinality\(String\),/);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("#sql-name").fill("other`s");
  await page.locator("#sql-name").press("Enter");
  await page.waitForFunction(() => document.querySelector("#sql pre").textContent.includes("`other\\`s`"));
  await page.locator("#sql button", { hasText: "Copy INSERT" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll("#sql button")].some(({ textContent }) => textContent === "Copied"));
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^INSERT INTO `other\\`s` \(`device`, .* FORMAT ArrowStream$/);
});

test("advice names columns and leads to them", async () => {
  await open();
  await page.locator("#tab-advice").click();
  await page.waitForSelector("#advice li, #advice p");
  const link = page.locator("#advice .link").first();
  const path = await link.textContent();
  await link.click();
  assert.equal(await page.locator("#region-column").textContent(), path);
  await pick(page, "empty-ish", golden("metadata.arrows"));
  await page.waitForFunction(() => document.querySelector("#advice")?.textContent.length > 0);
});

test("an address that is shared opens the same column, byte and sheet", async () => {
  await page.goto(`${site.url}?url=data/fleet.arrows`);
  await settled(page);
  await column("note").click();
  await page.locator("#tab-values").click();
  const shared = page.url();
  assert.match(shared, /#column=4&sheet=values$/);
  await page.goto("about:blank");
  await page.goto(shared);
  await settled(page);
  assert.equal(await page.locator("#tab-values").getAttribute("aria-selected"), "true");
  assert.equal(await page.locator("#region-column").textContent(), "note");
  await page.goto("about:blank");
  await page.goto(`${site.url}?url=data/fleet.arrows#byte=1234&column=nonsense&sheet=nonsense`);
  await settled(page);
  assert.equal(await page.locator("#hex .mark").getAttribute("data-at"), "1234");
  await page.locator("#close").click();
  assert.equal(new URL(page.url()).hash.includes("byte"), false);
});

test("no sheet breaks a rule of accessibility", async () => {
  await inEveryLook(site.url, async (check) => {
    await open();
    for (const [sheet, ready] of [["values", "#values tbody"], ["advice", "#advice p"], ["sql", "#sql pre"]]) {
      await page.locator(`#tab-${sheet}`).click();
      await page.waitForSelector(ready);
      await check(sheet);
    }
  });
});
