// Volley's module and arrow-js on the same files in the same Chromium, in turns. Reads the names of the
// files from `files.json` in VOLLEY_FIXTURES, and writes times to `times.json` beside it.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createRequire } from "node:module";
import zlib from "node:zlib";

import { FIXTURES, launch, newPage, serve, settled, SITE } from "../../wasm-viewer/tests/helpers.mjs";
import { firstPaint, tasks, watchTasks } from "../../wasm-viewer/tests/measure.mjs";

const HERE = import.meta.dirname;
const MODULES = process.env.VOLLEY_BENCH_MODULES;
const IS_QUICK = process.env.VOLLEY_BENCH_QUICK === "1";
const ZSTD = path.join(MODULES, "@bokuweb/zstd-wasm/dist/web/zstd.wasm");

const VOLLEY = { party: "volley", worker: "volley.worker.js", type: "classic" };
const PEERS = [
  { party: "arrow_js_wasm", worker: "arrow_js_wasm.worker.js", type: "module" },
  { party: "arrow_js_js", worker: "arrow_js_js.worker.js", type: "module" },
];

/** How often each party reads a file of so many bytes. */
function rounds(bytes) {
  const n = bytes < 3e6 ? 15 : bytes < 3e7 ? 7 : 3;
  return IS_QUICK ? Math.ceil(n / 3) : n;
}

/** Both peers, as their users would ship them. */
async function bundle(folder) {
  const { build } = createRequire(path.join(MODULES, "any.js"))("esbuild");
  const entryPoints = PEERS.map(({ worker }) => path.join(HERE, worker.replace(/\.js$/, ".mjs")));
  await build({ entryPoints, outdir: folder, bundle: true, minify: true, format: "esm", platform: "browser", nodePaths: [MODULES], logLevel: "error" });
  fs.copyFileSync(ZSTD, path.join(folder, "zstd.wasm"));
}

/** One party's answer about one file, in a worker of its own. */
function once(page, { worker, type }, name) {
  return page.evaluate(
    async ({ worker, type, name }) => {
      if (window.held?.name !== name) window.held = { name, bytes: await (await fetch(`/data/${name}`)).arrayBuffer() };
      const start = performance.now();
      const one = new Worker(`/bench/${worker}`, { type });
      const next = () =>
        new Promise((resolve, reject) => {
          one.onmessage = ({ data }) => resolve(data);
          one.onerror = ({ message }) => reject(new Error(`${worker}: ${message}`));
        });
      await next();
      const start_ms = performance.now() - start;
      const bytes = window.held.bytes.slice(0);
      const answered = next();
      one.postMessage(bytes, [bytes]);
      const answer = await answered;
      one.terminate();
      return { start_ms, ...answer };
    },
    { worker, type, name },
  );
}

/** Microseconds of a time as the page shows it. */
function micros(text) {
  const [, time, fraction = ""] = /^(\S+ \d\d:\d\d:\d\d)(?:\.(\d+))?Z?$/.exec(text);
  return BigInt(Date.parse(`${time.replace(" ", "T")}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0").slice(0, 6));
}

/** That a peer has found what Volley has: the same rows, names, and the same least and greatest values. */
function assertSame(volley, peer, rows, what) {
  assert.deepEqual([volley.rows, peer.rows], [rows, rows], what);
  assert.deepEqual(peer.names, volley.names, what);
  volley.extremes.forEach((extremes, column) => {
    const type = volley.types[column];
    const plain = (text) => (type.startsWith("timestamp") ? String(micros(text)) : type === "float32" ? String(Math.fround(Number(text))) : text);
    assert.deepEqual(peer.extremes[column], extremes.map(plain), `${what}, ${volley.names[column]}: ${type}`);
  });
}

const brotli = (file) => zlib.brotliCompressSync(fs.readFileSync(file), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

const { files, batch, large } = JSON.parse(fs.readFileSync(path.join(FIXTURES, "files.json")));
const bundled = fs.mkdtempSync(path.join(os.tmpdir(), "volley-browser-"));
await bundle(bundled);
// Isolated, so that its clock has steps of 5 µs.
const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const server = await serve({ folders: { bench: [bundled, HERE] }, headers });
const browser = await launch();
try {
  let page = await newPage(browser);
  page.setDefaultTimeout(600_000);
  await page.goto(`${server.url}bench/index.html`);
  assert.ok(await page.evaluate(() => crossOriginIsolated));
  const runs = [];
  for (const { name, codec, rows, bytes } of files) {
    // Without zstd, the peers are the same.
    const parties = [VOLLEY, ...(codec === "lz4" ? PEERS.slice(1) : PEERS)];
    for (let round = 0; round < rounds(bytes); round++) {
      const results = {};
      for (let turn = 0; turn < parties.length; turn++) {
        const party = parties[(round + turn) % parties.length];
        const { result, ...times } = await once(page, party, name);
        results[party.party] = result;
        runs.push({ file: name, party: party.party, ...times });
      }
      const { volley, ...peers } = results;
      for (const [party, peer] of Object.entries(peers)) assertSame(volley, peer, rows, `${name}, ${party}`);
    }
    console.error(`${name}: ${rounds(bytes)} rounds`);
  }
  await page.context().close();

  // The page itself. The first paint of a page also compiles the module.
  const paints = { first_ms: [], again_ms: [] };
  for (let round = 0; round < rounds(1e6); round++) {
    page = await newPage(browser);
    await page.goto(server.url);
    paints.first_ms.push(await firstPaint(page, batch));
    paints.again_ms.push(await firstPaint(page, batch));
    await page.context().close();
  }
  page = await newPage(browser);
  page.setDefaultTimeout(120_000);
  await watchTasks(page);
  await page.goto(`${server.url}?url=data/${large}`);
  await settled(page);
  const { longest: longest_task_ms } = await tasks(page);

  const sizes = {
    volley: brotli(path.join(SITE, "volley_viewer.wasm")) + brotli(path.join(SITE, "worker.js")),
    arrow_js_wasm: brotli(path.join(bundled, PEERS[0].worker)) + brotli(ZSTD),
    arrow_js_js: brotli(path.join(bundled, PEERS[1].worker)),
  };
  const version = (name) => JSON.parse(fs.readFileSync(path.join(MODULES, name, "package.json"))).version;
  const versions = Object.fromEntries(["apache-arrow", "@bokuweb/zstd-wasm", "fzstd", "lz4js"].map((name) => [name, version(name)]));
  fs.writeFileSync(path.join(FIXTURES, "times.json"), JSON.stringify({ chromium: browser.version(), versions, sizes, runs, paints, longest_task_ms }));
} finally {
  await browser.close();
  server.end();
  fs.rmSync(bundled, { recursive: true });
}
