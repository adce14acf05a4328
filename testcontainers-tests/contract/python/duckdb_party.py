"""Reads into DuckDB, which takes its payloads from pyarrow's reader."""

import duckdb
import pyarrow as pa

from canonical import canonical
from payloads import run

connection = duckdb.connect()


def read(path, is_file):
    source = pa.OSFile(str(path))
    payload = pa.ipc.open_file(source).read_all() if is_file else pa.ipc.open_stream(source)
    connection.register("payload", payload)
    connection.execute("CREATE OR REPLACE TABLE stored AS SELECT * FROM payload")
    # As DuckDB has it after storing it.
    return connection.execute("SELECT * FROM stored ORDER BY n").to_arrow_table()


run(duckdb.__version__, read, lambda table: canonical(table.column(1)))
