"""A dataflow that reads our topic into Polars: BROKERS TOPIC. Shows each device's max(cpu_used)."""

import sys
from importlib.metadata import version

import bytewax.operators as op
import polars as pl
from bytewax.connectors.kafka import KafkaSource
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from canonical import hex_of_float
from payloads import say

brokers, topic = sys.argv[1:]
say(version=version("bytewax"))


def busiest(message):
    is_file = dict(message.headers)["content-type"] == b"application/vnd.apache.arrow.file"
    frame = pl.read_ipc(message.value) if is_file else pl.read_ipc_stream(message.value)
    return message.key.decode(), frame["cpu_used"].max()


def shown(item):
    device, cpu_used = item
    return f'{{"device": "{device}", "cpu_used": "{hex_of_float(cpu_used)}"}}'


flow = Dataflow("reads")
messages = op.input("topic", flow, KafkaSource([brokers], [topic], tail=False))
maxima = op.max_final("max", op.map("polars", messages, busiest))
op.output("show", op.map("text", maxima, shown), StdOutSink())
cli_main(flow)
