"""Kronecker-factored curvature: its factors and their inverse against curvlinops, and a training of motions.

The network of the comparison is 8-92-92-4 with tanh, 9756 parameters, 512 examples, float64, weights and biases
together, the Fisher information written out ("type-2"). Both use the damping of Martens and Grosse (2015), which is
shared between the factors in the ratio of their mean eigenvalues: the preconditioned gradients are equal.
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Target

_DAMPING = 1e-3
_TRAININGS = ("adamw", "kfac", "ekfac")
_WIDTHS = (8, 92, 92, 4)


def measure(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets."""
    rows, targets = against_curvlinops(3 if quick else 15)
    return rows + train_on_motions(epochs=4 if quick else 20), targets


def against_curvlinops(repeats: int) -> tuple[list[dict[str, Any]], list[Target]]:
    """Factors, preconditioned gradient, and the time that both need to build and apply them."""
    model, x, y = _problem()
    ours, theirs = Ours(model, x, y), Theirs(model, x, y)
    a, b = ours(), theirs()  # also warms up
    matrix = max(float((p - q).abs().max() / q.abs().max()) for p, q in zip(ours.factors(), theirs.factors()))
    vector = max(float((p - q).abs().max() / q.abs().max()) for p, q in zip(a, b))
    times: dict[str, list[float]] = {"mvnet": [], "curvlinops": []}
    for _ in range(repeats):
        for name, call in (("mvnet", ours), ("curvlinops", theirs)):
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    ratio = min(times["mvnet"]) / min(times["curvlinops"])
    rows = [{"build and apply KFAC": name, "ms": 1e3 * min(found)} for name, found in times.items()]
    return rows, [
        Target("KFAC's factors against curvlinops', relative", matrix, "<= 1e-10", matrix <= 1e-10),
        Target("the preconditioned gradient against curvlinops', relative", vector, "<= 1e-8", vector <= 1e-8),
        Target("build and apply KFAC: time over curvlinops'", ratio, "<= 1", ratio <= 1),
    ]


def _problem() -> tuple[nn.Sequential, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    layers: list[nn.Module] = []
    for into, out in pairwise(_WIDTHS):
        layers += [nn.Linear(into, out), nn.Tanh()]
    model = nn.Sequential(*layers[:-1]).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.shape[-1] ** 0.5)
    x = torch.randn(512, _WIDTHS[0], generator=generator, dtype=torch.float64)
    return model, x, torch.randn(512, _WIDTHS[-1], generator=generator, dtype=torch.float64)


class Ours:
    """A training pass, which draws and inverts the factors, less what the loss itself needs; then one application."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor):
        from mvnet.optim import KFAC

        self.model, self.x = model, x
        model.eval()
        nn.functional.mse_loss(model(x), y).backward()
        self.gradients = [p.grad for p in model.parameters()]
        self.optimizer = KFAC.for_model(model, 1e-2, fisher="type-2", likelihood="gaussian", damping=_DAMPING)

    def __call__(self) -> list[Tensor]:
        """F^-1 g."""
        self.optimizer.state.clear()
        self.model.train()
        self.model(self.x)
        self.model.eval()
        parameters = list(self.model.parameters())
        for parameter, gradient in zip(parameters, self.gradients):
            parameter.grad = gradient
        self.optimizer.precondition()
        return [p.grad for p in parameters if p.grad is not None]

    def factors(self) -> list[Tensor]:
        """A and B of every layer."""
        weights = [p for p in self.model.parameters() if p.ndim == 2]
        return [self.optimizer.state[w][name] for name in ("factor_in", "factor_out") for w in weights]


class Theirs:
    """The same by curvlinops."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor):
        self.model, self.data = model, [(x, y)]
        model.eval()
        loss = nn.functional.mse_loss(model(x), y)
        self.gradients = list(torch.autograd.grad(loss, list(model.parameters())))

    def __call__(self) -> list[Tensor]:
        """F^-1 g."""
        from curvlinops import KFACInverseLinearOperator, KFACLinearOperator

        self.operator = KFACLinearOperator(
            self.model,
            nn.MSELoss(),
            list(self.model.parameters()),
            self.data,
            fisher_type="type-2",
            separate_weight_and_bias=False,
            check_deterministic=False,
            num_data=len(self.data[0][0]),
            num_per_example_loss_terms=1,
        )
        self.operator.compute_kronecker_factors()
        inverse = KFACInverseLinearOperator(self.operator, damping=_DAMPING, use_heuristic_damping=True)
        return list(inverse @ self.gradients)  # type: ignore[arg-type]

    def factors(self) -> list[Tensor]:
        """A and B of every layer."""
        names = [name for name, module in self.model.named_modules() if isinstance(module, nn.Linear)]
        found = (self.operator._input_covariances, self.operator._gradient_covariances)
        return [factors[name] for factors in found for name in names]


def train_on_motions(epochs: int) -> list[dict[str, Any]]:
    """The Lie-group network on Florence3D, half of the subjects for training: equal epochs, each at its default rate.

    Nothing without MVNET_DATA.
    """
    if "MVNET_DATA" not in os.environ:
        return []
    from benchmarks.activity.accuracy import load
    from mvnet.data_loaders.motion import splits
    from mvnet.models.activity.lie_classifier import fit_lie_classifier
    from mvnet.models.activity.training import MotionSchedule
    from mvnet.optim.registry import default_rate

    motions = load(Path(os.environ["MVNET_DATA"]), "Florence3D")
    split = splits(motions, "cross-subject")[0]
    known, new = motions.take(split.train), motions.take(split.test)
    truth = torch.from_numpy(new.require_labels())
    rows = []
    for name in _TRAININGS:
        rate = default_rate(name, "activity")
        begin = time.perf_counter()
        schedule = MotionSchedule(epochs=epochs, optimizer=name, rate=rate, patience=epochs)
        found = fit_lie_classifier(known, schedule, torch.device("cpu"))
        seconds = time.perf_counter() - begin
        p = torch.from_numpy(found.predict_proba(list(new.sequences)))
        rows.append(
            {
                "motions of Florence3D": name,
                "rate": rate,
                "epochs": epochs,
                "accuracy, new subjects": float((p.argmax(1) == truth).double().mean()),
                "log-likelihood": float(p[torch.arange(len(p)), truth].log().mean()),
                "accuracy, inner": found.inner_accuracy_,
                "s": seconds,
            }
        )
    return rows
