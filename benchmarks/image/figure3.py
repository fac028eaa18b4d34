"""Paper section 5.2, figure 3: an ordinary and an equivariant denoiser of the same depth.

Random coloured rectangles with sides along the grid, white noise of standard deviation 0.1, loss (52), residual
networks (5) of 20 layers: 64 channels, or 12 regular fields of C8 with a tenth of the parameters. Learning rate and
initialisation scale of each class are tuned on the same settings: one run each on a tuning seed, the lowest validation
error wins. Then one run for every seed, both classes on the same minibatches.

- A training error is the mean of the objective over a window of a tenth of the iterations, for both classes.
- The error of a denoiser is the root mean square over test images, on-grid and with the same scenes rotated by random
  angles over the whole circle, with fresh noise.
- Its equivariance error at an angle is |Psi(g x) - g Psi(x)| / |Psi(x)| in a disk for clean scenes x, where g x is
  drawn and only the difference Psi(x) - x is interpolated.

The default is a short form for a CPU, an hour and a half on one core; --full is the paper's size, for a GPU.

usage: python -m benchmarks.image.figure3 [--quick | --full] [--device cuda] [--json FILE|-]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.harness import Benchmark, Target
from mvnet.data_loaders.image.rectangles import noisy, random_scenes
from mvnet.equivariant.groups import interpolate, rotation_2d
from mvnet.equivariant.measure import ball
from mvnet.models.image.network import equivariant_denoiser, ordinary_denoiser
from mvnet.models.image.training import (
    History,
    Pair,
    Recipe,
    denoise,
    iterations_to,
    mean_square_error,
    running_mean,
    train_denoiser,
)
from mvnet.runtime import freed_memory_kept

CLASSES: dict[str, Callable[..., nn.Module]] = {"ordinary": ordinary_denoiser, "equivariant": equivariant_denoiser}
TUNING_SEED, VALIDATION_SEED, TEST_SEED = 1000, 2000, 3000  # training seeds are 0, 1, ...
PAPER_PARAMETERS = 741_891


@dataclass(frozen=True)
class Setup:
    """Size of the experiment.

    Args:
        iterations: of a run; tuning_iterations: of a run that tunes.
        batch, size: images of size x size pixels in a minibatch.
        seeds: runs of each class.
        test: images of 60 x 60 pixels; validation: images of size x size.
        angles: over the circle.
        layers: of both networks.
        settings: (learning rate, initialisation scale) tried for each class.
    """

    iterations: int
    tuning_iterations: int
    batch: int
    size: int
    seeds: int = 5
    test: int = 48
    validation: int = 32
    angles: int = 24
    layers: int = 20
    settings: tuple[tuple[float, float], ...] = ((1e-3, 0.01), (1e-3, 0.03), (3e-3, 0.01), (3e-3, 0.03))

    @property
    def window(self) -> int:
        """Training errors are means over that number of iterations."""
        return max(self.iterations // 10, 1)


DEFAULT = Setup(iterations=750, tuning_iterations=75, batch=8, size=32, test=32, validation=32)
FULL = Setup(iterations=1500, tuning_iterations=300, batch=64, size=60, test=256, validation=64, angles=36)
QUICK = Setup(20, 10, 2, 20, seeds=2, test=4, validation=4, angles=8, layers=3, settings=DEFAULT.settings[1:3])


def generator(seed: int, device: str) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def pairs(count: int, size: int, draws: torch.Generator, rotated: bool = False) -> Pair:
    """Noisy and clean images, on-grid or each rotated by a random angle."""
    scenes = random_scenes(count, size, generator=draws)
    angles = 2 * math.pi * torch.rand(count, generator=draws, device=draws.device)
    clean = scenes.draw(angles if rotated else 0.0)
    return noisy(clean, generator=draws), clean


def build(name: str, setup: Setup, scale: float, seed: int, device: str) -> nn.Module:
    """A denoiser of a class with its own initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLASSES[name](layers=setup.layers, residual_scale=scale)
    return model.to(device)


