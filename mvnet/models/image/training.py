"""The objective of paper section 5.2, and the training and evaluation of its denoisers.

    loss = mean of  1/2 |e|^2 + weight |grad e|_{1,eps},    e = Psi(x) - x*,  |v|_{1,eps} = sqrt(|v|^2 + eps^2) - eps

per pixel and colour; grad is the forward difference (eq. 52). Adam with a linear warm-up; the learning rate is lowered
when the error on a validation set stagnates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvnet.training import Monitor, Run, Schedule

Pair = tuple[Tensor, Tensor]
"""Noisy and clean images, (B, colours, H, W) each."""
_IMPROVEMENT = 0.01  # relative decrease of the validation error that counts


def denoising_objective(error: Tensor, weight: float = 1e-3, eps: float = 1e-3) -> Tensor:
    """Eq. (52) for an error e = Psi(x) - x* (B, colours, H, W), a scalar.

    Args:
        error: difference of the images.
        weight: weight of the smoothed total variation.
        eps: its smoothing.
    Returns:
        loss ().
    """
    corner = error[..., :-1, :-1]
    squared = (error[..., 1:, :-1] - corner).square() + (error[..., :-1, 1:] - corner).square()
    return error.square().mean() / 2 + weight * ((squared + eps**2).sqrt() - eps).mean()


@dataclass(frozen=True)
class Recipe:
    """Options of the training of a denoiser.

    Args:
        iterations: number of steps of Adam.
        lr: learning rate after the warm-up.
        warm_up: number of steps over which it grows linearly from zero.
        check: number of steps between two evaluations of the validation error.
        patience: number of evaluations in a row that do not lower the best error by 1 %, after which the rate is
            multiplied by `factor`.
        factor: below 1.
    """

    iterations: int
    lr: float
    warm_up: int = 20
    check: int = 10
    patience: int = 2
    factor: float = 0.3


@dataclass(frozen=True)
class History:
    """The objective on every minibatch, and (iteration, mean square error, learning rate) at every check."""

    training: list[float]
    validation: list[tuple[int, float, float]]


def train_denoiser(model: nn.Module, batch: Callable[[], Pair], validation: Pair, recipe: Recipe) -> History:
    """Minimise eq. (52) over minibatches drawn by `batch()`, in place.

    Args:
        model: image to image.
        batch: draws the next noisy and clean images.
        validation: images that steer the learning rate.
        recipe: iterations and rates.
    Returns:
        the errors of training and validation.
    """
    monitor = Monitor(
        lambda model: (-mean_square_error(model, *validation),),
        every=recipe.check,
        patience=recipe.patience,
        factor=recipe.factor,
        tolerance=_IMPROVEMENT,
    )
    schedule = Schedule(
        steps=recipe.iterations,
        rate=recipe.lr,
        warm_up=recipe.warm_up,
        weight_decay=0.0,
        clip=math.inf,
        average=0.0,
        optimizer="adam",
        decay="constant",
    )

    def objective(model: nn.Module, pair: Pair) -> tuple[Tensor, dict[str, float]]:
        noisy, clean = pair
        loss = denoising_objective(model(noisy) - clean)
        return loss, {"loss": float(loss.detach())}

    run = Run(None, model, schedule, monitor=monitor)
    training = [figures["loss"] for figures in run.steps(objective, iter(batch, None))]
    return History(training, [(step, -score, rate) for step, (score,), rate in monitor.history])


def denoise(model: nn.Module, noisy: Tensor, chunk: int = 16) -> Tensor:
    """Apply a model in eval mode to many images, without gradients.

    Args:
        model: image to image; its mode is restored.
        noisy: (n, colours, H, W).
        chunk: number of images at a time.
    Returns:
        same shape.
    """
    was, _ = model.training, model.eval()
    with torch.no_grad():
        out = torch.cat([model(part) for part in noisy.split(chunk)])
    model.train(was)
    return out


def mean_square_error(model: nn.Module, noisy: Tensor, clean: Tensor) -> float:
    """Mean over images, colours and pixels of (Psi(x) - x*)^2.

    Args:
        model: Psi.
        noisy: x, (n, colours, H, W).
        clean: x*, same shape.
    Returns:
        the mean.
    """
    return float((denoise(model, noisy) - clean).square().mean())


def iterations_to(training: list[float], target: float, window: int) -> int | None:
    """First iteration at which a running mean of the training errors reaches a target.

    Args:
        training: error of every iteration.
        target: largest mean.
        window: number of errors in the mean.
    Returns:
        number of the iteration, from `window` on; None if it is never reached.
    """
    mean = running_mean(training, window)
    reached = (mean <= target).nonzero()
    return int(reached[0]) + window if len(reached) else None


def running_mean(training: list[float], window: int) -> Tensor:
    """Running mean of training errors.

    Args:
        training: n errors.
        window: number of errors in the mean.
    Returns:
        (n - window + 1,) float64: entry k is the mean of training errors k + 1, ..., k + window.
    """
    total = torch.tensor([0.0, *training], dtype=torch.float64).cumsum(0)
    return (total[window:] - total[:-window]) / window
