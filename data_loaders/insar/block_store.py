"""Blocks of rasters gathered in a folder until all are there, so that a killed run can go on.

    FOLDER/job.json     what is computed, from what; another job starts anew
    FOLDER/NAME.raw     the blocks of one raster, each in a place of its own: block k at k * block^2 items
    FOLDER/done.txt     "row column checksum" of every block written, one a line, appended after its data
    FOLDER/lock         held by the run that writes

A block is in the list only when its data were handed to the system: a run that is killed loses the blocks under way
and nothing else. One whose data did not reach the disk before a power failure has another checksum, and is not done.

The folder has a name that anybody can foresee: it is taken only if it is no link, belongs to the user, and holds
job.json and nothing that a store does not write.
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.layers import Window
from mvnet.errors import MvnetError
from mvnet.storage import FileLock, Staging, is_own_folder, json_text, lock_file, recover

_LAYOUT = 2  # of the folder
_OWN = re.compile(r"job\.json|lock|done\.txt|\w+\.(?:raw|tif)|extra-.+")  # names in it, of 0.1.0 too
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True)
class OutputSpec:
    """One raster to be written. nodata: declared in the file, None for none; unit and description of its band."""

    path: Path
    dtype: str
    nodata: float | None = None
    unit: str = ""
    description: str = ""


class BlockStore:
    """Blocks of rasters of one shape.

    Args:
        folder: made when missing; its parent exists.
        shape: (rows, columns).
        dtypes: name of every raster -> numpy type.
        block: rows and columns of a block; those at the lower and right borders are smaller.
        job: what is computed, as JSON; blocks of an unfinished run are kept only if it is the same.
    Raises:
        DataError: another run is writing into the folder, or it is none of ours.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, int], dtypes: Mapping[str, str], block: int, job: Mapping[str, Any]
    ):
        self.folder, self.shape, self.block = folder, shape, block
        self._dtypes = {name: np.dtype(kind) for name, kind in dtypes.items()}
        self._guard = threading.Lock()
        known = {"layout": _LAYOUT, "shape": list(shape), "block": block, "dtypes": dict(dtypes), "job": dict(job)}
        signature = json_text(known, sort_keys=True, indent=1, default=str)
        lock, self.resumed = _open_folder(folder, signature)
        flags = os.O_RDWR | os.O_CREAT | _NO_LINK
        self._files: dict[str, int] = {}
        with ExitStack() as opened:  # what fails half way leaves nothing open
            opened.callback(lock.release)
            for name in dtypes:
                self._files[name] = os.open(folder / f"{name}.raw", flags, 0o666)
                opened.callback(os.close, self._files[name])
            self._list = opened.enter_context(
                os.fdopen(os.open(folder / "done.txt", flags | os.O_APPEND, 0o666), "r+b")
            )
            self._done = self._read_done()
            self._opened = opened.pop_all()

    def _read_done(self) -> set[tuple[int, int]]:
        whole = self._list.read()
        whole = whole[: whole.rfind(b"\n") + 1]  # a torn last line is dropped
        self._list.truncate(len(whole))
        listed: dict[str, str] = {}
        for line in whole.decode("ascii", "replace").splitlines():
            place, _, checksum = line.rpartition(" ")
            listed[place] = checksum
        places = {f"{row} {column}": (row, column) for row, column in self._places()}
        return {place for name, place in places.items() if name in listed and self._checksum(place) == listed[name]}

    def _checksum(self, place: tuple[int, int]) -> str:
        """Of the data of a block as they are on the disk."""
        checksum, height = 0, self._window(place)[0]
        for name in self._dtypes:
            try:
                data = self._read_lines(name, place, slice(0, height.stop - height.start))
            except OSError:
                return ""
            checksum = zlib.crc32(data.tobytes(), checksum)
        return f"{checksum:08x}"

    def _places(self) -> list[tuple[int, int]]:
        rows, columns = (-(-n // self.block) for n in self.shape)
        return [(row, column) for row in range(rows) for column in range(columns)]

    def windows(self) -> list[Window]:
        """All blocks, row by row."""
        return [self._window(place) for place in self._places()]

    def pending(self) -> list[Window]:
        """The blocks not written yet."""
        return [self._window(place) for place in self._places() if place not in self._done]

    def _window(self, place: tuple[int, int]) -> Window:
        parts = [slice(i * self.block, min(n, (i + 1) * self.block)) for i, n in zip(place, self.shape)]
        return parts[0], parts[1]

    def write(self, window: Window, arrays: Mapping[str, np.ndarray]) -> None:
        """Store one block of every raster; may be called by several threads.

        Raises:
            ValueError: not a block of this store, an array missing or of another shape.
            OSError: the disk is full.
        """
        place = (window[0].start // self.block, window[1].start // self.block)
        if self._window(place) != window:
            raise MvnetError(f"window: found {window}, expected one of `windows()`")
        size, checksum = tuple(part.stop - part.start for part in window), 0
        for name, dtype in self._dtypes.items():
            array = arrays[name]
            if array.shape != size:
                raise MvnetError(f"{name}: found shape {array.shape}, expected {size}")
            data = memoryview(np.asarray(array, dtype=dtype).tobytes())
            checksum = zlib.crc32(data, checksum)
            offset = self._offset(place, dtype)
            while data:
                count = os.pwrite(self._files[name], data, offset)
                data, offset = data[count:], offset + count
        with self._guard:
            self._list.write(f"{place[0]} {place[1]} {checksum:08x}\n".encode())
            self._list.flush()
            self._done.add(place)

    def read(self, name: str, window: Window) -> np.ndarray:
        """Any window of one raster, as written; the blocks it touches are there."""
        rows, columns = window
        out = np.empty((rows.stop - rows.start, columns.stop - columns.start), self._dtypes[name])
        for row in range(rows.start // self.block, -(-rows.stop // self.block)):
            for column in range(columns.start // self.block, -(-columns.stop // self.block)):
                part = self._window((row, column))
                top, bottom = max(rows.start, part[0].start), min(rows.stop, part[0].stop)
                left, right = max(columns.start, part[1].start), min(columns.stop, part[1].stop)
                lines = self._read_lines(name, (row, column), slice(top - part[0].start, bottom - part[0].start))
                inner = lines[:, left - part[1].start : right - part[1].start]
                out[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = inner
        return out

    def _read_lines(self, name: str, place: tuple[int, int], lines: slice) -> np.ndarray:
        """Rows of one block."""
        dtype, part = self._dtypes[name], self._window(place)[1]
        line = (part.stop - part.start) * dtype.itemsize
        start, count, found = self._offset(place, dtype) + lines.start * line, (lines.stop - lines.start) * line, b""
        while len(found) < count:
            more = os.pread(self._files[name], count - len(found), start + len(found))
            if not more:
                raise OSError(f"{self.folder / name}.raw ends early")
            found = found + more if found else more
        return np.frombuffer(found, dtype=dtype).reshape(lines.stop - lines.start, -1)

    def _offset(self, place: tuple[int, int], dtype: np.dtype) -> int:
        return (place[0] * -(-self.shape[1] // self.block) + place[1]) * self.block**2 * dtype.itemsize

    def close(self) -> None:
        """Let go of the folder; what is in it stays for the next run. May be called twice."""
        self._files = {}
        self._opened.close()

    def discard(self) -> None:
        """Remove the folder."""
        self.close()
        if self.folder.is_dir():
            with Staging(self.folder.parent) as staging:  # which goes with all that is in it
                self.folder.rename(staging.path(""))


def _open_folder(folder: Path, signature: str) -> tuple[FileLock, bool]:
    """Lock the folder of a store, a new one where there is none of the same job; whether blocks may be in it."""
    recover(folder.parent)
    old = None
    if os.path.lexists(folder):
        _check_own(folder)
        old = _lock_folder(folder)
        if (folder / "job.json").read_bytes() == signature.encode():
            return old, True
    with Staging(folder.parent) as staging:
        staging.path("job.json").write_text(signature)
        staging.path("lock").touch()
        staging.commit({"": folder}, through=False)
    if old is not None:
        old.release()
    return _lock_folder(folder), False


def _check_own(folder: Path) -> None:
    """DataError for what is there if no store has made it."""
    if not is_own_folder(folder):
        raise DataError(f"output: found a link, or something of another user, at {folder}, expected nothing there")
    entries = {entry.name: entry.is_file(follow_symlinks=False) for entry in os.scandir(folder)}
    strange = sorted(name for name, is_file in entries.items() if not (is_file and _OWN.fullmatch(name)))
    if strange or "job.json" not in entries:
        found = strange[0] if strange else "no job.json"
        raise DataError(f"output: found {found} in {folder}, expected blocks of an earlier run only; remove it")


def _lock_folder(folder: Path) -> FileLock:
    lock = lock_file(folder / "lock")
    if lock is None:
        raise DataError(f"output: found another run that is writing into {folder}, expected none")
    return lock
