"""Pairs of N dates brought to the differences of N phases: every loop of dates closes.

At a pixel let H_ij = k_ij exp(j phi_ij) for the pair of dates i and j, k the concentration of its error, and H_ii the
sum of the k_ij. With v the eigenvector of the largest eigenvalue the phase of a pair becomes arg(v_i conj(v_j)).

Source: Ferretti et al., "SqueeSAR", IEEE Trans. Geosci. Remote Sens. 49 (2011) 3460; Singer, "Angular synchronization
by eigenvectors and semidefinite programming", Appl. Comput. Harmon. Anal. 30 (2011) 20.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.rasters import gdal
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, read_window, windows
from mvnet.data_loaders.optional import import_optional

Edge = tuple[int, int]
"""Positions of the two dates of a pair."""
_DATES = r"(\d{8})(?:T\d{6})?[_-](\d{8})(?:T\d{6})?"
_SURE, _LOST = 0.9999, 1e-6
_NUMBERS = 2_000_000  # of the matrices of a window


def edges_of(names: Sequence[str]) -> list[Edge]:
    """The dates of pairs, as positions among all dates.

    Raises:
        DataError: a name without two dates, or no loop of dates.
    """
    found = [re.search(_DATES, name) for name in names]
    for name, match in zip(names, found):
        if match is None:
            raise DataError(f"--joint: found no two dates in the name of the pair {name}, expected YYYYMMDD_YYYYMMDD")
    days = [match.groups() for match in found if match is not None]
    order = sorted({day for pair in days for day in pair})
    if len(days) < len(order):
        raise DataError(f"--joint: found {len(days)} pairs of {len(order)} dates, expected pairs that form a loop")
    return [(order.index(first), order.index(second)) for first, second in days]


def link_phases(phase: np.ndarray, quality: np.ndarray, edges: Sequence[Edge]) -> np.ndarray:
    """Phases that close.

    Args:
        phase: (pairs, pixels), radians.
        quality: (pairs, pixels), the expected cosine of the error; NaN where a pair has no data.
        edges: the dates of every pair.
    Returns:
        (pairs, pixels) in (-pi, pi]; a pair that its pixel's other pairs do not reach keeps its phase.
    """
    number = 1 + max(max(edge) for edge in edges)
    known = np.isfinite(quality)
    expected = np.clip(np.where(known, quality, 0), 0, _SURE)
    weight = expected * (2 - expected**2) / (1 - expected**2)  # of a von Mises distribution, approximately
    matrix = np.zeros((phase.shape[1], number, number), np.complex64)
    for (first, second), angle, k in zip(edges, np.where(known, phase, 0), weight):
        matrix[:, first, second] += k * np.exp(1j * angle)
        matrix[:, second, first] += k * np.exp(-1j * angle)
        matrix[:, first, first] += k
        matrix[:, second, second] += k
    vector = np.linalg.eigh(matrix)[1][:, :, -1]
    linked = phase.copy()
    for row, there, (first, second) in zip(linked, known, edges):
        product = vector[:, first] * vector[:, second].conj()
        sure = there & (np.abs(product) > _LOST)
        row[sure] = np.angle(product[sure])
    return linked


def link_pairs(
    denoised: Mapping[str, DenoisedPair], folder: Path, progress: Callable[[int, int], None]
) -> dict[str, DenoisedPair]:
    """Rasters of pairs whose phases close, beside copies of their qualities.

    Args:
        denoised: by names with two dates, all on one grid.
        folder: where the new rasters go; it exists.
        progress: called as progress(done, total).
    Raises:
        DataError: pairs of different shapes; as of `edges_of`.
    """
    import shutil

    names, edges = list(denoised), edges_of(list(denoised))
    rasterio = gdal()
    shapes = {}
    for name, pair in denoised.items():
        for path in pair:
            shutil.copyfile(path, folder / path.name)
        with rasterio.open(pair.values) as raster:
            shapes[raster.shape] = name
    if len(shapes) > 1:
        text = ", ".join(f"{shape} of {name}" for shape, name in shapes.items())
        raise DataError(f"--joint: found shapes {text}, expected one grid for all pairs")
    shape, dates = next(iter(shapes)), 1 + max(max(edge) for edge in edges)
    side = max(16, int((_NUMBERS / dates**2) ** 0.5))
    parts = list(windows(shape, (side, side)))
    fresh = {
        name: DenoisedPair(folder / pair.values.name, folder / pair.quality.name) for name, pair in denoised.items()
    }
    how = {"IGNORE_COG_LAYOUT_BREAK": "YES"}  # they are rewritten, and become ordinary GeoTIFFs
    files = {name: rasterio.open(pair.values, "r+", **how) for name, pair in fresh.items()}
    try:
        for done, window in enumerate(parts, start=1):
            stored = [read_window(denoised[name].values, window) for name in names]
            quality = np.stack([read_window(denoised[name].quality, window) for name in names])
            phase = np.stack([np.angle(one) if np.iscomplexobj(one) else one for one in stored])
            flat = link_phases(phase.reshape(len(names), -1), quality.reshape(len(names), -1), edges)
            for name, one, linked, there in zip(names, stored, flat.reshape(phase.shape), np.isfinite(quality)):
                _write(files[name], window, np.where(there, _like(one, linked), one))
            progress(done, len(parts))
        for file in files.values():
            if factors := file.overviews(1):  # again, of what is there now
                file.build_overviews(factors, import_optional("rasterio.enums", "insar").Resampling.nearest)
    finally:
        for file in files.values():
            file.close()
    return fresh


def _like(stored: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """A phase as it is stored: with the amplitude that is there, or alone."""
    return (np.abs(stored) * np.exp(1j * phase)).astype(stored.dtype) if np.iscomplexobj(stored) else phase


def _write(file: Any, window: tuple[slice, slice], values: np.ndarray) -> None:
    file.write(values, 1, window=import_optional("rasterio.windows", "insar").Window.from_slices(*window))
