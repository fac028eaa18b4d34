"""Maps that commute with every orthogonal map: u -> u f(|u|) / |u|, and couplings of size and shape on Sym(3).

log f is a monotone spline of log |u|. Its lower tail has slope 1: near zero the map is a multiple of the identity,
hence smooth. The slope p of the upper tail is free: far out |f| grows as |u|^p, heavy or light tails of a density.
Source: paper sections 4.1.1 and 5.1.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped, sum_samples, wide
from mvnet.invertible.splines import Knots, knots, rational_quadratic, rational_quadratic_inverse

LEAST_SQUARE = 1e-30
"""Of |u|^2 under the logarithm: far below the lowest knot."""


def radial(u: Tensor, spline: Knots, shift: Tensor | float = 0.0, dim: int = 1) -> tuple[Tensor, Tensor]:
    """u exp(g(s) - s) with s = log |u| - shift, g the spline.

    log|det| = n (g(s) - s) + log g'(s), n components

    Args:
        u: vectors, n components along dim.
        spline: knots of shapes that broadcast against u without dim, (..., K + 1); slope 1 in the lower tail.
        shift: logarithm of the unit of length.
        dim: where the components are.
    Returns:
        vectors, and log|det| of every vector: the shape of u without dim.
    """
    u = wide(u)
    s = _log_norm(u, dim) - shift
    g, slope = rational_quadratic(s, spline)
    return u * (g - s).exp().unsqueeze(dim), u.shape[dim] * (g - s) + slope


def radial_inverse(v: Tensor, spline: Knots, shift: Tensor | float = 0.0, dim: int = 1) -> tuple[Tensor, Tensor]:
    """The inverse of `radial`.

    Args:
        v: vectors, n components along dim.
        spline, shift, dim: as in `radial`.
    Returns:
        vectors, and log|det| of every vector: the shape of v without dim.
    """
    v = wide(v)
    s = _log_norm(v, dim) - shift
    g, slope = rational_quadratic_inverse(s, spline)
    return v * (g - s).exp().unsqueeze(dim), v.shape[dim] * (g - s) + slope


def _log_norm(u: Tensor, dim: int) -> Tensor:
    return u.square().sum(dim).clamp(min=LEAST_SQUARE).log() / 2


class Radial(Invertible):
    """One radial map for all points of a field: u -> u f(|u|) / |u|, in normal latents' units.

    Args:
        bins: of the spline of log |u|.
        bound: knots from -bound to bound, about the logarithm of a learned unit of length.
        dim: where the components are.
        conditions: numbers of channels of a context (B, conditions, ...) on which the spline depends linearly; 0: none.
    Shape:
        (B, n, ...) -> the same.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Radial
        >>> layer, u = Radial(8), torch.randn(2, 6, 4, 4)
        >>> torch.allclose(layer(u)[0], u)
        True
    """

    def __init__(self, bins: int = 12, bound: float = 3.0, dim: int = 1, conditions: int = 0):
        super().__init__()
        if bins < 1 or not bound > 0:
            raise MvnetError(f"bins, bound: found {bins} and {bound}, expected positive numbers")
        self.bound, self.dim, self.conditional = bound, dim, conditions > 0
        self.raw = nn.Parameter(torch.zeros(3 * bins + 1))
        self.shift = nn.Parameter(torch.zeros(()))
        self.scale = nn.Parameter(torch.zeros(()))
        self.mix = nn.Parameter(torch.zeros(conditions, 3 * bins + 1)) if conditions else None

    def knots(self, context: Tensor | None = None) -> Knots:
        """The spline of log |u| - shift.

        Args:
            context: shape (B, conditions, ...) of a conditional layer.
        Returns:
            knots of shape (K + 1,), or (B, ..., K + 1).
        """
        raw = self.raw
        if self.mix is not None and context is not None:
            raw = raw + context.movedim(1, -1) @ self.mix
        spline = knots(raw, self.bound, tails=(False, True))
        shift = torch.stack((torch.zeros_like(self.scale), self.scale, torch.zeros_like(self.scale)))
        return Knots(spline.table + shift[:, None])

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        z, change = radial(x, self.knots(context), self.shift, self.dim)
        return z, sum_samples(change)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        x, change = radial_inverse(z, self.knots(context), self.shift, self.dim)
        return x, sum_samples(change)


class SizeShape(Invertible):
    """Coupling of the size and the shape of symmetric 3x3 matrices in Mandel planes, equivariant under rotations.

    With t = tr / sqrt 3 and D the deviator:
        D' = D exp(a(t)),    t' = t exp(b(|D'|)) + c(|D'|),    log|det| = 5 a + b

    Args:
        hidden: width of the networks of a, and of b and c; these start at zero, the layer at the identity.
        limit: |a| and |b| are below this.
    Shape:
        (B, 6, ...) -> the same.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import SizeShape
        >>> x = torch.randn(2, 6, 4)
        >>> torch.allclose(SizeShape()(x)[0], x, atol=1e-6)
        True
    """

    def __init__(self, hidden: int = 16, limit: float = 1.0):
        super().__init__()
        self.limit = limit
        self.of_size = _network(hidden, 1)
        self.of_shape = _network(hidden, 2)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        size, shape = _split(x)
        a = self._scale(size)
        shape = shape * a.exp()
        b, c = self._affine(shape)
        return _join(size * b.exp() + c, shape), sum_samples(5 * a + b)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        size, shape = _split(z)
        b, c = self._affine(shape)
        size = (size - c) * (-b).exp()
        a = self._scale(size)
        return _join(size, shape * (-a).exp()), sum_samples(-5 * a - b)

    def _scale(self, size: Tensor) -> Tensor:
        """a(t), (B, 1, ...)."""
        return self.limit * torch.tanh(self.of_size(size.movedim(1, -1)).movedim(-1, 1))

    def _affine(self, shape: Tensor) -> tuple[Tensor, Tensor]:
        """b and c of log(1 + |D|^2), (B, 1, ...) each."""
        invariant = shape.square().sum(1, keepdim=True).log1p()
        b, c = self.of_shape(invariant.movedim(1, -1)).movedim(-1, 1).split(1, 1)
        return self.limit * torch.tanh(b), c

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        if x.ndim < 2 or x.shape[1] != 6:
            raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected (B, 6, ...)")


def _network(hidden: int, out: int) -> nn.Sequential:
    last = nn.Linear(hidden, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(1, hidden), nn.SiLU(), last)


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    """t (B, 1, ...) and D (B, 6, ...)."""
    x = wide(x)
    size = x[:, :3].sum(1, keepdim=True) / 3**0.5
    return size, _join(-size, x)


def _join(size: Tensor, shape: Tensor) -> Tensor:
    """D + t I / sqrt 3"""
    return torch.cat((shape[:, :3] + size / 3**0.5, shape[:, 3:]), 1)
