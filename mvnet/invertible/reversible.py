"""Backpropagation that recomputes the inputs of invertible layers from their outputs: memory does not grow with depth.

Forward keeps the last state alone. Backward goes from layer to layer,

    z_k = f_k^-1(z_{k+1}),   dL/d theta_k = (d_theta f_k)^T dL/dz_{k+1},   dL/dz_k = (d_z f_k)^T dL/dz_{k+1},

and evaluates the network of a coupling once for both. Rounding of the inverse enters the gradient: `drift` measures it,
and networks of smooth activations bear it (a kink that flips does not).
Source: paper section 4.2.1; Gomez et al., The reversible residual network (2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.invertible.base import Chain, Invertible, Mapped, Split, zeros


class Reversible(Invertible):
    """The same map as a layer or chain, with a backward pass that keeps only its output.

    Chains and `Split`s are taken apart; the layers inside are recomputed one by one. Random numbers (dropout) and the
    state of autocast are those of the forward pass. One layer may occur twice. Gradients are first order.

    Args:
        layer: the layer or chain.
    Shape:
        that of the layer -> the same.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from mvnet.invertible import Chain, Channels, Coupling, Reversible
        >>> halves = [Coupling(nn.Linear(2, 2), partition=Channels(swap=k % 2 == 1)) for k in range(8)]
        >>> x = torch.randn(3, 4, requires_grad=True)
        >>> z, change = Reversible(Chain(*halves))(x)
        >>> z.square().sum().backward()
        >>> x.grad.shape
        torch.Size([3, 4])
    """

    keeps_precision = False

    def __init__(self, layer: Invertible):
        super().__init__()
        self.layer = layer
        self.conditional = layer.conditional

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """The constants of the layer."""
        return self.layer.lipschitz(radius)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        trained = [p for p in self.layer.parameters() if p.requires_grad]
        return _Recompute.apply(self.layer, x, context, *trained)  # pyright: ignore[reportReturnType]

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return self.layer.inverse(z, context)


class _Recompute(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: Invertible, x: Tensor, context: Tensor | None, *trained: Tensor) -> Mapped:
        ctx.layer, ctx.trained, ctx.draws = layer, trained, []
        ctx.autocast = _autocast_state(x.device.type)
        z, change = _run(layer, x, context, ctx.draws)
        ctx.save_for_backward(z, context)
        return z, change

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dz: Tensor, dchange: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        z, context = ctx.saved_tensors
        leaf = None if context is None else context.detach().requires_grad_(context.requires_grad)
        wanted = [*ctx.trained, *([leaf] if leaf is not None and leaf.requires_grad else [])]
        sink = _Sink(wanted)
        device = z.device.type
        with torch.autocast(device, **ctx.autocast):
            _, dx = _pull(ctx.layer, z.detach(), leaf, dz, dchange, list(ctx.draws), sink)
        return None, dx, None if leaf is None else sink.total(leaf), *(sink.total(p) for p in ctx.trained)


class _Sink:
    """Gradients of parameters and context, added up over the layers that use them."""

    def __init__(self, wanted: list[Tensor]):
        self.wanted = {id(p): p for p in wanted}
        self.sums: dict[int, Tensor] = {}

    def of(self, layer: Invertible, context: Tensor | None) -> list[Tensor]:
        inside = [*layer.parameters(), *([] if context is None else [context])]
        return [p for p in inside if id(p) in self.wanted]

    def add(self, tensors: list[Tensor], gradients: tuple[Tensor | None, ...]) -> None:
        for p, g in zip(tensors, gradients, strict=True):
            if g is not None:
                self.sums[id(p)] = self.sums[id(p)] + g if id(p) in self.sums else g

    def total(self, p: Tensor) -> Tensor | None:
        return self.sums.get(id(p))


def _run(layer: Invertible, x: Tensor, context: Tensor | None, draws: list[Tensor | None]) -> Mapped:
    """Forward; appends the state of the generator before each layer that draws, None for one that does not."""
    if isinstance(layer, Chain):
        total = zeros(x)
        for part in layer:
            x, change = _run(part, x, context, draws)
            total = total + change
        return x, total
    if isinstance(layer, Split):
        inner, change = _run(layer.layer, x[:, : layer.channels], context, draws)
        return torch.cat((inner, x[:, layer.channels :]), 1), change
    before = _generator_state(x.device)
    z, change = layer(x, context)
    draws.append(None if torch.equal(before, _generator_state(x.device)) else before)
    return z, change


def _pull(
    layer: Invertible,
    z: Tensor,
    context: Tensor | None,
    dz: Tensor,
    dchange: Tensor,
    draws: list[Tensor | None],
    sink: _Sink,
) -> tuple[Tensor, Tensor]:
    """Input of a layer and the gradient with respect to it, from its output and the gradient there."""
    if isinstance(layer, Chain):
        for part in reversed(list(layer)):
            z, dz = _pull(part, z, context, dz, dchange, draws, sink)
        return z, dz
    if isinstance(layer, Split):
        k = layer.channels
        x, dx = _pull(layer.layer, z[:, :k], context, dz[:, :k], dchange, draws, sink)
        return torch.cat((x, z[:, k:]), 1), torch.cat((dx, dz[:, k:]), 1)
    with _generator_at(z.device, draws.pop()):
        found = layer.recompute(z, context)
    tensors = sink.of(layer, context)
    pairs = [(o, g) for o, g in ((found.z, dz), (found.log_det, dchange)) if o.requires_grad]
    outputs, cotangents = [o for o, _ in pairs], [g for _, g in pairs]
    gradients = torch.autograd.grad(outputs, [*found.leaves, *tensors], cotangents, allow_unused=True)
    count = len(found.leaves)
    sink.add(tensors, gradients[count:])
    filled = [torch.zeros_like(x) if g is None else g for x, g in zip(found.leaves, gradients[:count], strict=True)]
    return found.x.detach(), found.join(*filled)


def _autocast_state(device: str) -> dict[str, Any]:
    return {
        "enabled": torch.is_autocast_enabled(device),
        "dtype": torch.get_autocast_dtype(device),
        "cache_enabled": torch.is_autocast_cache_enabled(),
    }


def _generator_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


@contextmanager
def _generator_at(device: torch.device, state: Tensor | None) -> Iterator[None]:
    """torch's global generator in a given state inside, and as it was afterwards."""
    if state is None:
        yield
        return
    before = _generator_state(device)
    _set_generator(device, state)
    try:
        yield
    finally:
        _set_generator(device, before)


