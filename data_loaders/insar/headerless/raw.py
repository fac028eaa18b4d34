"""Headerless rasters whose shape and type the user tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.headerless.byte_order import detect_order
from mvnet.data_loaders.insar.layers import RawLayer

ORDERS = {"little": "<", "big": ">"}
TYPES = {
    "complex64": "c8",
    "complex128": "c16",
    "float32": "f4",
    "float64": "f8",
    "complex_int16": "i2",
    "int16": "i2",
    "uint16": "u2",
    "uint8": "u1",
    "fcomplex": "c8",
    "scomplex": "i2",
    "float": "f4",
}
"""Names of types, GAMMA's among them -> numpy type without byte order."""
_PAIRS = ("complex_int16", "scomplex")
_BY_SIZE = {8: "complex64", 4: "float32", 16: "complex128", 1: "uint8"}


class RawShape(NamedTuple):
    """What is told of a headerless raster. shape: (rows, columns). dtype: key of `TYPES`, None to go by the size.
    byte_order: key of `ORDERS`, None to go by the magnitudes."""

    shape: tuple[int, int]
    dtype: str | None = None
    byte_order: str | None = None


def parse_raw(
    shape: str | tuple[int, int] | None, dtype: str | None = None, byte_order: str | None = None
) -> RawShape | None:
    """Check what is told of a headerless raster.

    Args:
        shape: (rows, columns), or as text "ROWS,COLUMNS".
        dtype, byte_order: of `RawShape`.
    Returns:
        None if nothing is told.
    Raises:
        DataError: no such type or order, a shape that is none or missing.
    """
    if dtype is not None and dtype not in TYPES:
        raise DataError(f"dtype: found {dtype!r}, expected one of {', '.join(TYPES)}")
    if byte_order is not None and byte_order not in ORDERS:
        raise DataError(f"byte_order: found {byte_order!r}, expected one of {', '.join(ORDERS)}")
    if shape is None:
        if (dtype, byte_order) != (None, None):
            raise DataError("shape: found none beside a type or byte order, expected ROWS,COLUMNS")
        return None
    numbers = re.split(r"\s*[,x]\s*", shape.strip()) if isinstance(shape, str) else [str(n) for n in shape]
    if len(numbers) != 2 or not all(number.isdecimal() and 0 < int(number) < 1 << 31 for number in numbers):
        raise DataError(f"shape: found {shape!r}, expected ROWS,COLUMNS such as 2000,3000")
    return RawShape((int(numbers[0]), int(numbers[1])), dtype, byte_order)


def raw_layer(path: Path, told: RawShape) -> tuple[RawLayer, list[str]]:
    """A headerless raster, and lines that say what was guessed.

    Raises:
        DataError: the file has another size.
    """
    pixels, size = told.shape[0] * told.shape[1], path.stat().st_size
    name = told.dtype or _BY_SIZE.get(size // pixels if size % pixels == 0 else 0)
    if name is None:
        sizes = ", ".join(f"{pixels * width} ({name})" for width, name in _BY_SIZE.items())
        raise DataError(f"{path}: found {size} bytes, expected for the shape {told.shape} one of {sizes}")
    pairs, kind = name in _PAIRS, TYPES[name]
    needed = pixels * np.dtype(kind).itemsize * (2 if pairs else 1)
    if size != needed:
        raise DataError(f"{path}: found {size} bytes, expected {needed} for the shape {told.shape} of {name}")
    lines = [] if told.dtype else [f"{path.name}: {name}, by the size of the file"]
    order = ORDERS[told.byte_order] if told.byte_order else detect_order(path, kind, "<")
    if told.byte_order is None and np.dtype(kind).itemsize > 1:
        lines.append(f"{path.name}: {'little' if order == '<' else 'big'}-endian, by the magnitudes of its values")
    dtype = "complex64" if pairs else np.dtype(kind).name
    return RawLayer(path=str(path), shape=told.shape, dtype=dtype, stored=order + kind, pairs=pairs), lines
