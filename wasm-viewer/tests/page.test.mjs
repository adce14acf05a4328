// The page in a browser: every way in, every part, every state.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { cells, fixture, golden, goldenNames, inBrowser, inEveryLook, module, open, page, pick, press, settled, site, strip } from "./helpers.mjs";
import { damaged, messagesOf } from "./damage.mjs";

inBrowser();

const { wasm } = module();

/** What the module says of a payload. */
function told(bytes, look) {
  const payload = new wasm.Payload(Uint8Array.from(bytes), undefined);
  const found = look(payload);
  payload.free();
  return found;
}

const inspection = (bytes) => told(bytes, (payload) => JSON.parse(payload.summary()).inspection);

const FIRST = ["gw-1|2025-05-23 11:33:20.000000Z|0|false|∅", "gw-2|2025-05-23 11:33:20.250000Z|88.89|true|ε"];

async function assertFleet() {
  await settled(page);
  assert.equal((await strip(page)).Rows, "20,000");
  const found = (await cells(page)).slice(0, 2).map((row) => row.split("|").slice(0, 5).join("|"));
  assert.deepEqual(found, FIRST);
}

/** Drops or pastes what `fill` puts into a DataTransfer, in the page. */
const transfer = (type, bytes, text) =>
  page.evaluate(
    ({ type, base64, text }) => {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const data = new DataTransfer();
      if (text) data.setData("text/plain", text);
      else data.items.add(new File([bytes], "fleet.arrows"));
      const event = type === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }) : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
      document.body.dispatchEvent(event);
    },
    { type, base64: Buffer.from(bytes).toString("base64"), text },
  );

test("opens by picker", async () => {
  await pick(page, "fleet.arrows", fixture("fleet.arrows"));
  await assertFleet();
});

test("opens by drop", async () => {
  await transfer("drop", fixture("fleet.arrows"));
  await assertFleet();
});

test("opens what is pasted: a file, base64, hexadecimal digits", async () => {
  await transfer("paste", fixture("fleet.arrows"));
  await assertFleet();
  for (const encoding of ["base64", "hex"]) {
    await press("body", "Escape");
    const small = golden("metadata.arrows");
    await transfer("paste", [], small.toString(encoding));
    await settled(page);
    assert.equal((await strip(page)).Rows, "40", encoding);
  }
});

test("opens an address on its host, and says why not on another", async () => {
  await open("fleet.arrows");
  await assertFleet();
  await page.goto(`${site.url}?url=data/none.arrows`);
  await settled(page);
  assert.match(await page.locator("#failed-text").textContent(), /answered 404/);
  await page.goto(`${site.url}?url=https://data.example/a.arrows`);
  await settled(page);
  assert.match(await page.locator("#failed-text").textContent(), /data\.example is another host.*--connect/);
  // The browser reports what the policy refused and what is not there.
  assert.equal(page.faults.length, page.faults.filter((fault) => /404|Content Security Policy/.test(fault)).length);
  page.faults = [];
  page.requests = page.requests.filter((url) => !url.startsWith("https://data.example"));
});

test("stream, file, batches alone and streams in a row give the same rows", async () => {
  const stream = fixture("fleet.arrows");
  await pick(page, "fleet.arrow", fixture("fleet.arrow"));
  await assertFleet();

  const messages = await page.evaluate(() => document.querySelector("#region").textContent);
  assert.match(messages, /magic/);
  await pick(page, "twice.arrows", Buffer.concat([stream, stream]));
  assert.equal((await strip(page)).Rows, "40,000");
  assert.deepEqual((await cells(page)).slice(0, 2).map((row) => row.split("|").slice(0, 5).join("|")), FIRST);

  // Behind the schema message, whose length stands in its prefix.
  const bare = stream.subarray(8 + stream.readInt32LE(4));
  await pick(page, "bare", bare);
  assert.match(await page.locator("#verdict-title").textContent(), /Record batches without their schema/);
  const chooser = page.waitForEvent("filechooser");
  await page.locator("#give-schema").click();
  await (await chooser).setFiles({ name: "schema.arrows", mimeType: "", buffer: stream });
  await page.waitForFunction(() => document.querySelector("#grid .row"));
  await assertFleet();
  assert.equal(await page.locator("#file").textContent(), "bare");
});

