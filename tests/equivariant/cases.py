"""Groups, representations and layers that the tests of this folder share. A new layer is one line of `LAYERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.equivariant import (
    BlockPool,
    CircleConv,
    CircleGate,
    FieldAffine,
    FieldNorm,
    FieldType,
    Gated,
    Group,
    GroupConv,
    HaarPool,
    ModulusReLU,
    NormNonlinearity,
    Pointwise,
    Representation,
    Sym2,
    TensorProduct,
    field_type,
    group,
)

PLANE, SPACE = ("C4", "D4", "D2", "D4xZ2"), ("O", "Oh", "D4h-k", "D2h")
LARGE = ("D4", "Oh", "D4h-k", "D4xZ2")


class Conjugated(Representation):
    """Q rho Q^T with a random orthogonal Q: equivalent, and as far from a permutation as can be."""

    def __init__(self, rho: Representation, seed: int = 0):
        q = torch.linalg.qr(torch.randn(rho.size, rho.size, generator=generator(seed), dtype=torch.float64))[0]
        super().__init__(f"turned {rho.name}", rho.group, q @ rho.matrices @ q.mT)


class Traceless(Representation):
    """The l = 2 part of symmetric matrices in an orthonormal basis."""

    def __init__(self, group: Group):
        constant = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
        basis = torch.linalg.svd(constant[None])[2][1:]
        super().__init__("traceless", group, basis @ Sym2(group).matrices @ basis.mT)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def representations(g: Group) -> list[Representation]:
    """Small ones of every kind: scalar, signed, permutation, and none of these."""
    names = ("trivial", "sign", "vector", "matrix", "sides") if g.dim == 2 else ("trivial", "sign", "vector", "faces")
    if g.internal is not None:
        names = (*names, "internal", "waves-sides")
    plain = [rho for name in names for _, rho in field_type(g, {name: 1}).fields]
    if g.dim == 2:
        return [*plain, Conjugated(plain[3])]
    return [*plain, Sym2(g), Traceless(g), Conjugated(Sym2(g))]


def mixed(g: Group) -> FieldType:
    """Two fields of a permutation and one each of the others."""
    return FieldType(*((2 if rho.is_permutation else 1, rho) for rho in representations(g)))


def permutations(g: Group) -> FieldType:
    return field_type(g, {"trivial": 1, "sides": 2} if g.dim == 2 else {"trivial": 1, "faces": 2})


def _tensors(g: Group) -> FieldType:
    return field_type(g, {"trivial": 2, "sign": 1, "vector": 2, "pseudo-vector": 1, "sym2": 2})


Layer = tuple[str, tuple[str, ...], Callable[[Group], Any]]

LAYERS: list[Layer] = [
    ("GroupConv", PLANE + SPACE, lambda g: GroupConv(mixed(g), mixed(g), 3)),
    ("GroupConv, even kernel", ("D4",), lambda g: GroupConv(mixed(g), mixed(g), 2, padding=0)),
    ("Pointwise", LARGE, lambda g: Pointwise(permutations(g))),
    ("Pointwise, odd", ("D4", "Oh"), lambda g: Pointwise(field_type(g, {"vector": 2, "regular": 1}), torch.tanh)),
    ("NormNonlinearity, relu", LARGE, lambda g: NormNonlinearity(mixed(g))),
    ("NormNonlinearity, softplus", ("D4", "Oh"), lambda g: NormNonlinearity(mixed(g), "softplus")),
    ("Gated", LARGE, lambda g: Gated(mixed(g))),
    ("TensorProduct", SPACE, lambda g: TensorProduct(_tensors(g))),
    ("FieldAffine", LARGE, lambda g: FieldAffine(mixed(g))),
    ("FieldNorm, instance", LARGE, lambda g: FieldNorm(mixed(g))),
    ("FieldNorm, batch", ("D4", "Oh"), lambda g: FieldNorm(mixed(g), "batch")),
    ("BlockPool", LARGE, lambda g: BlockPool(mixed(g))),
    ("HaarPool", LARGE, lambda g: HaarPool(mixed(g))),
    ("CircleConv", LARGE, lambda g: CircleConv(mixed(g), mixed(g), 3)),
    ("CircleGate", LARGE, lambda g: CircleGate(mixed(g), permutations(g))),
    ("ModulusReLU", LARGE, lambda g: ModulusReLU(mixed(g))),
]
CASES = [(name, g, make) for name, groups, make in LAYERS for g in groups]
IDS = [f"{name}-{g}" for name, g, _ in CASES]


def build(make: Callable[[Group], Any], g: str, dtype: torch.dtype = torch.float64) -> Any:
    """The layer with every parameter drawn at random, in evaluation."""
    layer = make(group(g)).to(dtype).eval()
    randomise(layer)
    return layer


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Normal draws for every parameter, times 0.3: biases too."""
    draws = generator(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draws))


def field(fields: FieldType, dtype: torch.dtype = torch.float64, size: int | None = None, batch: int = 2) -> Tensor:
    """A normal field (batch, channels, ...) on a square or a cube."""
    sizes = (size or (6 if fields.group.dim == 2 else 4),) * fields.group.dim
    return torch.randn(batch, fields.channels, *sizes, generator=generator(1), dtype=torch.float64).to(dtype)


def example(layer: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    """An input of a layer; complex for those of circle-valued fields."""
    x = field(layer.fields_in, dtype)
    circle = isinstance(layer, CircleConv | CircleGate | ModulusReLU)
    return torch.complex(x, x.roll(1, 0).flip(1)) if circle else x
