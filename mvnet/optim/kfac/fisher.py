"""Gradients of a log-likelihood in the outputs of a network, for labels of the network's own.

The Fisher information in the outputs f is H = E_y[ d log p(y|f) d log p(y|f)^T ], y drawn from p(.|f). Both kinds give
columns v with sum E[v v^T] = H:

    type-2        H = S S^T written out, a column of S each
    monte-carlo   v = -d log p(y|f) for a y that is drawn

The losses are those of torch, of the mean over an example's entries: `categorical` cross_entropy of scores (N, C, ...),
`bernoulli` binary_cross_entropy_with_logits, `gaussian` mse_loss. An output with many places has C columns, each with a
random sign at every place, so that E[v v^T] = H still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

LIKELIHOODS = ("categorical", "bernoulli", "gaussian")
KINDS = ("monte-carlo", "type-2", "empirical")


def output_tensors(output: Any) -> list[Tensor]:
    """The tensors of an output that depend on parameters.

    Args:
        output: a tensor, or a tuple, list or mapping of tensors.
    Returns:
        those that need a gradient.
    """
    if isinstance(output, Tensor):
        found = [output]
    elif isinstance(output, Mapping):
        found = list(output.values())
    else:
        found = list(output) if isinstance(output, tuple | list) else []
    return [t for t in found if isinstance(t, Tensor) and t.requires_grad and t.is_floating_point() and t.numel()]


def columns(f: Tensor, likelihood: str, kind: str, samples: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The columns v of an output.

    Args:
        f: shape (N,) or (N, C, ...); without gradient.
        likelihood: of `LIKELIHOODS`.
        kind: "monte-carlo" or "type-2".
        samples: labels drawn for each example.
        generator: source of the labels and signs, on the CPU.
    Yields:
        tensors of the shape of f.
    """
    f = f.unsqueeze(1) if f.ndim < 2 else f
    if kind == "type-2":
        yield from _square_root(f, likelihood, generator)
        return
    for _ in range(samples):
        yield _draw(f, likelihood, generator) / samples**0.5


def _square_root(f: Tensor, likelihood: str, generator: torch.Generator) -> Iterator[Tensor]:
    """Columns of S."""
    channels = f.shape[1]
    places = f[0, 0].numel()
    signs: Tensor | float = 1.0
    if places > 1:
        signs = torch.randint(2, (len(f), *f.shape[2:]), generator=generator).to(f) * 2 - 1
    p = f.softmax(1) if likelihood == "categorical" else f.sigmoid()
    for c in range(channels):
        v = torch.zeros_like(f)
        if likelihood == "categorical":
            # diag(p) - p p^T = sum_c p_c (e_c - p) (e_c - p)^T
            v[:, c] = 1
            v = (v - p) * (p[:, c].sqrt() * signs).unsqueeze(1) / places**0.5
        else:
            deviation = 2**0.5 if likelihood == "gaussian" else (p[:, c] * (1 - p[:, c])).sqrt()
            v[:, c] = signs * deviation / (channels * places) ** 0.5
        yield v


def _draw(f: Tensor, likelihood: str, generator: torch.Generator) -> Tensor:
    """-d log p(y|f) for a y that is drawn, of the mean over an example's entries."""
    entries = f[0].numel()
    if likelihood == "gaussian":
        return torch.randn(f.shape, generator=generator).to(f) * (2 / entries) ** 0.5
    u = torch.rand(f[:, :1].shape if likelihood == "categorical" else f.shape, generator=generator).to(f)
    if likelihood == "bernoulli":
        p = f.sigmoid()
        return (p - (u < p).to(p)) / entries**0.5
    # the class at which the cumulative probability passes u
    p = f.softmax(1)
    y = (p.cumsum(1) < u).sum(1, keepdim=True).clamp_max(f.shape[1] - 1)
    return p.scatter_add(1, y, p.new_full(y.shape, -1.0)) / (entries / f.shape[1]) ** 0.5
