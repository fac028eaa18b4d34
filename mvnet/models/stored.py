"""The two files of a checkpoint, checked before anything is made of them: a card, and tensors that it must fit.

What is loaded may come from anywhere. Memory and time are bounded by the size of the files: a number of the
configuration is at most the largest side of a stored tensor, and all tensors that a constructor asks for together at
most a multiple of the stored ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mvnet.errors import MvnetError, first_line
from mvnet.storage import finish_pair

T = TypeVar("T")

SMALL = 64
"""A number of a configuration that needs no tensor of that size."""
_SPARE, _SHARE = 2**25, 16  # numbers that a constructor may ask for, and those for each stored one
_LARGEST = 1e18  # of a weight: its square is a number of single precision
_FREE = ("seed",)  # entries of a configuration that are no sizes


@contextmanager
def loading(path: Path, wanted: str) -> Iterator[None]:
    """Around whatever loads a checkpoint: any exception means that it is damaged, or not what it says.

    Args:
        path: of the weights, as messages name it.
        wanted: what was expected.
    Raises:
        MvnetError: in place of every exception, in one line.
    """
    try:
        yield
    except Exception as error:
        kind = "" if isinstance(error, MvnetError) else f"{type(error).__name__}: "
        raise MvnetError(
            f"checkpoint: found {path.with_suffix('')} that cannot be loaded ({kind}{first_line(error, 160)}), "
            f"expected {wanted}"
        ) from error


def load_pair(
    weights: Path, card: Path, missing: str, wanted: str, build: Callable[[dict[str, Any], dict[str, Tensor]], T]
) -> tuple[T, dict[str, Any]]:
    """What the two files of a checkpoint describe, after a commit that was killed is finished.

    Args:
        weights: path of the tensors.
        card: path of the card.
        missing: what was expected where there is no file.
        wanted: what was expected where a file holds something else.
        build: (card, tensors) -> what they describe.
    Returns:
        what was built, and the card.
    Raises:
        MvnetError: a file is missing or holds something else.
    """
    finish_pair(weights, card)
    for file in (weights, card):
        if not file.is_file():
            raise MvnetError(f"checkpoint: found no file {file}, expected {missing}")
    with loading(weights, wanted):
        entries = read_card(card)
        return build(entries, read_weights(weights)), entries


def check_outputs(outputs: Sequence[Tensor]) -> None:
    """Refuse a network that does not predict finite numbers.

    Args:
        outputs: of a small valid input.
    Raises:
        MvnetError: one is not finite.
    """
    if not all(bool(output.isfinite().all()) for output in outputs):
        raise MvnetError("weights: found predictions that are not finite, expected finite ones")


def read_card(path: Path) -> dict[str, Any]:
    """The card of a checkpoint.

    Args:
        path: of the JSON file.
    Returns:
        its entries; None for NaN and Infinity, which are no JSON but which version 0.1.0 wrote.
    Raises:
        MvnetError: no JSON object.
    """
    card = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: None)
    if not isinstance(card, dict):
        raise MvnetError(f"card: found a {type(card).__name__}, expected an object of entries")
    return card


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint.

    Args:
        path: of the safetensors file.
    Returns:
        by name.
    Raises:
        MvnetError: a value that is not finite, or whose square no number of single precision holds.
    """
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.is_complex() or (tensor.is_floating_point() and not bool((tensor.float().abs() < _LARGEST).all())):
            found = "complex numbers" if tensor.is_complex() else f"values that are not finite, or beyond {_LARGEST:g},"
            raise MvnetError(f"weights: found {found} in {name}, expected finite real ones")
    return tensors


def check_config(config: Any, tensors: dict[str, Tensor]) -> None:
    """Refuse a configuration that the tensors cannot be of.

    Args:
        config: keyword arguments of a network.
        tensors: by name.
    Raises:
        MvnetError: no object, or a number beyond every side of a tensor.
    """
    if not isinstance(config, dict):
        raise MvnetError(f"config: found a {type(config).__name__}, expected an object of entries")
    most = max([SMALL, *(side for tensor in tensors.values() for side in tensor.shape)])
    for name, value in config.items():
        largest = max((abs(number) for number in _numbers(value)), default=0)
        if largest > most and name not in _FREE:
            raise MvnetError(f"config: found {name} of {largest:g}, expected at most {most}, as of these weights")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


class Budget(TorchFunctionMode):
    """Inside, new tensors together hold at most a multiple of the numbers that are stored.

    Args:
        tensors: those stored.
    """

    def __init__(self, tensors: dict[str, Tensor]):
        super().__init__()
        self.left = _SPARE + _SHARE * sum(tensor.numel() for tensor in tensors.values())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what a factory is asked for before it is called."""
        kwargs = kwargs or {}
        if func in _FACTORIES:
            size = [n for n in _numbers([*(a for a in args if not isinstance(a, Tensor)), kwargs.get("size", [])])]
            self.left -= math.prod(int(n) for n in size if math.isfinite(n) and n >= 1)
            if self.left < 0:
                raise MvnetError("config: found a network too large for the weights, expected that of the weights")
        return func(*args, **kwargs)


_FACTORIES = frozenset(
    {torch.zeros, torch.ones, torch.empty, torch.full, torch.rand, torch.randn, Tensor.repeat}
    | {Tensor.new_zeros, Tensor.new_ones, Tensor.new_empty, Tensor.new_full}
)
