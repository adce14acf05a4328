// What the module is asked to do, with payloads of other writers, of recorded machines, and damaged
// ones: the same in Node and in a browser's worker. `module.test.mjs` runs it in both.

import { damaged, messagesOf } from "./damage.mjs";

/**
 * The cases by name. `wasm` is what wasm-bindgen wrote, `memory` the module's, `read(name)` gives the
 * bytes of a payload.
 */
export function cases(wasm, memory, read) {
  const open = (bytes, schema) => new wasm.Payload(bytes.slice(), schema);
  const natively = async () => JSON.parse(new TextDecoder().decode(await read("native.json")));

  /** Opens, looks, and gives back. */
  function using(bytes, look) {
    const payload = open(bytes);
    try {
      return look(payload);
    } finally {
      payload.free();
    }
  }

  return {
    async "every payload looks as it does natively"() {
      const { envelope, payloads } = await natively();
      let n_unsupported = 0;
      for (const [name, native] of Object.entries(payloads)) {
        const bytes = await read(name);
        const shown = using(bytes, (payload) => show(payload, envelope));
        for (const [at, table] of shown.tables.entries()) {
          const reopened = await digest(table);
          if (reopened) using(reopened, (payload) => same(JSON.parse(payload.rows(0, 0, 200, positions(table.window))), table.window, `${name}, table ${at} as lz4`));
        }
        withoutLz4(shown, native);
        n_unsupported += withoutLargeListViews(shown, native);
        same(shown, native, name);
      }
      assert(n_unsupported > 0, "large list views are somewhere");
      assert(Object.keys(payloads).length > 100, "the payloads are there");
    },

    async "one batch has the same rows in every codec and framing, stored raw too"() {
      const { payloads } = await natively();
      const texts = new Map();
      let n_stored_raw = 0;
      for (const name of Object.keys(payloads).filter((name) => name.startsWith("corpus-"))) {
        const [, schema, framing] = /^corpus-(.+)-[a-z0-9_]+\.(arrows?)$/.exec(name);
        const shown = using(await read(name), (payload) => {
          const map = mapOf(payload);
          n_stored_raw += map.offsets.filter((_, region) => JSON.parse(payload.region(region)).is_stored_raw).length;
          const [table] = JSON.parse(payload.summary()).tables;
          return table && JSON.parse(payload.rows(0, 0, 100, Uint32Array.from(table.tops.keys()))).columns.map(({ kinds, texts }) => ({ kinds, texts }));
        });
        // In a file both batches are one, because there dictionaries cannot change.
        const key = `${schema}.${framing}`;
        if (texts.has(key)) same(shown, texts.get(key), name);
        texts.set(key, shown);
      }
      assert(texts.size === 24, `${texts.size} schemas and framings`);
      assert(n_stored_raw > 0, "buffers that are stored raw");
    },

    async "damage never stops it, and is always explained"() {
      const { payloads } = await natively();
      const counts = { mutants: 0, explained: 0, shown: 0 };
      for (const [name, { summary }] of Object.entries(payloads)) {
        if (summary.inspection.bytes > 100_000) continue;
        const bytes = await read(name);
        const messages = messagesOf(using(bytes, mapOf));
        for (const mutant of damaged(bytes, 16, messages)) {
          const what = `${name}, ${mutant.what}`;
          const { summary, tables, map } = using(mutant.bytes, (payload) => show(payload));
          assertTiled(map, mutant.bytes.length, what);
          const windows = tables.flatMap(({ window }) => window.columns);
          for (const { kinds, faults } of windows) assert(kinds.includes("x") === faults.length > 0, `${what}: cells and faults`);
          const errors = summary.inspection.diagnostics.filter(({ severity }) => severity === "error");
          const faults = [...windows.flatMap(({ faults }) => faults), ...tables.flatMap(({ extremes }) => extremes.map(({ fault }) => fault).filter(Boolean))];
          for (const { message, offset } of [...errors, ...faults]) assert(message && offset <= mutant.bytes.length, `${what}: ${message}`);
          counts.mutants++;
          counts.explained += errors.length + faults.length > 0;
          counts.shown += windows.some(({ kinds }) => /[vnef]/.test(kinds));
        }
      }
      const { mutants, explained, shown } = counts;
      assert(mutants > 1000 && explained > mutants / 4 && shown > mutants / 4, JSON.stringify(counts));
    },

    async "every byte of every payload is in one region"() {
      const { payloads } = await natively();
      for (const name of Object.keys(payloads)) {
        const bytes = await read(name);
        using(bytes, (payload) => assertTiled(lists(payload), bytes.length, name));
      }
    },

    async "lists are typed arrays with memory of their own"() {
      using(await read("host.arrow"), (payload) => {
        const map = mapOf(payload);
        for (const [list, kind] of [["offsets", Uint32Array], ["lens", Uint32Array], ["kinds", Uint8Array], ["columns", Uint32Array], ["messages", Uint32Array]]) {
          assert(map[list] instanceof kind && map[list].buffer !== memory.buffer, list);
        }
        assert(wasm.region_kinds().includes("values"), "names of kinds");
        assert(payload.bytes(0, 6) instanceof Uint8Array, "bytes");
        same([...payload.bytes(0, 4)].join(), "255,255,255,255", "bytes");
      });
    },

    async "what-if sizes are those of native code, at every level"() {
      const native = JSON.parse(new TextDecoder().decode(await read("what-if.json")));
      const name = ({ rows, codec, dictionary }) => `${rows} rows, ${codec}${dictionary ? ", dictionaries" : ""}`;
      const { points, sizes } = using(await read("few.arrows"), (payload) => {
        payload.what_if_start(0, 3_600_000);
        let report;
        do {
          payload.what_if_step(0);
          report = JSON.parse(payload.what_if_report("bytes"));
        } while (!report.rows || report.points.length < report.candidates);
        const sizes = report.points.map(({ point, size }, index) => [name(point), [size.bytes, size.largest, payload.what_if_message(index).length]]);
        return { points: report.points, sizes: Object.fromEntries(sizes) };
      });
      same(Object.keys(sizes).sort(), Object.keys(native).sort(), "points");
      for (const [name, found] of Object.entries(sizes)) {
        // With 32-bit pointers its hashes are others, and so are the matches.
        if (name.includes("lz4")) assert(found.every((bytes, at) => Math.abs(bytes / native[name][at] - 1) < 0.03), `${name}: ${found} and ${native[name]}`);
        else same(found, native[name], name);
      }
      const codecs = new Set(points.map(({ point }) => point.codec));
      same([...codecs].sort(), ["lz4", "none", "zstd:1", "zstd:19", "zstd:3", "zstd:6", "zstd:9"], "codecs");
    },

    async "what is not there is empty, and what is wrong is an error"() {
      const bytes = await read("host.arrow");
      using(bytes, (payload) => {
        same(payload.bytes(bytes.length - 2, 100).length, 2, "bytes beyond the end");
        same(payload.bytes(0xffffffff, 0xffffffff).length, 0, "bytes nowhere");
        same(JSON.parse(payload.region(0xffffffff)), null, "a region");
        same(JSON.parse(payload.rows(0, 9_999, 5, new Uint32Array([0]))).count, 1, "rows at the end");
        same(JSON.parse(payload.rows(0, 2 ** 53, 5, new Uint32Array([0]))).count, 0, "rows beyond it");
        same(JSON.parse(payload.rows(9, 0, 5, new Uint32Array([9]))).count, 0, "another table");
        same(JSON.parse(payload.extremes(9, 9)).batches, 0, "its extremes");
        same(JSON.parse(payload.values(9, 9)).batches, 0, "its values");
        same(JSON.parse(payload.clickhouse(9, "t")), null, "its ClickHouse table");
        assertThrows(() => payload.export_part(0, 0, "xml"), /xml/);
        assertThrows(() => payload.export_part(9, 0, "csv"), /no such table/);
        assertThrows(() => payload.envelope("no JSON"), /expected/);
      });
      assertThrows(() => open(bytes, new Uint8Array([1, 2, 3])), /byte/);
      const freed = open(bytes);
      freed.free();
      assertThrows(() => freed.summary(), /null pointer/);
    },

    async "a payload that is freed leaves its memory to the next"() {
      const bytes = await read("fleet.arrows");
      const once = () => using(bytes, (payload) => payload.rows(0, 0, 64, new Uint32Array([0, 1, 2, 3, 4, 5, 6])));
      for (let i = 0; i < 3; i++) once();
      const before = memory.buffer.byteLength;
      for (let i = 0; i < 50; i++) once();
      same(memory.buffer.byteLength, before, "bytes of memory");
    },
  };
}