test("payloads of other writers and every codec open", async () => {
  for (const name of goldenNames()) {
    await pick(page, name, golden(name));
    const codec = /lz4|zstd/.exec(name)?.[0] ?? (/none|uncompressed/.test(name) ? "none" : null);
    if (codec) assert.equal((await strip(page)).Codec, codec, name);
    // In a browser large list views are not decoded; the columns beside them are.
    const errors = await page.locator("#verdict li.error code").allTextContents();
    assert.deepEqual(errors.filter((code) => code !== "unsupported-type"), [], name);
    const damaged = await page.locator("#sizes .extremes .link").count();
    assert.equal(damaged > 0, errors.length > 0, name);
  }
});

test("the strip has exact numbers", async () => {
  await open("fleet.arrows");
  const { bytes, raw_bytes, metadata_bytes, record_batches, columns } = inspection(fixture("fleet.arrows"));
  assert.equal(bytes, fixture("fleet.arrows").length);
  const shown = await strip(page);
  assert.deepEqual(Object.keys(shown), ["Rows", "Columns", "Bytes", "Codec", "Ratio", "Bytes a row", "Metadata", "Dictionaries"]);
  assert.deepEqual(
    [shown.Rows, shown.Columns, shown.Codec, shown["Bytes a row"], shown.Dictionaries, shown.Ratio, shown.Metadata],
    ["20,000", "7", "zstd", (bytes / 20_000).toPrecision(3), "1", `${(raw_bytes / bytes).toFixed(2)}×`, `${((100 * metadata_bytes) / bytes).toFixed(1)} %`],
  );
  const number = (n) => n.toLocaleString("en-US");
  assert.deepEqual(
    (await page.locator("#strip .small").allTextContents()).filter((_, tile) => ![3, 4, 5].includes(tile)),
    [`${record_batches} batches`, `${columns.length} with nested`, `${number(bytes)} · stream`, `${number(metadata_bytes)} bytes`, "message"],
  );
});

test("sizes are exact and sum to the payload, whatever the writer", async () => {
  for (const name of ["dictionaries-zstd.arrow", "nested-lz4.arrows", "polars-zstd.arrow", "arrow-js.arrow", "legacy.arrow"]) {
    await pick(page, name, golden(name));
    const rows = await page.locator("#sizes tr").evaluateAll((rows) => rows.map((row) => [row.id, ...[...row.querySelectorAll("[data-bytes]")].map((cell) => Number(cell.dataset.bytes))]));
    const { columns, raw_bytes } = inspection(golden(name));
    const n_bytes = golden(name).length;
    assert.deepEqual(rows.filter(([id]) => id.startsWith("column-")), columns.map(({ stored, raw }, at) => [`column-${at}`, stored, raw]), name);
    assert.deepEqual(rows.at(-1).slice(1), [n_bytes, raw_bytes], name);
    const stored = rows.slice(0, -1).map(([, stored]) => stored ?? 0);
    assert.equal(stored.reduce((sum, n) => sum + n, 0), n_bytes, name);
  }
});

test("columns show type, nulls, least and greatest", async () => {
  await open("fleet.arrows");
  const row = (index) => page.locator(`#column-${index}`).evaluate((row) => [...row.querySelectorAll("th button span, th small, td.number, .extremes span")].map((part) => part.textContent));
  const cpu = await row(2);
  assert.deepEqual(cpu.slice(0, 2), ["cpu", "float64"]);
  assert.match(cpu[2], /^206/);
  assert.deepEqual(cpu.slice(-2), ["0", "99.98"]);
  assert.deepEqual((await row(0)).slice(-2), ["edge-7", "lab"]);
  assert.deepEqual((await row(4)).slice(-2)[0], "(empty)");
});

test("the schema shows nullability, extension types and metadata", async () => {
  await open("fleet.arrows");
  await page.locator("#tab-schema").click();
  const lines = await page.locator("#schema").evaluate((pane) => [...pane.querySelectorAll(".field, dl.metadata")].map((line) => [...line.children].map((part) => part.textContent).filter(Boolean).join(" ")));
  assert.deepEqual(lines, [
    "owner fleet",
    "device dictionary<int8, utf8> not null",
    "dictionary utf8",
    "ts timestamp[us, UTC] not null",
    "cpu float64 nullable",
    "unit percent",
    "up bool not null",
    "note utf8 nullable",
    'disk struct<"read" int64 not null, "written" int64 not null> not null',
    "read int64 not null",
    "written int64 not null",
    "id utf8 not null fleet.sample-id",
    "ARROW:extension:name fleet.sample-id",
  ]);
});

