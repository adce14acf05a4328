// Rows as they are filtered and sorted.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

import { cells, fixture, inBrowser, inEveryLook, page, pick, settled, site, strip } from "./helpers.mjs";

inBrowser();

/** As the fixture makes its numbers. */
const noise = (row) => ((BigInt(row) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn) >> 40n;
const cpu = (row) => ([13, 29].includes(row % 97) ? NaN : Number(noise(row) % 10_000n) / 100);
/** What is said of the rows of 20,000 that pass. */
const of = (passes) => `${Array.from({ length: 20_000 }, (_, row) => row).filter(passes).length.toLocaleString("en-US")} of 20,000 rows`;
const open = () => pick(page, "fleet.arrows", fixture("fleet.arrows"));
const said = () => page.locator("#rows-text").textContent();
async function numbers() {
  await page.waitForFunction(() => [...document.querySelectorAll("#grid .body .number")].every(({ textContent }) => textContent !== "…"));
  return page.locator("#grid .body .number").allTextContents();
}

/** Until the rows that were asked for are there. */
async function shown(text) {
  await page.waitForFunction((text) => document.getElementById("rows-text").textContent === text, text);
  return cells(page);
}

async function filter(text, expect) {
  await page.locator("#filter").fill(text);
  await page.locator("#filter").press("Enter");
  return shown(expect);
}

test("a column is filtered by number, text, null and not null", async () => {
  await open();
  const nulls = await filter("cpu is null", "206 of 20,000 rows");
  assert.ok(nulls.every((row) => row.split("|")[2] === "∅"), nulls[0]);
  // Their own row numbers: 29, and every 97th behind it.
  assert.deepEqual((await numbers()).slice(0, 3), ["29", "126", "223"]);
  await filter("cpu is not null", "19,794 of 20,000 rows");
  const high = await filter("cpu > 99.9", of((row) => cpu(row) > 99.9));
  assert.ok(high.every((row) => Number(row.split("|")[2]) > 99.9), high[0]);
  await filter("cpu = NaN", "207 of 20,000 rows");
  await filter('device contains "EDGE"', "8,000 of 20,000 rows");
  await filter("device != lab", "16,000 of 20,000 rows");
  const texts = await filter('note = ""', "5,000 of 20,000 rows");
  assert.ok(texts.every((row) => row.split("|")[4] === "ε"), texts[0]);
  await filter("up=false", "646 of 20,000 rows");
  const days = await filter("ts >= 2025-05-23 12:56", "160 of 20,000 rows");
  assert.match(days[0], /^gw-1\|2025-05-23 12:56:00\.000000Z/);
  assert.equal((await strip(page)).Rows, "20,000", "the payload is the same");
});

test("the keyboard filters, sorts, and clears with Escape", async () => {
  await open();
  const whole = await cells(page);
  await page.locator("#grid").focus();
  await page.keyboard.press("f");
  await page.keyboard.type("device = gw-2");
  await page.keyboard.press("Enter");
  await shown("4,000 of 20,000 rows");
  await page.locator("#grid").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const sorts = () => page.locator("#grid .head [aria-sort]").evaluateAll((heads) => heads.map((head) => head.getAttribute("aria-sort")));
  const cpus = (rows) => rows.map((row) => Number(row.split("|")[2]));
  for (const direction of ["ascending", "descending"]) {
    await page.keyboard.press("s");
    await page.waitForFunction((direction) => document.querySelector("#grid .head").children[2].getAttribute("aria-sort") === direction, direction);
    const found = cpus(await cells(page));
    const sorted = [...found].sort((a, b) => (direction === "ascending" ? a - b : b - a));
    assert.deepEqual(found.filter((n) => !Number.isNaN(n)), sorted.filter((n) => !Number.isNaN(n)), direction);
  }
  await page.keyboard.press("End");
  const last = await cells(page);
  assert.ok(last.at(-1).split("|")[2] === "∅", "nulls come last");
  await page.keyboard.press("s");
  await page.waitForFunction(() => document.querySelector("#grid .head").children[2].getAttribute("aria-sort") === "none");
  await page.keyboard.press("Escape");
  await shown("");
  assert.deepEqual([await cells(page), await page.locator("#filter").inputValue()], [whole, ""]);
  assert.ok((await sorts()).every((sort) => sort === "none"));
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.body.dataset.state), "empty", "nothing is left to clear");
});

