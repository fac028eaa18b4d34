"""How much of a forward pass is kept for the backward pass.

| memory | kept                                  | backward                                   |
|--------|---------------------------------------|--------------------------------------------|
| plain  | whatever the derivatives need         | uses it                                    |
| low    | inputs and outputs of parts           | computes every part a second time          |

It says how a network is run, not what it computes: values are the same, and so are weights and checkpoints.
Source: Chen et al., Training deep nets with sublinear memory cost (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mvnet.errors import MvnetError
from mvnet.runtime import MEMORY

Value = TypeVar("Value")


def run_part(part: Callable[..., Value], *inputs: Tensor, memory: str = "plain") -> Value:
    """Call a part of a network; in "low" nothing between its inputs and its outputs is kept for the backward pass.

    Args:
        part: the function; random numbers that it draws are drawn alike in backward.
        inputs: its arguments.
        memory: a name of `mvnet.runtime.MEMORY`.
    Returns:
        what the part returns.
    Raises:
        MvnetError: another name.

    Examples:
        >>> import torch
        >>> from mvnet.nn import run_part
        >>> deep = torch.nn.Sequential(*(torch.nn.Tanh() for _ in range(8)))
        >>> x = torch.randn(16, requires_grad=True)
        >>> torch.equal(run_part(deep, x, memory="low"), deep(x))
        True
    """
    if memory not in MEMORY:
        raise MvnetError(f"memory: found {memory!r}, expected one of {', '.join(MEMORY)}")
    if memory == "plain" or not torch.is_grad_enabled():
        return part(*inputs)
    return checkpoint(part, *inputs, use_reentrant=False)  # pyright: ignore[reportReturnType]
