"""MintPy's `ifgramStack.h5`: datasets (pair, y, x), the dates of the pairs, and which of them are dropped.

The copy has the denoised phase in `wrapPhase`, in `mvnetQuality` its quality, 0 of pairs that were not denoised, and,
where there is `unwrapPhase`, the same moved by what was denoised in `unwrapPhase_mvnet`. A stack without `coherence`
gets the quality for it. All else stays.

Source: mintpy.readthedocs.io, "Data structure, ifgramStack"; mintpy.ifgram_inversion, --dset.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.extent import check_count
from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.checks.hdf5_files import open_hdf5
from mvnet.data_loaders.insar.checks.sources import Access
from mvnet.data_loaders.insar.formats.arrays import is_mintpy
from mvnet.data_loaders.insar.formats.headers import text
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Pair, Stack, StackKind, follow, keep
from mvnet.data_loaders.insar.stacks.copies import copy_of
from mvnet.data_loaders.insar.stacks.cube import put_quality, replace_values, slabs, write_pairs

NAME = "mintpy"
_WRAPPED, _UNWRAPPED, _COHERENCE = "wrapPhase", "unwrapPhase", "coherence"
_QUALITY, _MOVED = "mvnetQuality", "unwrapPhase_mvnet"
_SIDE = 256  # of the chunks of new datasets


def find(path: Path, access: Access) -> Stack | None:
    """The stack in a file, if it holds more than one pair."""
    if not is_mintpy(path):
        return None
    with reading(path, "HDF5"), open_hdf5(path, access=access) as file:
        read = next((name for name in (_WRAPPED, _UNWRAPPED) if name in file), None)
        if read is None or file[read].ndim != 3 or len(file[read]) < 2:
            return None
        number = len(file[read])
        check_count(number, "pairs", str(path))
        names = _names(file, path, number)
        used = _used(file, number)
        without = _COHERENCE not in file
    pairs = tuple(
        Pair(name, path, (path,), (f"{name}_quality.tif", f"{name}.tif"), str(k), k)
        for k, name in enumerate(names)
        if used[k]
    )
    left_out = tuple(name for k, name in enumerate(names) if not used[k])
    if not pairs:
        raise DataError(f"{path}: found that dropIfgram drops all {number} pairs, expected one to be kept")
    messages = [f"{read} of {len(pairs)} pairs is read"]
    if left_out:
        messages.append(f"{len(left_out)} pairs that dropIfgram drops are left out: {', '.join(left_out)}")
    if read == _UNWRAPPED:
        messages.append(
            f"the denoised phase is written to {_WRAPPED}, and with the ambiguities of the stack to {_MOVED}"
        )
    if without:
        messages.append(f"the stack has no {_COHERENCE}: the quality stands for it")
    return Stack(path, NAME, pairs, False, left_out, tuple(messages))


def _names(file: Any, path: Path, number: int) -> list[str]:
    """The dates of the pairs."""
    if "date" not in file or file["date"].shape != (number, 2):
        raise DataError(f"{path}: found no dates of {number} pairs, expected a dataset date of two columns")
    names = ["_".join(text(day) for day in pair) for pair in read_checked(file["date"])]
    if len(set(names)) < number:
        raise DataError(f"{path}: found a pair of dates twice, expected {number} different ones")
    return names


def _used(file: Any, number: int) -> np.ndarray:
    """Which pairs are not dropped."""
    if "dropIfgram" in file and file["dropIfgram"].shape == (number,):
        return read_checked(file["dropIfgram"]).astype(bool)
    return np.ones(number, dtype=bool)


def gather(stack: Stack, denoised: Mapping[str, DenoisedPair], target: Path) -> None:
    """The copy of the stack with the denoised pairs in it."""
    copy_of(stack.path, target, stack.access)
    with reading(stack.path, "HDF5"), open_hdf5(target, "r+", None) as file:
        unwrapped = file.get(_UNWRAPPED)
        if _WRAPPED not in file:
            _fill(_create(file, _WRAPPED, unwrapped, "radian"), unwrapped, _wrap)
        write_pairs(file[_WRAPPED], stack, denoised, replace_values(nodata=0))
        if unwrapped is not None:
            moved = _create(file, _MOVED, unwrapped, "radian")
            _fill(moved, unwrapped, np.asarray)
            write_pairs(moved, stack, denoised, follow)
        quality = _create(file, _QUALITY, file[_WRAPPED], "1")
        write_pairs(quality, stack, denoised, put_quality)
        if _COHERENCE not in file:
            file[_COHERENCE] = quality


def _wrap(phase: np.ndarray) -> np.ndarray:
    return np.where(phase == 0, 0, np.angle(np.exp(1j * phase))).astype(np.float32)


def _create(file: Any, name: str, like: Any, unit: str) -> Any:
    """A new dataset of the shape of another, in place of one of its name."""
    if name in file:
        del file[name]
    chunks = (1, *(min(_SIDE, n) for n in like.shape[1:]))
    made = file.create_dataset(name, like.shape, "float32", chunks=chunks, compression=like.compression)
    made.attrs["UNIT"] = unit
    return made


def _fill(target: Any, source: Any, change: Any) -> None:
    for slab in slabs(source.shape, target.chunks):
        target[slab.place] = change(read_checked(source, slab.place).astype(np.float32, copy=False))


KIND = StackKind(NAME, find, keep, gather, (".h5", ".he5", ".hdf5"))