def _set_generator(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


@dataclass(frozen=True)
class Drift:
    """How far recomputed states are from the true ones.

    Attributes:
        layers: largest difference of the input of each layer, relative to its largest number; the first layer first,
            the states recomputed from the last output.
    """

    layers: tuple[float, ...]

    @property
    def largest(self) -> float:
        """Over the layers."""
        return max(self.layers, default=0.0)


@torch.no_grad()
def drift(chain: Chain, x: Tensor, context: Tensor | None = None) -> Drift:
    """Compare the states of a chain with those that a reversible backward pass would see.

    Args:
        chain: deterministic layers.
        x: shape (B, ...).
        context: as in `forward`.
    Returns:
        the report.
    """
    states = [x, *(value for value, _ in chain.states(x, context))]
    z, found = states[-1], []
    for layer, truth in zip(reversed(list(chain)), reversed(states[:-1]), strict=True):
        z = layer.inverse(z, context)[0]
        found.append(float((z - truth).abs().max() / truth.abs().max().clamp(min=1e-30)))
    return Drift(tuple(reversed(found)))


def saved_bytes(module: nn.Module, *inputs: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, without the parameters.

    Args:
        module: any module.
        inputs: its arguments.
    Returns:
        the number; a storage that is kept twice counts once.
    """
    parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = module(*inputs)  # held: what is kept must not be freed and counted again
    del out
    return sum(kept.values())
