// The byte map as the page asks it: which region holds a byte, which bytes a column has.

import { count, size } from "./format.js";
import { colorOf, colorOfKind } from "./theme.js";

const NONE = 0xffffffff;

export class Regions {
  constructor(map, summary) {
    Object.assign(this, map);
    this.summary = summary;
    this.length = map.offsets.length;
    this.bytes = this.length ? map.offsets.at(-1) + map.lens.at(-1) : 0;
  }

  /** Index of the region that holds a byte. */
  at(offset) {
    let [low, high] = [0, this.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offsets[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The column of a region, or null. */
  columnOf(region) {
    const column = this.columns[region];
    return column === NONE || column === undefined ? null : column;
  }

  color(region) {
    const column = this.columnOf(region);
    // What is not Arrow is not damaged either.
    if (this.summary.looks_like) return colorOfKind("metadata");
    return column === null ? colorOfKind(this.names[this.kinds[region]]) : colorOf(column);
  }

  /** The first region of a column at or after `from`, or of those below it; null if it has none. */
  firstOf(column, from = 0) {
    const { columns } = this.summary;
    let end = column + 1;
    while (end < columns.length && columns[end].depth > columns[column].depth && !columns[end].is_dictionary) end++;
    for (let region = from; region < this.length; region++) {
      if (this.columns[region] >= column && this.columns[region] < end) return region;
    }
    return null;
  }

  /** `values of cpu, 1.2 kB at byte 4,096`. */
  describe(region, paths) {
    const column = this.columnOf(region);
    const name = this.names[this.kinds[region]];
    const what = column === null ? name : `${name} of ${paths[column]}`;
    return `${what}, ${size(this.lens[region])} at byte ${count(this.offsets[region])}`;
  }
}