test("a header sorts by the mouse, and its column stays in view", async () => {
  await open();
  await page.locator("#grid .head .cell").nth(1).hover();
  await page.locator("#grid .head .cell").nth(1).locator(".sort").click();
  await shown("20,000 of 20,000 rows");
  await page.locator("#grid .head .cell").nth(1).hover();
  await page.locator("#grid .head .cell").nth(1).locator(".sort").click();
  await page.waitForFunction(() => document.querySelector("#grid .body .number")?.textContent === "19,999");
  assert.match((await cells(page))[0], /^lab\|2025-05-23 12:56:39\.750000Z/);
  await page.locator("#grid").press("ArrowDown");
  assert.match(await page.locator("#cell b").textContent(), /· 19,998$/);
});

test("what is no filter is explained, and all rows stay", async () => {
  await open();
  const whole = await cells(page);
  for (const [text, problem] of [
    ["nonsense > 1", /^It begins with the name of a column/],
    ["cpu like 7", /^After cpu comes < <= = != >= > contains/],
    ["cpu > abc", /^the column holds numbers, and 'abc' is none/],
  ]) {
    await page.locator("#filter").fill(text);
    await page.locator("#filter").press("Enter");
    await page.waitForFunction((source) => new RegExp(source).test(document.getElementById("filter-problem").textContent), problem.source);
    assert.equal(await page.locator("#filter").getAttribute("aria-invalid"), "true");
    // The line that says why takes the place of a row.
    assert.deepEqual((await cells(page)).slice(0, 5), whole.slice(0, 5));
  }
  await page.locator("#filter").press("Escape");
  await page.waitForFunction(() => document.getElementById("filter-problem").hidden);
});

test("of 50 million rows some are filtered, and sorting all is refused", async () => {
  await page.goto(`${site.url}?url=data/rows.arrows`);
  await settled(page);
  await page.locator("#filter").fill("thousand = 49999");
  await page.locator("#filter").press("Enter");
  await page.waitForFunction(() => document.getElementById("rows-text").textContent === "1,000 of 50,000,000 rows", undefined, { timeout: 240_000 });
  assert.equal((await numbers())[0], "49,999,000");
  await page.locator("#filter").press("Escape");
  await page.locator("#grid").press("s");
  await page.waitForFunction(() => /too many rows to sort within 128 MiB/.test(document.getElementById("filter-problem").textContent));
  assert.equal((await numbers())[0], "0");
});

test("exports have all rows, and say so", async () => {
  await open();
  const first = () => page.locator("#export option").first().textContent();
  assert.equal(await first(), "Export…");
  await filter("device = lab", "4,000 of 20,000 rows");
  assert.equal(await first(), "Export all…");
  const download = page.waitForEvent("download");
  await page.locator("#export").selectOption("csv");
  const lines = fs.readFileSync(await (await download).path(), "utf8").trimEnd().split("\n");
  assert.equal(lines.length, 20_001);
  await shown("exported all 20,000 rows: " + (await said()).split(": ")[1]);
});

test("damaged rows are left out and said to be", async () => {
  await pick(page, "cut", fixture("fleet.arrows").subarray(0, 300_000));
  await filter("id contains f", of((row) => row < 10_000 && noise(row).toString(16).padStart(8, "0").includes("f")));
  assert.match(await page.locator("#filter-problem").textContent(), /^10,000 rows cannot be read and are left out: /);
});

test("an address that is shared has the filter and the order", async () => {
  await page.goto(`${site.url}?url=data/fleet.arrows`);
  await settled(page);
  await filter("device = lab", "4,000 of 20,000 rows");
  await page.locator("#grid").focus();
  await page.locator("#grid").press("ArrowRight");
  await page.locator("#grid").press("s");
  await page.locator("#grid").press("s");
  await page.waitForFunction(() => location.hash.includes("sort=-ts"));
  const rows = await cells(page);
  const shared = page.url();
  await page.goto("about:blank");
  await page.goto(shared);
  await settled(page);
  assert.deepEqual(await shown("4,000 of 20,000 rows"), rows);
  assert.equal(await page.locator("#filter").inputValue(), "device = lab");
  // Another payload begins anew.
  await open();
  assert.deepEqual([await page.locator("#filter").inputValue(), await said()], ["", ""]);
  assert.doesNotMatch(page.url(), /filter|sort/);
});

test("filters break no rule of accessibility", async () => {
  await inEveryLook(site.url, async (check) => {
    await open();
    if (page.viewportSize().width < 900) await page.locator("#tab-rows").click();
    await filter("cpu > 50", of((row) => cpu(row) > 50));
    await page.locator("#grid").press("s");
    await page.waitForSelector("#grid .head [aria-sort=ascending]");
    await check("sorted");
    await page.locator("#filter").fill("nothing");
    await page.locator("#filter").press("Enter");
    await page.waitForSelector("#filter[aria-invalid=true]");
    await check("refused");
  });
});
