// Ways in: a dropped or chosen file, the clipboard, an address.

import { byId } from "./format.js";

/** Calls `onBytes(name, promise of a Uint8Array)` for whatever comes in. */
export function startOpening(onBytes) {
  const picker = byId("picker");
  const pick = () => picker.click();
  byId("choose").onclick = pick;
  byId("open").onclick = pick;
  picker.onchange = () => {
    const [file] = picker.files;
    if (file) onBytes(file.name, read(file));
    // The same file again is a change too.
    picker.value = "";
  };

  const veil = byId("veil");
  let depth = 0;
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth++;
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dragleave", () => {
    depth = Math.max(depth - 1, 0);
    veil.hidden = depth === 0;
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    take(event.dataTransfer, onBytes);
  });

  addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea")) return;
    event.preventDefault();
    take(event.clipboardData, onBytes);
  });
  byId("paste").onclick = () => onBytes("clipboard", clipboard());

  byId("url-form").onsubmit = (event) => {
    event.preventDefault();
    const url = byId("url").value.trim();
    if (url) onBytes(nameOf(url), fetched(url));
  };
  const url = new URLSearchParams(location.search).get("url");
  if (url) {
    byId("url").value = url;
    onBytes(nameOf(url), fetched(url));
  }
}

function take(transfer, onBytes) {
  const [file] = transfer.files;
  if (file) return onBytes(file.name, read(file));
  const text = transfer.getData("text/plain");
  if (text) onBytes("pasted text", Promise.resolve(bytesOf(text)));
}

async function read(file) {
  return new Uint8Array(await file.arrayBuffer());
}

async function clipboard() {
  if (!navigator.clipboard?.readText) throw new Error("the browser gives no access to the clipboard: press Ctrl+V");
  return bytesOf(await navigator.clipboard.readText());
}

/** Hexadecimal digits or base64, a data address too; anything else is its own bytes. */
export function bytesOf(text) {
  const bare = text.replace(/\s+/g, "");
  const digits = bare.replace(/^(0x|\\x)/i, "");
  if (digits.length >= 8 && digits.length % 2 === 0 && /^[0-9a-f]+$/i.test(digits)) {
    return Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
  }
  const base64 = bare.replace(/^data:[^,]*;base64,/, "").replaceAll("-", "+").replaceAll("_", "/");
  if (base64.length >= 8 && /^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    try {
      return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    } catch {
      // A word that looks like it, and is not.
    }
  }
  return new TextEncoder().encode(text);
}

const nameOf = (url) => url.split(/[?#]/)[0].split("/").at(-1) || url;

async function fetched(url) {
  const target = new URL(url, location.href);
  let response;
  try {
    response = await fetch(target, { credentials: "same-origin" });
  } catch {
    const foreign = target.origin !== location.origin;
    throw new Error(
      foreign
        ? `${target.origin} is another host. This page talks to its own host only, so that no payload can leave it: download the file and drop it here, or build the page with --connect ${target.origin}`
        : `${target.href} did not answer`,
    );
  }
  if (!response.ok) throw new Error(`${target.href} answered ${response.status} ${response.statusText}`.trim());
  return new Uint8Array(await response.arrayBuffer());
}
