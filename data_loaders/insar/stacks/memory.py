"""Stacks in memory: arrays, tensors and DataArrays (pair, y, x), and dask arrays, which are denoised when computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.confident_array import ConfidentArray
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.memory import to_numpy
from mvnet.errors import MvnetError

Denoise = Callable[..., Any]
"""denoise(z, coherence=None, valid=None) of one array (H, W) -> array with an attribute `confidence`."""


def is_many(z: Any) -> bool:
    """Whether an object in memory is a stack, or computed by dask."""
    return getattr(z, "ndim", 0) == 3 or is_lazy(z)


def is_lazy(z: Any) -> bool:
    """Whether an array, or the array of a DataArray, is one of dask."""
    return hasattr(getattr(z, "data", z) if hasattr(z, "dims") else z, "dask")


def map_pairs(denoise: Denoise, z: Any, coherence: Any = None, valid: Any = None) -> Any:
    """Denoise a stack pair by pair; a pair without data stays as it is, with confidence 0.

    Args:
        denoise: what is done to a pair.
        z: (pair, H, W), or of dask (H, W).
        coherence, valid: of the same shape, or (H, W) for all pairs; None without.
    Returns:
        what came in: array, tensor, DataArray with its coordinates and attributes, or dask array that is computed pair
        by pair when it is asked for. Its `confidence` (of a DataArray: coordinate) has the same shape.
    Raises:
        DataError: another shape; as of `denoise`, with the position of the pair.
    """
    partners = [_fit(name, one, z.shape) for name, one in (("coherence", coherence), ("valid", valid))]
    if hasattr(z, "dims"):
        plain = map_pairs(denoise, z.data, *partners)
        return z.copy(data=_unmarked(plain)).assign_coords(confidence=(z.dims, plain.confidence))
    if is_lazy(z):
        return _map_lazily(denoise, z, partners)
    values, confidence = _map_now(denoise, to_numpy(z), [None if p is None else to_numpy(p) for p in partners])
    if isinstance(z, Tensor):
        result = torch.from_numpy(values).to(z.device)
        result.confidence = torch.from_numpy(confidence).to(z.device)  # type: ignore[attr-defined]
        return result
    return ConfidentArray(values, confidence)


def _unmarked(values: Any) -> Any:
    return np.asarray(values) if isinstance(values, np.ndarray) else values


def _fit(name: str, partner: Any, shape: tuple[int, ...]) -> Any:
    """A partner as an array of the shape of the stack."""
    if partner is None:
        return None
    partner = partner.data if hasattr(partner, "dims") else partner if is_lazy(partner) else to_numpy(partner)
    if tuple(partner.shape) == tuple(shape):
        return partner
    if tuple(partner.shape) != tuple(shape[-2:]):
        raise DataError(f"{name}: found shape {tuple(partner.shape)}, expected {tuple(shape)} or {tuple(shape[-2:])}")
    return partner[None] + np.zeros((shape[0], 1, 1), partner.dtype)


def _map_now(denoise: Denoise, z: np.ndarray, partners: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Values and confidence of a stack in numpy."""
    values, confidence = z.copy(), np.zeros(z.shape, np.real(z).dtype)
    for k, one in enumerate(z):
        known = np.isfinite(one) & (one != 0) if np.iscomplexobj(one) else np.isfinite(one)
        if partners[1] is not None:
            known &= partners[1][k]
        if known.any():
            try:
                found = denoise(one, *(None if partner is None else partner[k] for partner in partners))
            except MvnetError as error:
                error.args = (f"pair {k}: {error}",)
                raise
            values[k], confidence[k] = found, found.confidence
    return values, confidence


def _map_lazily(denoise: Denoise, z: Any, partners: list[Any]) -> Any:
    """Values and confidence of a dask array in one pass over whole pairs, one after another."""
    import dask.array

    flat = z.ndim == 2
    pairs = [None if one is None else dask.array.asarray(one) for one in (z, *partners)]
    pairs = [one if one is None or not flat else one[None] for one in pairs]
    pairs = [None if one is None else one.rechunk((1, -1, -1)) for one in pairs]
    there = [one for one in pairs if one is not None]
    which = [one is not None for one in pairs[1:]]

    def work(block: np.ndarray, *others: np.ndarray) -> np.ndarray:
        given = iter(others)
        return np.stack(_map_now(denoise, block, [next(given) if there else None for there in which]))

    both = dask.array.map_blocks(
        work, *there, new_axis=0, chunks=((2,), *there[0].chunks), dtype=z.dtype, meta=np.empty((0,) * 4, z.dtype)
    )
    both = both[:, 0] if flat else both
    result = both[0]
    result.confidence = both[1].real
    return result
