"""Divergence-free fields: their flows keep volumes (paper section 2.4.2).

Both fields here are sums of shears u_k sigma(a_k . z + b_k) with u_k orthogonal to a_k: each is divergence-free, and
moves along u_k at a speed that the motion does not change, so that its flow is z + h u_k sigma(a_k . z + b_k).
A composition of these flows keeps volumes at every step size.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.base import Part, VectorField
from mvnet.fields.bounds import growth_in_time
from mvnet.fields.in_time import TimeGrid, affine, check_count, check_features, draw


class ShearField(VectorField):
    """f(t, z) = sum_k u_k(t) sigma(a_k(t) . z + b_k(t)), u_k . a_k = 0: a `SplitField`, every summand a part.

    A subclass gives the directions u_k. Parameters: `weight` (count, m, d) with rows a_k, and `bias` (count, m).

    Args:
        features: d >= 2.
        shears: m.
        grid: in time.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: initial weights are normal with standard deviation scale / sqrt(d), initial biases with `scale`.
        generator: source of the initial values; torch's global generator when None.
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"volume"})

    def __init__(
        self,
        features: int,
        shears: int,
        grid: TimeGrid,
        sigma: str | Activation,
        scale: float,
        generator: torch.Generator | None,
    ):
        super().__init__()
        check_count("features", features)
        check_count("shears", shears)
        if features < 2:
            raise MvnetError(f"features: found {features}, expected at least 2: in one dimension nothing moves")
        self.features, self.grid, self.sigma = features, grid, get_activation(sigma)
        self.weight = draw((grid.count, shears, features), scale / features**0.5, generator)
        self.bias = draw((grid.count, shears), scale, generator)

    @abstractmethod
    def directions(self, weight: Tensor, free: Tensor | None) -> Tensor:
        """u_k, orthogonal to a_k.

        Args:
            weight: rows a_k, shape (..., m, d).
            free: values of further parameters, if there are any.
        Returns:
            rows u_k, shape (..., m, d).
        """

    def free(self) -> Tensor | None:
        """Further parameters of the directions.

        Returns:
            shape (count, m, d), or None.
        """
        return None

    def shears_at(self, t: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """What makes the shears at a time.

        Args:
            t: time, a scalar tensor, or one time for each state.
            batch: number of batch dims of the states.
        Returns:
            rows a_k and u_k, (m, d) each, and b (m); with batch dims in front where t has them.
        """
        free = self.free()
        values = (self.weight, self.bias) if free is None else (self.weight, self.bias, free)
        weight, bias, *rest = self.grid.at(t, *values, batch=batch)
        return weight, self.directions(weight, rest[0] if rest else None), bias

    def forward(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """U^T sigma(A z + b), rows u_k and a_k

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
            args: not used.
        Returns:
            shape (..., d).
        """
        check_features(z, self.features)
        a, u, b = self.shears_at(t, z.ndim - 1)
        return affine(u.mT, self.sigma(affine(a, z, b)))

    @property
    def parts(self) -> Sequence[Part]:
        """The shears, in order."""
        return tuple(Shear(self, k) for k in range(self.weight.shape[1]))

    def one_sided_bound(self) -> Tensor | None:
        """sup lambda_max(sym(U^T D A)) >= 0: what keeps volumes and shrinks one way grows another way.

        Returns:
            nu; None where parameters are joined by lines and the directions are not linear in them.
        """
        linear = self.grid.kind == "linear"
        if linear and self.free() is not None:
            return None
        directions = self.directions(self.weight, self.free())
        return growth_in_time(directions.mT, self.weight, self.sigma.slopes, linear)


class Shear:
    """u_k sigma(a_k . z + b_k), one summand.

    Args:
        field: the whole.
        index: k.
    """

    def __init__(self, field: ShearField, index: int):
        self.field, self.index = field, index

    def __call__(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """u_k sigma(a_k . z + b_k)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
            args: not used.
        Returns:
            shape (..., d).
        """
        a, u, b = self.field.shears_at(t, z.ndim - 1)
        k = self.index
        speed = self.field.sigma((a[..., k, :] * z).sum(-1) + b[..., k])
        return u[..., k, :] * speed[..., None]

    def flow(self, t: Tensor, h: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """z + h u_k sigma(a_k . z + b_k), exact

        Args:
            t: time at which the parameters are frozen.
            h: step size.
            z: states (..., d).
            args: not used.
        Returns:
            shape (..., d).
        """
        return z + h * self(t, z)


class SkewPotentialField(ShearField):
    """f_i = sum_j d/dz_j Psi_ij(t, z) with a skew-symmetric matrix of functions Psi, so that div f = 0.

    Psi(z) = sum_k S_k gamma(a_k . z + b_k) with S_k = (v_k a_k^T - a_k v_k^T) / |a_k|^2 gives the shears along
    S_k a_k = v_k - a_k (a_k . v_k) / |a_k|^2. (Other skew S_k give no other directions.)

    Args:
        features: d >= 2.
        hidden: m, the number of summands; 2 d when None.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of the initial weights and biases.
        generator: source of the initial values; torch's global generator when None.

    Examples:
        >>> import torch
        >>> from mvnet.fields import SkewPotentialField
        >>> field = SkewPotentialField(3, generator=torch.Generator().manual_seed(0)).double()
        >>> jacobian = torch.func.jacrev(lambda z: field(torch.tensor(0.0), z))(torch.ones(3).double())
        >>> bool(jacobian.trace().abs() < 1e-14)
        True
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        grid = TimeGrid(intervals, duration, kind)
        super().__init__(features, hidden or 2 * features, grid, sigma, scale, generator)
        self.direction = draw(tuple(self.weight.shape), scale / features**0.5, generator)

    def free(self) -> Tensor:
        """v"""
        return self.direction

    def directions(self, weight: Tensor, free: Tensor | None) -> Tensor:
        """v_k - a_k (a_k . v_k) / |a_k|^2; the second term is 0 at a_k = 0, where v_k is orthogonal to it."""
        assert free is not None
        squares = weight.square().sum(-1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
        return free - weight * ((weight * free).sum(-1, keepdim=True) / squares)


class PairwiseHamiltonianField(ShearField):
    """f = sum_i J_i grad H_i(t, z), i = 1, ..., d - 1: J_i turns the coordinates i and i + 1.

    H_i depends on all of z. Every divergence-free field is such a sum of Hamiltonian fields in planes. Here
    H_i = sum_k gamma(a_ik . z + b_ik).

    Args:
        features: d >= 2.
        hidden: number of summands of every H_i; d when None.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of the initial weights and biases.
        generator: source of the initial values; torch's global generator when None.
    Source: Feng, Shang, Volume-preserving algorithms for source-free dynamical systems, Numer. Math. 71 (1995);
        McLachlan, Quispel, Splitting methods, Acta Numerica 11 (2002), the [93] of the paper.
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        grid = TimeGrid(intervals, duration, kind)
        hidden = hidden or features
        super().__init__(features, max(features - 1, 1) * hidden, grid, sigma, scale, generator)
        self.hidden = hidden

    def directions(self, weight: Tensor, free: Tensor | None) -> Tensor:
        """J_i a_ik: the entries i and i + 1 of a_ik, turned."""
        plane = torch.arange(self.features - 1, device=weight.device).repeat_interleave(self.hidden)[:, None]
        first = torch.zeros_like(weight).scatter(-1, plane.expand_as(weight[..., :1]), 1.0)
        second = first.roll(1, -1)
        return first * (weight * second).sum(-1, keepdim=True) - second * (weight * first).sum(-1, keepdim=True)
