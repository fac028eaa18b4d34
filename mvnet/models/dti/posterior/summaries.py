"""What the law of every tensor says of its FA, its MD and its principal direction: deviations, intervals, cones.

One set of quasi-random latents serves all voxels, so that the maps carry no speckle. The k-th smallest of K values
stands for the quantile (k - 1/2) / K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.models.dti.network import centred_log
from mvnet.models.dti.posterior.inference import CHUNK, VolumePosterior

DRAWS = 256
"""Latents of a voxel: a power of 2. The share between two quantiles of a linear function is right to .01 then."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that are kept."""

_CONE = 0.9
_CHUNK = CHUNK // 4


class Summary(NamedTuple):
    """Maps of a posterior, 0 outside the mask.

    Attributes:
        fa_sd, md_sd: (X, Y, Z) standard deviations, MD in um^2/ms.
        fa, md: (5, X, Y, Z) quantiles, at `LEVELS`.
        cone: (X, Y, Z) degrees: the angle to the principal direction of the denoised tensor that holds 90 %.
    """

    fa_sd: Tensor
    md_sd: Tensor
    fa: Tensor
    md: Tensor
    cone: Tensor


@torch.no_grad()
def summarise(
    posterior: VolumePosterior,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Deviations, intervals and cones of a posterior.

    Args:
        posterior: of a volume.
        seed: of the latents.
        draws: latents of a voxel, a power of 2.
        progress: called as progress(voxels done, all).
    Returns:
        maps.
    Raises:
        MvnetError: a number of latents that is no power of 2.
    """
    w = latent_points(draws, seed)
    inside = posterior.tensors[:, posterior.mask] / posterior.scale
    rows = []
    count = inside.shape[1]
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        logs = posterior.head.push(posterior.law.part(part), w.to(inside).unsqueeze(2))
        fa, md = fa_and_md(posterior.tensors_of(logs))
        v1 = principal(logs)  # (3, K, n)
        cosine = (v1 * principal(centred_log(inside[:, part].T).T).unsqueeze(1)).sum(0).abs().clamp_max(1)
        angle = torch.rad2deg(torch.acos(cosine))
        values = [x.std(0, correction=0)[None] for x in (fa, md)]
        values += [quantiles(x, LEVELS) for x in (fa, md)] + [quantiles(angle, (_CONE,))]
        rows.append(torch.cat(values))
        if progress is not None:
            progress(min(start + _CHUNK, count), count)
    maps = posterior.scatter(torch.cat(rows, 1))
    return Summary(maps[0], maps[1], maps[2:7], maps[7:12], maps[12])


def latent_points(count: int, seed: int) -> Tensor:
    """Standard normal points of a scrambled Sobol sequence.

    Args:
        count: a power of 2.
        seed: of the scrambling.
    Returns:
        (6, count), float64.
    Raises:
        MvnetError: another number.
    """
    if count < 2 or count & (count - 1):
        raise MvnetError(f"draws: found {count}, expected a power of 2")
    points = torch.quasirandom.SobolEngine(6, scramble=True, seed=seed).draw(count, dtype=torch.float64)
    # u -> sqrt 2 erf^-1(2 u - 1), u away from 0 and 1
    return torch.special.ndtri(points.clamp(0.5 / count / 8, 1 - 0.5 / count / 8)).T


def fa_and_md(tensors: Tensor) -> tuple[Tensor, Tensor]:
    """FA and MD from the planes.

    Args:
        tensors: (6, ...).
    Returns:
        the shape without the planes, each; MD in the unit of the tensors.
    """
    md = tensors[:3].mean(0)
    square = tensors.square().sum(0)
    return (1.5 * (1 - 3 * md.square() / square).clamp_min(0)).sqrt(), md


def principal(logs: Tensor) -> Tensor:
    """Eigenvectors of the largest eigenvalue.

    Args:
        logs: (6, ...).
    Returns:
        (3, ...), of either sign.
    """
    return sym3.eigenvectors(logs, dim=0).unflatten(0, (3, 3))[:, 2]


def quantiles(values: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Quantiles along the first dim.

    Args:
        values: (K, n).
        levels: in (0, 1).
    Returns:
        (len(levels), n).
    """
    ordered, count = values.sort(0).values, len(values)
    out = []
    for level in levels:
        place = min(max(level * count - 0.5, 0.0), count - 1.0)
        low = min(int(place), count - 2)
        out.append(torch.lerp(ordered[low], ordered[low + 1], place - low))
    return torch.stack(out)
