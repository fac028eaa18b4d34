"""The formats that can be written back. A new one is one file and one line here; the reader recognises it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.editing.bvh import open_bvh
from mvnet.data_loaders.motion.editing.c3d import open_c3d
from mvnet.data_loaders.motion.editing.npz import open_npz
from mvnet.data_loaders.motion.editing.recording import Recording
from mvnet.data_loaders.motion.editing.trc import open_trc
from mvnet.data_loaders.motion.formats.registry import FORMATS, find_format

EDITABLE: dict[str, Callable[[Path], Recording]] = {
    "bvh": open_bvh,
    "c3d": open_c3d,
    "trc": open_trc,
    "npz": open_npz,
}
"""Name of a format of `FORMATS` -> how a file of it is opened for change."""


def open_recording(path: Path) -> Recording:
    """Open a file for change.

    Raises:
        DataError: no such file, a format that cannot be written back, a damaged file.
    """
    if path.is_dir():
        raise DataError(f"{path}: found a folder, expected one recording")
    found = find_format(path, tuple(entry for entry in FORMATS if entry.name in EDITABLE))
    if found is None:
        raise DataError(f"{path}: found an unknown format, expected one of {', '.join(EDITABLE)}")
    with reading(path, found.name):
        return EDITABLE[found.name](path)
