"""Layers that the battery of this folder runs over. A new layer is one line of `LAYERS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.equivariant import field_type, group
from mvnet.invertible import (
    ActNorm,
    Additive,
    Affine,
    Blocks,
    Chain,
    ChannelMix,
    Channels,
    Checkerboard,
    CircleChart,
    Continuous,
    Coupling,
    EquivariantOrthogonal,
    EquivariantResample,
    Inverted,
    Invertible,
    PeriodicConv,
    Permutation,
    ProductAction,
    Radial,
    Resample,
    Residual,
    Reversible,
    RotationChart,
    SizeShape,
    SPDChart,
    Spline,
    Split,
    TriangularConv,
    VelocityNetwork,
    contraction,
)
from mvnet.linalg import so3
from mvnet.manifolds import CircleAction
from mvnet.manifolds.actions import Translation


def rotated_frame(x: Tensor, dx: Tensor) -> Tensor:
    """Right-trivialised: vee(dR R^T), for one direction dx in front."""
    return so3.vee(dx @ x.mT)


@dataclass(frozen=True)
class Layer:
    """A layer and what it needs to be tried.

    latent: shape of a sample of latents. context: that of one of the context. tangent: (x, dx) -> numbers, for data
    that are not all of R^n. spread: deviation of random parameters, None to leave them. error: of the
    integrator or iteration, where it is above rounding.
    """

    name: str
    make: Callable[[], Invertible]
    latent: tuple[int, ...]
    context: tuple[int, ...] | None = None
    tangent: Callable[[Tensor, Tensor], Tensor] | None = None
    spread: float | None = 0.3
    scale: float = 1.0
    error: float = 0.0


def _fields() -> Any:
    return field_type(group("D4"), {"trivial": 2, "vector": 1})


def _multiscale() -> Invertible:
    return Chain(ActNorm(4), Split(2, Chain(ChannelMix(2), PeriodicConv(2, 3, 2))), ChannelMix(4, "givens"))


class WithContext(nn.Module):
    """A network of the kept part and the context."""

    def __init__(self, ins: int, outs: int):
        super().__init__()
        self.linear = nn.Linear(ins, outs)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return torch.tanh(self.linear(torch.cat((x, context), 1)))


def _mlp(ins: int, outs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(ins, 8), nn.SiLU(), nn.Linear(8, outs))


def _conv(ins: int, outs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(ins, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, outs, 3, padding=1))


def _couplings() -> Chain:
    """Three kinds, with a channel mix, a split and one layer that occurs twice."""
    mixer = ChannelMix(4, "cayley")
    inner = Chain(Coupling(_mlp(1, 2), Affine()), Coupling(_mlp(1, 1), partition=Channels(swap=True)))
    return Chain(mixer, Coupling(_mlp(2, 4), Affine()), Split(2, inner), mixer)


def _conditional_flow() -> Invertible:
    field = VelocityNetwork((2,), hidden=8, conditions=3)
    return Continuous(field, (2,), steps=6, conditional=True)


def _on_circle() -> Invertible:
    return Continuous(VelocityNetwork((2,), hidden=8), (2,), CircleAction(), steps=6)


def _on_product() -> Invertible:
    action = ProductAction((CircleAction(), (2,)), (Translation(), (1,)))
    return Continuous(VelocityNetwork((3,), hidden=8), (3,), action, steps=6)


LAYERS: list[Layer] = [
    Layer("ActNorm", lambda: ActNorm(3), (3, 4)),
    *(
        Layer(f"ChannelMix, {k}", lambda k=k: ChannelMix(4, k), (4, 3))
        for k in ("lu", "cayley", "exp", "householder", "givens")
    ),
    Layer("Permutation", lambda: Permutation([2, 0, 3, 1]), (4, 3)),
    Layer("EquivariantOrthogonal", lambda: EquivariantOrthogonal(_fields()), (4, 3, 3)),
    Layer("Radial", lambda: Radial(5), (6, 3)),
    Layer("Radial, conditional", lambda: Radial(5, conditions=2), (3, 4), context=(2, 4)),
    Layer("SizeShape", lambda: SizeShape(8), (6, 3)),
    Layer("PeriodicConv", lambda: PeriodicConv(2, 3, 2), (2, 4, 5), spread=None),
    Layer("PeriodicConv, shared", lambda: PeriodicConv(3, 3, 3, shared=True), (2, 3, 4, 3), spread=None),
    Layer("TriangularConv, 1-D", lambda: TriangularConv(2, 3, 1), (2, 7)),
    Layer("TriangularConv, 2-D", lambda: TriangularConv(2, 3, 2), (2, 3, 4)),
    Layer("TriangularConv, 3-D", lambda: TriangularConv(2, 3, 3, reverse=True), (2, 2, 3, 2)),
    Layer("SPDChart", SPDChart, (6, 2)),
    Layer("RotationChart", RotationChart, (3,), tangent=rotated_frame, scale=0.8),
    Layer("RotationChart, cayley", lambda: RotationChart("cayley"), (3,), tangent=rotated_frame),
    Layer("CircleChart", CircleChart, (4,), scale=0.5),
    Layer("CircleChart, cayley", lambda: CircleChart("cayley"), (4,)),
    Layer("Coupling, additive", lambda: Coupling(_mlp(2, 3), Additive(), Channels(first=2)), (5,)),
    Layer("Coupling, affine", lambda: Coupling(_mlp(2, 4), Affine(), Channels(swap=True)), (4,)),
    Layer("Coupling, spline", lambda: Coupling(_mlp(2, 2 * 13), Spline(4), Channels()), (4,)),
    Layer("Coupling, checkerboard", lambda: Coupling(_conv(1, 2), Affine(), Checkerboard()), (1, 3, 4)),
    Layer("Coupling, blocks", lambda: Coupling(_conv(2, 2), Additive(), Blocks(swap=True)), (1, 4, 4)),
    Layer("Coupling, conditional", lambda: Coupling(WithContext(4, 4), Affine(), conditional=True), (4,), context=(2,)),
    Layer("Reversible", lambda: Reversible(_couplings()), (4,)),
    Layer("Residual, exact", lambda: Residual(contraction(3, 8, 2, 0.7, "sandwich"), tolerance=1e-13), (3,)),
    Layer("Residual, 2-D", lambda: Residual(contraction(2, 8, 1, 0.9, "frequency"), tolerance=1e-13), (2,), error=1e-9),
    Layer("Resample, shuffle", lambda: Resample(2, (3,), "shuffle"), (6, 2)),
    Layer("Resample, 2-D", lambda: Resample(2, (2, 3), "givens"), (12, 2, 1)),
    Layer("Resample, 3-D", lambda: Resample(1, (2, 2, 2), "exp"), (8, 1, 2, 1)),
    Layer("EquivariantResample", lambda: EquivariantResample(_fields()), (16, 2, 2)),
    Layer(
        "Continuous", lambda: Continuous(VelocityNetwork((3,), hidden=8), (3,), steps=6), (3,), spread=0.2, error=1e-6
    ),
    Layer("Continuous, conditional", _conditional_flow, (2,), context=(3,), spread=0.2, error=1e-6),
    Layer("Continuous, circle", _on_circle, (2,), scale=0.5, spread=0.2, error=1e-6),
    Layer("Continuous, product", _on_product, (3,), scale=0.5, spread=0.2, error=1e-6),
    Layer("Inverted", lambda: Inverted(Radial(4)), (3, 2)),
    Layer("Chain with Split", _multiscale, (4, 3, 4), spread=None),
]
IDS = [layer.name for layer in LAYERS]


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(case: Layer, dtype: torch.dtype = torch.float64) -> Invertible:
    """The layer with parameters drawn at random, in evaluation."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer = case.make().to(dtype).eval()
    if case.spread is not None:
        randomise(layer, case.spread)
    return layer


def randomise(model: nn.Module, spread: float, seed: int = 2) -> None:
    generator = draws(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))


def latent(case: Layer, dtype: torch.dtype = torch.float64, batch: int = 2) -> Tensor:
    drawn = torch.randn(batch, *case.latent, generator=draws(3), dtype=torch.float64)
    return (case.scale * drawn).to(dtype)


def context(case: Layer, dtype: torch.dtype = torch.float64, batch: int = 2) -> Tensor | None:
    if case.context is None:
        return None
    return torch.randn(batch, *case.context, generator=draws(4), dtype=torch.float64).to(dtype)


def data(case: Layer, layer: Invertible, batch: int = 2) -> Tensor:
    """A point of the manifold that the data live on."""
    dtype = next((p.dtype for p in layer.parameters()), torch.float64)
    with torch.no_grad():
        return layer.inverse(latent(case, dtype, batch), context(case, dtype, batch))[0]
