// arrow-js, asked the same as Volley's module: the schema, the first row, the least and greatest value
// of every column. It keeps no batch, and makes no text and no object of a value that it need not: as
// fast as its arrays allow.

import { RecordBatchReader, Type } from "apache-arrow";

/** A codec. arrow-js lays typed arrays over what comes out, which need their alignment: fzstd gives some bytes as they lay. */
export const codec = (decompress) => ({
  decode(bytes) {
    const raw = decompress(bytes);
    return raw.byteOffset % 8 ? raw.slice() : raw;
  },
});

/** Answers with times and results, as volley.worker.js does. */
export function answer(bytes) {
  const start = performance.now();
  const reader = RecordBatchReader.from(new Uint8Array(bytes)).open();
  const { fields } = reader.schema;
  const schema_ms = performance.now() - start;
  let row_ms = null;
  let first = null;
  let rows = 0;
  const columns = fields.map(() => ({}));
  for (const batch of reader) {
    if (first === null) {
      first = fields.map((_, i) => String(batch.getChildAt(i).get(0)));
      row_ms = performance.now() - start;
    }
    rows += batch.numRows;
    batch.data.children.forEach((data, i) => take(columns[i], data));
  }
  const all_ms = performance.now() - start;
  const text = (value) => (value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value));
  const extremes = columns.map(({ min, max }) => [text(min), text(max)]);
  return { schema_ms, row_ms, all_ms, result: { rows, names: fields.map(({ name }) => name), first, extremes } };
}

/** Takes the least and greatest value of one batch's column into `best`. */
function take(best, data) {
  switch (data.typeId) {
    case Type.Utf8:
      return texts(best, data);
    case Type.Dictionary:
      return dictionary(best, data);
    case Type.Int:
    case Type.Float:
    case Type.Timestamp:
      return numbers(best, data);
    default:
      throw new Error(`a column of type ${data.type}`);
  }
}

const isNull = ({ nullCount, nullBitmap, offset }, i) => nullCount > 0 && !(nullBitmap[(offset + i) >> 3] & (1 << ((offset + i) & 7)));

function numbers(best, data) {
  const { values, length } = data;
  let { min, max } = best;
  for (let i = 0; i < length; i++) {
    if (isNull(data, i)) continue;
    const value = values[i];
    if (!(value >= min)) min = value;
    if (!(value <= max)) max = value;
  }
  Object.assign(best, { min, max });
}

function texts(best, data) {
  const { values, valueOffsets, length } = data;
  let { min, max } = best;
  for (let i = 0; i < length; i++) {
    if (isNull(data, i)) continue;
    const [start, end] = [valueOffsets[i], valueOffsets[i + 1]];
    if (min === undefined || compare(values, start, end, min) < 0) min = values.slice(start, end);
    if (max === undefined || compare(values, start, end, max) > 0) max = values.slice(start, end);
  }
  Object.assign(best, { min, max });
}

/** Of bytes in place, and a text's. */
function compare(values, start, end, other) {
  const length = Math.min(end - start, other.length);
  for (let i = 0; i < length; i++) {
    const difference = values[start + i] - other[i];
    if (difference) return difference;
  }
  return end - start - other.length;
}

/** Each value of a dictionary once, where a row has it. */
function dictionary(best, data) {
  const { values, length, dictionary } = data;
  const used = new Uint8Array(dictionary.length);
  for (let i = 0; i < length; i++) if (!isNull(data, i)) used[values[i]] = 1;
  used.forEach((isUsed, i) => {
    if (!isUsed) return;
    const value = dictionary.get(i);
    if (best.min === undefined || value < best.min) best.min = value;
    if (best.max === undefined || value > best.max) best.max = value;
  });
}
