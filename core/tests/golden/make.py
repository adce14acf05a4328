#!/usr/bin/env python3
"""Writes the golden payloads beside this script with pyarrow (26 here), and with Polars (2.1 here)
where it is installed; `make.mjs` writes those of arrow-js (21.2 here). `expected.txt` holds the rows
of each payload, one line a file.

    python -m venv venv && venv/bin/pip install pyarrow polars && venv/bin/python make.py
"""

import datetime
import decimal
import pathlib

import pyarrow as pa
import pyarrow.ipc as ipc

HERE = pathlib.Path(__file__).parent
rows = {}


def write(name, batches, file=False, **options):
    schema = batches[0].schema
    sink = pa.BufferOutputStream()
    new = ipc.new_file if file else ipc.new_stream
    with new(sink, schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write(batch)
    save(name + (".arrow" if file else ".arrows"), sink.getvalue().to_pybytes(), batches)


def save(name, payload, batches):
    (HERE / name).write_bytes(payload)
    rows[name] = sum(batch.num_rows for batch in batches)


def scalars(start=0):
    n = 40
    at = range(start, start + n)
    some = [i % 5 != 0 for i in at]

    def col(kind, values):
        return pa.array([v if ok else None for v, ok in zip(values, some)], kind)

    day = datetime.date(2024, 2, 28)
    time = datetime.datetime(2024, 2, 28, 12)
    step = datetime.timedelta(seconds=1)
    texts = ["", "a", "zwölf", "漢字", "a string that does not fit into a view"]
    data = {
        "null": pa.nulls(n),
        "bool": col(pa.bool_(), [i % 2 == 0 for i in at]),
        "i8": col(pa.int8(), [i - 20 for i in at]),
        "u16": col(pa.uint16(), at),
        "i32": col(pa.int32(), at),
        "u64": col(pa.uint64(), at),
        "f16": pa.array([float(i) for i in at]).cast(pa.float16()),
        "f32": col(pa.float32(), [float("nan") if i == 7 else i / 2 for i in at]),
        "f64": col(pa.float64(), [-0.0 if i == 7 else i / 2 for i in at]),
        "utf8": col(pa.utf8(), [texts[i % 5] for i in at]),
        "large_utf8": col(pa.large_utf8(), [texts[i % 5] for i in at]),
        "utf8_view": col(pa.string_view(), [texts[i % 5] for i in at]),
        "binary": col(pa.binary(), [texts[i % 5].encode() for i in at]),
        "large_binary": col(pa.large_binary(), [texts[i % 5].encode() for i in at]),
        "binary_view": col(pa.binary_view(), [texts[i % 5].encode() for i in at]),
        "fixed": col(pa.binary(3), [b"abc" for _ in at]),
        "date32": col(pa.date32(), [day for _ in at]),
        "date64": col(pa.date64(), [day for _ in at]),
        "time32": col(pa.time32("ms"), [time.time() for _ in at]),
        "time64": col(pa.time64("ns"), [time.time() for _ in at]),
        "timestamp": col(pa.timestamp("us", "Europe/Berlin"), [time + i * step for i in at]),
        "duration": col(pa.duration("s"), [i * step for i in at]),
        "interval": col(pa.month_day_nano_interval(), [(1, i, 3) for i in at]),
        "decimal32": col(pa.decimal32(9, 2), [decimal.Decimal(i) for i in at]),
        "decimal64": col(pa.decimal64(18, 2), [decimal.Decimal(i) for i in at]),
        "decimal128": col(pa.decimal128(38, 2), [decimal.Decimal(i) for i in at]),
        "decimal256": col(pa.decimal256(76, 2), [decimal.Decimal(i) for i in at]),
    }
    return pa.record_batch(data)


def nested(start=0):
    n = 12
    at = range(start, start + n)
    lists = [None if i % 5 == 0 else list(range(i % 4)) for i in at]
    pairs = [None if i % 4 == 0 else {"a": i, "b": str(i)} for i in at]
    data = {
        "list": pa.array(lists, pa.list_(pa.int32())),
        "large_list": pa.array(lists, pa.large_list(pa.int16())),
        "list_view": pa.array(lists, pa.list_view(pa.int64())),
        "large_list_view": pa.array(lists, pa.large_list_view(pa.int64())),
        "fixed_list": pa.array([None if i % 5 == 0 else [i, i + 1] for i in at], pa.list_(pa.int8(), 2)),
        "struct": pa.array(pairs, pa.struct([("a", pa.int64()), ("b", pa.utf8())])),
        "map": pa.array([[("k", i)] * (i % 3) for i in at], pa.map_(pa.utf8(), pa.int32())),
        "deep": pa.array([[[{"x": [i]}]] for i in at]),
        "runs": pa.RunEndEncodedArray.from_arrays(
            pa.array([5, 6, n], pa.int32()), pa.array(["a", None, "b"])),
        "empty": pa.array([{}] * n, pa.struct([])),
    }
    return pa.record_batch(data)


def unions():
    types = pa.array([0, 1, 0, 1, 1], pa.int8())
    ints = pa.array([1, 2], pa.int64())
    texts = pa.array(["x", "y", None], pa.utf8())
    dense = pa.UnionArray.from_dense(types, pa.array([0, 0, 1, 1, 2], pa.int32()), [ints, texts])
    five = [pa.array(range(5), pa.int64()), pa.array(list("abcde"))]
    sparse = pa.UnionArray.from_sparse(types, five)
    return pa.record_batch({"dense": dense, "sparse": sparse})


def coded(values, indices, key=pa.int16()):
    return pa.DictionaryArray.from_arrays(pa.array(indices, key), pa.array(values))


def dictionaries():
    inner = coded(["x", "y"], [0, 1, None, 1])
    return pa.record_batch({
        "text": coded(["red", "green"], [0, None, 1, 0]),
        "number": coded([7, 8, 9], [2, 1, 0, 2], pa.uint32()),
        "nested": pa.StructArray.from_arrays([inner], ["inner"]),
        "list": pa.ListArray.from_arrays(pa.array([0, 1, 2, 4, 4], pa.int32()), inner),
    })


for codec in (None, "lz4", "zstd"):
    for is_file in (False, True):
        suffix = codec or "none"
        write(f"scalars-{suffix}", [scalars(), scalars(40)], is_file, compression=codec)
        write(f"nested-{suffix}", [nested(), nested(5)], is_file, compression=codec)
        write(f"dictionaries-{suffix}", [dictionaries()], is_file, compression=codec)

write("unions-v5", [unions()])
write("unions-v5", [unions()], file=True)
write("sliced", [scalars().slice(3, 20)])
write("sliced-nested", [nested().drop_columns(["runs"]).slice(2, 7)])
write("no-rows", [scalars().slice(0, 0)])
write("no-columns", [pa.record_batch([], schema=pa.schema([]))])

v4 = ipc.MetadataVersion.V4
plain = scalars().select(["bool", "i32", "f64", "utf8", "decimal128", "timestamp"])
write("v4", [plain], metadata_version=v4)
write("v4", [plain], file=True, metadata_version=v4)
write("unions-v4", [unions().select(["sparse"])], metadata_version=v4)
write("legacy", [plain, plain], metadata_version=v4, use_legacy_format=True)
write("legacy", [plain, plain], file=True, metadata_version=v4, use_legacy_format=True)
write("legacy-dictionaries", [dictionaries()], metadata_version=v4, use_legacy_format=True)

one = pa.record_batch({"host": coded(["a", "b"], [0, 1, 0])})
two = pa.record_batch({"host": coded(["a", "b", "c"], [2, 1, 0])})
three = pa.record_batch({"host": coded(["z"], [0, 0, None])})
write("dictionary-delta", [one, two], emit_dictionary_deltas=True)
write("dictionary-delta", [one, two], file=True, emit_dictionary_deltas=True)
write("dictionary-replaced", [one, two, three])
write("dictionary-same", [one, one], file=True)

write("metadata", [plain.replace_schema_metadata({"writer": "golden"})])

# What was not written by IpcWriteOptions: streams one after another, no end marker.
stream = (HERE / "v4.arrows").read_bytes()
save("concatenated.arrows", stream + stream, [plain, plain])
save("no-end.arrows", stream[:-8], [plain])

# What this run does not write keeps its line.
for line in (HERE / "expected.txt").read_text().splitlines():
    name, count = line.split()
    if name.startswith(("polars", "arrow-js")):
        rows[name] = int(count)

try:
    import polars as pl
except ImportError:
    print("polars is not installed: its payloads stay as they are")
else:
    frame = pl.from_arrow(pa.Table.from_batches([plain])).with_columns(
        category=pl.col("utf8").cast(pl.Categorical), list=pl.concat_list("i32", "i32"))
    for codec in ("uncompressed", "lz4", "zstd"):
        frame.write_ipc(HERE / f"polars-{codec}.arrow", compression=codec)
        frame.write_ipc_stream(HERE / f"polars-{codec}.arrows", compression=codec)
        rows[f"polars-{codec}.arrow"] = rows[f"polars-{codec}.arrows"] = frame.height

lines = [f"{name} {count}\n" for name, count in sorted(rows.items())]
(HERE / "expected.txt").write_text("".join(lines))
