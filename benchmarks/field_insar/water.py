"""Land of coherence .6 beside water of coherence 0: a river that ends in a lake, so that all land hangs together.

ranking         area under the curve of the quality, land against water, pixels within 3 of the bank left out.
unwrapping      the denoised phase by `mvnet denoise insar --unwrap snaphu`, weighted by the quality; by snaphu with one
    look of coherence .5 everywhere; and by scikit-image, which knows no weights. Percent of the land that is more than
    pi off, cycles common to all put aside. Left out where snaphu is not installed.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import mvnet
from benchmarks.field_insar.methods import Setup, above, below, ours
from benchmarks.field_insar.noises import CORRELATED, white
from benchmarks.harness import Target
from benchmarks.insar.scenes import true_phase
from mvnet.apps.insar.outputs import UNWRAPPED
from mvnet.apps.insar.unwrap import transfer, unwrap_skimage, unwrap_snaphu
from mvnet.apps.main import run

SIDE, SEEDS, LAND, BANK, AREA = 256, (0, 1, 2), 0.6, 3, 0.95
NOISES = {"white": white} | {name: CORRELATED[name] for name in ("boxcar 3", "bilinear x2")}
_CYCLES = 512  # the phase is a part of the scene of so many pixels, twice as steep as the gentle one
_CONSTANT = 0.5


def water(side: int, seed: int) -> np.ndarray:
    """(side, side) bool: a river of a tenth of the side that winds down from the upper edge into a lake."""
    y, x = np.indices((side, side)) / side
    start, bend = np.random.default_rng(seed).uniform((0.35, 0.05), (0.65, 0.12))
    river = (np.abs(x - start - bend * np.sin(9 * y)) < 0.05) & (y < 0.65)
    lake = np.hypot(x - start - bend * np.sin(9 * 0.65), y - 0.65) < 0.12
    return river | lake


def area_under_curve(high: np.ndarray, low: np.ndarray) -> float:
    """Probability that a value of `high` is above one of `low`, ties by half (Mann-Whitney)."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([high, low]))
    return float((ranks[: high.size].sum() - high.size * (high.size + 1) / 2) / (high.size * low.size))


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """A row of means over the seeds for every noise."""
    snaphu = find_spec("snaphu") is not None
    if not snaphu:
        print("water: found no package snaphu, expected it (pip install snaphu); not unwrapped", file=sys.stderr)
    side, seeds = (setup.side, SEEDS[:1]) if setup.quick else (SIDE, SEEDS)
    rows, targets = [], []
    for name, make in NOISES.items():
        found = []
        for seed in seeds:
            phase, wet = true_phase(_CYCLES, seed)[:side, :side], water(side, seed)
            z = make(phase, np.where(wet, 0.0, LAND), seed)
            denoised = ours(setup, z)
            from_land, from_water = (np.asarray(ndimage.distance_transform_edt(part)) for part in (wet, ~wet))
            land, lake = from_water > BANK, from_land > BANK
            one = {
                "area under curve": area_under_curve(denoised.quality[land], denoised.quality[lake]),
                "quality of land": float(denoised.quality[land].mean()),
                "of water": float(denoised.quality[lake].mean()),
            }
            found.append(one | (_wrong(setup, z, denoised.phase, phase, ~wet) if snaphu else {}))
        row = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        rows.append({"water": name, **row})
        targets.append(above(f"{name}: area under the curve, land over water", row["area under curve"], AREA))
        if snaphu:
            weighted, best = row["wrong %, quality"], min(row["wrong %, constant"], row["wrong %, no weights"])
            targets.append(below(f"{name}: percent of the land wrong, weighted by quality", weighted, best))
    return rows, targets


def _wrong(setup: Setup, z: np.ndarray, phase: np.ndarray, truth: np.ndarray, land: np.ndarray) -> dict[str, float]:
    """Percent of the land that is wrong after unwrapping the denoised phase, by every way."""
    everywhere, phase = np.ones(phase.shape, bool), phase.astype(np.float32)
    constant = np.full(phase.shape, _CONSTANT, np.float32)
    results = {
        "quality": transfer(unwrapped_by_command(setup, z), phase),
        "constant": unwrap_snaphu(phase, everywhere, constant, 1.0)[0],
        "no weights": unwrap_skimage(phase, everywhere),
    }
    return {f"wrong %, {name}": percent_off(found, truth, land) for name, found in results.items()}


def unwrapped_by_command(setup: Setup, z: np.ndarray) -> np.ndarray:
    """(H, W) radians: the phase of z unwrapped by `mvnet denoise insar --unwrap snaphu`, which denoises it first."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with (
        tempfile.TemporaryDirectory() as name,
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
    ):
        folder = Path(name)
        mvnet.save_model(folder / "model", setup.model)
        shape = {"height": z.shape[0], "width": z.shape[1], "count": 1, "dtype": "complex64"}
        with rasterio.open(folder / "z.tif", "w", driver="GTiff", **shape) as file:
            file.write(z, 1)
        command = ["denoise", "insar", folder / "z.tif", "-o", folder / "out.tif", "--unwrap", "snaphu"]
        status = run([str(word) for word in (*command, "--model", folder / "model", "--device", "cpu", "--quiet")])
        if status:
            raise RuntimeError(f"mvnet denoise insar: found exit status {status}, expected 0")
        (unwrapped,) = folder.glob(f"*{UNWRAPPED}")
        with rasterio.open(unwrapped) as file:
            return file.read(1)


def percent_off(unwrapped: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    """Of the pixels there, those more than pi off once the cycles common to most are put aside."""
    off = (unwrapped - truth)[where]
    off -= 2 * np.pi * np.round(np.median(off) / (2 * np.pi))
    return float(100 * (np.abs(off) > np.pi).mean())
