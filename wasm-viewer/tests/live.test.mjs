// The page as `volley view` serves it: topics, messages with their envelopes, the live tail.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { test } from "node:test";

import { browser, cells, fixture, FIXTURES, inBrowser, inEveryLook, newPage, page, settled, site, SITE, strip } from "./helpers.mjs";

const VOLLEY = process.env.VOLLEY_BINARY;
const TOPIC = `live-${process.pid}`;
const ROWS = 100;

let brokers;

/** Starts a command that runs on, and gives what `parse` makes of its first output, once that is something. */
async function run(program, args, parse) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let failed = "";
  child.stderr.on("data", (data) => (failed += data));
  const printed = await new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (data) => {
      said += data;
      const parsed = parse(said);
      if (parsed) resolve(parsed);
    });
    child.on("exit", (code) => reject(new Error(`${program} ${args.join(" ")} ended with ${code}: ${failed}`)));
  });
  const end = () =>
    new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", resolve);
      child.kill("SIGINT");
    });
  return { ...printed, end };
}

/** A command of volley's that prints one line of JSON. */
const start = (...args) => run(VOLLEY, [...args, "--format", "json"], (said) => said.includes("\n") && JSON.parse(said));

/** Apache Kafka where it was built, the embedded broker otherwise. */
function startBroker() {
  const kafka = process.env.VOLLEY_KAFKA_BINARY;
  if (!kafka) return start("dev", "--topic", `${TOPIC}:2`);
  return run(kafka, ["--port", "0"], (said) => said.includes("--kafka") && { brokers: /--brokers (\S+)/.exec(said)[1] });
}

