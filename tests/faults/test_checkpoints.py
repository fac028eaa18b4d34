"""Every architecture and classifier: a checkpoint that is damaged, or not what it says, is refused on loading."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

pytest.importorskip("sklearn", reason="needs mvnet[motion]")

from benchmarks.faults.inputs.checkpoints import CHECKPOINTS, CLASSIFIERS, NETWORKS
from mvnet.errors import MvnetError
from mvnet.models.checkpoint import load_checkpoint
from mvnet.models.registry import ARCHITECTURES
from mvnet.models.stored import check_config

INPUTS = {**CHECKPOINTS.inputs, **CLASSIFIERS.inputs}
Tensors = dict[str, Tensor]
Card = dict[str, Any]


def first_float(tensors: Tensors) -> str:
    return next(name for name, tensor in sorted(tensors.items()) if tensor.is_floating_point() and tensor.numel())


def not_finite(tensors: Tensors, card: Card) -> None:
    tensors[first_float(tensors)].view(-1)[-1] = torch.nan


def infinite(tensors: Tensors, card: Card) -> None:
    tensors[first_float(tensors)].view(-1)[0] = -torch.inf


def too_large(tensors: Tensors, card: Card) -> None:
    name = next(n for n in sorted(tensors) if tensors[n].dtype in (torch.float32, torch.float64) and tensors[n].numel())
    tensors[name].view(-1)[-1] = 2e38  # finite, its square is not


def one_missing(tensors: Tensors, card: Card) -> None:
    del tensors[first_float(tensors)]


def other_shape(tensors: Tensors, card: Card) -> None:
    name = max(tensors, key=lambda name: tensors[name].numel())
    tensors[name] = torch.cat([tensors[name], tensors[name]])


def without_architecture(tensors: Tensors, card: Card) -> None:
    del card["architecture"]


def another_architecture(tensors: Tensors, card: Card) -> None:
    card["architecture"] = "InSARPosterior" if card["architecture"] == "DTIDenoiser" else "DTIDenoiser"


def not_a_name(tensors: Tensors, card: Card) -> None:
    card["architecture"] = ["DTIDenoiser"]


DAMAGES = (
    not_finite,
    infinite,
    too_large,
    one_missing,
    other_shape,
    without_architecture,
    another_architecture,
    not_a_name,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str], Path]:
    """Folder of a valid input, made once."""
    folders: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("made")
            INPUTS[name].make(folders[name])
        return folders[name]

    return get


def damaged(folder: Path, into: Path, damage: Callable[[Tensors, Card], None]) -> Path:
    """A copy of the pair whose card names an architecture last, damaged; the path to read."""
    stem = max((file.stem for file in folder.glob("*.json")), key=len)
    for file in folder.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    tensors, card = load_file(folder / f"{stem}.safetensors"), json.loads((folder / f"{stem}.json").read_text())
    damage(tensors, card)
    save_file(tensors, into / f"{stem}.safetensors")
    (into / f"{stem}.json").write_text(json.dumps(card))
    return into / stem.removesuffix("-posterior")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", INPUTS)
def test_refused_in_one_line_with_the_file(name, damage, made, tmp_path) -> None:
    path = damaged(made(name), tmp_path, damage)
    with pytest.raises(MvnetError, match="checkpoint: found") as caught:
        INPUTS[name].read(path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_entry_of_a_configuration_is_checked(name, made, tmp_path) -> None:
    """None, text, huge and negative numbers: refused in one line, or the network still fits its weights."""
    card = json.loads((made(name) / "net.json").read_text())
    for entry in card["config"]:
        for value in (None, "x", 2**40, [-5], {}):
            path = damaged(made(name), tmp_path, lambda _, card, e=entry, v=value: card["config"].update({e: v}))
            try:
                load_checkpoint(path)
            except MvnetError as error:
                assert str(path) in str(error)


def test_numbers_that_are_not_finite_in_a_card_are_unknown(made, tmp_path) -> None:
    def change(tensors: Tensors, card: Card) -> None:
        card["measured"] = {"error": float("nan"), "rate": -float("inf"), "name": "NaN"}

    _, card = load_checkpoint(damaged(made("DTIDenoiser"), tmp_path, change))
    assert card["measured"] == {"error": None, "rate": None, "name": "NaN"}


def test_every_architecture_is_tried() -> None:
    assert set(NETWORKS) == set(ARCHITECTURES)


def test_a_network_too_large_for_its_weights_is_not_built(made, tmp_path) -> None:
    """Sides below the largest stored one, but their product far beyond all weights together."""

    def change(tensors: Tensors, card: Card) -> None:
        card["config"] |= {"width": 60_000, "joints": 3}
        tensors["last.1.bias"] = torch.zeros(60_000)

    with pytest.raises(MvnetError, match="too large for the weights"):
        load_checkpoint(damaged(made("LieMotionNetwork"), tmp_path, change))


@pytest.mark.parametrize("config", [None, [1], "x", {"a": [2, {"b": 2000}]}])
def test_configurations_that_cannot_be(config) -> None:
    with pytest.raises(MvnetError, match="config: found"):
        check_config(config, {"w": torch.zeros(100, 2)})


@pytest.mark.parametrize("config", [{}, {"a": [100, {"b": 64.0}], "seed": 2**62, "c": "E", "d": None}])
def test_configurations_that_can_be(config) -> None:
    check_config(config, {"w": torch.zeros(100, 2)})