function mapOf(payload) {
  const regions = payload.map();
  const map = Object.fromEntries(["offsets", "lens", "kinds", "columns", "messages"].map((list) => [list, regions[list]()]));
  regions.free();
  return map;
}

/** The map as native code writes it down. */
function lists(payload) {
  const { offsets, lens, columns, messages } = mapOf(payload);
  return [offsets, lens, columns, messages].map((list) => [...list]);
}

/** All that there is to show. Of a damaged payload, no envelope and no export. */
export function show(payload, envelope) {
  const summary = JSON.parse(payload.summary());
  const tables = summary.tables.map((table, at) => {
    const positions = Uint32Array.from(table.tops.keys());
    const shown = {
      window: JSON.parse(payload.rows(at, 0, 200, positions)),
      extremes: Array.from({ length: table.n_columns }, (_, column) => JSON.parse(payload.extremes(at, column))),
      values: [...positions].map((position) => JSON.parse(payload.values(at, position))),
      clickhouse: JSON.parse(payload.clickhouse(at, "metrics")),
    };
    return envelope ? { ...shown, exports: exported(payload, at, table) } : shown;
  });
  const map = lists(payload);
  const regions = map[0].map((_, region) => JSON.parse(payload.region(region)));
  const shown = { summary, tables, advice: JSON.parse(payload.advice()), regions, map };
  return envelope ? { ...shown, envelope: JSON.parse(payload.envelope(envelope)) } : shown;
}

