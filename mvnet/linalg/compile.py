"""The one place that decides how a kernel runs: eagerly in blocks, or as one loop made by torch.compile.

MVNET_COMPILE=0 never compiles, 1 always does, auto (the default) compiles a kernel once the eager work already
done by it would have paid for the compilation. The count is of matrices, not of seconds, so a program
takes the same path each time it runs. Without a compiler, or if compiling fails, everything stays eager.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mvnet.errors import MvnetError

LARGE = 1 << 16  # matrices in one call below which a call costs its overhead, compiled or not
REPAID = 1 << 27  # matrices after which eager runs have cost about as much as compiling
_OPTIONS: dict[str, Any] = {
    "cpp.dynamic_threads": True,  # as many threads as torch has when called, not when compiled
    "realize_opcount_threshold": 8,  # at the default 30 the same code takes five times as long to make
    "max_fusion_size": 10000,  # nodes in one loop: a whole kernel, however long
}
Graph = Callable[..., tuple[Tensor, ...]]

_log = logging.getLogger(__name__)
_work: dict[tuple[object, ...], int] = {}
_graphs: dict[tuple[object, ...], Graph | None] = {}


def mode() -> str:
    """The setting of the environment variable MVNET_COMPILE.

    Returns:
        "0", "1" or "auto".
    Raises:
        MvnetError: another value.
    """
    value = os.environ.get("MVNET_COMPILE", "auto")
    if value not in ("0", "1", "auto"):
        raise MvnetError(f"MVNET_COMPILE: found {value!r}, expected 0, 1 or auto")
    return value


@cache
def available(device_type: str) -> bool:
    """Whether torch.compile can produce code for this kind of device here.

    Args:
        device_type: "cpu", "cuda", ...
    Returns:
        True where a compiler is found.
    """
    if device_type == "cpu":
        names = [os.environ.get("CXX"), "g++", "c++", "clang++", "cl"]
        return any(shutil.which(name) for name in names if name)
    return device_type == "cuda" and importlib.util.find_spec("triton") is not None


def inline() -> bool:
    """True while something else traces or transforms the program: a kernel must then be plain tensor code."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def run(fn: Callable, tensors: Sequence[Tensor], scalars: Sequence[float]) -> tuple[Tensor, ...] | None:
    """Outputs of the compiled form of a kernel, or None if it is to run eagerly.

    Args:
        fn: groups of planes, then scalars -> groups of planes.
        tensors: one per input group, shape (B, C, N), same device and dtype.
        scalars: numbers passed on to fn, as 0-d tensors so that a new value does not compile again.
    Returns:
        one tensor (B, C', N) per output group, or None.
    """
    first = tensors[0]
    flat = first.shape[0] == 1
    size = first.shape[0] * first.shape[2]
    setting = mode()
    key = (fn, flat, first.dtype, first.device.type)
    if setting == "0" or _graphs.get(key, ...) is None or size < (2 if setting == "1" else LARGE):
        return None
    if key not in _graphs:
        _work[key] = _work.get(key, 0) + size
        if not available(first.device.type) or (setting == "auto" and _work[key] < REPAID):
            return None
        _graphs[key] = _compile(fn, 0 if flat else 1, len(tensors))
    graph = _graphs[key]
    if graph is None:
        return None
    numbers = [torch.tensor(x, dtype=first.dtype, device=first.device) for x in scalars]
    try:
        out = graph(*(_dynamic(t.squeeze(0) if flat else t) for t in tensors), *numbers)
    except Exception as error:  # whatever goes wrong in a compiler, the eager kernel is there
        _log.info("kernel %s stays eager: %s", fn, error)
        _graphs[key] = None
        return None
    return tuple(t.unsqueeze(0) for t in out) if flat else out


def _dynamic(t: Tensor) -> Tensor:
    t = t.contiguous().detach()  # other strides would compile again; the mark below is an attribute of the object
    for axis in (1,) if t.dim() == 2 else (0, 2):
        torch._dynamo.mark_dynamic(t, axis)
    return t


def _compile(fn: Callable, axis: int, groups: int) -> Graph:
    def graph(*arguments: Tensor) -> tuple[Tensor, ...]:
        planes = [t.unbind(axis) for t in arguments[:groups]]
        return tuple(torch.stack(out, axis) for out in fn(*planes, *arguments[groups:]))

    # compilations are cached, and their number limited, per code object: each kernel gets one of its own
    own = types.FunctionType(graph.__code__.replace(), graph.__globals__, "graph", None, graph.__closure__)
    return torch.compile(own, fullgraph=True, options=_OPTIONS)
