"""Guarantees of the DTI posterior, measured on random features: its density and its covariance commute with the 48
symmetries of the cube, noise that goes in comes out again, and the log-determinant is that of autograd.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.equivariant import FieldType, Representation, Sym2, Trivial, equivariance_error, field_type
from mvnet.equivariant import group as find_group
from mvnet.equivariant.representations import kronecker
from mvnet.linalg import sym3
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.network import FEATURES, SCALARS, centred_log
from mvnet.models.dti.posterior.inputs import head_inputs
from mvnet.models.dti.posterior.law import Law, apply_exp
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.guarantee import Guarantee, precision

_SIDE = 5
_LIMITS = {torch.float64: 1e-10, torch.float32: 1e-5}


class _Sample(NamedTuple):
    """A random input, (1, C, n, n, n) in this order, and the type of each part."""

    planes: Tensor
    fields: FieldType
    sizes: list[int]


def verify_posterior(head: DTIPosterior, seed: int) -> list[Guarantee]:
    """Measure equivariance of density and covariance, the error of the inverse and that of the log-determinant.

    Args:
        head: on the CPU; its dtype is restored.
        seed: random seed of the features.
    Returns:
        the guarantees, those of equivariance in float64, the others in both precisions.
    """
    given = next(head.parameters()).dtype
    found = [_equivariance(head.double(), seed, what) for what in ("log-density", "covariance")]
    for dtype, limit in _LIMITS.items():
        law, logs = _laws(head.to(dtype), _sample(head, seed, dtype))
        w = torch.randn(6, 1, logs.shape[1], generator=torch.Generator().manual_seed(seed), dtype=dtype)
        with torch.no_grad():
            back = head.latents(law, head.push(law, w)[:, 0])
        name = precision(dtype)
        found.append(Guarantee(f"posterior: error of the inverse, {name}", float((back - w[:, 0]).abs().max()), limit))
        found.append(
            Guarantee(f"posterior: error of the log-determinant, {name}", _volume_error(head, law, logs), limit)
        )
    head.to(given)
    return found


def _equivariance(head: DTIPosterior, seed: int, what: str) -> Guarantee:
    sample = _sample(head, seed, torch.float64)
    symmetry = find_group(head.config["group"])
    tensor = Sym2(symmetry)
    square = Representation("sym2*sym2", symmetry, kronecker(tensor.matrices, tensor.matrices))
    out = FieldType((1, Trivial(symmetry))) if what == "log-density" else FieldType((1, square))

    def measured(planes: Tensor) -> Tensor:
        law, logs = _laws(head, sample._replace(planes=planes))
        if what == "log-density":
            return head.log_density(law, logs).view(1, 1, *planes.shape[2:])
        matrix = 2 * law.matrix()
        identity = torch.eye(6, dtype=matrix.dtype).unsqueeze(2).expand_as(matrix)
        covariance = apply_exp(matrix, identity) * (2 * law.scale).exp()
        return covariance.reshape(1, 36, *planes.shape[2:])

    with torch.no_grad():
        error = equivariance_error(measured, symmetry, sample.planes, sample.fields, out)
    name = f"equivariance error of the posterior's {what}, {symmetry.name} ({symmetry.order} elements), float64"
    return Guarantee(name, error.largest, _LIMITS[torch.float64])


def _volume_error(head: DTIPosterior, law: Law, logs: Tensor) -> float:
    """Largest difference of log |dw / d log T| from its value by autograd, at some voxels."""
    with torch.no_grad():
        _, change = law.latents(logs, *head.spline(law))
    error = 0.0
    for n in range(0, logs.shape[1], logs.shape[1] // 8):
        one = law.part(slice(n, n + 1))
        jacobian = torch.autograd.functional.jacobian(
            lambda x, one=one: head.latents(one, x[:, None])[:, 0], logs[:, n], vectorize=True
        )
        error = max(error, abs(float(torch.linalg.slogdet(jacobian).logabsdet - change[n])))  # type: ignore[arg-type]
    return error


def _sample(head: DTIPosterior, seed: int, dtype: torch.dtype) -> _Sample:
    """Features of a trunk; denoised, noisy and other tensors; other planes, expected error, noise of a reference."""
    random = torch.Generator().manual_seed(seed)
    symmetry = find_group(head.config["group"])
    trunk, scalar, tensor = field_type(symmetry, head.config["trunk"]), Trivial(symmetry), Sym2(symmetry)
    shape = (_SIDE,) * 3

    def draw(channels: int) -> Tensor:
        return torch.randn(1, channels, *shape, generator=random, dtype=torch.float64)

    z, noisy, other = (0.75 * sym3.exp(0.3 * draw(6)) for _ in range(3))
    maps = (0.5 + torch.rand(4, *shape, generator=random, dtype=torch.float64)).unbind(0)
    mask = torch.ones(shape, dtype=torch.bool)
    features = feature_planes(mask, maps[0], 0.1 * maps[1], maps[2], size_ratio=maps[3])[None]
    rest = [draw(1).clamp(-2, 2) - 1, 0.05 * draw(1).abs()]
    parts = [draw(trunk.channels), z, noisy, other, features, *rest]
    fields = FieldType(*trunk.fields, (3, tensor), (len(SCALARS), scalar), (1, tensor), (1, scalar), (2, scalar))
    return _Sample(torch.cat(parts, 1).to(dtype), fields, [trunk.channels, 6, 6, 6, FEATURES, 1, 1])


def _laws(head: DTIPosterior, sample: _Sample) -> tuple[Law, Tensor]:
    """The laws of all voxels, and the centred log-tensors that they are asked about."""
    h, z, noisy, other, features, log_error, reference = sample.planes.split(sample.sizes, 1)
    planes = head(head_inputs(h, z, noisy, features, log_error, reference[:, 0]), log_error, reference)
    return head.laws(planes[0].flatten(1)), centred_log(other)[0].flatten(1)
