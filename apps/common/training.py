"""What every command does that trains a network with `mvnet.training`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mvnet.apps.common.errors import UserError
from mvnet.apps.common.stdout import print_result
from mvnet.storage import json_text

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.utils.data import Dataset

    from mvnet.training import Schedule

    Loss = Callable[..., tuple[Tensor, dict[str, float]]]


def training_device(name: str) -> torch.device:
    """The device of a name, on processes launched by torchrun that of each. MvnetError: it cannot be used."""
    from mvnet import ranks
    from mvnet.runtime import find_device

    return find_device(ranks.local_device(name))


def load_start(model: nn.Module, start: str | None, *, missing: Literal["zero", "initial"] = "zero") -> nn.Module:
    """The network with the weights it is to start from, its own for None.

    Args:
        start: name of shipped weights, or path of a checkpoint.
        missing: what parameters are that the checkpoint lacks: "zero", so that added residual branches start as the
            identity, or "initial", their own values, where a product of two that are zero would never learn.
    Raises:
        MvnetError: no such weights, or weights of another network.
    """
    import torch

    from mvnet.models.checkpoint import find_model

    if start is not None:
        given, _ = find_model(start)
        try:
            own = {k: v if missing == "initial" else torch.zeros_like(v) for k, v in model.state_dict().items()}
            model.load_state_dict(own | given.state_dict())
        except RuntimeError as error:
            raise UserError(f"--from: found weights of another network in {start}, expected {model.config}") from error
    return model


def train_network(
    stem: Path,
    model: nn.Module,
    schedule: Schedule,
    data: Dataset,
    loss: Loss,
    card: dict[str, Any],
    *,
    quiet: bool,
    finish: Callable[[Any], dict[str, Any]] | None = None,
    checkpoint: str = "checkpoint",
    tensorboard: bool = False,
) -> None:
    """Run to the end of the schedule, then write STEM.safetensors and its card STEM.json, from one of many processes.

    Args:
        stem: in the run folder, which keeps the checkpoint of an interrupted run.
        model: initialised, on its device.
        loss: of the network and the parts of a batch, which it moves to its device; with figures to log.
        card: what the model card says of the task and of the data.
        quiet: neither a progress bar nor the card on stdout.
        finish: a last change of the trained network, which gives further entries of the card.
        checkpoint: stem of the files of an interrupted run, where a folder keeps more than one.
        tensorboard: whether the figures go to event files in the run folder too.
    Raises:
        DataError: no package that writes event files.
    """
    from mvnet import ranks
    from mvnet.models.checkpoint import save_checkpoint
    from mvnet.training import Run, train

    device = next(model.parameters()).device
    begin, first_rank = time.perf_counter(), ranks.launched_rank() == 0
    with ranks.joined(device), _event_file(stem.parent / "tensorboard", tensorboard and first_rank) as watch:
        run = Run(stem.parent, model, schedule, name=checkpoint)
        first, processes = run.step, ranks.count()
        trained = train(run, lambda model, batch: loss(model, *batch), data, quiet, watch)
    if not first_rank:
        return
    full = {
        **card,
        "seed": schedule.seed,
        "steps": schedule.steps,
        "optimizer": schedule.optimizer,
        "optimizer_options": schedule.optimizer_options,
        "rate": schedule.rate,
        "device": str(device),
        **({"processes": processes} if processes > 1 else {}),
        "seconds": round(time.perf_counter() - begin) if first == 0 else None,
        "parameters": sum(p.numel() for p in trained.parameters()),
        **(finish(trained) if finish is not None else {}),
    }
    save_checkpoint(stem, trained, full)
    if not quiet:
        print_result(json_text(full, indent=2))


@contextmanager
def _event_file(folder: Path, wanted: bool) -> Iterator[Callable[[int, Mapping[str, float]], None] | None]:
    """A function of step and figures that adds them to an event file for TensorBoard, None where it is not wanted."""
    from mvnet.data_loaders.optional import import_optional

    if not wanted:
        yield None
        return
    with import_optional("tensorboardX", "train").SummaryWriter(str(folder)) as writer:

        def write(step: int, figures: Mapping[str, float]) -> None:
            for name, value in figures.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield write
