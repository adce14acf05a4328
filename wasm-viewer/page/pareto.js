// Points by bytes and work, both on logarithmic axes: what `volley tune --chart` draws.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 290;
const [LEFT, TOP, BOTTOM] = [52, 10, 246];

// Colours that most eyes tell apart, on light and on dark, each with a shape of its own.
const LOOKS = [
  ["#4269d0", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"],
  ["#d98000", "M-4-4h8v8h-8z"],
  ["#d14343", "M0-5l5 9h-10z"],
  ["#3a9ca6", "M0-5.5l5.5 5.5-5.5 5.5-5.5-5.5z"],
  ["#3a8a46", "M0 5l5-9h-10z"],
  ["#c0568f", "M-5-1.5h3.5v-3.5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5z"],
  ["#8560b8", "M-5-3l2-2 3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z"],
  ["#96703f", "M-1.7-5.5h3.4v11h-3.4z"],
];

function svg(tag, properties, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The mark of the series at an index; hollow where text is dictionary-encoded. */
function mark(series, isHollow, properties = {}) {
  const [color, d] = LOOKS[series % LOOKS.length];
  const paint = isHollow ? { fill: "none", stroke: color, "stroke-width": 1.6 } : { fill: color };
  return svg("path", { d, ...paint, ...properties });
}

/** The mark by itself, for a legend or a line of a table. */
export const glyph = (series, isHollow) => svg("svg", { viewBox: "-7 -7 14 14", width: 13, height: 13, "aria-hidden": true, class: "glyph" }, mark(series, isHollow));

/** A logarithmic axis with a little air at both ends: values to places, and round values on it. */
function axis(values, from, to) {
  const logs = values.map(Math.log10);
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  const air = Math.max((most - least) * 0.06, 0.08);
  const [low, high] = [least - air, most + air];
  const place = (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  const steps = high - low > 4 ? [1] : high - low > 0.7 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  const ticks = [];
  for (let decade = Math.floor(low); decade <= Math.ceil(high); decade++) {
    for (const step of steps) {
      const at = Math.log10(step) + decade;
      if (at >= low && at <= high) ticks.push(step * 10 ** decade);
    }
  }
  return { place, ticks };
}

const short = (value) => {
  const [unit, name] = value >= 1e6 ? [1e6, "M"] : value >= 1000 ? [1000, "k"] : [1, ""];
  return Number((value / unit).toPrecision(3)) + name;
};

/**
 * The chart of `points`, `{ x, y, series, isHollow, isFront, title }` each, so many pixels wide. Two of
 * them may be set off, the recommended and the chosen one; `now` is a value along x. `onPoint` hears the
 * index of a point that is clicked: for the keyboard there is a table.
 */
export function pareto(points, { width, recommended, chosen, now, onPoint }) {
  const right = width - 12;
  const drawn = points.map((point, index) => ({ ...point, index })).filter(({ x, y }) => x > 0 && y > 0);
  const n_front = drawn.filter(({ isFront }) => isFront).length;
  const chart = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", class: "pareto", "aria-label": `Chart of ${points.length} points by bytes a row and ns a row, of which ${n_front} are on the Pareto front; the table below has the same` });
  if (!drawn.length) return chart;
  const x = axis([...drawn.map((point) => point.x), ...(now ? [now] : [])], LEFT, right);
  const y = axis(drawn.map((point) => point.y), BOTTOM, TOP);
  const text = (words, at, anchor, properties = {}) => svg("text", { x: at[0], y: at[1], "text-anchor": anchor, ...properties }, words);
  for (const value of x.ticks) chart.append(svg("path", { class: "rule", d: `M${x.place(value)} ${TOP}V${BOTTOM}` }), text(short(value), [x.place(value), BOTTOM + 16], "middle"));
  for (const value of y.ticks) chart.append(svg("path", { class: "rule", d: `M${LEFT} ${y.place(value)}H${right}` }), text(short(value), [LEFT - 7, y.place(value) + 4], "end"));
  chart.append(text("bytes a row", [(LEFT + right) / 2, HEIGHT - 8], "middle"), text("ns a row", [0, 0], "middle", { transform: `translate(13 ${(TOP + BOTTOM) / 2}) rotate(-90)` }));
  if (now) chart.append(svg("path", { class: "now", d: `M${x.place(now)} ${TOP}V${BOTTOM}` }), text("now", [x.place(now) + 4, TOP + 10], "start", { class: "now" }));
  const front = drawn.filter(({ isFront }) => isFront).sort((a, b) => a.x - b.x);
  if (front.length > 1) chart.append(svg("path", { class: "front", d: `M${front.map((point) => `${x.place(point.x)} ${y.place(point.y)}`).join("L")}` }));
  // The front above the others.
  for (const point of [...drawn.filter(({ isFront }) => !isFront), ...front]) {
    const at = `translate(${x.place(point.x)} ${y.place(point.y)})`;
    const group = svg("g", { transform: at, class: point.isFront ? "on-front" : "off-front", "data-index": point.index }, svg("circle", { r: 9, fill: "transparent" }), mark(point.series, point.isHollow), svg("title", {}, point.title));
    group.onclick = () => onPoint(point.index);
    chart.append(group);
  }
  for (const [index, name] of [[recommended, "recommended"], [chosen, "chosen"]]) {
    const point = drawn.find((other) => other.index === index);
    if (point) chart.append(svg("circle", { cx: x.place(point.x), cy: y.place(point.y), r: name === "chosen" ? 11 : 8, class: name }));
  }
  return chart;
}
