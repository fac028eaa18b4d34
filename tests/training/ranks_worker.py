"""Steps of every network that trains over processes, in one of them: `python -m tests.training.ranks_worker FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from mvnet import ranks
from mvnet.data_loaders.dti.training.dataset import TrainingSet
from mvnet.data_loaders.dti.training.fields import simulated_fields
from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet
from mvnet.data_loaders.motion.training.dataset import MotionTrainingSet
from mvnet.models.dti.loss import denoising_loss
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.insar.loss import phase_loss
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.motion.loss import motion_loss
from mvnet.models.motion.network import MotionDenoiser
from mvnet.training import Run, Schedule, train

STEPS = 3


def cases() -> Iterator[tuple[str, nn.Module, Callable[..., Any], Dataset]]:
    """name -> network, loss, data."""
    yield "dti", DTIDenoiser(), denoising_loss, TrainingSet([(1.0, simulated_fields(1, 0)[0])], [], [], 64, patch=8)
    yield "insar", InSARDenoiser(), phase_loss, PhaseTrainingSet(64, 32, 0.5, 0)
    generator = torch.Generator().manual_seed(0)
    yield "motion", MotionDenoiser(generator=generator), motion_loss, MotionTrainingSet([], 64, 4, 16, 4, 0)


def run(folder: Path, steps: int = STEPS) -> None:
    """Train every network in its folder; weights of each are the same in every process at the start."""
    torch.manual_seed(0)
    for name, model, loss, data in cases():
        schedule = Schedule(steps=steps, batch=2, rate=1e-2, warm_up=1, optimizer="sgd", checkpoint_every=2, workers=0)
        train(Run(folder / name, model, schedule), partial(_objective, loss), data, quiet=True)


def _objective(loss: Callable[..., Any], model: nn.Module, batch: Any) -> Any:
    return loss(model, *batch)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with ranks.joined(torch.device("cpu")):
        run(Path(sys.argv[1]))
