// Reads and writes with arrow-js, whose codecs come from outside.

const fs = require("node:fs");
const path = require("node:path");

const { CompressionType, Type, compressionRegistry, tableFromIPC, tableToIPC } = require("apache-arrow");
const lz4 = require("lz4js");
const zstd = require("@bokuweb/zstd-wasm");

const CODECS = { none: null, lz4: CompressionType.LZ4_FRAME, zstd: CompressionType.ZSTD };
// Digits after the second, by Arrow's number of the unit.
const DIGITS = [0, 3, 6, 9];

const say = (line) => fs.writeSync(1, JSON.stringify(line) + "\n");
const hex = (bytes) => Buffer.from(bytes).toString("hex");

// 1050n with 3 digits after the point is "1.05".
function scaled(number, digits) {
  const text = String(number < 0 ? -number : number).padStart(digits + 1, "0");
  const [whole, part] = [text.slice(0, text.length - digits), text.slice(text.length - digits).replace(/0+$/, "")];
  return (number < 0 ? "-" : "") + whole + (part ? "." + part : "");
}

function hexOfFloat(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return Number.isNaN(number) ? "nan" : hex(bytes);
}

// Two's complement, 32 bits at a time, the lowest first.
function unscaled(words) {
  const number = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n);
  return BigInt.asIntN(32 * words.length, number);
}

// The numbers beneath, where `get` would round times to milliseconds.
const stored = (vector) => vector.data.flatMap(({ values, length }) => Array.from(values.subarray(0, length), BigInt));

// The values of a vector as contract/README.md writes them.
function canonical(vector) {
  const { type } = vector;
  const each = (show) => Array.from(vector, (value, row) => (value === null ? null : show(value, row)));
  switch (type.typeId) {
    case Type.Bool:
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Utf8View:
      return each((value) => value);
    case Type.Int:
      return each(String);
    case Type.Float:
      return each(hexOfFloat);
    case Type.Binary:
    case Type.LargeBinary:
    case Type.BinaryView:
    case Type.FixedSizeBinary:
      return each(hex);
    case Type.Decimal:
      return each((words) => scaled(unscaled(words), type.scale));
    case Type.Date: {
      const numbers = stored(vector);
      return each((_, row) => (type.unit === 0 ? String(numbers[row] * 86400n) : scaled(numbers[row], 3)));
    }
    case Type.Timestamp:
    case Type.Time:
    case Type.Duration: {
      const numbers = stored(vector);
      return each((_, row) => scaled(numbers[row], DIGITS[type.unit]));
    }
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
      return each(canonical);
    case Type.Struct: {
      const names = type.children.map(({ name }) => name);
      const columns = names.map((_, i) => canonical(vector.getChildAt(i)));
      return each((_, row) => Object.fromEntries(names.map((name, i) => [name, columns[i][row]])));
    }
    case Type.Map:
      return each((row) => Array.from(row, ([key, value]) => [key, value === null ? null : String(value)]));
    case Type.Dictionary:
      // Text or integers.
      return each((value) => (typeof value === "string" ? value : String(value)));
    default:
      throw new Error(`no canonical text for ${type}`);
  }
}

async function main() {
  await zstd.init();
  compressionRegistry.set(CompressionType.LZ4_FRAME, { encode: (bytes) => lz4.compress(bytes), decode: (bytes) => lz4.decompress(bytes) });
  compressionRegistry.set(CompressionType.ZSTD, { encode: (bytes) => zstd.compress(bytes), decode: (bytes) => zstd.decompress(bytes) });
  const manifest = path.join(path.dirname(require.resolve("apache-arrow")), "package.json");
  say({ version: JSON.parse(fs.readFileSync(manifest)).version });
  const [from, to] = process.argv.slice(2);
  for (const file of fs.readdirSync(from).sort()) {
    let table;
    try {
      table = tableFromIPC(fs.readFileSync(path.join(from, file)));
      say({ file, values: canonical(table.getChildAt(1)) });
    } catch (error) {
      say({ file, error: String(error) });
      continue;
    }
    if (!file.endsWith("-none.arrows")) continue;
    for (const [framing, extension] of [["stream", "arrows"], ["file", "arrow"]]) {
      for (const codec of Object.keys(CODECS)) {
        const wrote = file.replace("-none.arrows", `-${codec}.${extension}`);
        try {
          fs.writeFileSync(path.join(to, wrote), tableToIPC(table, framing, CODECS[codec]));
        } catch (error) {
          say({ wrote, error: String(error) });
        }
      }
    }
  }
}

main();
