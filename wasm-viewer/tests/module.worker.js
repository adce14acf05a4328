// A case of module.mjs, in a worker of a browser: answers with what failed, or null.

importScripts("/glue/volley_viewer.js");

onmessage = async ({ data: name }) => {
  try {
    const { cases } = await import("/tests/module.mjs");
    const { memory } = await wasm_bindgen({ module_or_path: "/volley_viewer.wasm" });
    const read = async (name) => new Uint8Array(await (await fetch(`/data/${name}`)).arrayBuffer());
    await cases(wasm_bindgen, memory, read)[name]();
    postMessage(null);
  } catch (error) {
    postMessage(error.stack);
  }
};
