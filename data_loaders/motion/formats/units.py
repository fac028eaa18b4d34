"""Metres per unit of length: as asked, as the file names it, or by the size of a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import METRES

_WORDS = {"meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm", "millimeter": "mm", "millimetre": "mm"}
_WORDS |= {"inch": "in", "inche": "in"}  # without the s of the plural
_LARGEST = {"m": 4.0, "cm": 300.0, "mm": np.inf}  # extent of a person, in each unit


def metres_per_unit(path: Path, name: str, positions: np.ndarray, options: ReadOptions) -> tuple[float, str]:
    """Metres per unit of the file, and a note where it was guessed.

    Without a name it is the largest unit in which a person, of median extent over the frames, is of ordinary size.

    Args:
        name: of the unit as the file has it, "" without one.
        positions: (frames, joints, 3) in that unit, NaN where missing.
    Raises:
        DataError: a name that is not known, and no `scale`.
    """
    if options.scale:
        return options.scale, ""
    word = name.strip().strip(".").lower()
    word = _WORDS.get(word.removesuffix("s"), word)
    if word in METRES:
        return METRES[word], ""
    if word:
        raise DataError(f"{path}: found unit {name!r}, expected one of {', '.join(METRES)}; give scale")
    seen = np.isfinite(positions)
    extents = np.where(seen, positions, -np.inf).max(1) - np.where(seen, positions, np.inf).min(1)
    extents = extents.max(-1)[np.isfinite(extents).all(-1)]
    extent = float(np.median(extents)) if len(extents) else 0.0
    guess = next(unit for unit, largest in _LARGEST.items() if extent <= largest)
    return METRES[guess], f"no unit of length in the file, {guess} by the size of the motion; say scale=... if wrong"
