"""Two real Sentinel-1 scenes with their noise as it is (MVNET_DATA); there is no truth.

eo_tools        a phase, multilooked and geocoded, 552 x 673 pixels; and a window of it where 0.1.0 was at its worst.
sarxarray       the product of two single-look images, 84 x 338 pixels.

split           rms and median of f(odd rows) - f(even rows), either half filtered alone, the even rows averaged to
    where the odd ones are: noise that is left, but a filter that smooths all away wins. So read it with
removed         rms of the 9 x 9 mean of what the filter took away, 0 where that was only noise, and
residues        loops of 2 x 2 pixels with data round which the filtered phase does not add up to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.field_insar.methods import OURS, Setup, below, ours
from benchmarks.field_insar.pairs import sentinel_pair, sentinel_phase
from benchmarks.harness import Target
from benchmarks.insar.peers import boxcar, gauss, goldstein, unit
from benchmarks.insar.scenes import residue_loops, wrapped

EVERYWHERE = (slice(None), slice(None))
WORST = (slice(416, 544), slice(352, 480))
SPLIT = {"eo_tools": 0.015, "eo_tools, window": 0.015, "sarxarray": 0.22}
REMOVED = {"eo_tools": 0.0094, "sarxarray": 0.1112}
"""What the weights of version 0.1.0 remove, radians."""

MORE, RESIDUES, MEAN = 1.3, 100, 9

Filter = Callable[[np.ndarray], np.ndarray]
PEERS: dict[str, Filter] = {
    "Goldstein .5": lambda z: goldstein(z, 0.5),
    "Goldstein 1": lambda z: goldstein(z, 1.0),
    "boxcar 3, Goldstein 1": lambda z: goldstein(unit(boxcar(z, 3)), 1.0),
    "boxcar 5": lambda z: boxcar(z, 5),
    "Gauss 1.5": lambda z: gauss(z, 1.5),
}


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """A row for every filter and scene; nothing without the data."""
    scenes, pair, phase = {}, sentinel_pair(setup.quick), sentinel_phase()
    if phase is not None and setup.quick:
        scenes["eo_tools, window"] = (phase[WORST], EVERYWHERE)
    elif phase is not None:
        scenes["eo_tools"], scenes["eo_tools, window"] = (phase, EVERYWHERE), (phase, WORST)
    if pair is not None:
        scenes["sarxarray"] = (pair[0] * pair[1].conj(), EVERYWHERE)
    rows, targets = [], []
    for scene, (z, part) in scenes.items():
        filters: dict[str, Filter] = {"none": np.angle, **PEERS, OURS: lambda image: ours(setup, image).phase}
        found = [{"real scene": scene, "method": name, **judged(f, z, part)} for name, f in filters.items()]
        rows += found
        mine = found[-1]
        targets.append(below(f"{scene}: rms between the halves", mine["split rms"], SPLIT[scene]))
        if scene in REMOVED:
            targets.append(below(f"{scene}: 9 x 9 mean removed", mine["removed"], MORE * REMOVED[scene]))
    if pair is not None:
        targets.append(below("sarxarray: residues", rows[-1]["residues"], RESIDUES))
    return rows, targets


def judged(f: Filter, z: np.ndarray, part: tuple[slice, slice]) -> dict[str, float]:
    """Scores of a filter over the pixels with data of a part whose first row is even."""
    phase, valid = f(z), z != 0
    off = np.abs(split(f, z)[part[0].indices(len(z))[0] // 2 : part[0].indices(len(z))[1] // 2, part[1]])
    off = off[np.isfinite(off)]
    taken = np.asarray(ndimage.uniform_filter(np.where(valid, wrapped(np.angle(z) - phase), 0), MEAN))
    inside = np.asarray(ndimage.minimum_filter(valid, MEAN), dtype=bool)
    whole = valid[1:, 1:] & valid[1:, :-1] & valid[:-1, 1:] & valid[:-1, :-1]
    return {
        "split rms": float(np.sqrt(np.mean(off**2))),
        "split median": float(np.median(off)),
        "removed": float(np.sqrt(np.mean(taken[part][inside[part]] ** 2))),
        "residues": int((residue_loops(phase) & whole)[part].sum()),
    }


def split(f: Filter, z: np.ndarray) -> np.ndarray:
    """(h, W) radians, one row for every odd row of z: f(odd rows) - f(even rows), NaN where one has no data.

    The phase of the even rows is averaged on the circle over the two next to the odd one.
    """
    even, odd = (np.where(half != 0, np.exp(1j * f(np.ascontiguousarray(half))), np.nan) for half in (z[::2], z[1::2]))
    rows = min(len(even) - 1, len(odd))
    between = even[:rows] + even[1 : rows + 1]
    return np.angle(odd[:rows] * between.conj())
