"""Steepest descent of matrices in the spectral norm.

Of all steps D of spectral norm 1, the one that descends fastest along a gradient G = U S V^T is -U V^T, its polar
factor: the gradient in the metric that the spectral norm induces (paper 6.2, gradients by other metrics). Muon takes
the polar factor of the averaged gradient, by a Newton-Schulz iteration that multiplies matrices only:

    X_0 = G / |G|,    X_{k+1} = X_k (a 1 + b A + c A^2),  A = X_k^T X_k                 (or A X, whichever is smaller)

All iterates are X_0 times a polynomial of A_0 = X_0^T X_0, so that the iteration runs on the small Gram matrix alone.
The polar factor of an equivariant G is equivariant: G commutes with the group, and so do polynomials of its Gram
matrix. The step on the kernel is therefore a step of the layer's own weights, and projecting it changes nothing.

Source: paper 6.2; Jordan et al., Muon (2024); Bernstein and Newhouse, Old optimizer, new norm (2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.linalg.matrix_view import MatrixView
from mvnet.optim.matrices import FEWEST, MatrixOptimizer, apply_steps, stacked_gradients

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # a, b, c: singular values in (0, 1] end in about [.7, 1.2] after 5 steps
_SMALLEST_NORM = 1e-7


def newton_schulz(g: Tensor, steps: int = 5) -> Tensor:
    """Approximate polar factors: singular values near 1, singular vectors of g.

    Args:
        g: shape (..., m, n).
        steps: of the iteration.
    Returns:
        the same shape; zero for zero.
    Source: Jordan et al. (2024); on the Gram matrix, in the dtype of g.
    """
    a, b, c = _COEFFICIENTS
    wide = g.shape[-2] <= g.shape[-1]
    x = (g if wide else g.mT) / g.norm(dim=(-2, -1), keepdim=True).clamp_min(_SMALLEST_NORM)
    # x_k = p_k x_0, gram_k = p_k^2 gram_0, all polynomials of gram_0: symmetric, and they commute
    gram = x @ x.mT
    identity = torch.eye(gram.shape[-1], dtype=g.dtype, device=g.device)
    product = None
    for step in range(steps):
        square = gram @ gram
        polynomial = a * identity + b * gram + c * square
        product = polynomial if product is None else polynomial @ product
        if step + 1 < steps:
            gram = polynomial @ gram @ polynomial
    x = x if product is None else product @ x
    return x if wide else x.mT


class Muon(MatrixOptimizer):
    """Steps along the polar factor of the averaged gradient of every matrix; Adam's steps for vectors.

    The entries of a matrix of full rank change by the rate in the root mean square.

    Args:
        params: parameters or groups.
        lr: learning rate.
        views: the matrices among the parameters, as `mvnet.optim.roles.matrix_views(model)` gives them.
        momentum: averaging factor of the gradient.
        nesterov: look ahead by one average.
        iterations: of Newton-Schulz.
        fewest: an equivariant kernel of fewer weights is treated as a vector.
        beta1, beta2, eps: of Adam, for vectors.
        weight_decay: decoupled.
    Source: see the module.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 4e-3,
        *,
        views: Mapping[nn.Parameter, MatrixView] | None = None,
        momentum: float = 0.95,
        nesterov: bool = True,
        iterations: int = 5,
        fewest: int = FEWEST,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "iterations": iterations}
        defaults["fewest"] = fewest
        defaults |= {"beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, views)

    def advance_matrices(self, group: dict[str, Any], view: MatrixView, batch: list[nn.Parameter]) -> None:
        """One step of matrices of one kind."""
        g = stacked_gradients(batch)
        for parameter in batch:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(g[0])
        m = self._get(batch, "momentum").lerp_(g, 1 - group["momentum"])
        direction = g.lerp(m, group["momentum"]) if group["nesterov"] else m
        # weights -> kernel -> matrix -> polar factor -> kernel -> weights
        polar = newton_schulz(view.lift(direction).flatten(-2), group["iterations"])
        step = view.project(polar.unflatten(-1, view.shape[1:]))
        size = max(polar.shape[-2:]) ** 0.5  # a root mean square of 1, like Adam's first steps
        apply_steps(batch, group["lr"] * size * step, 1 - group["lr"] * group["weight_decay"])
