"""Guarantees of the certified network, measured: it does not amplify, and commutes with what the theorem says.

The theorem is in `network.py`; here it is attacked, in float64: by power iteration on the Jacobian, and by changes of
many sizes at single voxels, everywhere alike, at random and along the direction of the attack.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import affine_invariant, so3, sym3
from mvnet.models.amplification import ATTACKED, KINDS, changes, lengths, strongest_direction
from mvnet.models.dti.certified.network import METRICS, CertifiedDenoiser
from mvnet.models.dti.guarantees import measure_equivariance, random_volume
from mvnet.models.guarantee import Guarantee

_ATTACK_STEPS = {METRICS[0]: 40, METRICS[1]: 8}  # the sweeps of the second are dear
_CHANGES = 1000
_BATCH = 50
_SLACK = 1e-9  # of rounding, relative to a ratio of 1
_SLAB = slice(0, 3)


def verify_certified(model: CertifiedDenoiser, seed: int, count: int = _CHANGES) -> list[Guarantee]:
    """Measure positivity, amplification and equivariance.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of the volumes.
        count: number of changes of the input.
    Returns:
        the largest ratios, the equivariance errors of the values, then the smallest eigenvalue and the equivariance
        errors on the grid in both precisions (not of the affine-invariant form, whose order of neighbours breaks it).
    """
    given = next(model.parameters()).dtype
    model.double()
    ratios = _ratios(model, seed, count)
    values = _value_symmetries(model, seed)
    model.to(given)
    if model.metric == METRICS[0]:
        return [
            *ratios,
            *values,
            *measure_equivariance(model, lambda planes: model(planes[:, :6], planes[:, 6:]), seed),
        ]
    return [*ratios, *values]


@torch.no_grad()
def _ratios(model: CertifiedDenoiser, seed: int, count: int) -> list[Guarantee]:
    """Largest |log F(X) - log F(Y)| / d(X, Y), of an attack by the Jacobian and for each kind of change."""
    planes = random_volume(seed, (1.0, 1.0, 1.0), torch.float64)[..., _SLAB]
    logs, side = sym3.log(planes[:, :6]), planes[:, 6:]
    inside, generator = side[:, :1], torch.Generator().manual_seed(seed)

    def filtered(x: Tensor) -> Tensor:
        return model.filter_logs(x, side) * inside

    steps = _ATTACK_STEPS[model.metric]
    direction = strongest_direction(filtered, logs, inside, steps, generator)
    tried = list(changes(logs, inside, direction, count, generator))
    largest, before = dict.fromkeys(KINDS, 0.0), filtered(logs)
    for start in range(0, len(tried), _BATCH):
        kinds, moves = zip(*tried[start : start + _BATCH])
        other = logs + torch.cat(moves)
        apart = affine_invariant.dist(sym3.exp(other), planes[:, :6]) * inside[:, 0]
        out = filtered(other)
        if model.metric == METRICS[0]:
            after = lengths(out - before).flatten()
        else:
            after = (affine_invariant.dist(sym3.exp(out), sym3.exp(before)) * inside[:, 0]).flatten(1).norm(dim=1)
        for kind, ratio in zip(kinds, (after / apart.flatten(1).norm(dim=1)).tolist()):
            largest[kind] = max(largest[kind], ratio)
    how = f"{steps} power iterations on the Jacobian"
    return [
        Guarantee(
            f"largest change of the output over that of the input, {count // len(KINDS)} {kind} changes"
            + (f" ({how})" if kind == ATTACKED else ""),
            ratio,
            1 + _SLACK,
        )
        for kind, ratio in largest.items()
    ]


@torch.no_grad()
def _value_symmetries(model: CertifiedDenoiser, seed: int) -> list[Guarantee]:
    """Errors of F(R X R^T) = R F(X) R^T for rotations R of the values alone, and of F(c X) = c F(X)."""
    planes = random_volume(seed, (1.0, 1.0, 1.0), torch.float64)[..., _SLAB]
    tensors, side = planes[:, :6], planes[:, 6:]
    generator = torch.Generator().manual_seed(seed)
    turns = so3.exp(torch.randn(4, 3, generator=generator, dtype=torch.float64))
    out = model(tensors, side)
    turned = max(_relative(model(_conjugate(tensors, turn), side), _conjugate(out, turn)) for turn in turns)
    scaled = max(_relative(model(scale * tensors, side), scale * out) for scale in (1e-3, 0.3, 40.0))
    return [
        Guarantee("error of free rotations of the values, float64", turned, 1e-12),
        Guarantee("error of scalings of the values, float64", scaled, 1e-12),
    ]


def _conjugate(tensors: Tensor, turn: Tensor) -> Tensor:
    """R X R^T of planes."""
    return sym3.pack(turn @ sym3.unpack(tensors, dim=1) @ turn.mT, dim=1)


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())
