"""Curves of a recording at a fixed number of samples: uniform in time or in length, without aliasing.

Sample i of S lies at p_i = i (T - 1) / (S - 1) of T frames, and is the mean of the frames about it,

    y_i = sum_t w_it x_t,    w_it ~ max(0, 1 - |t - p_i| / h),    h = max(1, (T - 1) / (S - 1)),

which is linear interpolation where there are more samples than frames, and a low-pass filter where there are fewer.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mvnet.curves import resample

_STILL = 1e-3  # share of the mean step, added to the length of every step so that standing still takes a little


def sample_curve(x: Tensor, samples: int, by_length: bool = False, low_pass: bool = False) -> Tensor:
    """Resample a curve at equally spaced times or arc lengths.

    Args:
        x: (frames, channels).
        samples: number of samples.
        by_length: equally spaced in arc length in place of time.
        low_pass: take means of frames where there are fewer samples; interpolate between two frames otherwise.
    Returns:
        (samples, channels), float64.
    """
    if by_length:
        step = torch.linalg.vector_norm(x[1:] - x[:-1], dim=-1)
        step = step + _STILL * step.sum() / max(len(step), 1) + 1e-12
        along = torch.nn.functional.pad(step.cumsum(0), (1, 0))
        dense = max(samples, len(x)) if low_pass else samples
        x = resample(x, dense, t=along, group="vectors")
    return x if len(x) == samples else _weights(len(x), samples, low_pass) @ x


@lru_cache(64)
def _weights(frames: int, samples: int, low_pass: bool) -> Tensor:
    """w, (samples, frames), rows of sum 1."""
    at = torch.linspace(0, frames - 1, samples, dtype=torch.float64)
    width = max(1.0, (frames - 1) / max(samples - 1, 1)) if low_pass else 1.0
    w = (1 - (torch.arange(frames, dtype=torch.float64) - at.unsqueeze(-1)).abs() / width).clamp_min(0)
    return w / w.sum(-1, keepdim=True)
