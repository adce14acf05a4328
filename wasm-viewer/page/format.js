// Numbers and elements as the page writes them.

const counts = new Intl.NumberFormat("en-US");

/** `1,234,567`, exact. */
export const count = (n) => counts.format(n);

/** `817 B`, `1.23 MB`: three digits. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  let unit = "B";
  for (unit of ["kB", "MB", "GB"]) {
    value /= 1000;
    if (value < 999.5) break;
  }
  return `${value.toPrecision(3)} ${unit}`;
}

/** `3.42×`; a dash where there is nothing to divide by. */
export function ratio(raw, stored) {
  if (!stored) return "–";
  const value = raw / stored;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(2)}×`;
}

/** `12.3 %`. */
export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  return `${percent > 0 && percent < 0.05 ? "<0.1" : percent.toFixed(1)} %`;
}

/** An element with properties and children; text stays text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);
