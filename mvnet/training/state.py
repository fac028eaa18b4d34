"""The state of an optimiser as named tensors and numbers, and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_PREFIX = "optimizer/"


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split the state of an optimiser into tensors and numbers.

    Args:
        optimizer: any optimiser of torch.
    Returns:
        tensors by "optimizer/PARAMETER/NAME", numbers by "PARAMETER/NAME".
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{_PREFIX}{index}/{name}"] = value
            else:
                numbers[f"{index}/{name}"] = value
    return tensors, numbers


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Load what `optimizer_state` returned.

    Args:
        optimizer: one of the same kind, for the same parameters.
        tensors: by name; names without the prefix "optimizer/" are ignored.
        numbers: by name.
    """
    state: dict[int, dict[str, Any]] = {}
    found = {name.removeprefix(_PREFIX): value for name, value in tensors.items() if name.startswith(_PREFIX)}
    for path, value in {**found, **numbers}.items():
        index, name = path.split("/", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def convert_version_0_1(tensors: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """Rename the tensors of a checkpoint of version 0.1.0, which holds AdamW's moments as "mean/PARAMETER" and
    "square/PARAMETER".

    Args:
        tensors: by name, of any version.
        step: number of steps done, which 0.1.0 does not store per parameter.
    Returns:
        tensors by the names of `optimizer_state`; others as they were.
    """
    names = {"mean": "exp_avg", "square": "exp_avg_sq"}
    converted: dict[str, Tensor] = {}
    for name, value in tensors.items():
        kind, _, index = name.partition("/")
        if kind in names:
            converted[f"{_PREFIX}{index}/{names[kind]}"] = value
            converted[f"{_PREFIX}{index}/step"] = torch.tensor(float(step))
        else:
            converted[name] = value
    return converted
