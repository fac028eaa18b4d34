"""Real Sentinel-1 scenes of MVNET_DATA, their noise as it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

_SHAPE, _DAYS = (84, 338), ("19Mar2023", "31Mar2023")


def _folder(name: str) -> Path | None:
    """A folder of the real data; None, and a line that says so, where it is not there."""
    folder = Path(os.environ.get("MVNET_DATA", ".")) / "insar" / name
    if folder.is_dir():
        return folder
    print(f"MVNET_DATA: found no insar/{name}, expected a real scene there; left out", file=sys.stderr)
    return None


def sentinel_pair(quick: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Two co-registered single-look images (84, 338), complex64, of sarxarray; quick: their first 84 columns."""
    folder = _folder("sarxarray")
    if folder is None:
        return None
    parts = [
        [np.fromfile(folder / f"{part}_VV_{day}.f4be", dtype=">f4").reshape(_SHAPE) for part in "iq"] for day in _DAYS
    ]
    shown = slice(_SHAPE[0] if quick else None)
    first, second = ((real + 1j * imaginary).astype(np.complex64)[:, shown] for real, imaginary in parts)
    return first, second


def sentinel_phase() -> np.ndarray | None:
    """(552, 673) complex64 of amplitude 1, 0 where there are no data: the multilooked, geocoded phase of eo_tools."""
    import rasterio

    folder = _folder("eo_tools")
    if folder is None:
        return None
    with rasterio.open(folder / "phi_vv.tif") as file:
        phase = file.read(1, masked=True)
    return np.where(np.ma.getmaskarray(phase), 0, np.exp(1j * phase.filled(0))).astype(np.complex64)
