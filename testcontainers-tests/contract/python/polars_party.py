"""Reads and writes with Polars."""

import polars as pl

from canonical import canonical
from payloads import run


def read(path, is_file):
    return pl.read_ipc(path) if is_file else pl.read_ipc_stream(path)


def write(frame, path, is_file, codec):
    compression = "uncompressed" if codec == "none" else codec
    (frame.write_ipc if is_file else frame.write_ipc_stream)(path, compression=compression)


def values(frame):
    # The column as Polars holds it, not as it was read.
    return canonical(frame.to_series(1).rechunk().to_arrow())


run(pl.__version__, read, values, write)
