"""Real trainings: the networks, losses and simulated pairs of the project, by AdamW and by the methods for kernels.

Every method is tuned on one seed over a grid of rates at the length at which it is compared, with the learning rate
falling to zero along a cosine; then come further seeds. A run is stored as soon as it ends, and is not run again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from mvnet.runtime import flush_denormals, freed_memory_kept
from mvnet.training import Run, Schedule

WARM_UP, POOL_SEED, VALIDATION_SEED = 40, 11, 12


@dataclass(frozen=True)
class Task:
    """A network to be trained.

    Args:
        name: of the network.
        build: the network with its initial weights.
        loss: of the network and the parts of a batch.
        pool: the training examples; validation: others, in batches.
        batch: examples in a step.
    """

    name: str
    build: Callable[[], nn.Module]
    loss: Callable[..., tuple[Tensor, dict[str, float]]]
    pool: list[Any]
    validation: list[Any]
    batch: int


@dataclass(frozen=True)
class Result:
    """A training: what it was, its seconds (wall, processor, processor in the optimiser), its validation figures."""

    task: str
    optimizer: str
    rate: float
    steps: int
    seed: int
    seconds: float
    processor: float
    optimizer_ms: float
    loss: float
    figure: float


@cache
def dti_task(quick: bool = False) -> Task:
    """Tensors of simulated brains, 12^3 voxels x 2; validated on 16^3 voxels of another brain."""
    from mvnet.data_loaders.dti.training.dataset import TrainingSet
    from mvnet.data_loaders.dti.training.fields import simulated_fields
    from mvnet.models.dti.loss import denoising_loss
    from mvnet.models.dti.network import DTIDenoiser

    brains = [(1.0, field) for field in simulated_fields(1 if quick else 3, POOL_SEED)]
    others = [(1.0, field) for field in simulated_fields(1, VALIDATION_SEED)]
    train = TrainingSet(brains, length=20 if quick else 500, patch=12, seed=POOL_SEED)
    test = TrainingSet(others, length=4 if quick else 24, patch=16, seed=VALIDATION_SEED)
    return Task("dti", DTIDenoiser, denoising_loss, _read(train), _batches(_read(test), 4), batch=2)


@cache
def insar_task(quick: bool = False) -> Task:
    """Simulated scenes, 48^2 pixels x 4; validated on 64^2 pixels of others."""
    from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet
    from mvnet.models.insar.loss import phase_loss
    from mvnet.models.insar.network import InSARDenoiser

    train = PhaseTrainingSet(20 if quick else 1600, 48, 2.4, POOL_SEED)
    test = PhaseTrainingSet(4 if quick else 64, 64, 2.4, VALIDATION_SEED)
    return Task("insar", InSARDenoiser, phase_loss, _read(train), _batches(_read(test), 8), batch=4)


TASKS = {"dti": dti_task, "insar": insar_task}
SHORT = {"dti": 200, "insar": 400}
"""Steps of AdamW in the short comparison."""


def _read(data: Any) -> list[Any]:
    return [data[index] for index in range(len(data))]


def _batches(examples: list[Any], size: int) -> list[Any]:
    return [default_collate(examples[start : start + size]) for start in range(0, len(examples), size)]


def _draw(task: Task, steps: int, seed: int) -> Iterator[Any]:
    """Batches of the pool in random order, the same for every method."""
    generator, order = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        if len(order) < task.batch:
            order = torch.randperm(len(task.pool), generator=generator).tolist()
        yield default_collate([task.pool[order.pop()] for _ in range(task.batch)])


def _train(task: Task, optimizer: str, rate: float, steps: int, seed: int) -> Result:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = task.build()
    warm_up = min(WARM_UP, steps // 4)
    run = Run(None, model, Schedule(steps=steps, rate=rate, warm_up=warm_up, optimizer=optimizer, seed=seed))
    spent, begin, processor = 0.0, time.perf_counter(), time.process_time()
    with freed_memory_kept(), flush_denormals():
        for figures in run.steps(lambda model, batch: task.loss(model, *batch), _draw(task, steps, seed)):
            spent += figures["optimizer_ms"]
    seconds, processor = time.perf_counter() - begin, time.process_time() - processor
    trained, losses, figures = run.finish(), [], []
    with torch.no_grad():
        for batch in task.validation:
            _, found = task.loss(trained, *batch)
            losses.append(found["loss"])
            figures.append(found["error_ratio" if task.name == "dti" else "rmse"])
    mean_loss, figure = sum(losses) / len(losses), sum(figures) / len(figures)
    return Result(task.name, optimizer, rate, steps, seed, seconds, processor, spent / steps, mean_loss, figure)


class Trainings:
    """Trainings, each run once.

    Args:
        file: where results are kept, one line each; None keeps them in memory.
        quick: on small data.
    """

    def __init__(self, file: Path | None = None, quick: bool = False):
        self.file, self.quick, self.known = file, quick, {}
        if file is not None and file.is_file():
            for line in file.read_text().splitlines():
                self._add(Result(**json.loads(line)))

    def _add(self, result: Result) -> Result:
        self.known[result.task, result.optimizer, result.rate, result.steps, result.seed] = result
        return result

    def get(self, task: str, optimizer: str, rate: float, steps: int, seed: int) -> Result:
        """The result of a training, which is run unless it is known."""
        if (known := self.known.get((task, optimizer, rate, steps, seed))) is not None:
            return known
        result = _train(TASKS[task](self.quick), optimizer, rate, steps, seed)
        if self.file is not None:
            with self.file.open("a") as out:
                out.write(json.dumps(asdict(result)) + "\n")
        return self._add(result)

    def tune(self, task: str, optimizer: str, rates: tuple[float, ...], steps: int, seed: int = 0) -> Result:
        """The run of the lowest validation error over the rates."""
        return min((self.get(task, optimizer, rate, steps, seed) for rate in rates), key=lambda result: result.loss)
