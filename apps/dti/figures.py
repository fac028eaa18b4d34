"""Pictures of a tensor volume for the report and the demo: orthogonal slices and histograms, as PNG bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mvnet.apps.common.figures import new_figure
from mvnet.apps.common.page import Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

VIEWS = ("sagittal", "coronal", "axial")
_EDGES = (
    ("A", "P"),
    ("R", "L"),
    ("R", "L"),
)  # left and right edge of each view (radiological: right is on the left)


@dataclass(frozen=True, eq=False)
class Viewer:
    """Brings volumes into right-anterior-superior order, crops them to a mask, and cuts three slices.

    Args:
        affine: (4, 4) voxel-to-world matrix.
        mask: (X, Y, Z) bool; the slices pass through its centre.
        zooms: voxel sizes in mm, three or more.
    """

    affine: np.ndarray
    mask: np.ndarray
    zooms: tuple[float, ...]

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The voxel axis nearest to each world axis (3,), and whether it runs the other way (3,)."""
        from nibabel.orientations import io_orientation

        orientation = io_orientation(self.affine)
        order = np.argsort(orientation[:, 0])
        return order, orientation[order, 1] < 0

    @cached_property
    def _crop(self) -> tuple[tuple[slice, slice, slice], np.ndarray]:
        """The box of the mask with a margin of one voxel, and the centre of the mask in it, in the order of views."""
        used = np.argwhere(self._reorient(self.mask))
        low, high = np.maximum(used.min(0) - 1, 0), used.max(0) + 2
        x, y, z = (slice(a, b) for a, b in zip(low, high, strict=True))
        return (x, y, z), np.clip(np.round(used.mean(0)).astype(int) - low, 0, high - low - 1)

    def _reorient(self, volume: np.ndarray) -> np.ndarray:
        """The volume in right-anterior-superior order."""
        order, flips = self._axes
        return np.flip(volume.transpose(*order, *range(3, volume.ndim)), np.flatnonzero(flips))

    def box(self, volume: np.ndarray) -> np.ndarray:
        """The part of (X, Y, Z, ...) around the mask, in right-anterior-superior order."""
        return self._reorient(volume)[self._crop[0]]

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        """`box` of vectors (X, Y, Z, 3) with components along the voxel axes, which turn with the volume."""
        order, flips = self._axes
        return self.box(vectors)[..., order] * np.where(flips, -1, 1)

    def grid(self) -> Grid:
        """The grid of `box`: voxel k of axis a there is voxel first[a] + sign[a] k of axis order[a] of the volume."""
        order, flips = self._axes
        place, centre = self._crop
        sizes = np.asarray(self.mask.shape)[order]
        starts = np.asarray([part.start for part in place])
        back = np.zeros((4, 4))
        back[3, 3] = 1
        back[order, range(3)] = np.where(flips, -1, 1)
        back[order, 3] = np.where(flips, sizes - 1 - starts, starts)
        x, y, z = (int(c) for c in centre)
        return Grid(self.affine @ back, (x, y, z))

    def slices(self, volume: np.ndarray) -> list[np.ndarray]:
        """Sagittal, coronal, axial slice of (X, Y, Z) or (X, Y, Z, 3), rows from top to bottom."""
        inside, centre = self.box(volume), self._crop[1]
        return [np.take(inside, centre[axis], axis=axis).swapaxes(0, 1)[::-1, ::-1] for axis in range(3)]

    def aspect(self, view: int) -> float:
        """Height over width of a voxel in a view."""
        across, up = (np.asarray(self.zooms[:3], dtype=float)[self._axes[0][k]] for k in range(3) if k != view)
        return float(up / across)


def slice_grid(viewer: Viewer, rows: list[tuple[str, np.ndarray, dict]], width: float = 8.0) -> Figure:
    """One row per volume, one column per view.

    Args:
        rows: (label, volume, keywords for imshow); the keyword `colorbar` labels a bar beside the row.
        width: in inches.
    """
    shapes = [s.shape[:2] for s in viewer.slices(rows[0][1])]
    widths = [shape[1] for shape in shapes]
    tall = max(shape[0] * viewer.aspect(k) for k, shape in enumerate(shapes))
    scale = (width - 1.2) / sum(widths)
    figure = new_figure(width, len(rows) * (tall * scale + 0.12) + 0.35)
    grid = figure.subplots(len(rows), 3, squeeze=False, width_ratios=widths)
    for axes, (label, volume, keywords) in zip(grid, rows, strict=True):
        options = dict(keywords)
        bar = options.pop("colorbar", None)
        image = None
        for view, (axis, plane) in enumerate(zip(axes, viewer.slices(volume), strict=True)):
            options.setdefault("interpolation", "nearest")
            image = axis.imshow(plane, aspect=viewer.aspect(view), **options)
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            colour = "0.75" if options.get("cmap") != "RdBu_r" else "0.35"
            for x, letter, side in ((0.02, _EDGES[view][0], "left"), (0.98, _EDGES[view][1], "right")):
                axis.text(x, 0.5, letter, transform=axis.transAxes, color=colour, fontsize=7, ha=side, va="center")
        axes[0].set_ylabel(label, fontsize=9)
        if bar and image is not None:
            figure.colorbar(image, ax=axes[2], shrink=0.8, pad=0.02).set_label(bar, fontsize=8)
    for view, axis in enumerate(grid[0]):
        axis.set_title(VIEWS[view], fontsize=9)
    return figure


def plane_row(viewer: Viewer, columns: list[tuple[str, np.ndarray]], view: int = 2, width: float = 10.0) -> Figure:
    """One plane of volumes (X, Y, Z, 3) beside each other.

    Args:
        columns: (label, volume).
        view: number in VIEWS.
        width: in inches.
    """
    planes = [viewer.slices(volume)[view] for _, volume in columns]
    tall = planes[0].shape[0] / planes[0].shape[1] * viewer.aspect(view)
    figure = new_figure(width, width / len(columns) * tall + 0.4)
    for axis, plane, (label, _) in zip(figure.subplots(1, len(columns), squeeze=False)[0], planes, columns):
        axis.imshow(plane, aspect=viewer.aspect(view), interpolation="nearest")
        axis.set_title(label, fontsize=10)
        axis.set_axis_off()
    return figure


def screen_colours(colour_fa: Tensor) -> np.ndarray:
    """Colour FA (X, Y, Z, 3) brightened for the screen: 1.5 times, clipped to [0, 1]."""
    return (1.5 * colour_fa).clamp(0, 1).numpy()


def histogram(series: list[tuple[str, np.ndarray, str]], label: str, limits: tuple[float, float]) -> Figure:
    """Outlined histograms of (name, values, colour) over a common range."""
    figure = new_figure(5.2, 2.6)
    axis = figure.subplots()
    edges = np.linspace(*limits, 61).tolist()
    for name, values, colour in series:
        axis.hist(values, edges, histtype="stepfilled", color=colour, alpha=0.15)
        axis.hist(values, edges, histtype="step", color=colour, label=name, linewidth=1.4)
    axis.set_xlim(*limits)
    axis.set_xlabel(label, fontsize=9)
    axis.set_ylabel("voxels", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)
    return figure
