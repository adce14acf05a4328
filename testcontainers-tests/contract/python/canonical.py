"""The values of a pyarrow array as contract/README.md writes them."""

import math
import struct

import pyarrow as pa
import pyarrow.types as t

DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def scaled(number, digits):
    """1050 with 3 digits after the point is "1.05"."""
    text = str(abs(number)).rjust(digits + 1, "0")
    whole, part = text[: len(text) - digits], text[len(text) - digits :].rstrip("0")
    return ("-" if number < 0 else "") + whole + ("." + part if part else "")


def hex_of_float(number):
    return "nan" if math.isnan(number) else struct.pack(">d", number).hex()


def each(convert, values):
    return [None if value is None else convert(value) for value in values]


def canonical(array):
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in canonical(chunk)]
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return canonical(array.storage)
    if t.is_dictionary(kind):
        return canonical(array.dictionary_decode())
    if t.is_boolean(kind) or t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        return array.to_pylist()
    if t.is_integer(kind):
        return each(str, array.to_pylist())
    if t.is_floating(kind):
        return each(lambda value: hex_of_float(float(value)), array.to_pylist())
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        return each(bytes.hex, array.to_pylist())
    if t.is_decimal(kind):
        # Not by the context of `decimal`, which rounds.
        return each(lambda value: scaled(unscaled(value), -value.as_tuple().exponent), array.to_pylist())
    if t.is_date32(kind):
        return each(lambda days: str(days * 86_400), array.view(pa.int32()).to_pylist())
    if t.is_date64(kind):
        return each(lambda ms: scaled(ms, 3), array.view(pa.int64()).to_pylist())
    if t.is_interval(kind):
        return each(seconds, array.to_pylist())
    if t.is_temporal(kind):
        width = pa.int32() if t.is_time32(kind) else pa.int64()
        return each(lambda value: scaled(value, DIGITS[kind.unit]), array.view(width).to_pylist())
    if t.is_struct(kind):
        names = [field.name for field in kind]
        columns = [canonical(array.field(i)) for i in range(kind.num_fields)]
        rows = [dict(zip(names, row)) for row in zip(*columns)]
        return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist())]
    if t.is_map(kind):
        keys, items = canonical(array.keys), canonical(array.items)
        return slices(array, [list(pair) for pair in zip(keys, items)])
    if t.is_fixed_size_list(kind):
        values, size = canonical(array.flatten()), kind.list_size
        starts = iter(range(0, len(values), size))
        return [values[(i := next(starts)) : i + size] if valid else None for valid in array.is_valid().to_pylist()]
    if t.is_list(kind) or t.is_large_list(kind):
        return slices(array, canonical(array.values))
    raise TypeError(f"no canonical text for {kind}")


def seconds(interval):
    if interval.months:
        raise ValueError(f"a month is no number of seconds: {interval}")
    return scaled(interval.days * 86_400 * 10**9 + interval.nanoseconds, 9)


def unscaled(value):
    sign, digits, _ = value.as_tuple()
    return int("".join(map(str, digits))) * (-1 if sign else 1)


def slices(array, values):
    """The values of each list, which lie from one offset to the next."""
    offsets = array.offsets.to_pylist()
    valid = array.is_valid().to_pylist()
    return [values[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(len(array))]
