"""TRC: the head, the frames and the times stay as they are, the positions change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvnet.data_loaders.motion.editing.recording import Curves, Recording
from mvnet.data_loaders.motion.formats.capture.trc import parse_trc


def open_trc(path: Path) -> Recording:
    """Markers that are seen in some frame, in the unit of the file.

    Raises:
        DataError: damaged.
    """
    text = parse_trc(path)
    seen = np.asarray(np.isfinite(text.positions).all(-1))
    there = np.flatnonzero(seen.any(0))
    names = tuple(text.markers[k] for k in there)
    curves = Curves("markers", text.positions[:, there], seen[:, there], None, names, text.unit)

    def write(target: Path, values: Sequence[np.ndarray]) -> None:
        changed = text.positions.copy()
        changed[:, there] = values[0]
        lines = [
            "\t".join([*row, *("" if np.isnan(x) else f"{x:.6f}" for x in frame.ravel())])
            for row, frame in zip(text.rows, changed)
        ]
        target.write_text("\n".join([*text.head, *lines]) + "\n", encoding="utf-8", errors="surrogateescape")

    return Recording(path, "trc", (curves,), write, lambda values: values[0], None, text.rate)