def run(
    name: str, setup: Setup, setting: tuple[float, float], seed: int, iterations: int, device: str
) -> tuple[nn.Module, History]:
    """One training; the minibatches depend on the seed alone."""
    rate, scale = setting
    model, draws = build(name, setup, scale, seed, device), generator(seed, device)
    validation = pairs(setup.validation, setup.size, generator(VALIDATION_SEED, device))
    recipe = Recipe(iterations, rate, check=max(iterations // 10, 10))
    history = train_denoiser(model, lambda: pairs(setup.batch, setup.size, draws), validation, recipe)
    _log(f"{name}, rate {rate:g}, scale {scale:g}, seed {seed}: validation {history.validation[-1][1]:.3e}")
    return model, history


def tune(name: str, setup: Setup, device: str) -> list[dict]:
    """The validation error of every setting on the tuning seed, as rows of the table; the best is marked."""
    rows = []
    for rate, scale in setup.settings:
        _, history = run(name, setup, (rate, scale), TUNING_SEED, setup.tuning_iterations, device)
        rows.append({"tuning": name, "rate": rate, "scale": scale, "validation mse": history.validation[-1][1]})
    best = min(rows, key=lambda row: math.inf if math.isnan(row["validation mse"]) else row["validation mse"])
    return [{**row, "chosen": "yes" if row is best else ""} for row in rows]


def errors(model: nn.Module, setup: Setup, device: str) -> tuple[float, float]:
    """Root mean square error on on-grid images and on the same scenes rotated."""
    found = [
        mean_square_error(model, *pairs(setup.test, 60, generator(TEST_SEED, device), rotated))
        for rotated in (False, True)
    ]
    return found[0] ** 0.5, found[1] ** 0.5


def circle(model: nn.Module, setup: Setup, device: str) -> list[float]:
    """Equivariance error at every angle 2 pi k / setup.angles, mean square over four scenes."""
    scenes, size = random_scenes(4, 60, generator=generator(TEST_SEED, device)), 60
    inside = ball((size, size), 0.8).to(device)

    def change(angle: float) -> Tensor:
        clean = scenes.draw(angle)
        return denoise(model, clean) - clean

    start, norm = change(0.0), (denoise(model, scenes.draw()) * inside).norm()
    found = []
    for k in range(setup.angles):
        angle = 2 * math.pi * k / setup.angles
        rotated = interpolate(rotation_2d(angle), start)
        found.append(float(((change(angle) - rotated) * inside).norm() / norm))
    return found


def pictures(models: dict[str, nn.Module], device: str) -> dict[str, dict[str, list]]:
    """One scene on-grid and rotated by 30 degrees: noisy, the output of every class, clean; (3, 60, 60) each."""
    scene = random_scenes(1, 60, generator=generator(TEST_SEED + 1, device))
    out = {}
    for label, angle in (("on-grid", 0.0), ("rotated", math.pi / 6)):
        clean = scene.draw(angle)
        x = noisy(clean, generator=generator(TEST_SEED + 2, device))
        images = {"noisy": x, **{name: denoise(model, x) for name, model in models.items()}, "clean": clean}
        out[label] = {name: image[0].mul(1e3).round().div(1e3).tolist() for name, image in images.items()}
    return out


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@freed_memory_kept()
def main() -> None:
    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--full", action="store_true", help="the paper's size: 60x60, batch 64, 1500 iterations")
        parser.add_argument("--device", default="cpu", help="of torch, such as cuda")

    benchmark = Benchmark("figure3", __doc__, add_options=add_options)
    device = benchmark.options.device
    setup = QUICK if benchmark.quick else FULL if benchmark.options.full else DEFAULT
    rows, targets, curves, models = [], [], {}, {}
    settings, parameters, finals, on_circle = {}, {}, {}, {}
    for name in CLASSES:
        parameters[name] = sum(p.numel() for p in build(name, replace(setup, layers=20), 0.1, 0, "cpu").parameters())
        tuned = tune(name, setup, device)
        rows += tuned
        settings[name] = next((row["rate"], row["scale"]) for row in tuned if row["chosen"])
    ratios: dict[str, list[float]] = {name: [] for name in CLASSES}
    reached: list[float] = []
    for seed in range(setup.seeds):
        for name in CLASSES:
            model, history = run(name, setup, settings[name], seed, setup.iterations, device)
            on_grid, rotated = errors(model, setup, device)
            ratios[name].append(rotated / on_grid)
            curves.setdefault(name, []).append(asdict(history))
            final = float(running_mean(history.training, setup.window)[-1])
            if name == "ordinary":
                finals[seed] = final
            to_ordinary = iterations_to(history.training, finals[seed], setup.window)
            if name == "equivariant":
                reached.append(math.inf if to_ordinary is None else to_ordinary / setup.iterations)
            row = {"class": name, "seed": seed, "parameters": parameters[name], "training error": final}
            rows.append({**row, "to ordinary's": to_ordinary, "on-grid": on_grid, "rotated": rotated})
            if seed == 0:
                models[name], on_circle[name] = model, circle(model, setup, device)
    for k in range(setup.angles):
        degrees = 360 * k / setup.angles
        rows.append({"degrees": degrees, **{f"equivariance, {name}": on_circle[name][k] for name in CLASSES}})
    share = parameters["equivariant"] / parameters["ordinary"]
    exact = parameters["ordinary"] == PAPER_PARAMETERS
    worst = max(ratios["equivariant"], key=lambda r: abs(r - 1))
    latest = max(reached)
    targets = [
        Target("share of iterations to the ordinary network's error, worst seed", latest, "<= 0.5", latest <= 0.5),
        Target("rotated / on-grid error, equivariant, worst seed", worst, "within 2 % of 1", abs(worst - 1) <= 0.02),
        Target("parameters of the ordinary network", parameters["ordinary"], f"{PAPER_PARAMETERS}", exact),
        Target("parameters, equivariant / ordinary", share, "<= 0.10", share <= 0.10),
    ]
    data = {"setup": asdict(setup), "curves": curves, "circle": on_circle, "pictures": pictures(models, device)}
    benchmark.report(rows, targets, data)


if __name__ == "__main__":
    main()
