// The Kafka message that a payload came in: where it was, what it says of itself, whether that is so.

import { byId, count, el, share, size } from "./format.js";
import { textOf } from "./messages.js";

const CHECKS = {
  ok: ["ok", "✓ checksum", "The value is the one that was written."],
  mismatch: ["bad", "✗ checksum", "The value is not the one that was written."],
  absent: ["", "no checksum", "There is no volley-crc32c header to hold the value against."],
};
const STATUSES = { ok: ["ok", "✓ so it is"], mismatch: ["bad", "✗ the value has "], unreadable: ["bad", "✗ unreadable"] };

/** Shows `{ topic, envelope, about }`, and what the worker says of it when it does. */
export function showEnvelope(message, client, onStep) {
  const section = byId("envelope");
  section.hidden = !message;
  if (!message) return section.replaceChildren();
  const { topic, envelope, about } = message;
  const key = textOf(envelope.key);
  const when = { create: "created", append: "appended" }[envelope.timestamp_type] ?? "";
  const facts = el(
    "dl",
    { id: "envelope-facts" },
    ...fact("Topic", topic),
    ...fact("Partition", count(envelope.partition)),
    ...fact("Offset", count(envelope.offset)),
    ...fact("Time", envelope.timestamp ? `${envelope.timestamp.replace("T", " ")} ${when}` : "none"),
    ...fact("Key", key ?? "none"),
  );
  const before = el("button", { type: "button", textContent: "‹", "aria-label": "Message before", title: "Message before (,)", id: "message-prev" });
  const after = el("button", { type: "button", textContent: "›", "aria-label": "Next message", title: "Next message (.)", id: "message-next" });
  before.onclick = () => onStep(-1);
  after.onclick = () => onStep(1);
  const checks = el("p", { id: "envelope-checks" });
  const more = el("div", { id: "envelope-more" });
  section.replaceChildren(el("div", { className: "line" }, facts, checks, el("div", { className: "steps" }, before, after)), more);
  const { headers } = envelope;
  const { max_message_bytes, compression } = about;
  client.call("envelope", [{ headers, max_message_bytes, compression }]).then(
    (check) => section.isConnected && byId("envelope-more") === more && showCheck(check, envelope, checks, more),
    () => {
      // The page says why the decoder stopped.
    },
  );
}

function fact(name, value) {
  return [el("div", {}, el("dt", { textContent: name }), el("dd", { textContent: value, title: value }))];
}

function showCheck(check, envelope, checks, more) {
  const [state, text, why] = CHECKS[check.checksum];
  const limit = el("span", { className: "limit", title: `${count(envelope.value_bytes)} of ${count(check.limit_bytes)} bytes` });
  const bar = el("i", { className: "bar" });
  bar.style.width = `${Math.min(100 * check.limit_share, 100)}%`;
  limit.append(`${size(envelope.value_bytes)}, ${share(envelope.value_bytes, check.limit_bytes)} of the limit`, el("span", { className: "track" }, bar));
  if (check.limit_share >= 0.8) limit.classList.add("near");
  checks.replaceChildren(limit, el("span", { id: "checksum", className: `chip ${state}`, textContent: text, title: `${why} CRC-32C of the value: ${check.crc32c}` }));
  const notes = check.notes.map((note) => el("p", { className: "note", textContent: note }));
  const bad = check.headers.filter(({ status }) => status === "mismatch" || status === "unreadable").length;
  const title = `${count(check.headers.length)} header${check.headers.length === 1 ? "" : "s"}${bad ? `, ${count(bad)} of which do not fit the value` : ""}`;
  const rows = check.headers.map(({ name, value, status, expected }) => {
    const [kind, what] = STATUSES[status] ?? ["", ""];
    return el("tr", {}, el("th", { scope: "row", textContent: name }), el("td", { textContent: textOf(value) ?? "no value" }), el("td", { className: kind, textContent: status === "mismatch" ? what + expected : what }));
  });
  rows.push(el("tr", { className: "computed" }, el("th", { scope: "row", textContent: "CRC-32C of the value" }), el("td", { textContent: check.crc32c }), el("td", { className: state, textContent: check.checksum === "absent" ? "nothing to hold it against" : check.checksum === "ok" ? "✓ as written" : "✗ not as written" })));
  const cut = envelope.is_cut ? el("p", { textContent: "The key or a header is longer than what is shown." }) : null;
  more.replaceChildren(...notes, el("details", { open: bad > 0 }, el("summary", { textContent: title }), el("div", { className: "headers", tabIndex: 0, role: "region", "aria-label": "Headers" }, el("table", {}, el("tbody", {}, ...rows))), ...(cut ? [cut] : [])));
}
