"""How strong the noise of a scan is, from every side that it can be seen from.

    residual    what the tensor fit leaves. Right where the model holds; too large where it does not (shells above b =
                1500), too small once a denoiser has taken the noise that is no signal of any tensor.
    neighbours  differences of the residuals of neighbours, see `spatial_deviation`. Blind to a misfit that is smooth;
                too small where interpolation made neighbours alike.
    next        the same, two voxels apart. Noise, interpolated or not, is as large there as the residuals are (0.9 and
                more of them); a misfit is not.
    signal      differences of the signals of neighbours: sees what a denoiser left in, and edges of the anatomy.
    edges       the same, two voxels apart: about three times as large where it is anatomy, the same where it is noise.
    b0          the spread of three or more volumes without weighting: no model at all.

Every one is a map, pooled over the same cube; which map is the noise is decided once, by their medians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.fit.rician import magnitude_moments
from mvnet.data_loaders.dti.fit.scan import HALO, Fit, Scan, Voxels
from mvnet.data_loaders.dti.fitting import box_mean, predict, spatial_deviation
from mvnet.data_loaders.dti.formats.grids import check_grid
from mvnet.data_loaders.dti.nifti import read_map
from mvnet.data_loaders.errors import DataError

_DISAGREE = 1.5  # a given level and the estimate; what a denoiser left in and the residuals
_MISFIT = 1.25  # residuals over their differences two voxels apart: 1.0 of noise, up to 1.1 of interpolated noise
_ANATOMY = 2.8  # differences two voxels apart over those of neighbours: 1 of noise, 3 of anatomy
_VOLUMES = 16  # for differences of neighbours: the cube holds enough of them
_REPEATED = 3
_SMALLEST = 1e-4  # of the median b0: no scan has less noise
_CUBE, _CUBES, _FULL = 2, 60, 0.5  # radius, number and filling of the cubes that are searched for few components
_INDEPENDENT = 0.4  # share of the voxels of a cube that count, after an interpolation
_LOW_RANK = 0.7  # of the components that white noise has

NoiseLike = float | str | Path | np.ndarray | Tensor


@dataclass
class NoiseLevel:
    """A noise level and where it is from.

    sigma: (X, Y, Z) standard deviation of the signal noise, 0 where unknown.
    source: a name of the module's first lines, or "given".
    smallest: what no noise is below.
    messages: for the user.
    """

    sigma: Tensor
    source: str
    smallest: float
    messages: list[str] = field(default_factory=list)


def read_noise(noise: NoiseLike, shape: tuple[int, ...], affine: np.ndarray | None = None) -> Tensor:
    """A noise level that the user gives.

    Args:
        noise: number, array or file, (X, Y, Z) or (X, Y, Z, 1).
        shape: (X, Y, Z) expected of a map.
        affine: (4, 4) of the image in mm; None does not compare it with that of a file.
    Returns:
        (X, Y, Z) float32; 0 where the map is not finite or not positive.
    Raises:
        DataError: another shape, another grid, or no positive value.
    """
    found, image = read_map(noise)
    values = np.asarray(found, dtype=np.float32)
    if image is not None and affine is not None and values.shape == tuple(shape):
        check_grid(image, tuple(shape), affine, "noise")
    if values.size == 1:
        values = np.full(shape, values.reshape(()), dtype=np.float32)
    if values.shape != tuple(shape):
        raise DataError(f"noise: found shape {values.shape}, expected {tuple(shape)}, or one number")
    positive = np.isfinite(values) & (values > 0)
    if not positive.any():
        raise DataError("noise: found no positive value, expected the standard deviation of the noise")
    return torch.from_numpy(np.where(positive, values, 0).astype(np.float32))


def estimate_noise(scan: Scan, fit: Fit, known: Tensor, typical: float, given: Tensor | None) -> NoiseLevel:
    """The noise level of a scan, and what contradicts it.

    Args:
        scan, fit: the signals and their fit.
        known: (X, Y, Z) bool, the voxels with a fit.
        typical: median b0.
        given: (X, Y, Z) map of the user, 0 where unknown, or None.
    """
    maps = _look(scan, fit, known)
    middle = {name: _median(values, known) for name, values in maps.items()}
    source, line = _choose(scan, fit, known, middle)
    smallest = _SMALLEST * typical
    sigma = maps[source].clamp_min(smallest) * known
    if given is None:
        return NoiseLevel(sigma, source, smallest, [line] if line else [])
    level, estimate = _median(given, known & (given > 0)), middle[source]
    lines = [f"noise: {level:.4g} as given"]
    if level > 0 and not 1 / _DISAGREE < level / max(estimate, 1e-30) < _DISAGREE:
        lines = [f"warning: noise {level:.4g} as given, while the scan itself says {estimate:.4g}"]
    return NoiseLevel(torch.where(given > 0, given, sigma) * known, "given", smallest, lines)


def _median(values: Tensor, where: Tensor) -> float:
    chosen = values[where & (values > 0)]
    return float(chosen.median()) if len(chosen) else 0.0


def _look(scan: Scan, fit: Fit, known: Tensor) -> dict[str, Tensor]:
    """The maps of the module's first lines that this scan has, (X, Y, Z) each."""
    names = ["signal"] if scan.freedom == 0 else ["residual", "neighbours", "next", "signal", "edges"]
    if scan.b0.sum() >= _REPEATED:
        names.append("b0")
    maps = {name: torch.zeros(known.shape) for name in names}
    step = 1 if scan.freedom == 0 else max(1, round(len(scan.columns) / _VOLUMES))
    for slab in scan.slabs():
        voxels = scan.read(slab.low, slab.high, np.float32)
        inside = known[:, :, slab.low : slab.high] & voxels.here
        rows = inside[voxels.here]
        if not rows.any():
            continue
        log_s0, tensors = fit.get(slab.low, voxels.here)
        found = {}
        weights = torch.ones(()) if voxels.weights is None else voxels.weights[rows]
        signal = voxels.signal[rows]
        predicted = predict(tensors[rows].float(), log_s0[rows].float(), scan.design.float())
        some = torch.where(weights > 0, signal, predicted)[:, ::step]
        found["signal"] = spatial_deviation(some, inside, HALO)
        if scan.freedom > 0:
            found["edges"] = spatial_deviation(some, inside, HALO, lag=2)
            share = (len(scan.columns) / scan.freedom) ** 0.5
            square, freedom = residual_square(signal, predicted, weights, scan.design.shape[1])
            found["residual"] = pool_variance(square, freedom, inside)
            rest = ((signal - predicted) * weights.sqrt())[:, ::step] * share
            found["neighbours"] = spatial_deviation(rest, inside, HALO)
            found["next"] = spatial_deviation(rest, inside, HALO, lag=2)
        if "b0" in maps:
            found["b0"] = _spread(signal[:, torch.from_numpy(scan.b0)], inside)
        for name, values in found.items():
            maps[name][:, :, slab.start : slab.stop] = values[:, :, slab.inner]
    return {name: values * known for name, values in maps.items()}


