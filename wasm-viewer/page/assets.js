// Where the worker's script and the compiled module come from: files beside the page, or blocks in
// it where all is one file.

let loaded;

/** `{ workerUrl, module }`, made once. */
export function assets() {
  loaded ??= load();
  // What failed for a moment may work the next time.
  loaded.catch(() => (loaded = undefined));
  return loaded;
}

async function load() {
  const inline = document.getElementById("volley-wasm");
  if (!inline) {
    const response = await fetch("volley_viewer.wasm");
    if (!response.ok) throw new Error(`the page's own volley_viewer.wasm answered ${response.status}`);
    // Not every host knows the type that streaming asks for.
    const isKnown = response.headers.get("content-type") === "application/wasm";
    const module = await (isKnown ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer()));
    return { workerUrl: "worker.js", module };
  }
  const bytes = Uint8Array.from(atob(inline.textContent), (c) => c.charCodeAt(0));
  const script = document.getElementById("volley-worker").textContent;
  const workerUrl = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  return { workerUrl, module: await WebAssembly.compile(bytes) };
}
