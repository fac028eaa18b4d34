"""Outliers among the slices of a scan: a slice of a volume that moved, dropped or was disturbed while it was measured.

A tensor fitted to all volumes predicts each slice of each volume; two numbers per slice tell whether it belongs:

    gain    sum p (s - p) / sum p^2, how much more or less signal than predicted: -0.4 is a dropout of 40 %
    spread  the root-mean-square of s - p over that of the other volumes of the shell: ghosts, spikes, shifts

each divided by its own robust standard deviation over the volumes of the slice, and never by less than what white noise
would give. A slice is an outlier when it is both improbable (z) and large; its weight is Geman and McClure's of z. The
decision is one per slice, never per voxel: a lesion or a thin tract fits badly in all volumes, an outlier in one.

Idea: Andersson et al., NeuroImage 141 (2016) 556-572 (slices replaced by eddy); Chang et al., Magn. Reson. Med. 53
(2005) 1088-1095 (RESTORE, which decides voxel by voxel).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from mvnet.data_loaders.dti.fit.scan import Fit, Scan, fit_slices
from mvnet.data_loaders.dti.fit.shells import shells_of
from mvnet.data_loaders.dti.fitting import predict
from mvnet.data_loaders.dti.volume import Outlier

_Z = 6.0  # robust standard deviations
_GAIN = 0.07  # of the predicted signal
_SPREAD = 1.7  # times the other volumes' residuals
_ROUNDS = 4
_FREEDOM = 4  # volumes more than parameters, below which residuals tell no volume from another
_LEVERAGE = 0.9  # a volume that decides its own prediction has no residual
_WHOLE = 0.5  # share of slices from which the volume is the outlier
_MOST = 1 / 3  # of the volumes of a slice
_FEWEST_VOXELS = 20
_GROUP = 5  # volumes of a shell, from which they are compared among themselves
_MAD = 1.4826  # standard deviation over the median absolute deviation of a normal distribution


@dataclass(frozen=True)
class SliceScores:
    """(Z, m) each: z-score of the worse of gain and spread, 0 where it is no outlier; whether signal is lost."""

    z: np.ndarray
    dropout: np.ndarray


class _Residuals(NamedTuple):
    """Of one slice, (m,) each: gain, its z-value for white noise, spread over the noise level; how many voxels."""

    gain: np.ndarray
    normal: np.ndarray
    spread: np.ndarray
    voxels: int


def weigh_slices(scan: Scan, fit: Fit) -> list[Outlier]:
    """Find outliers by the residuals of a fit, give them less weight and fit their slices again, until it settles.

    Args:
        scan: its weights are changed.
        fit: of the scan; is brought up to date.
    Returns:
        the outliers, whole volumes first.
    """
    if scan.freedom < _FREEDOM:
        return []
    given = scan.weights.copy()
    residuals = {z: _residuals(scan, fit, z) for z in scan.slices}
    scores = SliceScores(np.zeros_like(given), np.zeros(given.shape, dtype=bool))
    for round_ in range(_ROUNDS):
        scores = score_slices(scan, residuals, first=round_ == 0)
        weights = given * geman_mcclure(scores.z)
        changed = [z for z in scan.slices if np.abs(weights[z] - scan.weights[z]).max() > 0.01]
        if not changed:
            break
        scan.weights = weights
        fit_slices(scan, fit, changed)
        residuals |= {z: _residuals(scan, fit, z) for z in changed}
    return _list_outliers(scan, scores)


def geman_mcclure(z: np.ndarray) -> np.ndarray:
    """Weight 1 / (1 + (z / c)^2)^2 of an outlier of robust z-score `z`, c a third of the threshold; 1 of z = 0."""
    return (1 + (3 * z / _Z) ** 2) ** -2.0


def _residuals(scan: Scan, fit: Fit, z: int) -> _Residuals | None:
    """Gain and spread of every volume in slice z, None where too few voxels tell."""
    data = scan.read(z, z + 1)
    log_s0, tensors = fit.get(z, data.here)
    rows = data.known & log_s0.isfinite() & ~data.partial
    if int(rows.sum()) < _FEWEST_VOXELS:
        return None
    predicted = predict(tensors[rows], log_s0[rows], scan.design)
    residual = data.signal[rows] - predicted
    share = torch.from_numpy(_residual_share(scan, z))  # (m,)
    square = residual.square().mean(0) / share
    level = float(square[share < 1].median() if bool((share < 1).any()) else square.median()) ** 0.5
    level = max(level, np.finfo(np.float32).eps * float(predicted.mean()))
    power = predicted.square().sum(0)
    gain = (predicted * residual).sum(0) / power / share
    normal = gain * (power * share).sqrt() / level
    return _Residuals(gain.numpy(), normal.numpy(), (square.sqrt() / level).numpy(), int(rows.sum()))


def _residual_share(scan: Scan, z: int) -> np.ndarray:
    """Variance of each volume's residual over that of its noise: 1 - h in the fit, 1 + h of a volume left out of it."""
    w = np.clip(scan.weights[z], 1e-12, 1)
    design = scan.design.numpy()
    inverse = np.linalg.pinv((design * w[:, None]).T @ design)
    leverage = np.einsum("mi,ij,mj->m", design, inverse, design)
    h = np.minimum(w * leverage, 1 - 1e-9)
    return np.where(w > 0.5, 1 - h, 1 + np.minimum(leverage, 1e6))


