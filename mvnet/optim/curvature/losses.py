"""Losses as functions of the outputs f of a network, with the metrics that they put on the outputs.

A network f(theta) with Jacobian J and a loss l(f) have the curvature G = J^T H J, where H is, for one loss,

    hessian      d^2 l / df^2                                  the (extended) Gauss-Newton matrix [97], [99]
    fisher       E_y [ dl/df dl/df^T ],  y ~ exp(-l)           the Fisher information of paper (60), [89]
    empirical    dl/df dl/df^T  at the targets                 not the Fisher information: only where asked for by name

Hessian and Fisher information are the same for a likelihood of an exponential family in its natural parameters
(squared error, cross-entropy); for the others the Fisher information is positive semidefinite where the Hessian is not.
Every loss is a mean over the N samples along the first axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError

Metric = Literal["fisher", "hessian", "empirical"]


class OutputLoss(ABC):
    """A loss of the outputs of a network, a mean over samples.

    A subclass has `value`; it has `hessian` where there is something quicker than automatic differentiation, and
    `fisher` where the loss is a negative log-likelihood.
    """

    @abstractmethod
    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss.

        Args:
            outputs: (N, ...).
            targets: of the shape that the loss expects.
        Returns:
            ().
        """

    def hessian(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """H v, H the Hessian of the loss in the outputs.

        Args:
            outputs, targets: as of `value`.
            v: shape of the outputs.
        Returns:
            shape of the outputs.
        """
        gradient = torch.func.grad(lambda f: self.value(f, targets))
        product = torch.func.jvp(gradient, (outputs,), (v,))[1]
        assert isinstance(product, Tensor)
        return product

    def fisher(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """H v, H the Fisher information of the likelihood in the outputs; it does not depend on the targets.

        Args:
            outputs, targets, v: as of `hessian`.
        Returns:
            shape of the outputs.
        Raises:
            MvnetError: the loss is no likelihood.
        """
        raise MvnetError(f"metric: found 'fisher' for {type(self).__name__}, expected 'hessian': it is no likelihood")

    def empirical(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """H v, H = N dl_n/df dl_n/df^T from the gradients at the targets, one block for each sample n.

        Args:
            outputs, targets, v: as of `hessian`.
        Returns:
            shape of the outputs.
        """
        g = self.gradient(outputs, targets)
        return len(outputs) * g * (g * v).flatten(1).sum(1).view(-1, *(1,) * (g.ndim - 1))

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """dl/df.

        Args:
            outputs, targets: as of `value`.
        Returns:
            shape of the outputs.
        """
        with torch.enable_grad():
            f = outputs.detach().requires_grad_()
            return torch.autograd.grad(self.value(f, targets), f)[0]

    def metric(self, name: Metric) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """One of the three metrics by its name.

        Args:
            name: "fisher", "hessian" or "empirical".
        Returns:
            the method.
        Raises:
            MvnetError: another name.
        """
        if name not in ("fisher", "hessian", "empirical"):
            raise MvnetError(f"metric: found {name!r}, expected fisher, hessian or empirical")
        return getattr(self, name)


class SquaredError(OutputLoss):
    """1/(2N) sum_n |f_n - y_n|^2, the loss below paper (60): a Gaussian likelihood of variance 1."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """As the class says."""
        _check_shapes(outputs, targets)
        return (outputs - targets).square().sum() / (2 * len(outputs))

    def hessian(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """v / N."""
        return v / len(outputs)

    fisher = hessian


class CrossEntropy(OutputLoss):
    """Categorical cross-entropy of scores: outputs (N, classes, ...), targets (N, ...) of int64."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean of -log softmax(f)_y over samples and positions."""
        return F.cross_entropy(outputs, targets)

    def hessian(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """(p v - p (p^T v)) / count, p = softmax(f)."""
        p = outputs.softmax(1)
        pv = p * v
        return (pv - p * pv.sum(1, keepdim=True)) * outputs.shape[1] / outputs.numel()

    fisher = hessian


class Gaussian(OutputLoss):
    """Gaussian likelihood of unknown mean and deviation: outputs (N, 2 C, ...) are m and log s, targets (N, C, ...)."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1/N sum ( log s + ((y - m) / s)^2 / 2 ), up to a constant."""
        mean, log_s = _halves(outputs, targets)
        return (log_s + ((targets - mean) * (-log_s).exp()).square() / 2).sum() / len(outputs)

    def fisher(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """(v_m / s^2, 2 v_s) / N."""
        log_s = outputs.chunk(2, 1)[1]
        v_mean, v_scale = v.chunk(2, 1)
        return torch.cat([v_mean * (-2 * log_s).exp(), 2 * v_scale], 1) / len(outputs)


class Laplace(OutputLoss):
    """Laplace likelihood of unknown median and scale: outputs (N, 2 C, ...) are m and log s, targets (N, C, ...)."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1/N sum ( log s + |y - m| / s ), up to a constant."""
        mean, log_s = _halves(outputs, targets)
        return (log_s + (targets - mean).abs() * (-log_s).exp()).sum() / len(outputs)

    def fisher(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """(v_m / s^2, v_s) / N."""
        log_s = outputs.chunk(2, 1)[1]
        v_mean, v_scale = v.chunk(2, 1)
        return torch.cat([v_mean * (-2 * log_s).exp(), v_scale], 1) / len(outputs)


class Exponential(OutputLoss):
    """Exponential likelihood of a distance d >= 0 with expectation s: outputs (N, ...) are log s, targets d.

    The error heads of denoisers minimise it; s is calibrated where E[d / s] = 1.
    """

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1/N sum ( log s + d / s )."""
        _check_shapes(outputs, targets)
        return (outputs + targets * (-outputs).exp()).sum() / len(outputs)

    def hessian(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """v (d / s) / N."""
        return v * targets * (-outputs).exp() / len(outputs)

    def fisher(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """v / N."""
        return v / len(outputs)


class Convex(OutputLoss):
    """Any other loss of the outputs.

    Args:
        function: (outputs, targets) -> (), a mean over samples; convex in the outputs, or G is indefinite.
        product: (outputs, targets, v) -> H v; by automatic differentiation when None.
    """

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor],
        product: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    ):
        self._function, self._product = function, product

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The function."""
        return self._function(outputs, targets)

    def hessian(self, outputs: Tensor, targets: Tensor, v: Tensor) -> Tensor:
        """The product."""
        if self._product is None:
            return super().hessian(outputs, targets, v)
        return self._product(outputs, targets, v)


LOSSES: dict[str, type[OutputLoss]] = {
    "squared": SquaredError,
    "cross-entropy": CrossEntropy,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "exponential": Exponential,
}
"""By the name that `NaturalGradient(loss=)` takes."""


def find_loss(loss: str | OutputLoss) -> OutputLoss:
    """A loss by its name.

    Args:
        loss: a key of `LOSSES`, or a loss.
    Returns:
        the loss.
    Raises:
        MvnetError: unknown name.
    """
    if isinstance(loss, OutputLoss):
        return loss
    if loss not in LOSSES:
        raise MvnetError(f"loss: found {loss!r}, expected one of {', '.join(LOSSES)}, or an OutputLoss")
    return LOSSES[loss]()


def _check_shapes(outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        raise MvnetError(f"targets: found shape {tuple(targets.shape)}, expected {tuple(outputs.shape)}")


def _halves(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """m and log s, each of the shape of the targets."""
    if outputs.ndim < 2 or outputs.shape[1] != 2 * targets.shape[1]:
        raise MvnetError(f"outputs: found shape {tuple(outputs.shape)}, expected twice the channels of the targets")
    mean, log_s = outputs.chunk(2, 1)
    _check_shapes(mean, targets)
    return mean, log_s
