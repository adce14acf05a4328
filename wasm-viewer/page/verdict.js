// What is wrong with a payload, and where; or what it is instead.

import { byId, count, el } from "./format.js";

export function showVerdict(summary, { onByte, onSchema }) {
  const section = byId("verdict");
  const { diagnostics } = summary.inspection;
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = diagnostics.length - errors;
  section.hidden = diagnostics.length === 0 && !summary.looks_like;
  section.className = summary.looks_like ? "" : errors ? "errors" : "warnings";
  if (section.hidden) return section.replaceChildren();
  const isBare = summary.looks_like === null && diagnostics.some(({ code }) => code === "missing-schema") && summary.tables.length === 0;
  const title = el("h2", { id: "verdict-title", textContent: titleOf(summary, errors, warnings, isBare) });
  const parts = [title];
  if (summary.looks_like) parts.push(el("p", { textContent: summary.looks_like.why }));
  if (isBare) {
    const button = el("button", { type: "button", id: "give-schema", className: "primary", textContent: "Choose a payload with the schema" });
    button.onclick = onSchema;
    parts.push(el("p", {}, "Any stream or file of the same columns will do: its schema is used, not its rows."), button);
  }
  section.replaceChildren(...parts, listOf(diagnostics, onByte, summary.looks_like !== null || diagnostics.length > 3));
}

/** Adds what came out when values were read, which the structure did not tell. */
export function addFaults(faults, onByte) {
  // What the structure told is there already.
  const told = (fault) => open.some(({ textContent }) => fault.message.includes(textContent));
  const open = [...byId("verdict").querySelectorAll("li > span")];
  const fresh = faults.filter(({ fault }) => !told(fault));
  if (!fresh.length) return;
  const section = byId("verdict");
  section.hidden = false;
  section.className = "errors";
  const n = fresh.length;
  const id = byId("verdict-title") ? "" : "verdict-title";
  const title = el("h2", { id, textContent: `${count(n)} column${n === 1 ? " holds" : "s hold"} values that cannot be read: the others are shown` });
  const findings = fresh.map(({ path, fault, damaged, batches }) => ({
    severity: "error",
    offset: fault.offset,
    message: `${path}, in ${count(damaged)} of ${count(batches)} batches: ${fault.message}`,
    code: "invalid-values",
  }));
  section.append(title, listOf(findings, onByte, n > 3));
}

function titleOf(summary, errors, warnings, isBare) {
  const of = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;
  if (summary.looks_like) {
    const { name } = summary.looks_like;
    return name === "unknown" ? "This is not Arrow IPC" : `This is not Arrow IPC: it looks like ${name}`;
  }
  if (isBare) return "Record batches without their schema";
  if (!errors) return `${of(warnings, "warning")}: it reads all the same`;
  const more = errors >= 100 ? " or more" : "";
  return `${of(errors, "error")}${more}: what is sound is shown`;
}

function listOf(diagnostics, onByte, isFolded) {
  const list = el("ul");
  for (const { severity, offset, message, code } of diagnostics) {
    const jump = el("button", { type: "button", className: "link", textContent: `byte ${count(offset)}`, title: "Show the byte" });
    jump.onclick = () => onByte(offset);
    list.append(el("li", { className: severity }, el("strong", { textContent: severity }), jump, el("span", { textContent: message.replace(` [${code}]`, "") }), el("code", { textContent: code })));
  }
  if (!isFolded) return list;
  return el("details", {}, el("summary", { textContent: `${count(diagnostics.length)} ${diagnostics.length === 1 ? "finding" : "findings"}` }), list);
}
