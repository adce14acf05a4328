"""Reads and writes with pyarrow."""

import pyarrow as pa

from canonical import canonical
from payloads import run


def read(path, is_file):
    with pa.OSFile(str(path)) as source:
        return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()


def write(table, path, is_file, codec):
    options = pa.ipc.IpcWriteOptions(compression=None if codec == "none" else codec)
    make = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with make(str(path), table.schema, options=options) as writer:
        writer.write_table(table)


run(pa.__version__, read, lambda table: canonical(table.column(1)), write)
