// What comes out of the module is what types.d.ts says, field by field.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { fixture, golden, goldenNames, module } from "./helpers.mjs";
import { show } from "./module.mjs";

const source = fs.readFileSync(path.join(import.meta.dirname, "../src/types.d.ts"), "utf8").replace(/\/\*\*[\s\S]*?\*\//g, "");
const fieldsOf = (text) => [...text.matchAll(/(\w+)(\??): ((?:[^;{]|\{[^}]*\})+);?/g)].map(([, name, optional, type]) => ({ name, isOptional: optional === "?", type: type.trim() }));
const interfaces = Object.fromEntries([...source.matchAll(/export interface (\w+) \{\n([\s\S]*?)\n\}/g)].map(([, name, body]) => [name, fieldsOf(body)]));
const aliases = Object.fromEntries([...source.matchAll(/^type (\w+) = (.+);$/gm)].map(([, name, type]) => [name, type]));
/** Interfaces that came, and their fields that were something other than null or an empty list. */
const visited = new Set();
const seen = new Set();

const alternatives = (type) => type.split(/ \| (?![^{]*\})/);

/** Why `value` is no `type`; null where it is one. */
function mismatch(type, value, at) {
  const many = alternatives(type);
  if (many.length > 1) {
    const found = many.map((one) => mismatch(one, value, at));
    return found.includes(null) ? null : found.at(-1);
  }
  const wrong = (isRight) => (isRight ? null : `${at} is ${JSON.stringify(value)?.slice(0, 100)}, not ${type}`);
  const tuple = /^\[(.+)\]$/.exec(type);
  if (type.endsWith("[]")) {
    if (!Array.isArray(value)) return wrong(false);
    return value.map((item, i) => mismatch(type.slice(0, -2), item, `${at}[${i}]`)).find(Boolean) ?? null;
  }
  if (tuple) {
    const types = tuple[1].split(", ").map((part) => part.split(": ")[1]);
    return wrong(value?.length === types.length) ?? value.map((item, i) => mismatch(types[i], item, `${at}[${i}]`)).find(Boolean) ?? null;
  }
  if (type.startsWith('"')) return wrong(value === JSON.parse(type));
  if (["string", "number", "boolean"].includes(type)) return wrong(typeof value === type);
  if (type === "null") return wrong(value === null);
  if (type in aliases) return mismatch(aliases[type], value, at);
  const fields = type.startsWith("{") ? fieldsOf(type.slice(1, -1)) : interfaces[type];
  assert.ok(fields, `types.d.ts has no ${type}`);
  if (value === null || typeof value !== "object") return wrong(false);
  if (type in interfaces) visited.add(type);
  const known = fields.map(({ name }) => name);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown) return `${at}.${unknown} is not described in ${type}`;
  for (const { name, isOptional, type: inner } of fields) {
    if (isOptional && !(name in value)) continue;
    const found = mismatch(inner, value[name], `${at}.${name}`);
    if (found) return found;
    if (value[name] !== null && value[name].length !== 0) seen.add(`${type}.${name}`);
  }
  return null;
}

test("types.d.ts describes what comes, and all that it describes comes", () => {
  const { wasm } = module();
  const { envelope } = JSON.parse(fixture("native.json"));
  const cut = fixture("fleet.arrows").subarray(0, 100_000);
  const payloads = [...goldenNames().map(golden), fixture("fleet.arrows"), cut, Buffer.from("{}")];
  for (const bytes of payloads) {
    const payload = new wasm.Payload(Uint8Array.from(bytes), undefined);
    const shown = show(payload, envelope);
    payload.free();
    const check = (type, value) => assert.equal(mismatch(type, value, type), null);
    check("Summary", shown.summary);
    check("Advice[]", shown.advice);
    check("EnvelopeCheck", shown.envelope);
    check("RegionDetail[]", shown.regions);
    for (const { window, extremes, values, clickhouse } of shown.tables) {
      check("Window", window);
      check("Extremes[]", extremes);
      check("Values[]", values);
      check("ClickHouseTable | null", clickhouse);
    }
  }
  const described = [...visited].flatMap((type) => interfaces[type].map(({ name }) => `${type}.${name}`));
  assert.deepEqual(described.filter((field) => !seen.has(field)), []);
});
