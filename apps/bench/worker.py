"""Seconds of a training step in one of the processes that `mvnet bench scaling` launches.

usage: torchrun ... -m mvnet.apps.bench.worker FILE BATCH STEPS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from mvnet import ranks
from mvnet.apps.common.training import training_device
from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet
from mvnet.models.insar.loss import phase_loss
from mvnet.models.insar.network import FIELD, InSARDenoiser
from mvnet.runtime import threads
from mvnet.storage import write_json
from mvnet.training import Run, Schedule, batches_of

_PATCH = 64
_MAX_GRADIENT = 2.4  # rad per pixel
_WARM_UP = 2


def main(file: Path, batch: int, steps: int) -> None:
    """Train the denoiser of interferograms for some steps; rank 0 writes {"seconds": of a step} to a file."""
    device = training_device("auto")
    with threads(1), ranks.joined(device):
        torch.manual_seed(0)
        total = _WARM_UP + steps
        data = PhaseTrainingSet(batch * total, _PATCH, _MAX_GRADIENT, 0)
        schedule = Schedule(steps=total, batch=batch, workers=0)
        run = Run(None, InSARDenoiser(**FIELD).to(device), schedule)
        marks = [time.perf_counter()]
        for _ in run.steps(lambda model, batch: phase_loss(model, *batch), batches_of(data, schedule, 0)):  # type: ignore[arg-type]
            marks.append(time.perf_counter())
        seconds = (marks[-1] - marks[_WARM_UP]) / steps
    if ranks.launched_rank() == 0:
        write_json(file, {"seconds": seconds})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