const FORMATS = ["csv", "ndjson", "arrow:none", "arrow:lz4", "arrow:zstd:1"];
/** As in the fixtures: larger tables are not exported here. */
const MAX_EXPORTED = 50_000;

/** A table in every format, the parts of each; or why there is none. */
function exported(payload, at, { batches, rows }) {
  if (rows > MAX_EXPORTED) return {};
  const one = (format) => {
    try {
      return Array.from({ length: batches + 2 }, (_, part) => payload.export_part(at, part, format));
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw error;
      return error.message;
    }
  };
  return Object.fromEntries(FORMATS.map((format) => [format, one(format)]));
}

const positions = (window) => Uint32Array.from(window.columns.keys());

/** Puts in place of exports their SHA-256, and gives the bytes of the one as lz4. */
async function digest({ exports }) {
  let lz4 = null;
  for (const [format, parts] of Object.entries(exports)) {
    if (typeof parts === "string") continue;
    const bytes = await new Blob(parts).arrayBuffer();
    if (format === "arrow:lz4") lz4 = new Uint8Array(bytes);
    const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    exports[format] = [...sha256].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return lz4;
}

/** lz4_flex looks for matches in steps of a pointer's width: with 32 bits it finds others. */
function withoutLz4(shown, native) {
  for (const [at, { exports }] of shown.tables.entries()) {
    if (/^[0-9a-f]{64}$/.test(exports["arrow:lz4"])) exports["arrow:lz4"] = native.tables[at].exports["arrow:lz4"];
  }
}

/** With 32-bit pointers arrow-rs cannot be trusted with these: such columns say so, and nothing else differs. */
function withoutLargeListViews(shown, native) {
  const { inspection } = shown.summary;
  const supported = inspection.diagnostics.filter(({ code }) => code !== "unsupported-type");
  const n = inspection.diagnostics.length - supported.length;
  if (n === 0) return 0;
  inspection.diagnostics = supported;
  // Headers are not held against what cannot be read.
  shown.envelope.headers = native.envelope.headers;
  const isRefused = (fault) => fault?.message.includes("[unsupported-type]");
  for (const [at, table] of shown.tables.entries()) {
    const other = native.tables[at];
    const { columns } = table.window;
    columns.forEach(({ faults }, position) => faults.some(isRefused) && (columns[position] = other.window.columns[position]));
    for (const list of ["extremes", "values"]) {
      table[list].forEach(({ fault }, position) => isRefused(fault) && (table[list][position] = other[list][position]));
    }
    for (const [format, told] of Object.entries(table.exports)) {
      if (told.includes("[unsupported-type]")) table.exports[format] = other.exports[format];
    }
  }
  return n;
}

/** Regions follow each other from the first byte to the last. */
function assertTiled([offsets, lens], n_bytes, what) {
  let end = 0;
  offsets.forEach((offset, region) => {
    assert(offset === end && lens[region] > 0, `${what}: region ${region} at ${offset}, not ${end}`);
    end += lens[region];
  });
  same(end, n_bytes, `${what}: the end of the last region`);
}

function assert(isTrue, what) {
  if (!isTrue) throw new Error(what);
}

function assertThrows(call, message) {
  let thrown = null;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  assert(thrown instanceof Error && !(thrown instanceof WebAssembly.RuntimeError), `${call} throws ${thrown}`);
  assert(message.test(thrown.message), `${call} says ${thrown.message}`);
}

/** Fails at the first difference, which it names. */
function same(found, expected, at) {
  if (Object.is(found, expected)) return;
  const areObjects = found && expected && typeof found === "object" && typeof expected === "object";
  assert(areObjects, `${at} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  for (const key of new Set([...Object.keys(found), ...Object.keys(expected)])) same(found[key], expected[key], `${at}.${key}`);
}
