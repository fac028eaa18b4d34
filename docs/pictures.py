"""The pictures of README and of the documentation: `make pictures`, or `python docs/pictures.py [FOLDER]`.

Made by the commands themselves from the real data that MVNET_DATA names: 12 directions of the Sherbrooke in-vivo scan
beside the fit of all 64 (slices that no weight has seen), and a Sentinel-1 interferogram; the pages that the
commands make of them; and failures. Each stays below 300 KiB.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from drawing import grid, save, shrink
from failures import draw_failures
from page_pictures import draw_pages

SLICES, SHOWN = slice(28, 44), 8  # of the scan, left out of training; the one that is shown
DIRECTIONS = 12
DETAIL = (slice(0, 150), slice(340, 490))  # rows and columns of the interferogram


def main(folder: Path) -> None:
    data = Path(os.environ["MVNET_DATA"])
    folder.mkdir(parents=True, exist_ok=True)
    draw_failures(folder)
    with tempfile.TemporaryDirectory() as work:
        draw_brain(data / "dti/invivo_sherbrooke_1p8mm", Path(work), folder / "brain.png")
        draw_interferogram(data / "insar/eo_tools", Path(work), folder / "interferogram.png")
        brain = next((Path(work) / "denoised").rglob("*_report.html"))
        for path in draw_pages(brain, Path(work) / "out_report.html", Path(work), folder):
            shrink(path)


def run(*arguments: str | Path) -> None:
    """One `mvnet` command."""
    subprocess.run([sys.executable, "-m", "mvnet.apps.main", *map(str, arguments), "-q"], check=True)


# ---- diffusion tensors ----


def draw_brain(scan: Path, work: Path, path: Path) -> None:
    """Colour FA over FA: fit of 12 directions, the same denoised, fit of all 64."""
    few, every = write_dwi(scan, work, "few", DIRECTIONS), write_dwi(scan, work, "all", 64)
    columns = {
        f"{DIRECTIONS} directions, least-squares fit": denoise(few, work / "raw", 0),
        f"{DIRECTIONS} directions, mvnet": denoise(few, work / "denoised", 1),
        "64 directions, least-squares fit": denoise(every, work / "reference", 0),
    }
    rows = [[colour for colour, _ in columns.values()], [fa for _, fa in columns.values()]]
    low, high = bounding_box(rows[1][2] > 0)
    crop = tuple(slice(max(a - 2, 0), b + 3) for a, b in zip(low, high, strict=True))
    planes = [[np.rot90(plane[crop]) for plane in row] for row in rows]
    save(grid(planes, list(columns), [{}, {"cmap": "gray", "vmin": 0, "vmax": 0.9}]), path)


def write_dwi(scan: Path, work: Path, name: str, directions: int) -> Path:
    """The b0 and the first well-spread directions of the slices that are shown, with gradient files beside it."""
    import nibabel

    image: Any = nibabel.load(scan / "dwi.nii.gz")
    values, vectors = np.loadtxt(scan / "dwi.bval"), np.loadtxt(scan / "dwi.bvec")
    vectors = vectors if vectors.shape[0] == 3 else vectors.T
    weighted = np.flatnonzero(values > 50)
    chosen = [*np.flatnonzero(values <= 50), *weighted[spread(vectors[:, weighted].T, directions)]]
    part = image.slicer[:, :, SLICES]
    path = work / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.asarray(part.dataobj)[..., chosen], part.affine, part.header), path)
    np.savetxt(work / f"{name}.bval", values[None, chosen], fmt="%g")
    np.savetxt(work / f"{name}.bvec", vectors[:, chosen], fmt="%.8f")
    return path


def spread(directions: np.ndarray, count: int) -> list[int]:
    """Indices of unit vectors (n, 3), each the farthest from those before and their opposites."""
    cosines = np.abs(directions @ directions.T)
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int(cosines[chosen].max(0).argmin()))
    return chosen


def denoise(dwi: Path, folder: Path, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Colour FA (X, Y, 3) and FA (X, Y) of the slice that is shown."""
    import nibabel

    run("denoise", "dti", dwi, "-o", folder, "--strength", str(strength))
    maps = [nibabel.load(next(folder.rglob(f"*{name}*.nii.gz"))) for name in ("param-DEC", "param-FA")]
    colour, fa = (np.asarray(image.dataobj)[:, :, SHOWN] for image in maps)  # type: ignore[attr-defined]
    colour = colour.astype(np.float64)
    return np.clip(1.4 * colour / (255 if colour.max() > 1.5 else 1), 0, 1), fa


def bounding_box(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.argwhere(inside)
    return used.min(0), used.max(0)


# ---- interferogram ----


def draw_interferogram(pair: Path, work: Path, path: Path) -> None:
    """Phase before, phase after and the error expected from the confidence; the scene, and a detail of it."""
    import rasterio

    outputs = {"after": work / "out.tif", "confidence": work / "out_quality.tif", "mask": work / "out_mask.tif"}
    run("denoise", "insar", pair / "phi_vv.tif", "--coherence", pair / "coh_vv.tif", "-o", outputs["after"], "--report")
    planes = {}
    for name, file in {"before": pair / "phi_vv.tif", **outputs}.items():
        with rasterio.open(file) as raster:
            planes[name] = raster.read(1).astype(np.float64)
    empty = planes.pop("mask") == 0
    confidence = planes.pop("confidence").clip(1e-3, 1)
    planes["error"] = np.sqrt(-2 * np.log(confidence))  # circular standard deviation, radians
    planes = {name: np.where(empty, math.nan, plane) for name, plane in planes.items()}
    titles = ["Sentinel-1 phase", "mvnet", "mvnet: expected error, 0 to 0.2 rad"]
    rows = [list(planes.values()), [plane[DETAIL] for plane in planes.values()]]
    phase, error = {"cmap": "twilight", "vmin": -math.pi, "vmax": math.pi}, {"cmap": "viridis", "vmin": 0, "vmax": 0.2}
    save(grid(rows, titles, [[phase, phase, error]] * 2), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "img")
