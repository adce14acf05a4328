// Runs in a worker, behind the code that wasm-bindgen wrote: answers one call after another.
// A call is `{ id, name, args }`, its answer `{ id, value }` or `{ id, error }`.

let payload = null;
/** The payload that it is compared with. */
let other = null;
let regionKinds = [];

const calls = {
  // `module` was compiled by the page: a worker of a second file need not do it again.
  open(module, bytes, schema) {
    wasm_bindgen.initSync({ module });
    regionKinds = wasm_bindgen.region_kinds();
    payload = new wasm_bindgen.Payload(bytes, schema);
    const summary = JSON.parse(payload.summary());
    const regions = payload.map();
    const map = {
      names: regionKinds,
      offsets: regions.offsets(),
      lens: regions.lens(),
      kinds: regions.kinds(),
      columns: regions.columns(),
      messages: regions.messages(),
    };
    regions.free();
    return { summary, map };
  },
  rows: (table, first, count, positions) => ({
    ...JSON.parse(payload.rows(table, first, count, Uint32Array.from(positions))),
    // Of rows that are selected.
    numbers: payload.selection(first, count),
  }),
  select: (table, filter, sort) => payload.select(table, filter?.position, filter?.test ?? "", filter?.value ?? "", sort?.position, sort?.isDescending ?? false),
  selectMore: () => JSON.parse(payload.select_more()),
  compare(bytes) {
    other?.free();
    other = null;
    other = new wasm_bindgen.Payload(bytes, undefined);
    return JSON.parse(other.summary());
  },
  compareMore: () => JSON.parse(payload.compare(other)),
  // Of `[table, column]` pairs as many as fit a moment, so that rows asked for meanwhile come soon.
  extremes(columns) {
    const end = performance.now() + 20;
    const found = [];
    for (const [table, column] of columns) {
      found.push(JSON.parse(payload.extremes(table, column)));
      if (found.at(-1).done < found.at(-1).batches || performance.now() > end) break;
    }
    return found;
  },
  envelope: (envelope) => JSON.parse(payload.envelope(JSON.stringify(envelope))),
  exportPart: (table, part, format) => payload.export_part(table, part, format),
  clickhouse: (table, name) => JSON.parse(payload.clickhouse(table, name)),
  advice: () => JSON.parse(payload.advice()),
  values: (table, position) => JSON.parse(payload.values(table, position)),
  region: (index) => JSON.parse(payload.region(index)),
  bytes: (offset, count) => payload.bytes(offset, count),
  whatIfStart: (table, budget) => payload.what_if_start(table, budget),
  whatIfStep(slice, objective) {
    payload.what_if_step(slice);
    return calls.whatIfReport(objective);
  },
  whatIfReport: (objective) => JSON.parse(payload.what_if_report(objective)),
  whatIfMessage: (index) => payload.what_if_message(index),
};

function buffersOf(value) {
  const parts = value?.map ? Object.values(value.map) : [value];
  return parts.filter(ArrayBuffer.isView).map((view) => view.buffer);
}

onmessage = ({ data: { id, name, args } }) => {
  try {
    const value = calls[name](...args);
    postMessage({ id, value }, buffersOf(value));
  } catch (error) {
    // A trap leaves the module in no state to go on with.
    const isTrap = error instanceof WebAssembly.RuntimeError;
    postMessage({ id, error: String(error.message ?? error), isTrap });
  }
};
