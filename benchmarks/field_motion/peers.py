"""Peers of the denoiser of motions: what is used to smooth curves of rotations, each with a grid of its parameter.

A peer takes rotations (frames, curves, 3, 3) without gaps, and a value of its grid. Linear filters act on the four
components of unit quaternions whose signs follow each other, and the result is normalised; what is intrinsic acts on
rotations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import interpolate, ndimage, signal
from scipy.spatial.transform import Rotation
from torch import Tensor

from mvnet.linalg import so3


class Peer(NamedTuple):
    """A method: its name, the grid of its parameter, and (rotations, rate in Hz, value) -> rotations."""

    name: str
    grid: tuple
    smooth: Callable[[np.ndarray, float, Any], np.ndarray]


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """(frames, curves, 4) unit quaternions, each in the half space of the one before."""
    frames, curves = rotations.shape[:2]
    q = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(frames, curves, 4)
    sign = np.where((q[1:] * q[:-1]).sum(-1) < 0, -1.0, 1.0)
    q[1:] *= np.cumprod(sign, axis=0)[..., None]
    return q


def _matrices(q: np.ndarray) -> np.ndarray:
    return Rotation.from_quat(q.reshape(-1, 4)).as_matrix().reshape(*q.shape[:2], 3, 3)


def _log(r: np.ndarray) -> np.ndarray:
    return so3.log(torch.from_numpy(r)).numpy()


def _exp(u: np.ndarray) -> np.ndarray:
    return so3.exp(torch.from_numpy(u)).numpy()


def butterworth(r: np.ndarray, rate: float, hertz: float) -> np.ndarray:
    """Zero-phase Butterworth low-pass of order 4 (2, forwards and backwards)."""
    sections = signal.butter(2, min(hertz / (rate / 2), 0.99), output="sos")
    return _matrices(signal.sosfiltfilt(sections, quaternions(r), axis=0, padlen=min(9, len(r) - 1)))


def savitzky_golay(r: np.ndarray, rate: float, window: float) -> np.ndarray:
    """Local cubics."""
    odd = min(int(window), len(r) - 1 + len(r) % 2)
    return _matrices(np.asarray(signal.savgol_filter(quaternions(r), odd, 3, axis=0)))


def one_euro(r: np.ndarray, rate: float, value: tuple[float, float]) -> np.ndarray:
    """Casiez, Roussel, Vogel (CHI 2012), by slerp, with a cut-off that grows with the angular speed."""
    least, slope = value
    out, speed = [r[0]], np.zeros(r.shape[1])
    for now in r[1:]:
        step = _log(np.swapaxes(out[-1], -1, -2) @ now)
        alpha = _share(1.0, rate)
        speed = speed + alpha * (np.linalg.norm(step, axis=-1) * rate - speed)
        share = _share(least + slope * speed, rate)
        out.append(out[-1] @ _exp(np.broadcast_to(share, speed.shape)[..., None] * step))
    return np.stack(out)


def _share(hertz, rate: float):
    return 1 / (1 + rate / (2 * np.pi * hertz))


def gaussian(r: np.ndarray, rate: float, width: float) -> np.ndarray:
    """Gaussian weights along the shorter arcs: the weighted mean of quaternions."""
    return _matrices(ndimage.gaussian_filter1d(quaternions(r), width, axis=0, mode="nearest"))


def kalman(r: np.ndarray, rate: float, ratio: float) -> np.ndarray:
    """Kalman filter and its backward smoother of a velocity that walks; `ratio` of its steps to the noise."""
    y = quaternions(r)
    transition, noise = np.array([[1.0, 1], [0, 1]]), ratio**2 * np.array([[1 / 3, 1 / 2], [1 / 2, 1]])
    state, cov = np.stack([y[0], 0 * y[0]]), np.diag([1.0, 1.0])
    kept = []
    for now in y:
        ahead, spread = np.tensordot(transition, state, 1), transition @ cov @ transition.T + noise
        gain = spread[:, 0] / (spread[0, 0] + 1)
        state = ahead + gain[:, None, None] * (now - ahead[0])
        cov = spread - np.outer(gain, spread[0])
        kept.append((state, cov, ahead, spread))
    smooth = [kept[-1][0]]
    for (state, cov, _, _), (_, _, ahead, spread) in zip(kept[-2::-1], kept[:0:-1]):
        back = cov @ transition.T @ np.linalg.inv(spread)
        smooth.append(state + np.tensordot(back, smooth[-1] - ahead, 1))
    return _matrices(np.stack(smooth[::-1])[:, 0])


def ssa(r: np.ndarray, rate: float, value: tuple[float, int]) -> np.ndarray:
    """Singular spectrum analysis: (window in seconds, rank), all components of a curve together."""
    seconds, rank = value
    y = quaternions(r)
    window = int(np.clip(seconds * rate, 4, len(y) // 2))
    out = np.empty_like(y)
    count = len(y) - window + 1
    places = np.arange(window)[:, None] + np.arange(count)
    times = np.bincount(places.ravel(), minlength=len(y))
    for curve in range(y.shape[1]):
        trajectory = y[places, curve].reshape(window, -1)  # (window, count * 4)
        u, s, v = np.linalg.svd(trajectory, full_matrices=False)
        kept = ((u[:, :rank] * s[:rank]) @ v[:rank]).reshape(window, count, 4)
        for k in range(4):
            out[:, curve, k] = np.bincount(places.ravel(), kept[..., k].ravel(), len(y)) / times
    return _matrices(out)


def total_variation(r: np.ndarray, rate: float, weight: float) -> np.ndarray:
    """min sum 1/2 d(x_t, y_t)^2 + weight sum d(x_t, x_{t+1}), by cyclic proximal points.

    Source: Weinmann, Demaret, Storath, SIAM J. Imaging Sci. 7 (2014) 2226.
    """
    x, y = torch.from_numpy(r).clone(), torch.from_numpy(r)
    for step in range(40):
        size = 3 / (1 + step)
        x = x @ so3.exp(size / (1 + size) * so3.log(x.mT @ y))
        for first in (0, 1):
            a, b = x[first:-1:2], x[first + 1 :: 2]
            between = so3.log(a.mT @ b)
            length = torch.linalg.vector_norm(between, dim=-1, keepdim=True).clamp(min=1e-12)
            move = (size * weight / length).clamp(max=0.5) * between
            x[first:-1:2], x[first + 1 :: 2] = a @ so3.exp(move), b @ so3.exp(-move)
    return x.numpy()


def b_spline(r: np.ndarray, rate: float, value: float) -> np.ndarray:
    """Cubic B-splines, knots `value` frames apart: Gauss-Newton on SO(3) from the least squares of quaternions."""
    frames = np.arange(len(r), dtype=float)
    inner = np.arange(value, len(r) - 1 - value / 2, value)
    knots = np.concatenate([[0.0] * 4, inner, [len(r) - 1.0] * 4])

    def fit(y: np.ndarray) -> np.ndarray:
        flat = y.reshape(len(y), -1)
        return interpolate.make_lsq_spline(frames, flat, knots)(frames).reshape(y.shape)

    x = _matrices(fit(quaternions(r)))
    for _ in range(2):
        x = x @ _exp(fit(_log(np.swapaxes(x, -1, -2) @ r)))
    return x


_HERTZ = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)

PEERS = (
    Peer("Butterworth 6 Hz", (6.0,), butterworth),
    Peer("Butterworth", _HERTZ, butterworth),
    Peer("Savitzky-Golay", (7, 11, 15, 21, 31, 41, 61, 81), savitzky_golay),
    Peer("one-euro", tuple((least, slope) for least in (0.3, 1.0, 3.0) for slope in (0.0, 0.3, 1.0, 3.0)), one_euro),
    Peer("SLERP-Gaussian", (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0), gaussian),
    Peer("Kalman / RTS", (1e-3, 3e-3, 6e-3, 1e-2, 2e-2, 4e-2, 0.1, 0.3), kalman),
    Peer("SSA", tuple((s, k) for s in (0.25, 0.5) for k in (1, 2, 3, 5)), ssa),
    Peer("TV on SO(3)", (0.1, 0.3, 0.6, 1.2), total_variation),
    Peer("B-splines on SO(3)", (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0), b_spline),
)
"""Every peer; its best value is chosen in every cell of the table by the error itself."""


def hampel(values: Tensor, seen: Tensor, threshold: float = 3.0) -> Tensor:
    """Values seen that are no spikes, for peers that have no such step of their own.

    A value is a spike where its distance to the chordal median of the seven around exceeds `threshold` times 1.48 of
    the median of such distances around it.

    Args:
        values: (frames, curves, 3, 3). seen: (frames, curves) bool.
    """
    flat = torch.where(seen[..., None], values.flatten(-2), torch.nan)
    windows = torch.nn.functional.pad(flat.movedim(0, -1), (3, 3), value=torch.nan).unfold(-1, 7, 1)
    middle = windows.nanmedian(-1).values.movedim(-1, 0)  # (frames, curves, 9)
    away = torch.linalg.vector_norm(flat - middle, dim=-1)
    around = torch.nn.functional.pad(away.movedim(0, -1), (15, 15), value=torch.nan).unfold(-1, 31, 1)
    scale = 1.4826 * around.nanmedian(-1).values.movedim(-1, 0)
    return seen & ~(away > threshold * scale)
