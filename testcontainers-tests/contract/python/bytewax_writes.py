"""A dataflow that writes batches of host metrics as zstd files of pyarrow: BROKERS TOPIC N_ROWS."""

import sys
from datetime import timedelta
from importlib.metadata import version

import bytewax.operators as op
import pyarrow as pa
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from bytewax.testing import TestingSource

from payloads import say

brokers, topic, n_rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
say(version=version("bytewax"))

SCHEMA = pa.schema([("device", pa.string()), ("ts", pa.timestamp("us")), ("cpu_used", pa.float32())])


def sample(i):
    """The same rows as `broker.rs` expects."""
    device = f"device-{i % 4}"
    return device, {"device": device, "ts": 1_700_000_000_000_000 + i, "cpu_used": i * 37 % 1000 / 10}


def message(item):
    device, samples = item
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write(pa.RecordBatch.from_pylist(samples, schema=SCHEMA))
    return KafkaSinkMessage(key=device.encode(), value=sink.getvalue().to_pybytes())


flow = Dataflow("writes")
samples = op.input("samples", flow, TestingSource(sample(i) for i in range(n_rows)))
batches = op.collect("batches", samples, timeout=timedelta(seconds=10), max_size=100)
op.output("topic", op.map("message", batches, message), KafkaSink([brokers], topic))
cli_main(flow)
