"""Sends rows to a topic as Arrow IPC: Bytewax, pyarrow, psutil, confluent-kafka.

usage: produce.py BROKERS TOPIC ROWS_PER_BATCH replay FILE
       produce.py BROKERS TOPIC ROWS_PER_BATCH host INTERVAL_SECONDS LINGER_SECONDS DURATION_SECONDS

`replay` takes the rows of an Arrow stream, as Python values. `host` samples this machine. The source
gathers rows into batches by itself, so that the dataflow handles an item for each message and not
for each row, and only the first half of the columns' work is Python's.
"""

import socket
import sys
import time
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import psutil
import pyarrow as pa
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.run import cli_main

SCHEMA = pa.schema(
    [
        pa.field("device", pa.utf8(), nullable=False),
        pa.field("ts", pa.timestamp("us"), nullable=False),
        pa.field("cpu_used", pa.float32(), nullable=False),
        pa.field("cpu_free", pa.float32(), nullable=False),
        pa.field("memory_used", pa.float32(), nullable=False),
        pa.field("memory_free", pa.float32(), nullable=False),
        pa.field("run_elapsed_ms", pa.int32(), nullable=False),
    ]
)
TYPES = SCHEMA.types
OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))


class Replay(StatefulSourcePartition):
    """The rows of a file, a batch's worth at a time."""

    def __init__(self, path, rows_per_batch):
        self.batches = pa.ipc.open_stream(pa.memory_map(path))
        self.rows_per_batch = rows_per_batch

    def next_batch(self):
        batch = next(self.batches).cast(BY_NUMBER)
        assert batch.num_rows <= self.rows_per_batch
        return [list(zip(*[column.to_pylist() for column in batch.columns]))]

    def snapshot(self):
        return None


# Times as numbers: datetime objects would cost Python more.
BY_NUMBER = SCHEMA.set(1, pa.field("ts", pa.int64(), nullable=False))


class Host(StatefulSourcePartition):
    """Samples of this machine, gathered until there are enough or the oldest has waited."""

    def __init__(self, interval, linger, duration, rows_per_batch):
        self.interval, self.linger, self.rows_per_batch = interval, linger, rows_per_batch
        self.device = socket.gethostname()
        self.started = self.due = time.monotonic()
        self.end = self.started + duration
        self.rows = []
        self.oldest = None
        psutil.cpu_percent()

    def sample(self):
        cpu, memory = psutil.cpu_percent(), psutil.virtual_memory()
        free = memory.available / memory.total * 100
        elapsed = int((time.monotonic() - self.started) * 1000)
        ts = time.time_ns() // 1000
        return self.device, ts, cpu, 100 - cpu, 100 - free, free, elapsed

    def next_batch(self):
        now = time.monotonic()
        if now >= self.end and not self.rows:
            raise StopIteration
        self.due = max(self.due + self.interval, now)
        self.oldest = self.oldest or now
        self.rows.append(self.sample())
        is_full = len(self.rows) >= self.rows_per_batch
        if not is_full and now < self.oldest + self.linger and now < self.end:
            return []
        rows, self.rows, self.oldest = self.rows, [], None
        return [rows]

    def next_awake(self):
        return datetime.now(timezone.utc) + timedelta(seconds=self.due - time.monotonic())

    def snapshot(self):
        return None


class One(FixedPartitionedSource):
    """A source of one partition."""

    def __init__(self, make):
        self.make = make

    def list_parts(self):
        return ["one"]

    def build_part(self, step_id, for_part, resume_state):
        return self.make()


def message(rows):
    columns = [pa.array(values, type) for values, type in zip(zip(*rows), TYPES)]
    batch = pa.record_batch(columns, schema=SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA, options=OPTIONS) as writer:
        writer.write_batch(batch)
    return KafkaSinkMessage(key=None, value=sink.getvalue().to_pybytes())


brokers, topic, rows_per_batch, kind = sys.argv[1:5]
rows_per_batch = int(rows_per_batch)
if kind == "replay":
    make = lambda: Replay(sys.argv[5], rows_per_batch)
else:
    interval, linger, duration = map(float, sys.argv[5:8])
    make = lambda: Host(interval, linger, duration, rows_per_batch)

flow = Dataflow("produce")
batches = op.input("rows", flow, One(make))
messages = op.map("message", batches, message)
op.output("topic", messages, KafkaSink([brokers], topic, add_config={"linger.ms": "5"}))
cli_main(flow)
