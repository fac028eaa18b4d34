"""C3D: the points change, everything else stays; gaps that were filled are points like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import reading
from mvnet.data_loaders.motion.editing.recording import Curves, Recording
from mvnet.data_loaders.motion.formats.capture.c3d import read_c3d
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.optional import import_optional


def open_c3d(path: Path) -> Recording:
    """Markers that are seen in some frame, in the unit of the file.

    Raises:
        DataError: damaged, no markers.
    """
    motions = read_c3d(path, ReadOptions(scale=1.0, up="z"))
    positions, names = motions.sequences[0], motions.joints
    seen = np.asarray(np.isfinite(positions).all(-1))
    there = np.flatnonzero(seen.any(0))
    marked = None if names is None else tuple(names[k] for k in there)
    curves = Curves("markers", positions[:, there], seen[:, there], None, marked, "units of the file")

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
