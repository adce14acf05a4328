"""Loads a topic of Arrow IPC messages into ClickHouse: Bytewax, pyarrow, clickhouse-connect.

usage: load.py BROKERS TOPIC CLICKHOUSE_PORT TABLE BLOCK_MESSAGES BLOCK_SECONDS all|for-ever

Gathers messages for each partition, decodes them, concatenates them and inserts them with
`insert_arrow`. `all` stops at the topic's end.
"""

import sys
from datetime import timedelta

import bytewax.operators as op
import clickhouse_connect
import pyarrow as pa
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

brokers, topic, port, table, block_messages, block_seconds, until = sys.argv[1:]


class Table(StatelessSinkPartition):
    def __init__(self):
        self.client = clickhouse_connect.get_client(
            host="127.0.0.1", port=int(port), settings={"async_insert": 0}
        )

    def write_batch(self, items):
        for rows in items:
            self.client.insert_arrow(table, rows)


class ClickHouse(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return Table()


def decoded(item):
    _, messages = item
    tables = [pa.ipc.open_stream(message.value).read_all() for message in messages]
    return pa.concat_tables(tables)


flow = Dataflow("load")
source = KafkaSource([brokers], [topic], tail=until != "all", batch_size=1000)
messages = op.input("topic", flow, source)
keyed = op.key_on("partition", messages, lambda message: str(message.partition))
age = timedelta(seconds=float(block_seconds))
blocks = op.collect("block", keyed, timeout=age, max_size=int(block_messages))
op.output("table", op.map("decoded", blocks, decoded), ClickHouse())
cli_main(flow)
