"""Bytes that an image declares, against those that its file can hold: asked before any is read."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError

_RATIOS = {".gz": 1032, ".bz2": 1 << 15, ".zst": 1 << 17}
"""End of a name -> bytes at most that a byte of such a file stands for: deflate packs 258 into two bits."""
_SLACK = 1 << 16  # bytes


def check_declared(path: Path, shape: Sequence[int], dtype: Any, offset: int = 0, packed: bool = False) -> None:
    """Refuse an image that its file cannot hold.

    Args:
        path: of the file with the voxels.
        shape: as the header has it.
        dtype: of a voxel.
        offset: bytes before the voxels.
        packed: the voxels are compressed by deflate whatever the name says.
    Raises:
        DataError: a length below zero, or more bytes than the file can hold.
    """
    lengths = [int(length) for length in shape]
    if min(lengths, default=0) < 0:
        raise DataError(f"{path}: found shape {tuple(lengths)}, expected no negative length")
    ratio = _RATIOS.get(path.suffix.lower(), _RATIOS[".gz"] if packed else 1)
    declared, size = max(0, int(offset)) + prod(lengths) * np.dtype(dtype).itemsize, path.stat().st_size
    if declared > (size if ratio == 1 else ratio * size + _SLACK):
        found = f"{size} bytes, of which a header declares {declared}"
        raise DataError(f"{path}: found {found} for shape {tuple(lengths)}, expected all of them: truncated or damaged")


def check_image(image: Any, path: Path) -> None:
    """`check_declared` of a nibabel image whose voxels have not been read."""
    proxy = image.dataobj
    if isinstance(proxy, np.ndarray):
        return
    name = getattr(image.file_map.get("image"), "filename", None)
    place = Path(name) if name and Path(name).is_file() else path
    check_declared(place, proxy.shape, image.get_data_dtype(), getattr(proxy, "offset", 0))
