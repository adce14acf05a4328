// The page on a loopback server, in a browser without any other network.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { after, afterEach, before, beforeEach } from "node:test";

export const FIXTURES = process.env.VOLLEY_FIXTURES;
export const GOLDEN = path.join(import.meta.dirname, "../../core/tests/golden");
/** Samples of a machine, as Volley wrote them. */
export const RECORDED = path.join(import.meta.dirname, "../../benches/data");
export const SITE = path.join(process.env.VOLLEY_VIEWER, "site");
const GLUE = path.join(process.env.VOLLEY_VIEWER, "glue");

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };

export const require = createRequire(path.join(process.env.VOLLEY_NODE_MODULES, "any.js"));

export const fixture = (name) => fs.readFileSync(path.join(FIXTURES, name));
export const golden = (name) => fs.readFileSync(path.join(GOLDEN, name));
export const goldenNames = () => fs.readdirSync(GOLDEN).filter((name) => /\.arrows?$/.test(name));

/** What is served below which folder of the address, beside the site at its top. */
const FOLDERS = { data: [FIXTURES, GOLDEN, RECORDED], glue: [GLUE], tests: [import.meta.dirname] };

/** Serves the site, payloads below `data/`, and what else `folders` names. */
export async function serve({ folders = {}, headers = {} } = {}) {
  const served = { ...FOLDERS, ...folders };
  const files = (url) => {
    const name = decodeURIComponent(new URL(url, "http://page").pathname).slice(1) || "index.html";
    const places = name.includes("/") ? (served[name.split("/")[0]] ?? []) : [SITE];
    const file = path.basename(name);
    return places.map((place) => path.join(place, file)).find((place) => fs.existsSync(place));
  };
  const server = http.createServer((request, response) => {
    if (request.url === "/data/large.arrows") return sendLarge(response);
    const file = files(request.url);
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream", ...headers });
    fs.createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, end: () => server.close() };
}

/** How often `large.arrows` holds the fleet: 199 MB. */
export const N_LARGE = 480;

async function sendLarge(response) {
  const part = fixture("fleet.arrows");
  response.writeHead(200, { "content-length": part.length * N_LARGE });
  for (let i = 0; i < N_LARGE; i++) {
    if (!response.write(part)) await new Promise((resolve) => response.once("drain", resolve));
  }
  response.end();
}

export async function launch() {
  const { chromium } = require("playwright-core");
  const args = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: process.env.VOLLEY_CHROMIUM, args });
}

/** A page that fails its test for any error of its own, and keeps what it asked of whom. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.requests = [];
  page.faults = [];
  page.on("request", (request) => page.requests.push(request.url()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  return page;
}

/** What the tests of a file look at: the host of the page, a browser, and a page of each test's own. */
export let site;
export let browser;
export let page;

/**
 * Gives each test of the file, or of the suite that this is called in, a page of its own, and sees to
 * it that no page asks anything of another host or has an error of its own. `start` gives the `url`
 * that pages come from, and an `end`; `enter` is what a test begins with.
 */
export function inBrowser({ start = serve, enter = () => page.goto(site.url) } = {}) {
  before(async () => {
    site = await start();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await site?.end();
  });
  beforeEach(async () => {
    page = await newPage(browser);
    await enter();
  });
  afterEach(async () => {
    const foreign = page.requests.filter((url) => !/^(file|blob|data):/.test(url) && new URL(url).host !== new URL(site.url).host);
    assert.deepEqual(foreign, [], "no request leaves the page's host");
    assert.deepEqual(page.faults, [], "the page has no errors of its own");
    await page.context().close();
  });
}

/** Both themes on a desk and on a phone, a new page at `url` each; `visit(check)` calls `check(state)` in each state. */
export async function inEveryLook(url, visit) {
  const axe = fs.readFileSync(require.resolve("axe-core"), "utf8");
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [{ width: 1280, height: 800 }, { width: 390, height: 844 }]) {
      await page.context().close();
      page = await newPage(browser, { colorScheme, viewport, bypassCSP: true });
      await page.goto(url);
      await page.addScriptTag({ content: axe });
      await visit(async (state) => {
        const { violations } = await page.evaluate(() => axe.run());
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
        assert.deepEqual(found, [], `${state}, ${colorScheme}, ${viewport.width} wide`);
      });
    }
  }
}

/** Presses keys one after another. */
export async function press(selector, ...keys) {
  for (const key of keys) await page.locator(selector).press(key);
}

/** Opens a payload that the page's host has. */
export async function open(name) {
  await page.goto(`${site.url}?url=data/${name}`);
  await settled(page);
}

/** Gives the page a file, as its picker would. */
export async function pick(page, name, bytes) {
  await page.evaluate(() => delete document.body.dataset.painted);
  await page.locator("#picker").setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });
  await settled(page);
}

/** Until the payload is shown, with its least and greatest values, or refused. */
export async function settled(page) {
  await page.waitForFunction(() => {
    const { state, painted } = document.body.dataset;
    const isWhole = document.getElementById("sizes").dataset.extremes === "whole";
    return state === "failed" || (state === "opened" && painted && isWhole);
  });
}

/** Memory of all processes of the browser, in bytes; Linux only. */
export async function residentBytes(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const pages = ({ id }) => Number(fs.readFileSync(`/proc/${id}/statm`, "utf8").split(" ")[1]);
  return processInfo.map(pages).reduce((sum, n) => sum + n * 4096, 0);
}

/** The strip as an object: `{ Rows: "20,000", … }`. */
export const strip = (page) =>
  page.evaluate(() => Object.fromEntries([...document.querySelectorAll("#strip div")].map((tile) => [tile.querySelector("dt").textContent, tile.querySelector("dd").textContent])));

/** Every cell in view, a line a row, its kind before it where its text does not tell. */
export async function cells(page) {
  await page.waitForFunction(() => !document.querySelector("#grid .waiting"));
  return page.evaluate(() =>
    [...document.querySelectorAll("#grid .body .row")].map((row) =>
      [...row.querySelectorAll(".cell")].map((cell) => (cell.classList.contains("null") ? "∅" : cell.classList.contains("empty") ? "ε" : cell.classList.contains("damaged") ? "✗" : cell.textContent)).join("|"),
    ),
  );
}

/** The module as the worker has it, in this process, and its memory. */
export function module() {
  const glue = fs.readFileSync(path.join(GLUE, "volley_viewer.js"), "utf8");
  const wasm = new Function(`${glue}; return wasm_bindgen;`)();
  const { memory } = wasm.initSync({ module: fs.readFileSync(path.join(SITE, "volley_viewer.wasm")) });
  return { wasm, memory };
}
