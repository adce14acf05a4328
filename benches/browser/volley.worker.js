// Volley's module, as the page's worker calls it.

importScripts("/glue/volley_viewer.js");

wasm_bindgen({ module_or_path: "/volley_viewer.wasm" }).then(() => postMessage("ready"));

onmessage = ({ data }) => {
  const start = performance.now();
  const payload = new wasm_bindgen.Payload(new Uint8Array(data));
  const { tables, inspection, columns } = JSON.parse(payload.summary());
  const [{ tops, rows }] = tables;
  const schema_ms = performance.now() - start;
  const first = JSON.parse(payload.rows(0, 0, 1, Uint32Array.from(tops.keys()))).columns.map(({ texts }) => texts[0]);
  const row_ms = performance.now() - start;
  const extremes = tops.map((column) => {
    let found;
    do found = JSON.parse(payload.extremes(0, column));
    while (found.done < found.batches);
    return found.fault ? found.fault : [found.min, found.max];
  });
  const all_ms = performance.now() - start;
  const names = tops.map((column) => columns[column].name);
  const types = tops.map((column) => inspection.columns[column].type);
  postMessage({ schema_ms, row_ms, all_ms, result: { rows, names, types, first, extremes } });
};
