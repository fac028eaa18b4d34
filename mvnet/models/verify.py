"""What a trained network guarantees, measured on seeded random data: `mvnet verify`.

DTI: every output tensor is positive definite, and turning a volume (voxels, tensors and the shape of a voxel) turns the
result, for every symmetry of the cube (paper section 5.3.3 asks for this measure). On voxels of unequal sides the
symmetries are those of the box, and the shape of a voxel stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvnet.equivariant import FieldType, Group, Sym2, Trivial, equivariance_error, field_type, voxel_group
from mvnet.linalg import sym3
from mvnet.models.dti import SCALARS, DTIDenoiser
from mvnet.models.dti_inputs import feature_planes

LIMITS = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Relative equivariance error that counts as exact."""

_SIDE = 10
_SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (1.0, 1.5, 2.5))


@dataclass(frozen=True)
class Guarantee:
    """A measured property: `holds` when `value` keeps within `limit` (below it, or above where `lower` is set)."""

    name: str
    value: float
    limit: float
    lower: bool = False

    @property
    def holds(self) -> bool:
        return self.value > self.limit if self.lower else self.value < self.limit


def verify(model: nn.Module, seed: int = 0) -> list[Guarantee]:
    """Measure what a model of a known architecture guarantees.

    Args:
        model: as `load_checkpoint` returns it; stays as it is.
        seed: of the random data.
    Raises:
        ValueError: when nothing is known about the architecture.
    """
    for architecture, measure in MEASURES.items():
        if isinstance(model, architecture):
            return measure(model, seed)
    known = sorted(architecture.__name__ for architecture in MEASURES)
    raise ValueError(f"model: found {type(model).__name__}, expected one of {known}")


def verify_dti(model: DTIDenoiser, seed: int) -> list[Guarantee]:
    """Positivity, and the equivariance error for cubic, tetragonal and orthorhombic voxels in both precisions."""
    found: list[Guarantee] = []
    given = next(model.parameters()).dtype
    smallest = float("inf")
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        for spacing in _SPACINGS:
            symmetry = voxel_group(spacing)
            x = random_volume(seed, spacing, dtype)

            def network(planes: Tensor) -> Tensor:
                return model(planes[:, :6], planes[:, 6:]).tensors

            error = equivariance_error(network, symmetry, x, input_type(symmetry), field_type(symmetry, {"sym2": 1}))
            sides = ":".join(f"{s:g}" for s in spacing)
            precision = str(dtype).removeprefix("torch.")
            name = f"equivariance error, {symmetry.name} ({symmetry.order} elements), voxels {sides}, {precision}"
            found.append(Guarantee(name, error.largest, limit))
            with torch.no_grad():
                smallest = min(smallest, float(sym3.eigvals(network(x)).min()))
    model.to(given)
    return [Guarantee("smallest eigenvalue of an output tensor", smallest, 0.0, lower=True), *found]


def input_type(symmetry: Group) -> FieldType:
    """Of the tensors, the scalar planes and the shape of a voxel, in this order."""
    return FieldType((1, Sym2(symmetry)), (len(SCALARS), Trivial(symmetry)), (1, Sym2(symmetry)))


def random_volume(seed: int, spacing: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """(1, 17, n, n, n): random tensors around typical tissue, random maps, a mask without symmetry."""
    random = torch.Generator().manual_seed(seed)
    shape = (_SIDE,) * 3
    tensors = 0.75 * sym3.exp(0.3 * torch.randn(1, 6, *shape, generator=random, dtype=torch.float64))
    mask = torch.rand(shape, generator=random) < 0.9
    b0, noise, residual = (0.5 + torch.rand(shape, generator=random, dtype=torch.float64) for _ in range(3))
    features = feature_planes(mask, b0, 0.1 * noise, residual, spacing=spacing)
    return torch.cat([tensors, features[None]], 1).to(dtype)


MEASURES: dict[type[nn.Module], Callable[..., list[Guarantee]]] = {DTIDenoiser: verify_dti}
"""A new architecture is one line here."""
