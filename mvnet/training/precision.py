"""Half precision where it pays: inside convolutions and linear maps. What is computed on manifolds stays in float32.

A layer of `_LOWERED` computes in the lower type and returns the type of its input, so that exponentials, distances and
means never see less than float32: a matrix logarithm in bfloat16 has two correct digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.equivariant.conv import GroupConv
from mvnet.errors import MvnetError

PRECISIONS = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""name -> type of the layers, None for that of the weights."""

_LOWERED = (GroupConv, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def precision_of(name: str) -> torch.dtype | None:
    """The type of a name of `PRECISIONS`.

    Args:
        name: "float32", "bf16" or "fp16".
    Returns:
        the type; None for that of the weights.
    Raises:
        MvnetError: an unknown name.
    """
    if name not in PRECISIONS:
        raise MvnetError(f"precision: found {name!r}, expected one of {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


@contextmanager
def lowered(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Let the convolutions and linear maps of a network compute in a lower type inside, backward passes included.

    Args:
        model: a network with float32 weights.
        dtype: None changes nothing.
    """
    layers = [] if dtype is None else [layer for layer in model.modules() if isinstance(layer, _LOWERED)]
    for layer in layers:
        layer.forward = _in_lower_type(layer.forward, dtype)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # that of its class again


def _in_lower_type(forward: Callable[..., Tensor], dtype: torch.dtype) -> Callable[..., Tensor]:
    def compute(x: Tensor, *args: Any, **options: Any) -> Tensor:
        with torch.autocast(x.device.type, dtype):
            return forward(x, *args, **options).to(x.dtype)

    return compute
