// What the rows would take if they were written otherwise: measured, stopped, sorted, opened.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { FIXTURES, cells, fixture, inBrowser, inEveryLook, page, pick, settled, site, strip } from "./helpers.mjs";

inBrowser({
  async enter() {
    page.setDefaultTimeout(60_000);
    await page.goto(site.url);
  },
});

const button = (name) => page.locator("#whatif button", { hasText: name });
const inState = (state) => page.waitForFunction((wanted) => document.getElementById("whatif").dataset.state === wanted, state);
const lines = () =>
  page.locator("#whatif tbody tr").evaluateAll((rows) =>
    rows.map((row) => ({
      name: row.querySelector("th button").getAttribute("aria-label"),
      rows: Number(row.querySelector("th button").textContent.replaceAll(",", "")),
      numbers: [...row.querySelectorAll("td.number")].map((cell) => Number(cell.firstChild.textContent.replaceAll(",", ""))),
      isFront: row.classList.contains("front"),
    })),
  );

async function start(name, bytes) {
  await pick(page, name, bytes);
  await page.locator("#tab-whatif").click();
  await button("Measure").click();
}

/** Until every point was measured once. */
async function measured() {
  await page.locator("#whatif .only input").uncheck();
  await page.waitForFunction(() => /^(\d+) of \1 points/.test(document.querySelector("#whatif p.soft").textContent), null, { timeout: 300_000 });
}

test("it shows how far it is, and stops when told to", async () => {
  await start("fleet.arrows", fixture("fleet.arrows"));
  await page.waitForSelector("#whatif tbody tr");
  const early = await page.locator("#whatif progress").evaluate((bar) => bar.value);
  assert.ok(early > 0 && early < 1, `${early}`);
  // Others are answered meanwhile.
  await page.locator("#grid").press("Control+End");
  assert.match((await cells(page)).at(-1), /[0-9a-f]{8}$/);
  await page.waitForFunction((early) => document.querySelector("#whatif progress").value > early, early);
  await button("Stop").click();
  await inState("stopped");
  const told = await page.locator("#whatif p.soft").first().textContent();
  assert.match(told, /^\d+ of 70 points, \d+ trials of the first 20,000 rows\. Sizes are exact/);
  assert.equal(await page.locator("#whatif progress").isVisible(), false);
  // Nothing goes on behind it: the worker answers, and says the same.
  await page.locator("#whatif select").selectOption("bytes");
  await page.locator("#whatif select").selectOption("balanced");
  assert.equal(await page.locator("#whatif p.soft").first().textContent(), told);
  await button("Measure again").click();
  await inState("running");
  await page.locator("#close").click();
  assert.equal(await page.locator("#whatif").textContent(), "");
});

test("the choice follows what is to be small, and is ready to paste", async () => {
  await start("few.arrows", fixture("few.arrows"));
  await measured();
  await button("Stop").click();
  await inState("stopped");
  await page.locator("#whatif select").selectOption("bytes");
  await page.waitForFunction(() => document.querySelector("#whatif .choice").textContent.includes("lowest bytes a row"));
  const all = await lines();
  assert.equal(all.length, 98);
  const fewest = Math.min(...all.map(({ numbers: [bytes] }) => bytes));
  const heading = await page.locator("#whatif h3").textContent();
  const chosen = all.find(({ name }) => heading === `Recommended ${name}`);
  assert.ok(chosen.numbers[0] <= fewest * 1.021, `${heading}: ${chosen.numbers[0]} of ${fewest}`);
  const command = await page.locator("#whatif .paste code").textContent();
  const codec = /, ([a-z0-9:]+)/.exec(chosen.name)[1];
  assert.equal(command, `volley produce --rows-per-batch ${chosen.rows} --codec ${codec}`);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await button("Copy").click();
  await button("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
});

test("points are sorted, reached by keys, and on the front where none beats them", async () => {
  await start("few.arrows", fixture("few.arrows"));
  await measured();
  await button("Stop").click();
  await inState("stopped");
  const bytes = (await lines()).map(({ numbers }) => numbers[0]);
  assert.deepEqual(bytes, bytes.toSorted((a, b) => a - b));
  await button("Rows a batch").click();
  await button("Rows a batch").click();
  const rows = (await lines()).map(({ rows }) => rows);
  assert.deepEqual(rows, rows.toSorted((a, b) => b - a));
  assert.equal(await page.locator("#whatif thead th[aria-sort]").getAttribute("aria-sort"), "descending");
  await page.locator("#whatif tbody [tabindex='0']").focus();
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  const wanted = await page.locator("#whatif tbody tr:nth-last-child(2) th button").getAttribute("aria-label");
  assert.match(await page.locator("#whatif h3").textContent(), new RegExp(`(Chosen|Recommended) ${wanted}$`));
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), wanted);
  const all = await lines();
  const work = ({ numbers: [, encode, decode] }) => encode + decode;
  const front = all.filter(({ isFront }) => isFront);
  assert.ok(front.length > 1 && front.length < all.length);
  // Of what is shown three digits are.
  const beats = (a, b) => a.numbers[0] < b.numbers[0] * 0.99 && work(a) < work(b) * 0.99;
  for (const point of all) assert.equal(point.isFront && all.some((other) => beats(other, point)), false, point.name);
  await page.locator("#whatif .only input").check();
  const shown = await lines();
  assert.ok(shown.length < all.length && shown.filter(({ isFront }) => isFront).length === front.length);
  assert.equal(await page.locator(".pareto .on-front").count(), front.length);
  // A point of the chart is one of the table.
  await page.locator(".pareto .on-front").first().click();
  assert.equal(await page.locator("#whatif tr.selected").count(), 1);
});

