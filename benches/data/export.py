"""Writes 10,000 rows of a ClickHouse table with the host schema as the benches' data.

usage: export.py CLICKHOUSE_URL DATABASE.TABLE FILE basic|full
"""

import sys
import urllib.request

import pyarrow as pa
from pyarrow import ipc

def fields(type, *names):
    return [pa.field(name, type, nullable=False) for name in names]


BASIC = [
    *fields(pa.utf8(), "device"),
    *fields(pa.timestamp("us"), "ts"),
    *fields(pa.float32(), "cpu_used", "cpu_free", "memory_used", "memory_free"),
    *fields(pa.int32(), "run_elapsed_ms"),
]
FULL = [
    *BASIC,
    *fields(pa.float32(), "load_1m", "load_5m", "load_15m", "swap_used"),
    *fields(pa.uint64(), "disk_read_bytes_per_sec", "disk_written_bytes_per_sec"),
    *fields(pa.uint64(), "network_received_bytes_per_sec", "network_sent_bytes_per_sec"),
    *fields(pa.uint32(), "process_count"),
]

url, table, path, metrics = sys.argv[1:]
SCHEMA = pa.schema({"basic": BASIC, "full": FULL}[metrics])
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