test("one click from a column to its bytes and back", async () => {
  await open("fleet.arrows");
  await page.locator("#column-1 button").click();
  await page.waitForFunction(() => document.querySelector("#region-column")?.textContent === "ts");
  const at = await page.locator("#hex .mark").getAttribute("data-at");
  assert.match(await page.locator("#map-text").textContent(), new RegExp(`of ts, .* at byte ${Number(at).toLocaleString("en-US")}`));
  await page.locator("#column-4 button").click();
  await page.waitForFunction(() => document.querySelector("#region-column")?.textContent === "note");
  // Back: from a byte of the column that lies before it to that column.
  await press("#hex", "ArrowUp", "ArrowUp");
  await page.waitForFunction(() => document.querySelector("#sizes .selected")?.id === "column-3");
  await page.locator("#region-column").click();
  assert.equal(await page.evaluate(() => document.activeElement.closest("tr")?.id), "column-3");
  assert.equal(await page.locator("#sizes .selected").getAttribute("id"), "column-3");
});

test("the byte map goes through every region with the keyboard", async () => {
  await pick(page, "scalars", golden("metadata.arrows"));
  const last = Number(await page.locator("#map").getAttribute("aria-valuemax"));
  let end = 0;
  await press("#map", "Home");
  for (let region = 0; region <= last; region++) {
    const text = await page.locator("#map").getAttribute("aria-valuetext");
    assert.equal(Number(await page.locator("#map").getAttribute("aria-valuenow")), region);
    const [, size, unit, at] = /, ([\d.]+) (k?B) at byte ([\d,]+)$/.exec(text);
    assert.equal(Number(at.replaceAll(",", "")), end, text);
    if (unit === "B") end += Number(size);
    else end = null;
    await press("#map", "ArrowRight");
    end ??= Number(/at byte ([\d,]+)$/.exec(await page.locator("#map").getAttribute("aria-valuetext"))[1].replaceAll(",", ""));
  }
});

test("null, empty and NaN look different", async () => {
  await open("fleet.arrows");
  await cells(page);
  const texts = await page.evaluate(() => Object.fromEntries(["null", "empty"].map((kind) => [kind, document.querySelector(`#grid .${kind}`).textContent])));
  assert.deepEqual(texts, { null: "null", empty: "empty" });
  await page.locator("#grid").focus();
  for (let row = 0; row < 13; row++) await press("#grid", "ArrowDown");
  for (let column = 0; column < 2; column++) await press("#grid", "ArrowRight");
  assert.equal(await page.locator("#grid .cursor").getAttribute("class"), "cell float end cursor");
  assert.match(await page.locator("#cell").textContent(), /NaN: no finite number/);
});

test("damage in a column is located and leaves the others", async () => {
  const bytes = Buffer.from(fixture("fleet.arrows"));
  await pick(page, "whole", bytes);
  await page.locator("#column-6 button").click();
  await page.waitForFunction(() => document.querySelector("#region-column")?.textContent === "disk.read");
  const at = Number(await page.locator("#hex .mark").getAttribute("data-at"));
  // Behind the length and the header of the frame.
  bytes.fill(0xee, at + 40, at + 400);
  await pick(page, "damaged", bytes);
  assert.match(await page.locator("#verdict-title").textContent(), /1 column holds values that cannot be read/);
  await page.evaluate(async () => {
    document.getElementById("grid").scrollLeft = 9999;
    await new Promise(requestAnimationFrame);
  });
  const shown = await cells(page);
  assert.ok(shown.every((row) => row.includes("✗") && /[0-9a-f]{8}$/.test(row)), shown[0]);
  await page.locator("#verdict li button").click();
  await page.waitForFunction((at) => Math.abs(Number(document.querySelector("#hex .mark")?.dataset.at) - at) < 64, at);
  assert.ok((await page.locator("#sizes .selected").getAttribute("id")).startsWith("column-"));
});

test("a payload that was cut short says where, and shows the batches before", async () => {
  await pick(page, "cut", fixture("fleet.arrows").subarray(0, 300_000));
  assert.match(await page.locator("#verdict li").first().textContent(), /^errorbyte [\d,]+message 3/);
  assert.deepEqual((await cells(page)).slice(0, 1).map((row) => row.split("|").slice(0, 5).join("|")), FIRST.slice(0, 1));
  // Of the last batch, the columns whose bytes are all there.
  assert.equal((await strip(page)).Rows, "20,000");
  await press("#grid", "End");
  assert.match((await cells(page)).at(-1), /^lab\|2025-05-23 12:56:39.750000Z\|[\d.]+\|/);
  await press("#grid", "Control+End");
  assert.match((await cells(page)).at(-1), /✗\|✗$/);
});

