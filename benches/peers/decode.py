"""What a loader in Python does between messages and an insert, timed, for `compare`.

usage: decode.py FILE

FILE holds messages, each with its length before it (u32, little endian). For each line of stdin:
decodes all of them, concatenates them and makes the body that clickhouse-connect's `insert_arrow`
sends, and answers with the nanoseconds of decoding and concatenating, those of all three, and the
rows.
"""

import struct
import sys
import time

import pyarrow as pa
from clickhouse_connect.driver.query import arrow_buffer

with open(sys.argv[1], "rb") as file:
    data = file.read()
messages, at = [], 0
while at < len(data):
    (length,) = struct.unpack_from("<I", data, at)
    messages.append(data[at + 4 : at + 4 + length])
    at += 4 + length

for _ in sys.stdin:
    start = time.perf_counter_ns()
    rows = pa.concat_tables([pa.ipc.open_stream(message).read_all() for message in messages])
    decoded = time.perf_counter_ns()
    # lz4 is what a client takes by itself.
    arrow_buffer(rows, "lz4")
    end = time.perf_counter_ns()
    print(decoded - start, end - start, rows.num_rows, flush=True)
