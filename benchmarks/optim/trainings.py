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
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from benchmarks.harness import Target
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
        examples: (side, number, seed) -> examples of its training set.
        pool: the training examples; validation: others, in batches.
        batch: examples in a step.
    """

    name: str
    build: Callable[[], nn.Module]
    loss: Callable[..., tuple[Tensor, dict[str, float]]]
    examples: Callable[[int, int, int], list[Any]]
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

    def examples(side: int, number: int, seed: int) -> list[Any]:
        brains = [(1.0, field) for field in simulated_fields(1 if quick or seed == VALIDATION_SEED else 3, seed)]
        return _read(TrainingSet(brains, length=number, patch=side, seed=seed))

    pool = examples(12, 20 if quick else 500, POOL_SEED)
    validation = _batches(examples(16, 4 if quick else 24, VALIDATION_SEED), 4)
    return Task("dti", DTIDenoiser, denoising_loss, examples, pool, validation, batch=2)


@cache
def insar_task(quick: bool = False) -> Task:
    """Simulated scenes, 48^2 pixels x 4; validated on 64^2 pixels of others."""
    from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet
    from mvnet.models.insar.loss import phase_loss
    from mvnet.models.insar.network import InSARDenoiser

    def examples(side: int, number: int, seed: int) -> list[Any]:
        return _read(PhaseTrainingSet(number, side, 2.4, seed))

    pool = examples(48, 20 if quick else 1600, POOL_SEED)
    validation = _batches(examples(64, 4 if quick else 64, VALIDATION_SEED), 8)
    return Task("insar", InSARDenoiser, phase_loss, examples, pool, validation, batch=4)


TASKS = {"dti": dti_task, "insar": insar_task}

RATES = {
    ("dti", "adamw"): (1e-3, 2e-3, 4e-3, 8e-3),
    ("dti", "soap"): (2e-3, 4e-3, 8e-3),
    ("dti", "muon"): (2e-3, 4e-3, 8e-3),
    ("insar", "adamw"): (1e-3, 2e-3, 3e-3, 6e-3),
    ("insar", "soap"): (3e-3, 4e-3, 6e-3),
    ("insar", "muon"): (3e-3, 5e-3, 8e-3),
}
"""Learning rates that are tried on the first seed, at every length."""

SHORT, LONG = {"dti": 200, "insar": 400}, {"dti": 1000, "insar": 1000}
"""Steps of AdamW."""

RATIO = {"dti": 0.70, "insar": 0.75}
"""Bar: time of ours over that of AdamW, to the same validation error, in the short comparison."""

EQUAL_TIME = {"dti": 0.93, "insar": 0.84}
"""Steps of SOAP that take the time of one step of AdamW."""

SHARES, TUNED_AT, SEEDS = (0.5, 0.6, 0.7, 0.85, 1.0), 0.6, (0, 1, 2)
"""Steps of ours over those of AdamW that are tried, the share at which the rate is tuned, and the seeds."""


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

    def run(self, key: tuple[str, str, float, int, int]) -> Result:
        """As `get`, of the arguments together."""
        return self.get(*key)

    def tune(self, task: str, optimizer: str, steps: int) -> Result:
        """The run of the lowest validation error over the rates, on the first seed."""
        rates = RATES[task, optimizer]
        found = [self.get(task, optimizer, rate, steps, SEEDS[0]) for rate in (rates[:1] if self.quick else rates)]
        return min(found, key=lambda result: result.loss)

    def rows(self, task: str, steps: int) -> list[dict]:
        """The trainings of a task of at most as many steps, and more than a quarter of them."""
        known = [r for r in self.known.values() if r.task == task and steps / 4 < r.steps <= steps]
        known.sort(key=lambda r: (r.optimizer, r.steps, r.rate, r.seed))
        return [asdict(result) for result in known]


Measured = tuple[list[dict], list[Target]]


def measure(quick: bool, file: Path | None = None, long: bool = False) -> Measured:
    """Trainings of both networks: time to the error of AdamW, error after equal steps, and error after equal time.

    Args:
        quick: a few steps on small data.
        file: keeps the trainings that have ended.
        long: compare at `LONG` too.
    """
    runs, rows, targets = Trainings(file, quick), [], []
    for task in TASKS:
        for part in (_short, _long) if long else (_short,):
            its_rows, its_targets = part(runs, task)
            rows += its_rows
            targets += its_targets
    return rows, targets


def _short(runs: Trainings, task: str) -> Measured:
    """Time to AdamW's error, and error after as many steps."""
    steps, seeds = (6, SEEDS[:1]) if runs.quick else (SHORT[task], SEEDS)
    rate = runs.tune(task, "adamw", steps).rate
    base = {seed: runs.get(task, "adamw", rate, steps, seed) for seed in seeds}
    ratios, lower = {}, {}
    for method in ("soap", "muon"):
        its_rate = runs.tune(task, method, round(TUNED_AT * steps)).rate
        tries = [(seed, [(task, method, its_rate, round(share * steps), seed) for share in SHARES]) for seed in seeds]
        # the first length at which it ends at or below AdamW's error
        reached = [
            next((r.processor / base[seed].processor for r in map(runs.run, lengths) if r.loss <= base[seed].loss), inf)
            for seed, lengths in tries
        ]
        ratios[method] = median(reached)
        lower[method] = median(runs.run(lengths[-1]).loss - base[seed].loss for seed, lengths in tries)
    best = min(ratios, key=lambda method: (ratios[method], lower[method]))
    bar, ratio, gain = RATIO[task], ratios[best], lower[best]
    return runs.rows(task, steps), [
        Target(f"{task}, {steps} steps: time of {best} to AdamW's error", ratio, f"<= {bar}", ratio <= bar),
        Target(f"{task}, {steps} steps: error of {best} less AdamW's, equal steps", gain, "< 0", gain < 0),
    ]


def _long(runs: Trainings, task: str) -> Measured:
    """Error after the time of a long training by AdamW, rates tuned at that length."""
    steps, seeds = (6, SEEDS[:1]) if runs.quick else (LONG[task], SEEDS)
    mine = round(EQUAL_TIME[task] * steps)
    rate, its_rate = runs.tune(task, "adamw", steps).rate, runs.tune(task, "soap", mine).rate
    pairs = [
        (runs.get(task, "soap", its_rate, mine, seed), runs.get(task, "adamw", rate, steps, seed)) for seed in seeds
    ]
    gain = median(soap.loss - adam.loss for soap, adam in pairs)
    ratio = median(soap.processor / adam.processor for soap, adam in pairs)
    label = f"{task}, {steps} steps: error of soap less AdamW's, at {ratio:.2f} of its time"
    return runs.rows(task, steps), [Target(label, gain, "< 0", gain < 0)]
