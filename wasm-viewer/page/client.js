// The page's end of the worker that holds a payload.

import { assets } from "./assets.js";

/** A worker with one open payload. `end()` gives all of its memory back. */
export class Client {
  #worker;
  #waiting = new Map();
  #next = 0;

  constructor(url) {
    this.#worker = new Worker(url);
    this.#worker.onmessage = ({ data }) => this.#answer(data);
    this.#worker.onerror = (event) => this.#fail(event.message || "the decoder did not start");
  }

  /** Opens `bytes`, which move to the worker and are gone from here. */
  static async open(bytes, schema) {
    const { workerUrl, module } = await assets();
    const client = new Client(workerUrl);
    try {
      const moved = [bytes.buffer, ...(schema ? [schema.buffer] : [])];
      return { client, ...(await client.call("open", [module, bytes, schema], moved)) };
    } catch (error) {
      client.end();
      throw error;
    }
  }

  call(name, args, moved = []) {
    return new Promise((resolve, reject) => {
      if (!this.#worker) return reject(new Error("closed"));
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, args }, moved);
    });
  }

  end() {
    this.#worker?.terminate();
    this.#worker = null;
    this.#waiting.clear();
  }

  #answer({ id, value, error, isTrap }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) return waiting?.resolve(value);
    waiting?.reject(new Error(error));
    if (isTrap) this.#fail(`the decoder stopped: ${error}`);
  }

  #fail(message) {
    const waiting = [...this.#waiting.values()];
    this.end();
    for (const { reject } of waiting) reject(new Error(message));
    dispatchEvent(new CustomEvent("decoder-failed", { detail: message }));
  }
}
