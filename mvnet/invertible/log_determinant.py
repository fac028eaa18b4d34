"""log det(1 + J) of the Jacobian J of a network g, exact or estimated.

log det(1 + J) = sum_{k>=1} (-1)^{k+1} tr(J^k) / k,   |J| <= c < 1,   tr(J^k) = E v^T J^k v for random signs v.

| estimator  | terms                                                  | error                                        |
|------------|--------------------------------------------------------|----------------------------------------------|
| `Exact`    | the Jacobian itself                                    | none; n vector-Jacobian products             |
| `Series`   | the first N                                            | at most n sum_{k>N} c^k / k, and noise       |
| `Roulette` | K sure ones, then with probability p the last          | none on average; finite variance: c^2 < 1 - p |

The gradient is estimated with the same products: d log det(1 + J) = E w^T dJ v, w = sum_k (-1)^k (J^T)^k v, so that one
product alone needs a graph of its own.
Source: paper section 4.2.3; Behrmann et al. (2019); Chen et al., Residual flows (2019), for roulette and gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.invertible.base import wide
from mvnet.invertible.lipschitz import check_budget

EXACT_UP_TO = 8
"""Dimension of a sample."""


class Estimator(Protocol):
    """g, x -> g(x) and log det(1 + J)."""

    def __call__(self, g: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate.

        Args:
            g: maps (B, ...) to itself, sample by sample.
            x: shape (B, ...).
        Returns:
            g(x), and shape (B,).
        """
        ...


@dataclass(frozen=True)
class Exact:
    """The determinant of the Jacobian matrix."""

    def __call__(self, g: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """log|det(1 + J)|

        Args:
            g: maps (B, ...) to itself, sample by sample.
            x: shape (B, ...).
        Returns:
            g(x), and shape (B,).
        """
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            at = x if x.requires_grad and differentiable else x.detach().requires_grad_()
            value = g(at)
            columns = value.flatten(1)
            n = columns.shape[1]
            rows = [_product(columns[:, i], at, torch.ones_like(columns[:, i]), differentiable) for i in range(n)]
            jacobian = torch.stack([row.flatten(1) for row in rows], 1)
            change = _log_det(wide(jacobian))
        return (value, change) if differentiable else (value.detach(), change.detach())


def _log_det(jacobian: Tensor) -> Tensor:
    if jacobian.shape[-1] == 2:
        (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
        return ((1 + a) * (1 + d) - b * c).abs().log()
    return torch.linalg.slogdet(jacobian + torch.eye(jacobian.shape[-1]).to(jacobian)).logabsdet


@dataclass(frozen=True)
class Series:
    """The first terms of the power series, with one vector of random signs a call.

    Args:
        terms: N.
        generator: source of the signs; torch's global one when None.
    """

    terms: int = 10
    generator: torch.Generator | None = None

    @classmethod
    def for_error(cls, contraction: float, dimension: int, error: float) -> Series:
        """As many terms as bound the truncation.

        Args:
            contraction: c.
            dimension: n of a sample.
            error: largest bias, in nats.
        Returns:
            the estimator.
        """
        check_budget(contraction)
        terms, tail = 1, dimension * contraction**2 / (2 * (1 - contraction))
        while tail > error:
            terms += 1
            tail = dimension * contraction ** (terms + 1) / ((terms + 1) * (1 - contraction))
        return cls(terms)

    def __call__(self, g: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """The truncated series.

        Args:
            g: maps (B, ...) to itself, sample by sample.
            x: shape (B, ...).
        Returns:
            g(x), and shape (B,).
        """
        return _weighted_series(g, x, [1.0] * self.terms, self.generator)


@dataclass(frozen=True)
class Roulette:
    """Some sure terms, then each is the last with probability p; the others are weighted up: unbiased.

    Args:
        contraction: c, the Lipschitz constant of g.
        rate: p; four fifths of 1 - c^2 when None.
        sure: number of terms that are always taken.
        generator: source of the random numbers; torch's global one when None.
    Raises:
        MvnetError: c not in (0, 1), or a rate at or above 1 - c^2, with which the variance is infinite.
    """

    contraction: float
    rate: float | None = None
    sure: int = 4
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        check_budget(self.contraction)
        most = 1 - self.contraction**2
        if self.rate is not None and not 0 < self.rate < most:
            raise MvnetError(f"rate: found {self.rate}, expected a number in (0, {most:.3g})")

    @property
    def chosen_rate(self) -> float:
        """p"""
        return 0.8 * (1 - self.contraction**2) if self.rate is None else self.rate

    @property
    def mean_products(self) -> float:
        """Vector-Jacobian products of a call on average, without the one of the gradient."""
        return self.sure + 1 / self.chosen_rate

    def __call__(self, g: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """One draw of the estimate; the number of terms is the same for all samples.

        Args:
            g: maps (B, ...) to itself, sample by sample.
            x: shape (B, ...).
        Returns:
            g(x), and shape (B,).
        """
        stay = 1 - self.chosen_rate
        # P(extra >= j) = stay^(j-1), j = 1, 2, ...
        uniform = float(torch.rand((), generator=self.generator, dtype=torch.float64).clamp(min=1e-300))
        extra = 1 + int(math.log(uniform) / math.log(stay))
        weights = [1.0] * self.sure + [stay**-j for j in range(extra)]
        return _weighted_series(g, x, weights, self.generator)


def _weighted_series(
    g: Callable[[Tensor], Tensor], x: Tensor, weights: list[float], generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        at = x if x.requires_grad and differentiable else x.detach().requires_grad_()
        value = g(at)
        signs = torch.randint(
            0, 2, x.shape, generator=generator, device=x.device if generator is None else generator.device
        )
        v = (2 * signs - 1).to(value)
        # u_k = (J^T)^k v;  total += (-1)^(k+1) weight_k / k  u_k . v;  w += (-1)^(k-1) weight_k u_(k-1)
        u, w, total = v, torch.zeros_like(v), wide(v).new_zeros(len(v))
        for k, weight in enumerate(weights, 1):
            sign = 1.0 if k % 2 else -1.0
            w = w + sign * weight * u
            u = _product(value, at, u, False)
            total = total + sign * weight / k * wide(u * v).flatten(1).sum(1)
        if not differentiable:
            return value.detach(), total
        gradient = wide(_product(value, at, w, True) * v).flatten(1).sum(1)
    return value, total + (gradient - gradient.detach())


def _product(value: Tensor, at: Tensor, cotangent: Tensor, differentiable: bool) -> Tensor:
    """J^T cotangent; zero where the value does not depend on the point."""
    (product,) = torch.autograd.grad(
        value, at, cotangent, retain_graph=True, create_graph=differentiable, allow_unused=True
    )
    return torch.zeros_like(at) if product is None else product


def choose_estimator(contraction: float, dimension: int) -> Estimator:
    """Exact for few numbers, roulette for many.

    Args:
        contraction: c.
        dimension: n of a sample.
    Returns:
        the estimator.
    """
    return Exact() if dimension <= EXACT_UP_TO else Roulette(contraction)
