"""C3D: the points change, everything else stays; gaps that were filled are points like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.editing.recording import Curves, Recording
from mvnet.data_loaders.motion.formats.capture.c3d import parse_c3d
from mvnet.data_loaders.optional import import_optional


def open_c3d(path: Path) -> Recording:
    """Markers that are seen in some frame, in the unit of the file; angles and forces among the points stay.

    Raises:
        DataError: damaged, no markers.
    """
    motions = parse_c3d(path)
    seen = np.asarray(np.isfinite(motions.positions).all(-1)) & ~motions.output
    there = np.flatnonzero(seen.any(0))
    if not len(there):
        raise DataError(f"{path}: found no markers in {len(seen)} frames, expected some")
    names = tuple(motions.labels[k] or f"marker {k + 1}" for k in there)
    curves = Curves("markers", motions.positions[:, there], seen[:, there], None, names, "units of the file")

    def write(target: Path, values: Sequence[np.ndarray]) -> None:
        ezc3d = import_optional("ezc3d", "motion")
        with reading(path, "C3D"):
            file = ezc3d.c3d(str(path))
            points, meta = file["data"]["points"], file["data"]["meta_points"]
            points[:3, there] = values[0].transpose(2, 1, 0)
            points[3, there] = 1
            filled = ~seen[:, there].T
            meta["residuals"][0, there] = np.where(filled, 0.0, meta["residuals"][0, there])
            file["data"]["points"] = points
            file.write(str(target))

    return Recording(path, "c3d", (curves,), write, lambda values: values[0], None, motions.rate)
