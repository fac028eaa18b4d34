"""Markers of C3D files through ezc3d, in metres, NaN where a marker was not seen.

The vertical is z as in most laboratories, or as `up` says: the file does not hold it. Markers form no tree, so there
is no `parent`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import METRES, one_recording
from mvnet.data_loaders.optional import import_optional


def is_c3d(path: Path) -> bool:
    """The second byte is 80 and the first points to the parameters."""
    if not path.is_file() or path.suffix.lower() != ".c3d":
        return False
    with open(path, "rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[1] == 0x50


def read_c3d(path: Path, options: ReadOptions) -> MotionSet:
    """Positions (frames, markers, 3) in metres.

    Raises:
        DataError: damaged, no markers, a unit that is not known and no `scale`.
    """
    import_optional("ezc3d", "motion")
    file = parse_isolated("C3D", path)
    residuals, parameters = file.residuals, vars(file.parameters)
    positions = file.points[:3].transpose(2, 1, 0)
    if 0 in positions.shape:
        raise DataError(f"{path}: found {positions.shape[1]} markers in {positions.shape[0]} frames, expected some")
    unit = (parameters["UNITS"] or [""])[0].strip().lower()
    if options.scale is None and unit not in METRES:
        raise DataError(f"{path}: found unit {unit!r}, expected one of {', '.join(METRES)}; give scale")
    scale = options.scale or METRES[unit]
    seen = (residuals.T >= 0) & ~(positions == 0).all(-1)  # a negative residual marks an invalid point
    return one_recording(
        path,
        options,
        positions=np.where(seen[..., None], positions, np.nan) * scale,
        joints=_labels(parameters, positions.shape[1]),
        rate=float(np.ravel(parameters["RATE"])[0]) or None,
        scale=scale,
        default_up="z",
    )


def _labels(parameters: dict[str, Any], count: int) -> tuple[str, ...]:
    """Names of the markers; from the 256th on they are in LABELS2, LABELS3, ..."""
    keys = [key for key in ["LABELS"] + [f"LABELS{i}" for i in range(2, 100)] if key in parameters]
    names = [name.strip() for key in keys for name in parameters[key]]
    return tuple((names + [f"marker {i + 1}" for i in range(len(names), count)])[:count])
