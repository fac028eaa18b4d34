"""Is what a raster holds an interferogram? Looked at in sampled windows of its values."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.products import names_displacement, names_slc
from mvnet.data_loaders.insar.formats.units import UNITS
from mvnet.data_loaders.insar.value_kinds import SAMPLE, Values, gather, kind_of, other_cycle
from mvnet.data_loaders.insar.windows import sample_windows

if TYPE_CHECKING:
    from mvnet.data_loaders.insar.interferogram import Interferogram

_LEAST_RANGE = (1e-3, 0.4)  # of phases in radians: below it, values are called constant, in it something else
_SPECTRA = ((64, 30.0), (32, 45.0))
"""Side of a window, and how far above its surroundings a line stands out of the spectrum of no noise, of any colour."""


def check_phase(image: Interferogram) -> list[str]:
    """Look at some of the values of a raster: are they phases in radians, and is there a fringe among them?

    Returns:
        messages: when they are unwrapped; when nothing coherent is found; when the name is that of a single image.
    Raises:
        DataError: they are no phases in radians.
    """
    messages = _check_values(image) if image.kind == "phase" else []
    named = f"{image.path.rpartition('/')[2]} {image.layer.part}"
    seen = has_fringes(image)
    if seen is False:
        messages.append(
            "warning: nothing coherent was found: in no window sampled does a fringe stand out of the noise, as in a "
            "single image (SLC) or where coherence is lost"
        )
    elif names_slc(named):
        messages.append("warning: the name says SLC, a single image, which is no interferogram")
    return messages


def _check_values(image: Interferogram) -> list[str]:
    if names_displacement(image.path.rpartition("/")[2]) and not _is_radian(image.layer.units):
        raise DataError(f"{image.path}: found the name of a displacement or a velocity, expected {_DECLARED}")
    windows = []
    for window in sample_windows(image.shape, *SAMPLE):
        stored = image.read_stored(window).astype(np.float64)
        stored[~image.read(window, with_coherence=False).valid] = np.nan
        windows.append(stored)
    found = gather(windows)
    kind = kind_of(found)
    if kind in ("empty", "constant", "wrapped phase"):
        return []
    reason = _why_not(found, kind, image.layer.units)
    if reason:
        expected = "phases in radians" if kind in ("noise", "amplitude", "labels") else _DECLARED
        values = f"{found.low:.4g} to {found.high:.4g}"
        raise DataError(f"{image.path}: found values from {values}, {reason}, expected {expected}")
    if kind == "unwrapped phase" or found.high > math.pi * 1.01:
        span = f"values from {found.low:.4g} to {found.high:.4g}"
        return [f"{span} are taken as unwrapped phase; the output is wrapped, --unwrap unwraps it again"]
    return []


def _why_not(found: Values, kind: str, units: str) -> str:
    """Why values are no phases in radians; empty if they may be."""
    if kind == "phase of another unit":
        return f"wrapped as {other_cycle(found)} are"
    if kind in ("noise", "amplitude"):
        return "that jump from pixel to pixel" if found.step > math.pi else f"distributed as {_NAMES[kind]}"
    if kind == "labels":
        return "all whole numbers"
    if _is_radian(units):
        return ""
    low, high = np.percentile(found.values, [0.5, 99.5])
    if _LEAST_RANGE[0] < high - low < _LEAST_RANGE[1]:
        return "too small for phases with noise (metres?)"
    if kind == "coherence" and not units and found.rough > 0.2:
        return "those of a coherence"
    return ""


_DECLARED = "phases in radians, or their unit declared in the file"
_NAMES = {"noise": "the real part of a complex image", "amplitude": "amplitudes are"}


def _is_radian(units: str) -> bool:
    return re.fullmatch(UNITS[0][0], units.strip().lower()) is not None


def has_fringes(image: Interferogram) -> bool | None:
    """Whether the phase is coherent anywhere: does one frequency stand out of its surroundings in a spectrum?

    The ratio of the periodogram of exp(j phase), Hann-tapered, to its mean over 11 x 11 frequencies without the
    central 5 x 5 does not depend on the spectrum of the noise, as long as that is smooth.

    Returns:
        None if there are too few pixels with data to say.
    """
    seen = False
    for window in sample_windows(image.shape, *SAMPLE):
        values = image.read(window, with_coherence=False).values
        for side, limit in _SPECTRA:
            for y in range(0, values.shape[0] - side + 1, side):
                for x in range(0, values.shape[1] - side + 1, side):
                    ratio = _spectral_line(values[y : y + side, x : x + side])
                    if ratio is not None and ratio > limit:
                        return True
                    seen |= ratio is not None
    return False if seen else None


def _spectral_line(values: np.ndarray) -> float | None:
    """Greatest ratio of a square window; None if less than half of it are data."""
    from scipy.ndimage import uniform_filter

    modulus = np.abs(values)
    if np.mean(modulus > 0) < 0.5:
        return None
    taper = np.hanning(len(values) + 2)[1:-1]
    unit = values / np.where(modulus > 0, modulus, 1) * np.outer(taper, taper)
    power = np.abs(np.fft.fft2(unit)) ** 2
    wide, near = (uniform_filter(power, k, mode="wrap") * k * k for k in (11, 5))
    around = (wide - near) / (11**2 - 5**2)
    return float((power / np.maximum(around, 1e-12 * power.max())).max())
