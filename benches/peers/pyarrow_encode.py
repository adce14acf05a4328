"""Encodes record batches with pyarrow and times it, for the bench `codec`.

usage: pyarrow_encode.py FILE CODEC LEVEL THREADS

FILE is an Arrow IPC stream of the batches, CODEC is none, lz4 or zstd, LEVEL is 0 for codecs that
have none, THREADS is one or default.

Writes the payload of the first batch to stdout, its length in ASCII on a line before it. Then, for
each line of stdin with a number N, encodes N payloads, the batches in turn, and answers with the
nanoseconds that it took.
"""

import itertools
import sys
import time

import pyarrow as pa
from pyarrow import ipc


def write_options(codec, level, threads):
    # The codec object carries the level; `compression="zstd"` alone would be pyarrow's default, 1.
    compression = {
        "none": lambda: None,
        "lz4": lambda: pa.Codec("lz4"),
        "zstd": lambda: pa.Codec("zstd", int(level)),
    }[codec]()
    return ipc.IpcWriteOptions(compression=compression, use_threads=threads == "default")


def encode(batch, options):
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def main():
    path, codec, level, threads = sys.argv[1:]
    with open(path, "rb") as file:
        batches = list(ipc.open_stream(file.read()))
    options = write_options(codec, level, threads)

    payload = encode(batches[0], options)
    out = sys.stdout.buffer
    out.write(b"%d\n" % payload.size)
    out.write(payload)
    out.flush()

    for line in sys.stdin:
        turns = itertools.islice(itertools.cycle(batches), int(line))
        start = time.perf_counter_ns()
        for batch in turns:
            encode(batch, options)
        out.write(b"%d\n" % (time.perf_counter_ns() - start))
        out.flush()


if __name__ == "__main__":
    main()
