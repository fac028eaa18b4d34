"""Gradient schemes: directions spread evenly over the half sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fit_options import B0_THRESHOLD
from mvnet.errors import MvnetError

_STEPS = 80


def repulsion_directions(n: int, generator: torch.Generator) -> Tensor:
    """n directions that repel each other and each other's antipodes like charges.

    Descends E = sum_{i<j} 1/|g_i - g_j| + 1/|g_i + g_j| from a random start (Jones et al., Magn. Reson. Med.
    42 (1999) 515-525).

    Returns:
        (n, 3) float64 unit vectors.
    """
    g = _normalise(torch.randn(n, 3, generator=generator, dtype=torch.float64))
    spacing = (2 * math.pi / n) ** 0.5  # of n areas on the half sphere
    for k in range(_STEPS):
        c = (g @ g.T).fill_diagonal_(0).clamp(-1 + 1e-9, 1 - 1e-9)
        # |g_i -+ g_j|^-3; of the pushes along g_i -+ g_j only the part with g_j moves g_i on the sphere
        force = ((2 + 2 * c).pow(-1.5) - (2 - 2 * c).pow(-1.5)) @ g
        tangent = force - (force * g).sum(1, keepdim=True) * g
        # steps bounded by a share of the spacing that shrinks to zero
        limit = 0.25 * spacing * (1 - k / _STEPS)
        length = tangent.norm(dim=1, keepdim=True).clamp_min(1e-12)
        g = _normalise(g + tangent * (limit / length).clamp_max(spacing**3 / 4))
    return g


def spiral_directions(n: int, generator: torch.Generator) -> Tensor:
    """n directions on a golden-angle spiral over the half sphere, randomly rotated: (n, 3) float64."""
    k = torch.arange(n, dtype=torch.float64)
    z = (k + 0.5) / n
    phi = k * math.pi * (3 - 5**0.5)
    r = (1 - z * z).sqrt()
    spiral = torch.stack([r * phi.cos(), r * phi.sin(), z], 1)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return spiral @ q


def spread_directions(candidates: Tensor, count: int) -> list[int]:
    """Indices of `count` of the candidates: the first, then always the one farthest from all before it.

    Args:
        candidates: (M, 3) unit vectors; antipodes are the same direction.
        count: at most M.
    """
    chosen = [0]
    closeness = (candidates @ candidates[0]).abs()
    while len(chosen) < count:
        closeness[chosen] = torch.inf
        chosen.append(int(closeness.argmin()))
        closeness = torch.maximum(closeness, (candidates @ candidates[chosen[-1]]).abs())
    return chosen


METHODS = {"repulsion": repulsion_directions, "spiral": spiral_directions}


def gradient_scheme(
    n: int, b: float = 1000.0, n_b0: int = 1, seed: int = 0, method: str = "repulsion"
) -> tuple[Tensor, Tensor]:
    """A single-shell scheme, b0 volumes first.

    Args:
        n: directions, at least 6.
        b: s/mm^2, at least 50.
        n_b0: volumes without weighting, at least 1.
        seed: of the random start or rotation.
        method: "repulsion" (electrostatic) or "spiral" (golden angle; instantaneous).
    Returns:
        bvals (n_b0 + n,) in s/mm^2 and bvecs (n_b0 + n, 3) unit vectors, zero for b0; float32.
    """
    if n < 6:
        raise MvnetError(f"n: found {n} directions, expected at least 6")
    if b < B0_THRESHOLD:
        raise MvnetError(f"b: found {b}, expected at least {B0_THRESHOLD:g} s/mm^2 (not ms/um^2)")
    if n_b0 < 1:
        raise MvnetError(f"n_b0: found {n_b0}, expected at least 1")
    if method not in METHODS:
        raise MvnetError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
    directions = METHODS[method](n, torch.Generator().manual_seed(seed))
    bvals = torch.cat([torch.zeros(n_b0), torch.full((n,), float(b))])
    return bvals, torch.cat([torch.zeros(n_b0, 3), directions.float()])


def _normalise(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