def score_slices(scan: Scan, residuals: dict[int, _Residuals | None], first: bool) -> SliceScores:
    """Robust z-scores of every slice of every volume; of whole volumes where most of their slices are outliers.

    Args:
        scan: the signals.
        residuals: of every slice.
        first: whether no outlier is known yet: then only the worst count, as they spoil the others' residuals.
    """
    groups = _groups(scan)
    z = np.zeros_like(scan.weights)
    dropout = np.zeros(z.shape, dtype=bool)
    for k, found in residuals.items():
        if found is None:
            continue
        trusted = scan.weights[k] > 0.5
        testable = (scan.weights[k] > 0) & ((_residual_share(scan, k) > 1 - _LEVERAGE) | ~trusted)
        by_gain = _robust_z(found.normal, trusted & testable, groups, 1.0)
        by_gain = np.where(np.abs(found.gain) > _GAIN, np.abs(by_gain), 0)
        logarithm = np.log(np.maximum(found.spread, 1e-9))
        by_spread = _robust_z(logarithm, trusted & testable, groups, (0.5 / found.voxels) ** 0.5)
        large = logarithm - _centre(logarithm, trusted & testable, groups) > np.log(_SPREAD)
        by_spread = np.where(large, by_spread, 0)
        worst = np.where(testable, np.maximum(by_gain, by_spread), 0)
        worst[worst < (max(_Z, 0.5 * worst.max()) if first else _Z)] = 0
        cut = np.sort(worst)[::-1][max(1, int(_MOST * len(worst)))]
        z[k] = np.where(worst > cut, worst, 0)
        dropout[k] = (found.gain < -_GAIN) & (by_gain >= _Z)
    tested = [k for k in scan.slices if residuals[k] is not None]
    if len(tested) > 1:
        share = (z[tested] > 0).mean(0)
        for m in np.flatnonzero(share > _WHOLE):
            z[:, m] = np.median(z[tested, m][z[tested, m] > 0])
    return SliceScores(z, dropout)


def _groups(scan: Scan) -> list[np.ndarray]:
    """Columns that are compared among themselves: b0, and each shell, where they are enough; the rest together."""
    shells = np.array(shells_of(scan.bvals[~scan.b0]))
    nearest = np.abs(scan.bvals[:, None] - shells).argmin(1)
    groups = [scan.b0, *(~scan.b0 & (nearest == k) for k in range(len(shells)))]
    small = [group for group in groups if group.sum() < _GROUP]
    large = [group for group in groups if group.sum() >= _GROUP]
    return [*large, np.any(small, axis=0)] if small else large


def _centre(values: np.ndarray, trusted: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """(m,) the median of each value's group; of all where the group is small."""
    out = np.zeros_like(values)
    for group in groups:
        own = trusted & group
        out[group] = np.median(values[own if own.sum() >= _GROUP else trusted]) if trusted.any() else 0.0
    return out


def _robust_z(values: np.ndarray, trusted: np.ndarray, groups: list[np.ndarray], least: float) -> np.ndarray:
    """(values - median) / (1.48 MAD) in groups, the deviation not below `least`."""
    centred = values - _centre(values, trusted, groups)
    out = np.zeros_like(values)
    for group in groups:
        own = trusted & group
        sample = centred[own if own.sum() >= _GROUP else trusted]
        deviation = _MAD * float(np.median(np.abs(sample))) if len(sample) else 0.0
        out[group] = centred[group] / max(deviation, least)
    return out


def _list_outliers(scan: Scan, scores: SliceScores) -> list[Outlier]:
    weight = geman_mcclure(scores.z)
    flagged = scores.z[scan.slices] > 0
    volumes, slices = [], []
    for m, number in enumerate(scan.columns):
        rows = [z for z in scan.slices if scores.z[z, m] > 0]
        kinds = ["dropout" if scores.dropout[z, m] else "residual" for z in rows]
        if rows and flagged[:, m].all() and len(scan.slices) > 1:
            kind = max(kinds, key=kinds.count)
            volumes.append(Outlier(int(number), None, kind, float(scores.z[rows[0], m]), float(weight[rows[0], m])))
        else:
            slices += [
                Outlier(int(number), z, kind, float(scores.z[z, m]), float(weight[z, m]))
                for z, kind in zip(rows, kinds, strict=True)
            ]
    return [*volumes, *slices]