test("damaged payloads always explain", async () => {
  for (const name of ["nested-zstd.arrows", "dictionaries-lz4.arrow", "scalars-none.arrows", "polars-lz4.arrows"]) {
    const bytes = Uint8Array.from(golden(name));
    const messages = told(bytes, (payload) => {
      const map = payload.map();
      return messagesOf({ offsets: map.offsets(), lens: map.lens(), messages: map.messages() });
    });
    for (const mutant of damaged(bytes, 16, messages)) {
      await pick(page, name, mutant.bytes);
      const state = await page.evaluate(() => document.body.dataset.state);
      assert.equal(state, "opened", `${name}, ${mutant.what}: ${await page.locator("#failed-text").textContent()}`);
      const [errors, damaged] = [await page.locator("#verdict li.error").count(), await page.locator("#grid .damaged").count()];
      if (damaged) assert.ok(errors, `${name}, ${mutant.what}`);
      // Damage that the walk finds is on the page as the module tells it.
      const { diagnostics } = inspection(mutant.bytes);
      if (diagnostics.some(({ severity }) => severity === "error")) assert.ok(errors, `${name}, ${mutant.what}`);
    }
  }
});

test("a buffer that is stored raw says so, and its rows are there", async () => {
  const name = "corpus-fixed-zstd.arrows";
  await pick(page, name, fixture(name));
  const zstd = await cells(page);
  const n_regions = Number(await page.locator("#map").getAttribute("aria-valuemax")) + 1;
  let n_raw = 0;
  let text = "";
  for (let region = 0; region < n_regions; region++) {
    await press("#map", region ? "ArrowRight" : "Home");
    // The worker is asked for it.
    await page.waitForFunction((last) => { const { textContent } = document.querySelector("#region"); return textContent && textContent !== last; }, text);
    text = await page.locator("#region").textContent();
    n_raw += text.includes("stored as it is");
  }
  const expected = told(fixture(name), (payload) => Array.from({ length: n_regions }, (_, region) => JSON.parse(payload.region(region)).is_stored_raw).filter(Boolean).length);
  assert.ok(expected > 0);
  assert.equal(n_raw, expected);
  await pick(page, "plain", fixture("corpus-fixed-none.arrows"));
  assert.deepEqual(await cells(page), zstd);
});

test("what is not Arrow is named and shown as bytes", async () => {
  const check = async (bytes, title) => {
    await pick(page, "other", Buffer.from(bytes));
    assert.equal(await page.locator("#verdict-title").textContent(), title);
    if (bytes.length) assert.equal(Number.parseInt(await page.locator("#hex .digits span").first().textContent(), 16), Buffer.from(bytes)[0]);
    assert.equal(await page.locator("#columns-pane").isVisible(), false);
  };
  await check('{"device": "a"}', "This is not Arrow IPC: it looks like JSON");
  await check("Obj\x01\x04", "This is not Arrow IPC: it looks like Avro");
  await check([0x0a, 3, 0x62, 0x6f, 0x78, 0x10, 0x96, 1], "This is not Arrow IPC: it looks like Protobuf");
  await check("a line\nof text\n", "This is not Arrow IPC: it looks like text");
  await check([0xfe, 0xff, 0, 0x80, 0x99], "This is not Arrow IPC");
  await check([], "This is not Arrow IPC: it looks like nothing");
});

test("one file opens from a disk", async () => {
  const file = pathToFileURL(process.env.VOLLEY_VIEWER_FILE).href;
  await page.goto(file);
  await pick(page, "fleet.arrows", fixture("fleet.arrows"));
  await assertFleet();
  assert.deepEqual([...new Set(page.requests.filter((url) => url.startsWith("file:")))], [file]);
});

test("the policy names no other host, and the page says that files stay", async () => {
  const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
  assert.match(policy, /^default-src 'none';/);
  assert.ok(!/https?:|\*|unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')/.test(policy), policy);
  assert.match(await page.locator("#private").textContent(), /never leaves your machine/);
  // It is in force.
  const refused = await page.evaluate(() => fetch("https://data.example/").then(() => "answered", () => "refused"));
  assert.equal(refused, "refused");
  page.faults = page.faults.filter((fault) => !/data\.example/.test(fault));
  page.requests = page.requests.filter((url) => !url.startsWith("https://data.example"));
});

test("no state breaks a rule of accessibility", async () => {
  const states = [
    ["empty", async () => {}],
    ["opened", () => pick(page, "fleet.arrows", fixture("fleet.arrows"))],
    ["schema", () => page.locator("#tab-schema").click()],
    ["damaged", () => pick(page, "cut", fixture("fleet.arrows").subarray(0, 300_000))],
    ["not arrow", () => pick(page, "other", Buffer.from("{}"))],
  ];
  await inEveryLook(site.url, async (check) => {
    for (const [name, enter] of states) {
      await enter();
      await check(name);
    }
  });
});
