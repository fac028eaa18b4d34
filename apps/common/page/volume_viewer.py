"""A viewer of volumes: three planes and 3-D, before and after, directions as colours and as lines.

The page holds every map as a NIfTI file of one byte a voxel, compressed, and NiiVue (vendored), which shows them. The
byte 0 is "no value here"; 1 to 255 run from the lower to the upper limit of the map. Directions are three bytes a
voxel, 128 + 4 round(31 v): within 2 degrees of what they were, at two thirds of the size.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mvnet.apps.common.page.templates import asset, render, script_data, text_of, trusted, vendored

MOST_VOXELS = 4_000_000
"""Of a map in a page; a larger one is shown at every n-th voxel."""
_LEVEL = 6  # of gzip: 9 takes three times as long for one per cent


@dataclass(frozen=True)
class Grid:
    """A grid of voxels in right-anterior-superior order.

    affine: (4, 4) voxel-to-world matrix in mm.  start: (3,) the voxel that is shown first.
    """

    affine: np.ndarray
    start: tuple[int, int, int]


@dataclass(frozen=True)
class ScalarMap:
    """A map of numbers.

    label: with its unit.  before, after: (X, Y, Z), NaN where there is no value; no `before` for a map of one state.
    limits: of the colours.  colours: a colour map of matplotlib.
    """

    label: str
    after: np.ndarray
    limits: tuple[float, float]
    before: np.ndarray | None = None
    colours: str = "gray"


def stride(shape: tuple[int, ...]) -> int:
    """Every which voxel is shown, so that no more than MOST_VOXELS are."""
    step = 1
    while np.prod([-(-n // step) for n in shape[:3]]) > MOST_VOXELS:
        step += 1
    return step


def volumes(
    grid: Grid,
    maps: Sequence[ScalarMap],
    directions: tuple[np.ndarray, np.ndarray] | None,
    still: str,
    caption: str,
    *,
    states: tuple[str, str] = ("input", "denoised"),
) -> str:
    """The viewer.

    Args:
        grid: of all maps.
        maps: the first is what the colours of directions are scaled by (FA), where directions are given.
        directions: unit vectors before and after, (X, Y, Z, 3), components along the axes of the grid, any sign.
        still: HTML shown instead without scripts or WebGL 2, and on paper.
        caption: below the viewer.
        states: what before and after are called.
    Returns:
        a piece of HTML, of which a page holds one.
    """
    step = stride(maps[0].after.shape)
    every = (slice(None, None, step),) * 3
    affine = grid.affine @ np.diag([step, step, step, 1.0])
    files = [_nifti(np.ones((*maps[0].after[every].shape, channels), np.uint8), affine) for channels in (3, 4)]
    spec: dict[str, object] = {
        "shape": list(maps[0].after[every].shape),
        "start": [k // step for k in grid.start],
        "turn": _turn(grid.affine).tolist(),
        "states": list(states),
        "maps": [],
        "directions": [],
    }

    def keep(array: np.ndarray) -> int:
        """The number of a further file."""
        files.append(_nifti(array, affine))
        return len(files) - 1

    described = []
    for one in maps:
        shown = [array for array in (one.before, one.after) if array is not None]
        numbers = [keep(_bytes(array[every], one.limits)) for array in shown]
        described.append(
            {"label": one.label, "limits": list(one.limits), "table": _table(one.colours), "files": numbers}
        )
    spec["maps"] = described
    if directions is not None:
        spec["directions"] = [keep(_direction_bytes(array[every])) for array in directions]
    if step > 1:
        caption += f" One voxel of {step} along each axis is shown."
    return render(
        "volumes.html",
        files=[text_of(gzip.compress(file, _LEVEL, mtime=0)) for file in files],
        library=text_of(gzip.compress(vendored("niivue.umd.js"), _LEVEL, mtime=0)),
        script=asset("volumes.js"),
        spec=script_data(spec),
        still=trusted(still),
        states=states,
        caption=caption,
    )


def _bytes(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """0 where a value is not finite, else 1 to 255."""
    low, high = limits
    share = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)
    return np.where(np.isfinite(share), np.rint(1 + 254 * np.nan_to_num(share)), 0).astype(np.uint8)


def _direction_bytes(vectors: np.ndarray) -> np.ndarray:
    """The sign that makes the last component positive, so that neighbours look alike and compress."""
    signed = np.where(vectors[..., 2:] < 0, -vectors, vectors)
    return (128 + 4 * np.rint(31 * np.nan_to_num(signed))).astype(np.uint8)


def _turn(affine: np.ndarray) -> np.ndarray:
    """(3, 3) from the axes of the grid to those of the world: the affine without its lengths."""
    return affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)


def _table(name: str) -> list[int]:
    """A colour map as 256 x 3 bytes, one after the other."""
    from matplotlib import colormaps

    return (colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255).round().astype(int).ravel().tolist()


def _nifti(values: np.ndarray, affine: np.ndarray) -> bytes:
    """A NIfTI file of bytes (X, Y, Z), or of colours (X, Y, Z, 3 or 4)."""
    import nibabel

    if values.ndim == 4:
        names = "RGBA"[: values.shape[3]]
        values = np.ascontiguousarray(values).view([(name, "u1") for name in names])[..., 0]
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    return image.to_bytes()
