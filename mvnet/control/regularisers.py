"""Regularisers of parameters that are functions of time, theta: [0, T] -> R^m, constant on K steps h = T / K.

A parameter of K layers is a tensor (K, ...); several of them (weights, biases) are a sequence, and add up.
Paper section 3.2 and Theorem 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError


def h1(theta: Tensor | Sequence[Tensor], duration: float | Tensor = 1.0) -> Tensor:
    """Squared H1 norm in time: parameters that vary smoothly over the layers.

        |theta(0)|^2 + int_0^T |theta'(t)|^2 dt  ~  |theta_0|^2 + (K / T) sum_k |theta_{k+1} - theta_k|^2

    Args:
        theta: (K, ...), or several of them.
        duration: T.
    Returns:
        a scalar.
    Raises:
        MvnetError: no tensors, no layers, or tensors that differ in their number of layers.
    Source: paper (37); for T = 1 the regulariser of (40).
    """
    tensors = _tensors(theta)
    start = torch.stack([x[0].square().sum() for x in tensors]).sum()
    changes = torch.stack([x.diff(dim=0).square().sum() for x in tensors]).sum()
    return start + len(tensors[0]) / duration * changes


def over_layers(layers: Iterable[nn.Module]) -> list[Tensor]:
    """Parameters of equal layers as functions of time.

    Args:
        layers: modules with parameters of the same names and shapes, in their order in time.
    Returns:
        one tensor (K, ...) for every name; gradients flow to the layers.
    Raises:
        MvnetError: no layers, or layers with different parameters.
    """
    named = [dict(layer.named_parameters()) for layer in layers]
    shapes = [{name: tuple(p.shape) for name, p in parameters.items()} for parameters in named]
    if not shapes or any(other != shapes[0] for other in shapes):
        raise MvnetError(f"layers: found {shapes}, expected parameters of the same names and shapes in each")
    return [torch.stack([parameters[name] for parameters in named]) for name in named[0]]


def _tensors(theta: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """As a sequence; MvnetError unless all have the same number of layers."""
    tensors = (theta,) if isinstance(theta, Tensor) else tuple(theta)
    counts = {len(x) if x.ndim else 0 for x in tensors}
    if len(counts) != 1 or 0 in counts:
        shapes = [tuple(x.shape) for x in tensors]
        raise MvnetError(f"theta: found shapes {shapes}, expected (K, ...) with the same K >= 1")
    return tensors