/** Sends `n` messages. */
function produce(n, rows = ROWS) {
  const args = ["produce", "--brokers", brokers, "--topic", TOPIC, "--create-topic", "--partitions", "2", "--source", "synthetic", "--devices", "1"];
  const { status, stderr } = spawnSync(VOLLEY, [...args, "--rows", `${n * rows}`, "--rows-per-batch", `${rows}`, "--quiet"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

inBrowser({
  async start() {
    const broker = await startBroker();
    try {
      brokers = broker.brokers;
      produce(120);
      const view = await start("view", "--brokers", brokers, "--page", SITE, `${FIXTURES}/fleet.arrows`, `${FIXTURES}/wide.arrows`);
      return { url: view.url, end: () => view.end().then(broker.end) };
    } catch (error) {
      await broker.end();
      throw error;
    }
  },
  enter: () => {},
});

const list = () => page.locator("#messages .message");
const facts = () => page.evaluate(() => Object.fromEntries([...document.querySelectorAll("#envelope-facts div")].map((fact) => [fact.querySelector("dt").textContent, fact.querySelector("dd").textContent])));

/** The page on the topic, with the messages of its fullest partition. */
async function open(fragment = "") {
  await page.goto("about:blank");
  await page.goto(`${site.url}#topic=${TOPIC}${fragment}`);
  await page.waitForSelector("#messages .message");
}

const opened = () => page.waitForFunction(() => document.querySelector("#checksum") && document.body.dataset.state === "opened");

test("messages of a partition open with their envelopes", async () => {
  await open();
  await page.waitForSelector("#messages .message time");
  const n = Number(/: ([\d,]+)$/.exec(await page.locator("#partition option:checked").textContent())[1].replaceAll(",", ""));
  assert.equal(n, 120, "one device, one partition");
  const last = list().last();
  assert.equal(await last.locator("b").textContent(), `${n - 1}`);
  assert.match(await last.locator(".end").textContent(), /^100 rows, [\d.]+ kB$/);
  await last.click();
  await opened();
  await settled(page);
  assert.equal((await strip(page)).Rows, "100");
  assert.ok((await cells(page))[0].includes("|"));
  const { Topic, Offset, Key, Time } = await facts();
  assert.deepEqual({ Topic, Offset, Key }, { Topic: TOPIC, Offset: "119", Key: "host-0000" });
  assert.match(Time, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+Z created$/);
  assert.equal(await page.locator("#checksum").textContent(), "✓ checksum");
  assert.match(await page.locator(".limit").textContent(), /% of the limit$/);
  await page.locator("#envelope summary").click();
  const rows = await page.locator("#envelope tr").allTextContents();
  assert.ok(rows.some((row) => row === "volley-rows100✓ so it is"), rows.join("; "));
  assert.equal(rows.filter((row) => row.includes("✗")).length, 0);

  await page.locator("#message-prev").click();
  await page.waitForFunction(() => document.querySelector("#envelope-facts")?.textContent.includes("Offset118"));
  await page.keyboard.press(".");
  await page.waitForFunction(() => document.querySelector("#envelope-facts")?.textContent.includes("Offset119"));
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#envelope").isVisible(), false);
});

test("the list is virtual, and keys move in it", async () => {
  await open();
  await page.locator("#messages").focus();
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.querySelector("#message-0 time"));
  assert.equal(await page.locator("#messages").getAttribute("aria-activedescendant"), "message-0");
  assert.ok((await list().count()) < 30);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await opened();
  assert.equal((await facts()).Offset, "1");
});

test("an address opens a message, and says where there is none", async () => {
  await open();
  await page.waitForSelector("#messages .message time");
  const partition = await page.locator("#partition").inputValue();
  await open(`&partition=${partition}&offset=7`);
  await opened();
  assert.equal((await facts()).Offset, "7");
  assert.equal(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("offset"), "7");
  await open(`&partition=${partition}&offset=100000`);
  await page.waitForFunction(() => !document.getElementById("live-problem").hidden);
  assert.match(await page.locator("#live-problem").textContent(), /no message at offset 100,000/);
});

test("the tail follows, pauses, and counts", async () => {
  await open();
  await page.locator("#partition").selectOption("-1");
  await page.waitForFunction(() => document.getElementById("live-text").textContent === "waiting for messages");
  const number = (id) => page.evaluate((id) => Number(document.getElementById(id).textContent.replaceAll(",", "")), id);
  produce(5);
  await page.waitForFunction(() => document.getElementById("tail-seen").textContent === "5");
  await page.waitForFunction(() => document.querySelectorAll("#messages .message").length === 5);
  assert.match(await list().last().locator("b").textContent(), /^[01] \/ 124$/);
  assert.match(await page.locator("#tail-rate").textContent(), /^[\d.]+\/s$/);
  await list().last().click();
  await opened();
  assert.equal((await facts()).Offset, "124");
  await page.keyboard.press("Escape");

  await page.locator("#tail-pause").click();
  assert.equal(await page.locator("#live-text").textContent(), "paused");
  produce(1200, 1);
  await page.waitForFunction(() => document.getElementById("tail-seen").textContent === "1,205");
  assert.equal(await list().count(), 5, "nothing is added while it is paused");
  assert.equal(await number("tail-dropped"), 200, "1,000 are kept for whoever comes back");
  await page.locator("#tail-pause").click();
  await page.waitForFunction(() => document.getElementById("live-text").textContent === "the last 1,005");
  const offset = await list().last().locator("b").textContent();
  assert.match(offset, /\/ 1,324$/, "it follows to the newest");
  await page.locator("#messages").press("Home");
  assert.equal(await page.locator("#tail-follow").isChecked(), false);
  produce(1);
  await page.waitForFunction(() => document.getElementById("tail-seen").textContent === "1,206");
  assert.equal(await page.locator("#messages").getAttribute("aria-activedescendant"), "message-0", "it stays where it was");
});

test("files of the command line are listed and open", async () => {
  await open();
  assert.deepEqual(await page.locator("#file-list button").allTextContents(), ["fleet.arrows", "wide.arrows"]);
  await page.locator("#file-list button").first().click();
  await settled(page);
  assert.equal((await strip(page)).Rows, "20,000");
  assert.equal(await page.locator("#envelope").isVisible(), false);
  assert.equal(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("file"), "0");
  const shared = page.url();
  await page.goto("about:blank");
  await page.goto(shared);
  await settled(page);
  assert.equal((await strip(page)).Rows, "20,000");
});

test("one file opens at once, and its bytes are those of the disk", async () => {
  const other = await start("view", "--page", SITE, `${FIXTURES}/fleet.arrows`);
  try {
    await page.goto(other.url);
    await settled(page);
    assert.equal((await strip(page)).Rows, "20,000");
    assert.equal(await page.locator("#live").isVisible(), false);
    const served = await page.evaluate(async () => new Uint8Array(await (await fetch("api/files/0")).arrayBuffer()).length);
    assert.equal(served, fixture("fleet.arrows").length);
  } finally {
    await other.end();
    page.requests = [];
  }
});

test("a token goes out of the address and is asked for", async () => {
  const other = await start("view", "--page", SITE, "--listen", "0.0.0.0:0", `${FIXTURES}/fleet.arrows`);
  const url = other.url.replace("0.0.0.0", "127.0.0.1");
  try {
    await page.goto(url);
    await settled(page);
    assert.equal((await strip(page)).Rows, "20,000");
    assert.ok(!page.url().includes("token"), page.url());
    await page.reload();
    await settled(page);
    const stranger = await newPage(browser);
    await stranger.goto(url.split("#")[0]);
    await stranger.waitForFunction(() => !document.getElementById("live-problem").hidden);
    assert.match(await stranger.locator("#live-problem").textContent(), /a token is needed/);
    await stranger.context().close();
  } finally {
    await other.end();
    page.requests = [];
  }
});

test("no state of it breaks a rule of accessibility", async () => {
  await inEveryLook(`${site.url}#topic=${TOPIC}`, async (check) => {
    await page.waitForSelector("#messages .message time");
    await check("list");
    await list().last().click();
    await opened();
    await page.locator("#envelope summary").click();
    await check("message");
    if (page.viewportSize().width < 900) await page.locator("#list").click();
    await page.locator("#partition").selectOption("-1");
    await page.waitForFunction(() => document.getElementById("live-text").textContent === "waiting for messages");
    await check("tail");
  });
});
