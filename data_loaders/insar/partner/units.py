"""In which unit a coherence is stored: 0 to 1, per cent, bytes, or integers."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.missing import Read, find_missing, sampled

_STRAY = 0.05  # share of values above 1 that an estimator may give
_BEYOND = 1.5  # times the full value: above, and below minus a tenth of it, nothing is known
_BYTES = re.compile(r"\.cc(\.tif)?$")  # names of LiCSAR's, which are 255ths


class CoherenceUnit(NamedTuple):
    """How stored values are coherences. full: that of coherence 1. unknown: values that mean none."""

    full: float = 1.0
    unknown: tuple[float, ...] = ()

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Coherences of stored values.

        Args:
            stored: any shape, real.
        Returns:
            float32 in [0, 1], NaN where not finite, unknown, or far outside.
        """
        values = stored.astype(np.float32) / np.float32(self.full)
        with np.errstate(invalid="ignore"):
            known = (values > -0.1) & (values < _BEYOND)
        for value in self.unknown:
            known &= stored != np.asarray(value).astype(stored.dtype)
        return np.where(known, values.clip(0, 1), np.float32(np.nan))


def find_unit(
    read: Read, shape: tuple[int, int], dtype: str, nodata: float | None, name: str
) -> tuple[CoherenceUnit, list[str]]:
    """The unit of a coherence, from some of its values.

    Args:
        read: stored values of a window.
        shape: (rows, columns).
        dtype: numpy name of the stored values.
        nodata: value that is declared to be none.
        name: of the file or argument, for messages.
    Returns:
        the unit, and a line for everything that is not as it should be.
    Raises:
        DataError: no unit fits.
    """
    kind = np.dtype(dtype).kind
    if kind not in "fiub":
        raise DataError(f"coherence: found values of type {dtype} in {name}, expected real ones from 0 to 1")
    odd = [value.real for value in find_missing(read, shape, nodata, count_all=False)[0].sentinels]
    known = np.concatenate([part[np.isfinite(part)] for _, part in sampled(read, shape)])
    declared = [] if nodata is None else [nodata]
    known = known[~np.isin(known, np.asarray([*odd, *declared]).astype(known.dtype))].astype(np.float64)
    positive = known[known > 0]
    if not len(known):
        raise DataError(f"coherence: found no value in {name}, expected some from 0 to 1")
    full = _full(positive, np.dtype(dtype), name) if len(positive) else 1.0
    lines = [f"coherence: {value:.6g} in {name} is taken as unknown" for value in odd]
    if full != 1:
        lines.append(f"coherence: values up to {positive.max():.4g} in {name} are taken as {full:g} for 1")
    stray = float((positive > full * (1 + 1e-6)).mean()) if len(positive) else 0.0
    if stray:
        lines.append(
            f"coherence: {100 * stray:.2g} % of {name} lie above {full:g}, up to {positive.max():.4g}: clipped"
        )
    return CoherenceUnit(full, tuple([*odd, *declared])), lines


def _full(positive: np.ndarray, dtype: np.dtype, name: str) -> float:
    """The stored value of coherence 1."""
    whole = dtype.kind in "iub" or bool((positive == np.round(positive)).all())
    top = float(np.quantile(positive, 0.999))
    if np.mean(positive > 1 + 1e-6) <= _STRAY:
        return 1.0
    if dtype == np.uint8 and _BYTES.search(name):
        return 255.0
    largest = 65535.0 if dtype != np.int16 else 32767.0
    for full in (100.0, 255.0, 1000.0, 10000.0, largest) if whole else (100.0, 255.0):
        if 0.15 * full <= top <= full * 1.001:
            return full
    top_value = f"values up to {positive.max():.4g}"
    raise DataError(f"coherence: found {top_value} in {name}, expected 0 to 1, or to 100, 255 or 10000 for 1")
