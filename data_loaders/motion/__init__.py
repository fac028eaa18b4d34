"""Motions: files in, curves of positions or rotations out.

motions = load_motion("Florence3D")                          format found by itself
for train, test in splits(motions, "cross-subject"): ...     published splits, or one subject out at a time
save_motion(motions, "florence.npz")                         the neutral file, plain arrays
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.npz import read_neutral, save_motion
from mvnet.data_loaders.motion.formats.registry import FORMATS, Format, read_motion
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels, fill_missing, subset
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.splits import SCHEMES, Split, splits

__all__ = [
    "FORMATS",
    "SCHEMES",
    "DataError",
    "Format",
    "MotionSet",
    "ReadOptions",
    "Split",
    "encode_labels",
    "fill_missing",
    "load_motion",
    "read_neutral",
    "save_motion",
    "splits",
    "subset",
]


def load_motion(path: str | os.PathLike[str], format: str | None = None, **options: Any) -> MotionSet:
    """Read the motions of a file or folder of any format.

    Args:
        path: a file, the folder of a data set, or a folder with one folder for each class.
        format: a name in `FORMATS`; None recognises it by its content.
        options: what the file does not say itself, see `ReadOptions`: scale, up, order, unit, rate, value.
    Raises:
        DataError: no such file, unknown format, truncated or damaged file, something the file leaves open and no
            option says; names the file, what was found and what was expected.
    """
    given = ReadOptions.of(options)
    return given.hold(read_motion(Path(path), given, format))
