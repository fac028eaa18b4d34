"""The pictures of README and of the documentation: `make pictures`, or `python docs/pictures.py [FOLDER]`.

Made by the commands themselves from the real data that MVNET_DATA names: 12 directions of the Sherbrooke in-vivo scan
beside the fit of all 64 (slices that no weight has seen), and a Sentinel-1 interferogram; and the pages that the
commands make of them. Each stays below 300 KiB.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from page_pictures import draw_pages

SLICES, SHOWN = slice(28, 44), 8  # of the scan, left out of training; the one that is shown
DIRECTIONS = 12
DETAIL = (slice(0, 150), slice(340, 490))  # rows and columns of the interferogram
LIMIT = 300 * 1024


def main(folder: Path) -> None:
    data = Path(os.environ["MVNET_DATA"])
    folder.mkdir(parents=True, exist_ok=True)
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


# ---- drawing ----


def grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], options: Sequence[Any]) -> Any:
    """A figure with a row of pictures for each entry of `rows`; options for imshow, of a row or of each picture."""
    from matplotlib.figure import Figure

    heights = [row[0].shape[0] / row[0].shape[1] for row in rows]
    side = 3.0
    figure = Figure(figsize=(len(titles) * side, sum(heights) * side + 0.3), facecolor="white")
    axes = figure.subplots(len(rows), len(titles), squeeze=False, height_ratios=heights)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.3 / figure.get_figheight(), wspace=0.02, hspace=0.02)
    for line, row, given in zip(axes, rows, options, strict=True):
        for k, (axis, plane) in enumerate(zip(line, row, strict=True)):
            axis.imshow(plane, interpolation="nearest", **(given if isinstance(given, dict) else given[k]))
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def shrink(path: Path) -> None:
    """A PNG with a palette, smaller until it keeps below the limit."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    for share in (1.0, 0.85, 0.7, 0.6, 0.5):
        part = picture.resize((round(picture.width * share), round(picture.height * share)))
        part.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LIMIT:
            break
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def save(figure: Any, path: Path) -> None:
    """As PNG with a palette, at the highest resolution that keeps below the limit."""
    from PIL import Image

    for dpi in (140, 120, 100, 80, 60):
        figure.savefig(path, dpi=dpi)
        Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LIMIT:
            break
    print(f"{path}: {path.stat().st_size // 1024} KiB, {dpi} dpi")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "img")
