"""Inserts with clickhouse-connect, from pyarrow tables: URL DATABASE IN. Values are looked up by others."""

import sys
import urllib.parse
from pathlib import Path

import clickhouse_connect
import pyarrow as pa

from payloads import say, text

url, database, payloads = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
client = clickhouse_connect.get_client(host=url.hostname, port=url.port, database=database)
say(version=clickhouse_connect.__version__)
for path in sorted(payloads.iterdir()):
    opened = pa.ipc.open_file if path.suffix == ".arrow" else pa.ipc.open_stream
    try:
        with pa.OSFile(str(path)) as source:
            client.insert_arrow(f"`{database}`.`{path.name}`", opened(source).read_all())
        say(file=path.name, values=[])
    except Exception as error:
        say(file=path.name, error=text(error))
