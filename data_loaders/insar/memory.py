"""Interferograms in memory: read as those on disk are, and denoised phases as arrays of the kind that came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.confident_array import ConfidentArray
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.interferogram import Block, Interferogram, decode
from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.missing import find_missing
from mvnet.data_loaders.insar.partner.units import find_unit
from mvnet.data_loaders.insar.reader import open_interferogram


@dataclass(frozen=True)
class ArrayInterferogram:
    """An interferogram in memory that is read window by window, as `Interferogram` is.

    Attributes:
        values: (H, W) complex64, 0 where not valid.
        valid: (H, W) bool.
        coherence: (H, W) float32 in [0, 1], NaN where unknown; or None.
        messages: what was found, one line each.
    """

    values: np.ndarray
    valid: np.ndarray
    coherence: np.ndarray | None
    messages: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)"""
        return self.values.shape[0], self.values.shape[1]

    def read(self, window: Window | None = None, with_coherence: bool = True) -> Block:
        """Values, validity and coherence of a window, all of it for None."""
        place = window or (slice(None), slice(None))
        values, valid = self.values[place], self.valid[place]
        if not with_coherence or self.coherence is None:
            return Block(values, valid, np.full(valid.shape, np.nan, np.float32))
        return Block(values, valid, self.coherence[place])


def read_interferogram(z: Any, coherence: Any = None, valid: Any = None) -> Interferogram | ArrayInterferogram:
    """An interferogram in a file or in memory.

    Args:
        z: path; or array, tensor or DataArray (H, W), complex in any unit or phase in radians. NaN, 0 in complex ones,
            and what `mvnet.data_loaders.insar.missing` finds, are no data.
        coherence: path; or (H, W) in a unit of `mvnet.data_loaders.insar.partner.units`, NaN where unknown; None
            takes the one beside a file.
        valid: (H, W) bool of pixels to use, in memory only; None uses all with data.
    Returns:
        what `mvnet.models.insar.raster.denoise_tiles` takes.
    Raises:
        DataError: values that are neither complex nor phases, shapes that differ, a coherence of no known unit, no
            pixel with data, and as of `open_interferogram`.
    """
    if isinstance(z, str | Path):
        if valid is not None:
            raise DataError("valid: found a mask for an interferogram in a file, expected its nodata value in the file")
        image = open_interferogram(z, coherence)
        return image
    stored = to_numpy(z)
    if stored.ndim != 2 or stored.dtype.kind not in "fc":
        raise DataError(
            f"z: found shape {stored.shape} of {stored.dtype}, expected (H, W), complex or phase in radians"
        )
    missing, messages = find_missing(stored.__getitem__, stored.shape)
    values, known = decode(stored, missing.valid(stored), scale=missing.scale)
    if valid is not None:
        given = to_numpy(valid)
        if given.shape != stored.shape or given.dtype != bool:
            raise DataError(f"valid: found shape {given.shape} of {given.dtype}, expected {stored.shape} of bool")
        known &= given
    if not known.any():
        raise DataError("z: found no pixel with data, expected at least one")
    partner = _read_coherence(coherence, stored.shape, known, messages)
    return ArrayInterferogram(np.where(known, values, 0), known, partner, messages)


def _read_coherence(
    coherence: Any, shape: tuple[int, ...], valid: np.ndarray, messages: list[str]
) -> np.ndarray | None:
    if coherence is None:
        return None
    found = to_numpy(coherence)
    if found.shape != shape:
        raise DataError(f"coherence: found shape {found.shape}, expected {shape}")
    unit, lines = find_unit(found.__getitem__, (shape[0], shape[1]), found.dtype.name, None, "the array")
    messages.extend(lines)
    return np.where(valid, unit.decode(found), np.float32(np.nan))


def to_numpy(values: Any) -> np.ndarray:
    """The values of an array, a tensor or a DataArray; in single precision what NumPy knows no type of."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    wider = {torch.complex32: torch.complex64, torch.bfloat16: torch.float32}.get(values.dtype, values.dtype)
    return values.detach().cpu().to(wider).numpy()


def like_interferogram(z: Any, image: Any, phase: np.ndarray, confidence: np.ndarray) -> Any:
    """A denoised phase in the kind of the interferogram it comes from, with a confidence beside it.

    Args:
        z: as of `read_interferogram`.
        image: read from it.
        phase: (H, W) in (-pi, pi], NaN where there are no data.
        confidence: (H, W) in [0, 1].
    Returns:
        complex for complex, with the amplitude of the input, else phase; array for array, tensor for tensor, DataArray
        for a DataArray or a path. Its attribute (of a DataArray: coordinate) `confidence` is (H, W).
    """
    if isinstance(z, str | Path):
        return _to_data_array(image, phase, confidence)
    stored = to_numpy(z)
    real = np.real(stored).dtype
    values = phase.astype(real)
    if stored.dtype.kind == "c":
        values = np.where(np.isnan(phase), 0, np.abs(stored) * np.exp(1j * phase)).astype(stored.dtype)
    confidence = confidence.astype(real)
    if isinstance(z, Tensor):
        result = torch.from_numpy(values).to(z.device, z.dtype)
        result.confidence = torch.from_numpy(confidence).to(z.device)  # type: ignore[attr-defined]
        return result
    if isinstance(z, np.ndarray):
        return ConfidentArray(values, confidence)
    return z.copy(data=values).assign_coords(confidence=(z.dims, confidence))


def _to_data_array(image: Interferogram, phase: np.ndarray, confidence: np.ndarray) -> Any:
    """The phase with the georeferencing of the file, as rioxarray writes it."""
    from mvnet.data_loaders.optional import import_optional

    xarray, _ = import_optional("xarray", "insar"), import_optional("rioxarray", "insar")
    coordinates = {"confidence": (("y", "x"), confidence)}
    array = xarray.DataArray(phase, dims=("y", "x"), coords=coordinates, name="phase", attrs={"units": "rad"})
    if image.crs is not None:
        array = array.rio.write_crs(image.crs)
    if image.transform is not None:
        array = array.rio.write_transform(image.transform)
    return array
