"""How low the steep scene lets the network go: `python -m benchmarks.insar.ceiling [--steps N] [--json FILE|-]`.

A copy of the shipped network is trained on the very scene of `benchmarks.insar`, its true phase included, with other
draws of the noise, and thrown away: a training that does not know the scene can hardly come below with a network of
this size. Errors are given for all pixels, for those up to three pixels from a jump and for the rest, beside the
lower bound of the fractal surface alone, which no filter reaches. Eight minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from benchmarks.harness import Benchmark
from benchmarks.insar import cases
from benchmarks.insar.accuracy import PROTOTYPE, SHARE_OF_PROTOTYPE, ours
from benchmarks.insar.scenes import least_error, near_jumps, single_look, true_phase, wrapped
from mvnet.data_loaders.insar.training.dataset import PhaseMaps, TrainingPair
from mvnet.models import pretrained
from mvnet.models.insar.loss import phase_loss
from mvnet.models.insar.network import InSARDenoiser
from mvnet.training import Run, Schedule, train

SIDE = cases.SCENES["steep"]
NEAR = 3  # pixels from a jump
_COHERENCE = (0.25, 0.93)
_NOISE = 10**6  # seeds of the noise that is trained on start here: none of those that are scored


class ScenePatches(Dataset):
    """Patches of the scene, one look of noise; example i depends on i alone."""

    def __init__(self, length: int, patch: int):
        self.length, self.patch, self.truth = length, patch, true_phase(SIDE)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingPair:
        random = np.random.default_rng(index)
        row, column = random.integers(0, SIDE - self.patch + 1, 2)
        phase = self.truth[row : row + self.patch, column : column + self.patch]
        z = torch.from_numpy(single_look(phase, random.uniform(*_COHERENCE), _NOISE + index))
        valid = torch.ones(z.shape, dtype=torch.bool)
        unknown = PhaseMaps.white(torch.full(z.shape, torch.nan))
        return TrainingPair(z, torch.from_numpy(phase).float(), valid, unknown)


def trained_on_the_scene(steps: int) -> InSARDenoiser:
    """The shipped network after further steps on the scene."""
    model, _ = pretrained("insar")
    assert isinstance(model, InSARDenoiser)
    schedule = Schedule(steps=steps, batch=4, rate=1.5e-3, warm_up=50, average=0.99)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), model, schedule)
        train(run, lambda _, batch: phase_loss(model, *batch), ScenePatches(steps * schedule.batch, 96))
    return model


def errors(model: InSARDenoiser, case: cases.Case, near: np.ndarray) -> dict[str, float]:
    """RMSE in radians over all pixels, near jumps, elsewhere."""
    square = wrapped(ours(model, case.z).phase.numpy() - case.truth) ** 2
    parts = {"all": square, "near jumps": square[near], "elsewhere": square[~near]}
    return {name: math.sqrt(part.mean()) for name, part in parts.items()}


def main() -> None:
    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--steps", type=int, default=2500, help="of the training on the scene")

    benchmark = Benchmark("insar_ceiling", __doc__, add_options=add_options)
    shipped, _ = pretrained("insar")
    assert isinstance(shipped, InSARDenoiser)
    models = {
        "shipped": shipped,
        "trained on the scene": trained_on_the_scene(4 if benchmark.quick else benchmark.options.steps),
    }
    rows, near = [], near_jumps(SIDE, NEAR)
    for case in cases.simulated("steep"):
        coherence = cases.COHERENCES[case.coherence]
        if coherence is None:
            continue
        bound, target = least_error(SIDE, coherence), SHARE_OF_PROTOTYPE * PROTOTYPE[case.coherence]
        for name, model in models.items():
            row = {"coherence": coherence, "network": name, **errors(model, case, near)}
            rows.append({**row, "lower bound": bound, "bar": target})
    benchmark.report(rows, [])


if __name__ == "__main__":
    main()
