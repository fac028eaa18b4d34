"""Arrays that programs save: NumPy's .npy and .npz, MATLAB's .mat up to version 7."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.formats.array_layers import ArrayLayer
from mvnet.data_loaders.insar.formats.choice import PRODUCTS, select_layers
from mvnet.data_loaders.insar.formats.datasets import DatasetFile
from mvnet.data_loaders.insar.layers import Layer, RawLayer
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.npz_files import read_npy_header, read_npz


def npy_layer(path: Path, wanted: str | int | None = None) -> RawLayer:
    """The array of a .npy file, mapped; of three axes the image at position `wanted` along the first.

    Raises:
        DataError: damaged file, no numbers, another number of axes, a position outside.
    """
    with reading(path, ".npy"), open(path, "rb") as file:
        shape, by_column, dtype = read_npy_header(file, path)
        start = file.tell()
    if dtype.kind not in "fciu":
        raise DataError(f"{path}: found an array of {dtype}, expected numbers")
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 3 and not by_column:
        if not str(wanted).isdigit() or int(str(wanted)) >= shape[0]:
            raise DataError(f"layer: found {wanted} for the {shape[0]} images of {path}, expected 0 to {shape[0] - 1}")
        start, shape = start + int(str(wanted)) * shape[1] * shape[2] * dtype.itemsize, shape[1:]
    if len(shape) != 2 or min(shape) < 1:
        raise DataError(f"{path}: found an array of shape {shape}, expected (rows, columns)")
    needed, size = start + shape[0] * shape[1] * dtype.itemsize, path.stat().st_size
    if size < needed:
        raise DataError(f"{path}: found {size} bytes, expected at least {needed}: the file is truncated")
    plain = str(dtype.newbyteorder("="))
    return RawLayer(path=str(path), shape=shape, dtype=plain, stored=dtype.str, start=start, by_column=by_column)


@dataclass(frozen=True, kw_only=True)
class SavedLayer(ArrayLayer):
    """An array of a file that is read as a whole."""

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        arrays = _arrays(self.path, Path(self.path).stat().st_mtime_ns)
        return self._take(arrays[self.dataset], rows, columns)


def saved_layers(path: Path, wanted: str | int | None, coherence: bool) -> tuple[Layer, Layer | None]:
    """Interferogram and coherence of a .npz or .mat file; arguments and errors as `hdf5_layers`."""
    with reading(path, path.suffix):
        arrays = _arrays(str(path), path.stat().st_mtime_ns)
    images = {name: values for name, values in arrays.items() if values.ndim in (2, 3) and values.dtype.kind in "fciu"}
    if wanted is None and not coherence:
        wanted = _only_one(images)
    return select_layers(DatasetFile(path, images, {}, SavedLayer), wanted, PRODUCTS["any"], coherence)


def _only_one(images: dict[str, Any]) -> str | None:
    """The name of a single array, which may be called anything."""
    return next(iter(images)) if len(images) == 1 else None


class _Named(np.ndarray):
    """An array with the attributes of a dataset."""

    attrs: dict[str, Any] = {}


@lru_cache(maxsize=2)
def _arrays(path: str, changed: int) -> dict[str, np.ndarray]:
    """The numeric arrays of a file. changed: its time, so that another file of the name is read anew."""
    if path.endswith(".npz"):
        found = read_npz(path)
    else:
        _check_version(path)
        found = vars(parse_isolated("MATLAB", Path(path), squeeze=False))
    return {name: values.view(_Named) for name, values in found.items() if isinstance(values, np.ndarray)}


def _check_version(path: str) -> None:
    with open(path, "rb") as file:
        if file.read(19) == b"MATLAB 7.3 MAT-file":
            raise DataError(f"{path}: found MATLAB version 7.3, expected version 7 or older: save it with -v7")
