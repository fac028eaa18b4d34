"""Kernels: functions of component planes, with their layout, blocking and derivatives taken care of once.

A kernel is elementwise code on planes. Stored in a tensor, the planes lie along one dimension `dim`; the
rest is brought to (B, C, N). Large inputs run in blocks small enough that temporaries stay in the cache, or
compiled (`compile.py`). Only inputs are kept for the backward pass, which is another kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import compile as compiler
from mvnet.linalg.serial import on_one_thread

Planes = tuple[Tensor, ...]
BLOCK_BYTES = 1 << 17  # one plane of a block: some twenty of them fit a second-level cache
SHORT = 256  # planes shorter than this are gathered into one long plane


@dataclass(frozen=True, eq=False)
class Kernel:
    """fn(*input groups of planes, *scalars) -> tuple of output groups of planes.

    Attributes:
        fn: elementwise code on planes of one shape; a group is a tuple of planes.
        inputs, outputs: numbers of groups.
        vjp: the kernel (*inputs, *cotangents, *scalars) -> cotangents of the inputs. None derives it from fn, which
            is right where fn has no singular intermediate.
        last: there is no further derivative.
        composed: fn in terms of differentiable operations on (B, C, N) tensors, (*tensors, *scalars) -> tensor. It
            serves second derivatives in place of vjp, whose own derivative is then not needed.
    """

    fn: Callable[..., tuple[Planes, ...]]
    inputs: int = 1
    outputs: int = 1
    vjp: Kernel | None = None
    last: bool = False
    composed: Callable[..., Tensor] | None = None

    @cached_property
    def pullback(self) -> Kernel:
        """The kernel of the cotangents: vjp, or derived from fn."""
        return self.vjp or Kernel(self._pull, self.inputs + self.outputs, self.inputs)

    def _pull(self, *arguments: Any) -> tuple[Planes, ...]:
        count = self.inputs + self.outputs
        scalars = arguments[count:]
        pull = torch.func.vjp(lambda *x: self.fn(*x, *scalars), *arguments[: self.inputs])[1]
        return pull(tuple(arguments[self.inputs : count]))

    def __call__(self, *tensors: Tensor, dim: int, scalars: Sequence[float] = ()) -> tuple[Tensor, ...]:
        """Evaluate on fields of any layout, differentiably.

        Args:
            tensors: one for each input group, shape (..., planes, ...) with the planes along dim; all other dimensions
                broadcast. Half precision computes in float32.
            dim: where the planes are, the same in every tensor.
            scalars: numbers passed on to fn.
        Returns:
            one tensor for each output group, planes along dim, dtype of the promoted inputs.
        Raises:
            MvnetError: numbers of dimensions differ, or shapes do not broadcast.
        """
        tensors = _broadcast(tensors, dim)
        dtype = reduce(torch.promote_types, (t.dtype for t in tensors))
        working = torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
        tensors = tuple(t.to(working) for t in tensors)
        shape = list(tensors[0].shape)
        dim %= len(shape)
        tail, lead = math.prod(shape[dim + 1 :]), math.prod(shape[:dim])
        gather = lead > 1 and tail < SHORT
        if gather:
            flat = [t.movedim(dim, 0).reshape(1, t.shape[dim], lead * tail) for t in tensors]
        else:
            flat = [t.reshape(lead, t.shape[dim], tail) for t in tensors]
        rest = shape[:dim] + shape[dim + 1 :]
        out = []
        for t in apply(self, flat, tuple(scalars)):
            if gather:
                t = t.reshape(t.shape[1], *rest).movedim(0, dim)
            else:
                t = t.reshape(*shape[:dim], t.shape[1], *shape[dim + 1 :])
            out.append(t.to(dtype))
        return tuple(out)


def _broadcast(tensors: tuple[Tensor, ...], dim: int) -> tuple[Tensor, ...]:
    if len({t.dim() for t in tensors}) > 1:
        raise MvnetError(
            f"inputs: found shapes {[tuple(t.shape) for t in tensors]}, expected the same number of dimensions"
        )
    heads = [t.select(dim, 0).shape for t in tensors]
    if all(h == heads[0] for h in heads):
        return tensors
    try:
        shape = torch.broadcast_shapes(*heads)
    except RuntimeError:
        found = [tuple(t.shape) for t in tensors]
        raise MvnetError(f"inputs: found shapes {found}, expected ones that broadcast outside dim {dim}") from None
    return tuple(t.movedim(dim, 0).expand(t.shape[dim], *shape).movedim(0, dim) for t in tensors)


def check(t: Tensor, dim: int, count: int, name: str) -> None:
    """Refuse a tensor that does not hold `count` floating-point planes along dim.

    Args:
        t: any tensor.
        dim: where the planes are expected.
        count: their number.
        name: name of the argument, for the message.
    Raises:
        MvnetError: another number of planes, or a dtype that is not floating point.
    """
    if not -t.dim() <= dim < t.dim() or t.shape[dim] != count:
        raise MvnetError(f"{name}: found shape {tuple(t.shape)}, expected {count} component planes at dim {dim}")
    if not t.is_floating_point():
        raise MvnetError(f"{name}: found dtype {t.dtype}, expected a floating point one")


def apply(kernel: Kernel, tensors: Sequence[Tensor], scalars: tuple[float, ...] = ()) -> tuple[Tensor, ...]:
    """Evaluate a kernel on flat tensors, differentiably.

    Args:
        kernel: what is evaluated.
        tensors: one for each input group, shape (B, C, N), one dtype and device; C is the number of planes.
        scalars: numbers passed on to the kernel.
    Returns:
        one tensor (B, C', N) for each output group.
    """
    if (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)) or compiler.inline():
        return _Apply.apply(kernel, scalars, *tensors)  # pyright: ignore[reportReturnType]
    return run(kernel, tensors, scalars)


@torch.no_grad()
def run(kernel: Kernel, tensors: Sequence[Tensor], scalars: tuple[float, ...]) -> tuple[Tensor, ...]:
    """Evaluate a kernel on flat tensors without derivatives: inlined, compiled, or eagerly in blocks.

    Args:
        kernel: what is evaluated.
        tensors: one for each input group, shape (B, C, N).
        scalars: numbers passed on to the kernel.
    Returns:
        one tensor (B, C', N) for each output group.
    """
    if compiler.inline():
        return _whole(kernel, tensors, scalars)
    out = compiler.run(kernel.fn, tensors, scalars)
    if out is not None:
        return out
    if tensors[0].device.type != "cpu":
        return _whole(kernel, tensors, scalars)
    with on_one_thread():
        return _blocks(kernel, tensors, scalars)


def _whole(kernel: Kernel, tensors: Sequence[Tensor], scalars: tuple[float, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.stack(out, 1) for out in kernel.fn(*(t.unbind(1) for t in tensors), *scalars))


def _blocks(kernel: Kernel, tensors: Sequence[Tensor], scalars: tuple[float, ...]) -> tuple[Tensor, ...]:
    batch, _, length = tensors[0].shape
    block = BLOCK_BYTES // tensors[0].element_size()
    if batch * length <= block:
        return _whole(kernel, tensors, scalars)
    rows = max(1, block // length)
    width = math.ceil(length / math.ceil(length / block))  # equal blocks: a short one costs as many calls
    results: list[Tensor] = []
    # (B, C, N) -> blocks of (rows, width) planes -> fn -> the same places of (B, C', N)
    for i in range(0, batch, rows):
        for j in range(0, length, width):
            parts = [t[i : i + rows, :, j : j + width].unbind(1) for t in tensors]
            groups = kernel.fn(*parts, *scalars)
            if not results:
                results = [group[0].new_empty(batch, len(group), length) for group in groups]
            for result, group in zip(results, groups, strict=True):
                for place, plane in zip(result[i : i + rows, :, j : j + width].unbind(1), group, strict=True):
                    place.copy_(plane)
    return tuple(results)


class _Apply(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: Kernel, scalars: tuple[float, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        return run(kernel, tensors, scalars)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.kernel, ctx.scalars = inputs[:2]
        ctx.save_for_backward(*inputs[2:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        if ctx.kernel.last:
            raise RuntimeError("third derivatives of spectral functions are not provided")
        composed = ctx.kernel.composed
        if torch.is_grad_enabled() and composed is not None:
            return None, None, *_differentiate_composed(composed, ctx.saved_tensors, grads, ctx.scalars)
        return None, None, *apply(ctx.kernel.pullback, (*ctx.saved_tensors, *grads), ctx.scalars)


def _differentiate_composed(
    composed: Callable[..., Tensor], tensors: tuple[Tensor, ...], grads: tuple[Tensor, ...], scalars: tuple[float, ...]
) -> tuple[Tensor | None, ...]:
    """Cotangents of the tensors that want one, as a graph that can be differentiated again."""
    wanted = [t for t in tensors if t.requires_grad]
    out = composed(*tensors, *scalars)
    found = iter(torch.autograd.grad(out, wanted, grads, create_graph=True))
    return tuple(next(found) if t.requires_grad else None for t in tensors)
