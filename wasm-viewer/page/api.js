// What `volley view` answers. From any other host there is no API, and nothing asks for one.

import { fragment } from "./fragment.js";

const KEY = "volley-token";

export const isServed = document.querySelector('meta[name="volley-view"]') !== null;

const token = isServed ? takeToken() : null;

/** From the printed address, out of which it goes at once: addresses are shown and shared. */
function takeToken() {
  const given = fragment.get("token");
  fragment.set({ token: null });
  try {
    if (given) sessionStorage.setItem(KEY, given);
    return given ?? sessionStorage.getItem(KEY);
  } catch {
    return given;
  }
}

async function asked(path) {
  let response;
  try {
    response = await fetch(`api/${path}`, token ? { headers: { authorization: `Bearer ${token}` } } : {});
  } catch {
    throw new Error("volley view does not answer: has it ended?");
  }
  if (response.ok) return response;
  const text = await response.text();
  try {
    throw new Error(JSON.parse(text).error);
  } catch (error) {
    throw error instanceof SyntaxError ? new Error(text || `it answered ${response.status}`) : error;
  }
}

export const get = async (path) => (await asked(path)).json();
export const getBytes = async (path) => new Uint8Array(await (await asked(path)).arrayBuffer());

/** `metrics`, `0`, `42` as a path. */
export const topicPath = (...parts) => ["topics", ...parts].map((part) => encodeURIComponent(part)).join("/");

export function openTail(topic) {
  const url = new URL("api/tail", location.href);
  url.hash = "";
  url.protocol = url.protocol.replace("http", "ws");
  url.search = new URLSearchParams({ topic, ...(token ? { token } : {}) });
  return new WebSocket(url);
}
