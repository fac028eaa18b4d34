"""Gradient flows of E on measures of neurons, by particles.

With the first variation V(theta) = dE/dmu(theta) = 1/N sum_n L'(Phi(mu, x_n), y_n) f(theta, x_n) + lambda |theta|^2:

    Wasserstein                 theta_j' = - grad V(theta_j)                          (62), with m = J for w_j = 1/J
    Fisher-Rao                  w_j' = - w_j ( V(theta_j) - sum_i w_i V(theta_i) )
    Wasserstein-Fisher-Rao      both

f is homogeneous of degree one in (a, b) and in c. Hence c^2 - |a|^2 - b^2 of every neuron is constant along the first
flow without regulariser, and falls as exp(-4 lambda t) with it. The step keeps what it was at the first one, to
rounding: an explicit step, and then (a, b, c) -> (s a, s b, c / s), which leaves the network as it is.

Source: paper section 6.3, (61)-(63), Theorem 6.1, and section 6.4.3; Chizat and Bach (2018, 2020); Chizat, Sparse
optimization on measures with over-parameterized gradient descent (2022).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import StructuredOptimizer
from mvnet.optim.wasserstein.measure import ReLUMeasure

METRICS = ("wasserstein", "fisher-rao", "wasserstein-fisher-rao")


def balance(inner: Tensor, outer: Tensor, invariant: Tensor) -> Tensor:
    """The factor s with (c / s)^2 - s^2 (|a|^2 + b^2) equal to a given number.

        s^2 = 2 C / ( D + sqrt(D^2 + 4 A C) ),    A = |a|^2 + b^2,  C = c^2,  D the invariant

    Args:
        inner: A, any shape.
        outer: C, of that shape.
        invariant: D, of that shape.
    Returns:
        s > 0; 1 where no such number exists: a neuron with A = 0 or C = 0 of the wrong sign.
    """
    root = (invariant.square() + 4 * inner * outer).sqrt()
    # of the two forms of the root the one without cancellation
    square = torch.where(invariant >= 0, 2 * outer / (invariant + root), (root - invariant) / (2 * inner))
    return torch.where(square.isfinite() & (square > 0), square, 1.0).sqrt()


class MeasureFlow(StructuredOptimizer):
    """Gradient flow of E(mu) in a metric on measures.

    Args:
        measure: the network; the loss is a function of what it returns. Networks side by side are trained apart where
            the loss is their sum.
        lr: time step h.
        metric: "wasserstein", "fisher-rao" or "wasserstein-fisher-rao".
        regulariser: lambda of (63); it is not part of the loss that is differentiated.
        birth: speed of the Fisher-Rao part where both are.
        keep: whether the invariant is kept by scaling after each step.
    Raises:
        MvnetError: an unknown metric, or a number out of its range.
    Source: paper (62), (63), section 6.4.3.
    """

    def __init__(
        self,
        measure: ReLUMeasure,
        lr: float = 0.5,
        *,
        metric: str = "wasserstein",
        regulariser: float = 0.0,
        birth: float = 1.0,
        keep: bool = True,
    ):
        if metric not in METRICS:
            raise MvnetError(f"metric: found {metric!r}, expected one of {', '.join(METRICS)}")
        for name, value in {"regulariser": regulariser, "birth": birth}.items():
            if not (math.isfinite(value) and value >= 0):
                raise MvnetError(f"{name}: found {value}, expected a number that is not negative")
        if not isinstance(measure, ReLUMeasure):
            raise MvnetError(f"measure: found {type(measure).__name__}, expected ReLUMeasure")
        # the order of the parameters is that in which `step` takes them from the group
        params = [measure.a, measure.b, measure.c, measure.weight]
        options = {"metric": metric, "regulariser": regulariser, "birth": birth, "keep": keep}
        super().__init__(params, {"lr": lr, **options})

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step.

        Args:
            group: its options.
            parameters: with gradients.
        Raises:
            MvnetError: one of a, b, c and the weights has no gradient.
        """
        a, b, c, w = group["params"]
        if len(parameters) < 4:
            raise MvnetError(f"gradient: found {len(parameters)} of a, b, c and weight with one, expected all four")
        h, decay = group["lr"], group["regulariser"]
        # V(theta_j) before the step
        variation = w.grad + decay * (a.square().sum(-1) + b.square() + c.square())
        if group["metric"] != "fisher-rao":
            self._move(group, a, b, c, w)
        if group["metric"] != "wasserstein":
            speed = group["birth"] if group["metric"] == "wasserstein-fisher-rao" else 1.0
            # w_j <- w_j exp(-h V_j) / sum
            w.copy_((w.clamp_min(torch.finfo(w.dtype).tiny).log() - speed * h * variation).softmax(-1))

    def _move(self, group: dict[str, Any], a: nn.Parameter, b: nn.Parameter, c: nn.Parameter, w: nn.Parameter) -> None:
        """The Wasserstein part."""
        h = group["lr"]
        if "invariant" not in self.state[c]:
            self.state[c]["invariant"] = c.square() - a.square().sum(-1) - b.square()
        # theta_j <- theta_j - h / w_j dE/dtheta_j
        rate = h / w.clamp_min(torch.finfo(w.dtype).tiny)
        for x, factor in ((a, rate.unsqueeze(-1)), (b, rate), (c, rate)):
            x.sub_(factor * x.grad)
        if group["keep"]:
            s = balance(a.square().sum(-1) + b.square(), c.square(), self.state[c]["invariant"])
            a.mul_(s.unsqueeze(-1))
            b.mul_(s)
            c.div_(s)
        # the regulariser alone: theta' = - 2 lambda theta, exactly
        shrink = math.exp(-2 * group["regulariser"] * h)
        for x in (a, b, c):
            x.mul_(shrink)
        self.state[c]["invariant"].mul_(shrink**2)
