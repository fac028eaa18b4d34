"""How much a map can amplify a change of its input: found by attack, since random changes show nothing.

    sup |J v| / |v|  =  sqrt( largest eigenvalue of J^T J ),      v <- J^T J v / |J^T J v|

J v is a central difference and J^T w a backward pass, so that any network can be attacked. A ratio that is found is a
lower bound; only a proof gives an upper one.
Source: Golub, Van Loan, Matrix computations (2013), section 7.3 (power iteration).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]

SINGLE, CONSTANT, RANDOM, ATTACKED = "single voxel", "constant", "random", "attacked"
KINDS = (SINGLE, CONSTANT, RANDOM, ATTACKED)
"""Of changes: at one point, the same everywhere, independent everywhere, along the direction of an attack."""

_SMALL = 1e-5  # size of the change of a central difference


def strongest_direction(f: Map, x: Tensor, inside: Tensor, steps: int, generator: torch.Generator) -> Tensor:
    """Direction of unit length which f amplifies most near x, by power iteration.

    Args:
        f: maps tensors of the shape of x, each of a batch on its own.
        x: shape (B, C, ...).
        inside: broadcasting to x, in {0, 1}: where the input may change and the output counts.
        steps: of the power iteration.
        generator: of the first direction.
    Returns:
        shape of x, of length 1 in each element of the batch.
    """
    v = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) * inside
    for _ in range(steps):
        v = v / lengths(v)
        # v -> J v -> J^T J v
        image = derivative(f, x, v) * inside
        with torch.enable_grad():
            start = x.detach().requires_grad_()
            (v,) = torch.autograd.grad(f(start), start, image.detach())
        v = v * inside
    return v / lengths(v)


def derivative(f: Map, x: Tensor, v: Tensor) -> Tensor:
    """J v by a central difference.

    Args:
        f: as in `strongest_direction`.
        x: shape (B, C, ...).
        v: a direction, shape of x.
    Returns:
        shape of f(x).
    """
    return (f(x + _SMALL * v) - f(x - _SMALL * v)) / (2 * _SMALL)


def changes(
    x: Tensor, inside: Tensor, direction: Tensor, count: int, generator: torch.Generator
) -> Iterator[tuple[str, Tensor]]:
    """Changes of many kinds and sizes.

    Args:
        x: shape (1, C, ...).
        inside: as in `strongest_direction`.
        direction: shape of x, of an attack.
        count: number of changes.
        generator: of kinds, sizes (log-uniform from 1e-6 to 10) and directions.
    Yields:
        kind and change, in the shape of x.
    """
    places = inside.expand_as(x)[0, 0].nonzero()
    for k in range(count):
        kind = KINDS[k % len(KINDS)]
        size = 10 ** float(torch.rand((), generator=generator) * 7 - 6)
        values = torch.randn((1, x.shape[1], *(1,) * (x.ndim - 2)), generator=generator, dtype=torch.float64).to(x)
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
        if kind == SINGLE:
            change = torch.zeros_like(x)
            place = places[int(torch.randint(len(places), (1,), generator=generator))].tolist()
            change[(0, slice(None), *place)] = values.flatten()
        elif kind == CONSTANT:
            change = values.expand_as(x) * inside
        elif kind == RANDOM:
            change = noise * inside
        else:
            change = direction + 0.1 * float(torch.rand((), generator=generator)) * noise * inside / noise.norm()
        yield kind, size * change / lengths(change)


def lengths(v: Tensor) -> Tensor:
    """Euclidean length of each element of a batch, broadcasting to it.

    Args:
        v: shape (B, ...).
    Returns:
        shape (B, 1, ...), positive.
    """
    return v.flatten(1).norm(dim=1).clamp_min(torch.finfo(v.dtype).tiny).view(-1, *(1,) * (v.ndim - 1))