def residual_square(
    signal: Tensor, predicted: Tensor, weights: Tensor, parameters: int, sigma: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of squared residuals of every voxel, and what it would be at a noise of one.

    Args:
        signal, predicted: (n, M); the prediction is the true signal, not the magnitude.
        weights: (n, M) or ().
        parameters: number that were fitted.
        sigma: (n,) a first noise level, by which the floor of magnitudes is taken into account; None has none.
    Returns:
        (n,) each: sum w r^2, and sum w var - parameters.
    """
    weights = weights.expand_as(signal)
    if sigma is None:
        return (weights * (signal - predicted).square()).sum(1), (weights.sum(1) - parameters).clamp_min(0)
    level = sigma.unsqueeze(1).clamp_min(torch.finfo(sigma.dtype).tiny)
    mean, variance = magnitude_moments(predicted / level)
    square = (weights * (signal - mean * level).square()).sum(1)
    share = (1 - parameters / weights.sum(1).clamp_min(parameters)).clamp_min(0)
    return square, (weights * variance).sum(1) * share


def pool_variance(square: Tensor, freedom: Tensor, inside: Tensor) -> Tensor:
    """Root of the mean square over cubes: sums of squares and their freedom (n,), mask (X, Y, Z) -> (X, Y, Z)."""
    zero = torch.zeros(inside.shape, dtype=square.dtype)
    total, count = (box_mean(zero.masked_scatter(inside, x), inside.to(square.dtype), HALO) for x in (square, freedom))
    return (total / count.clamp_min(1e-6)).clamp_min(0).sqrt() * inside


def _spread(b0: Tensor, inside: Tensor) -> Tensor:
    """Standard deviation over repeated volumes (n, k), pooled over cubes, edges and moving water weighing little."""
    zero = torch.zeros(inside.shape, dtype=b0.dtype)
    root = box_mean(zero.masked_scatter(inside, b0.std(1)), inside.to(b0.dtype), HALO)
    k = b0.shape[1]  # the mean of a standard deviation of k values is below its root mean square
    expected = (2 / (k - 1)) ** 0.5 * float(
        torch.exp(torch.lgamma(torch.tensor(k / 2)) - torch.lgamma(torch.tensor((k - 1) / 2)))
    )
    return root / expected * inside


def _choose(scan: Scan, fit: Fit, known: Tensor, middle: dict[str, float]) -> tuple[str, str]:
    """The map that is the noise, and what to say of it."""
    if scan.freedom == 0:
        return "signal", ""
    residual, signal = middle["residual"], middle["signal"]
    b0 = middle.get("b0")
    noisy = signal > _DISAGREE * residual and middle["edges"] < _ANATOMY * signal
    if noisy and _few_components(scan, fit, known):
        return "signal", (
            f"warning: noise: the residuals of the fit say {residual:.4g}, differences of neighbours {signal:.4g}; the "
            "latter is used, as these signals look denoised (give the map of their noise)"
        )
    if residual > _MISFIT * middle["next"] or (b0 is not None and residual > _DISAGREE * b0):
        source = "neighbours" if b0 is None else "b0"
        side = "differences of neighbours" if b0 is None else "repeated b0 volumes"
        return source, (
            f"warning: noise: the residuals of the fit say {residual:.4g}, {side} {middle[source]:.4g}; the latter is "
            "used, as the tensor model does not describe these signals"
        )
    return "residual", ""


def _few_components(scan: Scan, fit: Fit, known: Tensor) -> bool:
    """Whether residuals lie in fewer dimensions than noise does: what a denoiser by principal components leaves.

    The participation ratio (sum l)^2 / sum l^2 of the eigenvalues l of the covariance of residuals in a cube of n
    voxels is F / (1 + F / n) for white noise of F degrees of freedom; few of n are independent after interpolation.
    """
    ratios = []
    slabs = list(scan.slabs())
    for slab in slabs:
        voxels = scan.read(slab.low, slab.high, np.float32)
        ratios += _participation(scan, fit, slab.low, voxels, known, max(1, _CUBES // len(slabs)))
    if not ratios:
        return False
    found, expected = np.median(np.array(ratios), axis=0)
    return bool(found < _LOW_RANK * expected)


def _participation(
    scan: Scan, fit: Fit, low: int, voxels: Voxels, known: Tensor, count: int
) -> list[tuple[float, float]]:
    """The participation ratio in some cubes, and what interpolated noise would have."""
    inside = known[:, :, low : low + voxels.here.shape[2]] & voxels.here
    log_s0, tensors = fit.get(low, voxels.here)
    rest = (voxels.signal - predict(tensors.float(), log_s0.float(), scan.design.float())).nan_to_num(0, 0, 0)
    index = torch.full(inside.shape, -1, dtype=torch.long)
    index[voxels.here] = torch.arange(len(rest))
    places = inside.nonzero()
    chosen = places[torch.linspace(0, len(places) - 1, min(4 * count, len(places))).long()] if len(places) else places
    side = 2 * _CUBE + 1
    ratios = []
    for x, y, z in chosen.tolist():
        cube = tuple(slice(max(0, c - _CUBE), c + _CUBE + 1) for c in (x, y, z))
        rows = index[cube][inside[cube]]
        if len(rows) < _FULL * side**3 or len(ratios) == count:
            continue
        square = rest[rows].T @ rest[rows]
        ratio = float(square.trace() ** 2 / square.square().sum().clamp_min(1e-30))
        ratios.append((ratio, scan.freedom / (1 + scan.freedom / (_INDEPENDENT * len(rows)))))
    return ratios
