"""Blocks of rasters gathered in a folder until all are there, so that a killed run can go on.

    FOLDER/job.json     what is computed, from what; another job starts anew
    FOLDER/NAME.raw     the blocks of one raster, each in a place of its own: block k at k * block^2 items
    FOLDER/done.txt     "row column" of every block written, one a line, appended after its data
    FOLDER/lock         held by the run that writes

A block is in the list only when its data were handed to the system: a run that is killed loses the blocks under way
and nothing else. (After a power failure, remove the folder.)
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.layers import Window
from mvnet.errors import MvnetError
from mvnet.storage import write_atomically

_LAYOUT = 1  # of the folder


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
        DataError: another run is writing into the folder.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, int], dtypes: Mapping[str, str], block: int, job: Mapping[str, Any]
    ):
        self.folder, self.shape, self.block = folder, shape, block
        self._dtypes = {name: np.dtype(kind) for name, kind in dtypes.items()}
        self._guard = threading.Lock()
        folder.mkdir(exist_ok=True)
        self._lock = _lock_folder(folder)
        known = {"layout": _LAYOUT, "shape": list(shape), "block": block, "dtypes": dict(dtypes), "job": dict(job)}
        signature = json.dumps(known, sort_keys=True, indent=1, default=str)
        job_file = folder / "job.json"
        self.resumed = job_file.is_file() and job_file.read_text() == signature
        if not self.resumed:
            for old in folder.iterdir():
                if old.name != "lock":
                    old.unlink()
        self._files = {name: os.open(folder / f"{name}.raw", os.O_RDWR | os.O_CREAT, 0o666) for name in dtypes}
        self._done = self._read_done()
        self._list = open(folder / "done.txt", "a")  # noqa: SIM115  closed in close()
        if not self.resumed:
            write_atomically(job_file, signature.encode())

    def _read_done(self) -> set[tuple[int, int]]:
        path = self.folder / "done.txt"
        if not path.is_file():
            return set()
        whole = path.read_text()
        whole = whole[: whole.rfind("\n") + 1]  # a torn last line is dropped
        os.truncate(path, len(whole))
        found = {(int(row), int(column)) for row, column in (line.split() for line in whole.splitlines())}
        return found & set(self._places())

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
        size = tuple(part.stop - part.start for part in window)
        for name, dtype in self._dtypes.items():
            array = arrays[name]
            if array.shape != size:
                raise MvnetError(f"{name}: found shape {array.shape}, expected {size}")
            data = memoryview(np.asarray(array, dtype=dtype).tobytes())
            offset = self._offset(place, dtype)
            while data:
                count = os.pwrite(self._files[name], data, offset)
                data, offset = data[count:], offset + count
        with self._guard:
            self._list.write(f"{place[0]} {place[1]}\n")
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
        for file in self._files.values():
            os.close(file)
        self._files = {}
        if not self._list.closed:
            self._list.close()
            os.close(self._lock)

    def discard(self) -> None:
        """Remove the folder."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _lock_folder(folder: Path) -> int:
    """A descriptor that holds the lock of the folder until it is closed or the process ends."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # no such locks on this system
        pass
    except OSError as error:
        os.close(lock)
        raise DataError(f"output: found another run that is writing into {folder}, expected none") from error
    return lock
