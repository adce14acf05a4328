"""Writes 10,000 rows of a ClickHouse table with the host schema as the benches' data.

usage: export.py CLICKHOUSE_URL DATABASE.TABLE FILE
"""

import sys
import urllib.request

import pyarrow as pa
from pyarrow import ipc

PERCENTS = ["cpu_used", "cpu_free", "memory_used", "memory_free"]
SCHEMA = pa.schema(
    [
        pa.field("device", pa.utf8(), nullable=False),
        pa.field("ts", pa.timestamp("us"), nullable=False),
        *[pa.field(name, pa.float32(), nullable=False) for name in PERCENTS],
        pa.field("run_elapsed_ms", pa.int32(), nullable=False),
    ]
)

url, table, path = sys.argv[1:]
query = f"SELECT * FROM {table} ORDER BY ts, device LIMIT 10000 FORMAT ArrowStream"
with urllib.request.urlopen(url, data=query.encode()) as answer:
    rows = ipc.open_stream(answer.read()).read_all()
# ClickHouse's time has a zone and its columns come in chunks.
columns = [rows.column(field.name).cast(field.type) for field in SCHEMA]
rows = pa.table(columns, schema=SCHEMA).combine_chunks()
assert rows.num_rows == 10_000, rows.num_rows
options = ipc.IpcWriteOptions(compression=pa.Codec("zstd", 19))
with ipc.new_stream(path, SCHEMA, options=options) as writer:
    writer.write_table(rows)
