"""The loop of every Python party: payloads in, values and payloads out."""

import json
import sys
from pathlib import Path

CODECS = ["none", "lz4", "zstd"]


def say(**line):
    print(json.dumps(line))


def run(version, read, values, write=None):
    """Reads each payload as `read(path, is_file)` and shows `values` of it.

    What came from an uncompressed stream goes through `write(table, path, is_file, codec)`, in each
    framing and codec.
    """
    say(version=version)
    for path in sorted(Path(sys.argv[1]).iterdir()):
        try:
            table = read(path, path.suffix == ".arrow")
            say(file=path.name, values=values(table))
        except Exception as error:
            say(file=path.name, error=text(error))
            continue
        except BaseException as error:
            # Polars panics so.
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            say(file=path.name, error=text(error))
            continue
        if write and path.name.endswith("-none.arrows"):
            for suffix in [".arrows", ".arrow"]:
                for codec in CODECS:
                    to = Path(sys.argv[2], path.name.replace("-none.arrows", f"-{codec}{suffix}"))
                    try:
                        write(table, to, suffix == ".arrow", codec)
                    except Exception as error:
                        to.unlink(missing_ok=True)
                        say(wrote=to.name, error=text(error))


def text(error):
    return f"{type(error).__name__}: {error}"