test("a point opens as the message that it is, and is saved as the same bytes", async () => {
  await start("few.arrows", fixture("few.arrows"));
  await measured();
  await button("Stop").click();
  await inState("stopped");
  await page.locator("#whatif tbody th button[aria-label='100 rows, zstd:19, dictionaries']").click();
  const download = page.waitForEvent("download");
  await button("Save it").click();
  const saved = await download;
  assert.equal(saved.suggestedFilename(), "few-100-zstd-19-dict.arrows");
  const bytes = fs.readFileSync(await saved.path());
  const native = JSON.parse(fixture("what-if.json"));
  assert.equal(bytes.length, native["100 rows, zstd:19, dictionaries"][2], "as native code encodes it");
  await page.evaluate(() => delete document.body.dataset.painted);
  await button("Open a message").click();
  await page.waitForFunction(() => document.body.dataset.painted === "few-100-zstd-19-dict.arrows");
  await settled(page);
  const { Rows, Codec, Bytes } = await strip(page);
  assert.deepEqual([Rows, Codec], ["100", "zstd"]);
  assert.match(Bytes, /^\d/);
  assert.equal(await page.locator("#tab-sizes").getAttribute("aria-selected"), "true");
});

test("sizes are those that volley tune says of the same file", async () => {
  const binary = process.env.VOLLEY_BINARY;
  const folder = fs.mkdtempSync(path.join(FIXTURES, "tune-"));
  const input = path.join(folder, "few.arrows");
  fs.writeFileSync(input, fixture("few.arrows"));
  const flags = ["tune", "--input", input, "--sweep", "--dictionaries", "--budget", "30s", "--format", "json", "--codecs", "none,lz4,zstd:1,zstd:3,zstd:6,zstd:9,zstd:19", "--rows-per-batch", "10,1000"];
  const told = JSON.parse(execFileSync(binary, flags, { maxBuffer: 1 << 26 }));
  fs.rmSync(folder, { recursive: true });
  const { points } = told;
  assert.equal(points.length, 2 * 7 * 2);
  const native = JSON.parse(fixture("what-if.json"));
  for (const { rows, codec, dictionary, bytes_per_row, largest_payload } of points) {
    const name = `${rows} rows, ${codec}${dictionary ? ", dictionaries" : ""}`;
    const [bytes, largest] = native[name];
    assert.equal(largest_payload, largest, name);
    // A sample of 2,000 rows: windows of 10 rows are 16 of them, and larger ones the whole.
    assert.equal(bytes_per_row, bytes / Math.min(2000, rows * 16), name);
  }
});

test("what cannot be measured says so", async () => {
  await pick(page, "cut", fixture("fleet.arrows").subarray(0, 300_000));
  await page.locator("#tab-whatif").click();
  await button("Measure").click();
  await page.waitForFunction(() => /^It cannot be measured: column '.+' cannot be read at byte/.test(document.querySelector("#whatif p.soft").textContent));
  assert.equal(await button("Measure again").isEnabled(), true);
});

test("the sheet breaks no rule of accessibility", async () => {
  let looks = 0;
  await inEveryLook(site.url, async (check) => {
    await start("few.arrows", fixture("few.arrows"));
    await page.waitForSelector("#whatif tbody tr");
    // While lines come and go it takes long: once will do.
    if (looks++ === 0) await check("running");
    await button("Stop").click();
    await inState("stopped");
    await check("stopped");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing wider than the page");
  });
});
