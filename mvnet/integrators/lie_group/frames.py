"""Orthonormal frames and derivatives along them, on any Riemannian manifold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mvnet.linalg.smooth import expand_points, point_sum
from mvnet.manifolds import Manifold


def orthonormal_frame(manifold: Manifold, x: Tensor) -> Tensor:
    """A basis of the tangent space, orthonormal in the metric of the manifold; carries no gradient.

    Args:
        manifold: of the points.
        x: points (..., *point_shape).
    Returns:
        shape (..., dim, *point_shape).
    """
    nd = manifold.point_ndim
    with torch.no_grad():
        basis, at = manifold.tangent_basis(x), x.unsqueeze(-nd - 1)
        gram = manifold.inner(at.unsqueeze(-nd - 1), basis.unsqueeze(-nd - 1), basis.unsqueeze(-nd - 2))
        # L L^T = gram;  L^-1 basis
        inverse = torch.linalg.inv(torch.linalg.cholesky(gram))
        flat = basis.reshape(*basis.shape[: basis.ndim - nd], -1)
        return (inverse @ flat).reshape(basis.shape)


def from_frame(frame: Tensor, a: Tensor, point_ndim: int) -> Tensor:
    """sum_i a_i e_i

    Args:
        frame: vectors (..., dim, *point_shape).
        a: coefficients (..., dim).
        point_ndim: number of dims of a point.
    Returns:
        shape (..., *point_shape).
    """
    return (expand_points(a, point_ndim) * frame).sum(-point_ndim - 1)


def along_frame(function: Callable[[Tensor], Tensor], x: Tensor, frame: Tensor, point_ndim: int) -> Tensor:
    """The derivative of a function in the directions of a frame.

    Args:
        function: points (..., *point_shape) -> (...), one number for every point, of that point alone.
        x: points.
        frame: tangent vectors (..., dim, *point_shape).
        point_ndim: number of dims of a point.
    Returns:
        shape (..., dim).
    """
    slope = torch.func.grad(lambda y: function(y).sum())(x)
    return point_sum(slope.unsqueeze(-point_ndim - 1) * frame, point_ndim)
