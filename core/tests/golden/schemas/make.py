#!/usr/bin/env python3
"""Writes payloads of equal schemas with different writers, for `fingerprint.rs`.

    python -m venv venv && venv/bin/pip install pyarrow polars && venv/bin/python make.py
"""

import pathlib

import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

HERE = pathlib.Path(__file__).parent


def write(name, schema):
    with ipc.new_stream(HERE / name, schema) as writer:
        writer.write_table(schema.empty_table())


def required(name, kind):
    return pa.field(name, kind, nullable=False)


# The host metrics, as volley produce writes them, and with the metadata that pandas leaves behind.
host = [
    required("device", pa.utf8()),
    required("ts", pa.timestamp("us")),
    *[required(n, pa.float32()) for n in ("cpu_used", "cpu_free", "memory_used", "memory_free")],
    required("run_elapsed_ms", pa.int32()),
]
write("host-pyarrow.arrows", pa.schema(host))
write("host-pyarrow-pandas.arrows", pa.schema(host, metadata={"pandas": '{"columns": []}'}))
write("host-other-order.arrows", pa.schema(host[::-1]))
write("host-nullable.arrows", pa.schema([field.with_nullable(True) for field in host]))

# Nested columns; the two writers name the items of a list differently.
nested = pa.schema(
    [
        pa.field("n", pa.int64()),
        pa.field("l", pa.large_list(pa.field("element", pa.float64()))),
        pa.field("s", pa.struct([pa.field("a", pa.int8()), pa.field("b", pa.timestamp("ns", "UTC"))])),
    ]
)
write("nested-pyarrow.arrows", nested)
frame = pl.DataFrame(
    schema={
        "n": pl.Int64,
        "l": pl.List(pl.Float64),
        "s": pl.Struct({"a": pl.Int8, "b": pl.Datetime("ns", "UTC")}),
    }
)
frame.write_ipc_stream(HERE / "nested-polars.arrows")
frame.write_ipc(HERE / "nested-polars.arrow")
