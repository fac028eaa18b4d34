"""Functions with the signatures of the filter steps of other programs, to be put in their place.

    dolphin.goldstein.goldstein = mvnet.insar_filters.goldstein
    mintpy.utils.isce_utils.filter_goldstein = mvnet.insar_filters.filter_goldstein
    mintpy.spatial_filter.filter_data = mvnet.insar_filters.filter_data

What they need no longer, an exponent or the side of a patch, they take and leave aside.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.api import denoise_insar
from mvnet.data_loaders.insar.reader import open_interferogram
from mvnet.data_loaders.insar.stacks.base import follow
from mvnet.data_loaders.insar.stacks.isce2 import write_isce
from mvnet.errors import MvnetError

MVNET = "mvnet"


def goldstein(phase: np.ndarray, alpha: float, psize: int = 32) -> np.ndarray:
    """The filter of dolphin's unwrapping: `dolphin.goldstein.goldstein`.

    Args:
        phase: (H, W) complex, or phase in radians; NaN, and what has the angle 0 exactly, are no data.
        alpha: 0 leaves the phase as it is; any other exponent is left aside.
        psize: side of a patch, left aside.
    Returns:
        (H, W) complex64 with the amplitude of the input, 1 where it is a phase, and 0 where there are no data; where
        there are none at all, the input.
    Raises:
        MvnetError: a negative exponent, another shape.
    Source: github.com/isce-framework/dolphin, src/dolphin/goldstein.py.
    """
    if alpha < 0:
        raise MvnetError(f"alpha: found {alpha}, expected a number of at least 0")
    values = np.asarray(phase if np.iscomplexobj(phase) else np.exp(1j * phase))
    valid = np.isfinite(values) & (np.angle(values) != 0)
    if not valid.any():
        return values
    values = np.where(valid, values, 0).astype(np.complex64)
    return values if alpha == 0 else np.asarray(denoise_insar(values, valid=valid))


def filter_data(data: np.ndarray, filter_type: str = MVNET, filter_par: Any = None) -> np.ndarray:
    """The filter of MintPy's `spatial_filter.py`: `mintpy.spatial_filter.filter_data`, for phases.

    Args:
        data: (H, W) phase in radians, wrapped or unwrapped; 0 and NaN are no data and stay.
        filter_type: "mvnet".
        filter_par: left aside.
    Returns:
        (H, W) of the same type; an unwrapped phase keeps its ambiguities.
    Raises:
        MvnetError: another filter.
    Source: github.com/insarlab/MintPy, src/mintpy/spatial_filter.py.
    """
    if filter_type != MVNET:
        raise MvnetError(f"filter_type: found {filter_type!r}, expected {MVNET!r}")
    valid = np.isfinite(data) & (data != 0)
    if not valid.any():
        return data
    denoised = denoise_insar(data, valid=valid)
    return follow(data, np.asarray(denoised), np.where(valid, denoised.confidence, np.nan))


def filter_goldstein(
    int_file: str | os.PathLike[str],
    filt_file: str | os.PathLike[str],
    filt_strength: float = 0.2,
    cor_file: str | os.PathLike[str] | None = None,
) -> str | os.PathLike[str]:
    """The filter of MintPy's ISCE2 step: `mintpy.utils.isce_utils.filter_goldstein`, files in, files out.

    Args:
        int_file: interferogram of ISCE2, complex64 with a header beside it.
        filt_file: where the filtered one goes, with `.xml` and `.vrt`; 0 where there are no data.
        filt_strength: 0 leaves the phase as it is; any other strength is left aside.
        cor_file: where the quality goes, in place of `estimate_coherence`; None for nowhere.
    Returns:
        filt_file.
    Raises:
        MvnetError: a file that cannot be read, a negative strength.
    Source: github.com/insarlab/MintPy, src/mintpy/utils/isce_utils.py.
    """
    if filt_strength < 0:
        raise MvnetError(f"filt_strength: found {filt_strength}, expected a number of at least 0")
    image = open_interferogram(int_file)
    block = image.read()
    coherence = None if image.coherence is None else block.coherence
    denoised = denoise_insar(block.values, coherence, valid=block.valid, strength=float(filt_strength > 0))
    for values, target in ((np.asarray(denoised), filt_file), (denoised.confidence, cor_file)):
        if target is not None:
            write_isce(Path(target), image.shape, values.dtype.name, values.__getitem__)
    return filt_file
