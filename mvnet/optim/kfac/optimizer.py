"""KFAC and EKFAC as optimisers, and as preconditioners of others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.adam import adam_step
from mvnet.optim.base import StructuredOptimizer, evaluate
from mvnet.optim.kfac import factors
from mvnet.optim.kfac.factors import Call
from mvnet.optim.kfac.fisher import KINDS, LIKELIHOODS
from mvnet.optim.kfac.layers import Layer, find_layers
from mvnet.optim.kfac.recorder import FisherOptions, Recorder

_log = logging.getLogger(__name__)
_SHARING = ("expand", "reduce")
_SHARED_DAMPING, _EXACT_DAMPING = 1e-3, 1e-2
_ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


class KFAC(StructuredOptimizer):
    """Natural gradient steps with a Kronecker-factored Fisher information; Adam's steps for all other parameters.

    m <- momentum m + c F^-1 g,    theta <- theta - h m,    c = min(1, sqrt(kl_clip / (h^2 g^T F^-1 g)))

    so that h^2 g^T F^-1 g, twice the Kullback-Leibler divergence of the step, is at most kl_clip. The factors are drawn
    in the forward passes of training, from the graph of the user's own loss; evaluation and passes without gradients
    leave them alone. A layer is treated by Adam until its first factors.

    Args:
        params: parameters or groups.
        lr: learning rate h of the layers.
        model: the network that the parameters are of, and whose forward pass training calls.
        adam_rate: learning rate of Adam's steps, in units of h.
        momentum: factor of the last step.
        damping: added to the Fisher information of every layer; 0 for 1e-3 where it is shared between the factors,
            which damps more, and 1e-2 where it is added to the eigenvalues.
        relative: damping in units of the mean eigenvalue of the layer, instead of absolute.
        pi: damping shared between the factors, whose inverses are kept; False: added to the eigenvalues.
        kl_clip: bound of the step; 0 for none.
        factor_beta: averaging factor of A and B.
        every: steps between two updates of the factors.
        refresh: updates between two inversions.
        fisher: "monte-carlo", "type-2", or "empirical", which is not the Fisher information.
        likelihood: "categorical", "bernoulli" or "gaussian"; "" for what `model.likelihood` says, gaussian otherwise.
        samples: labels that are drawn for each example.
        sharing: "expand" or "reduce".
        largest: layers with more rows or columns than that are left to Adam.
        seed: of the labels.
        weight_decay: decoupled.
    Raises:
        MvnetError: an unknown word, or a negative damping.
    Source: paper (60); Martens and Grosse (2015); Ba, Grosse and Martens (2017) for the bound of the step.
    """

    treats = ("matrix",)
    extra = ("_model", "_options", "_sharing", "_largest")
    corrected: ClassVar[bool] = False
    reads_activations: ClassVar[bool] = True
    """Whether it learns from more than gradients; `mvnet.training.Run` refuses it over several processes."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        *,
        model: nn.Module,
        adam_rate: float = 0.7,
        momentum: float = 0.9,
        damping: float = 0.0,
        relative: bool = False,
        pi: bool = True,
        kl_clip: float = 1e-4,
        factor_beta: float = 0.95,
        every: int = 5,
        refresh: int = 2,
        fisher: str = "monte-carlo",
        likelihood: str = "",
        samples: int = 1,
        sharing: str = "expand",
        largest: int = 2048,
        seed: int = 0,
        weight_decay: float = 0.0,
    ):
        likelihood = likelihood or getattr(model, "likelihood", "gaussian")
        words = (("fisher", fisher, KINDS), ("likelihood", likelihood, LIKELIHOODS), ("sharing", sharing, _SHARING))
        for name, found, known in words:
            if found not in known:
                raise MvnetError(f"{name}: found {found!r}, expected one of {', '.join(known)}")
        if not damping >= 0:
            raise MvnetError(f"damping: found {damping}, expected a positive number, or 0 for the usual one")
        pi = pi and not self.corrected
        damping = damping or (_SHARED_DAMPING if pi else _EXACT_DAMPING)
        defaults = {"lr": lr, "adam_rate": adam_rate, "momentum": momentum, "damping": damping, "relative": relative}
        defaults |= {"pi": pi, "kl_clip": kl_clip, "every": every}
        self._model, self._sharing = model, sharing
        self._options = FisherOptions(fisher, likelihood, samples, seed)
        self._largest = largest
        defaults |= {"factor_beta": factor_beta, "refresh": refresh, "weight_decay": weight_decay}
        super().__init__(params, defaults | _ADAM)
        self._attach()

    @classmethod
    def for_model(cls, model: nn.Module, lr: float, weight_decay: float = 0.0, **options: Any) -> Self:
        """The optimiser of a network, whose layers it watches.

        Args:
            model: the network; its own forward pass, not that of a part of it, is the one that training calls.
            lr: learning rate.
            weight_decay: decoupled.
            **options: further arguments of the class.
        Returns:
            the optimiser.
        """
        return cls(model.parameters(), lr, model=model, weight_decay=weight_decay, **options)

    def _attach(self) -> None:
        """Watch those layers of the network from now on whose parameters are all here."""
        given = {p for group in self.param_groups for p in group["params"]}
        found = find_layers(self._model, self._largest)
        self._layers = [layer for layer in found if given.issuperset(layer.parameters)]
        self._steps: dict[nn.Parameter, Tensor] = {}
        self._warned = False
        self._recorder = Recorder(self._model, self._layers, self._options, self._due, self._receive)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; layers whose parameters are now complete are watched too.

        Args:
            param_group: parameters and options.
        """
        super().add_param_group(param_group)
        if "_recorder" in self.__dict__:
            self._attach()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy watches the network that was copied with it."""
        super().__setstate__(state)
        self._attach()

    # ---- factors ----

    def _group_of(self, layer: Layer) -> dict[str, Any]:
        """The options of a layer: those of its weight."""
        return next(group for group in self.param_groups if any(p is layer.weight for p in group["params"]))

    def _due(self) -> int | None:
        """The number of the next update of the factors, None while none is due."""
        entries = [entry for layer in self._layers if "factor_in" in (entry := self.state.get(layer.weight, {}))]
        if not entries:
            return 0
        step = max(entry["step"] for entry in entries)
        every = min(group["every"] for group in self.param_groups)
        return max(entry["updates"] for entry in entries) if step % max(every, 1) == 0 else None

    def _receive(self, layer: Layer, calls: list[Call], examples: int) -> None:
        """Let what a pass showed of a layer enter its state."""
        group, entry = self._group_of(layer), self.state[layer.weight]
        a, b = factors.second_moments(layer, calls, examples, self._sharing)
        if not factors.average(entry, a, b, group["factor_beta"]):
            return
        inverted = "inverse_in" in entry or "basis_in" in entry
        if not inverted or (entry["updates"] - 1) % max(group["refresh"], 1) == 0:
            if group["pi"]:
                factors.invert(entry, group["damping"], group["relative"])
            else:
                factors.diagonalise(entry, self.corrected)
        if self.corrected and "basis_in" in entry:
            s = factors.spectrum(layer, calls, examples, (entry["basis_in"], entry["basis_out"]))
            if bool(torch.isfinite(s.sum())):
                entry["spectrum"].lerp_(s, factors.share_of_last(entry, group["factor_beta"]))

    # ---- steps ----

    @torch.no_grad()
    def precondition(self) -> None:
        """Replace the gradients of the layers by F^-1 g, in place, for another optimiser to step along."""
        for parameter, step in self._directions()[0].items():
            parameter.grad = step.to(parameter.dtype)

    def _directions(self) -> tuple[dict[nn.Parameter, Tensor], float]:
        """F^-1 g of every parameter of a layer that has factors, and h^2 g^T F^-1 g over all layers."""
        steps: dict[nn.Parameter, Tensor] = {}
        divergences = []
        for layer in self._layers:
            entry = self.state.get(layer.weight, {})
            if "factor_in" not in entry or (matrix := layer.lift()) is None:
                continue
            group = self._group_of(layer)
            found = factors.precondition(entry, matrix, group["damping"], group["relative"])
            if found is not None:
                entry["step"] += 1
                divergences.append((group["lr"] ** 2 * (found * matrix).sum()).double())
                steps |= dict(layer.project(found))
        if not divergences and self._layers and not self._warned:
            _log.warning("no pass of %s was seen in training: Adam treats its layers", type(self._model).__name__)
            self._warned = True
        # a gradient that is not finite is its own layer's matter
        return steps, float(torch.stack(divergences).nan_to_num(0.0, 0.0, 0.0).sum()) if divergences else 0.0

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step.

        Args:
            closure: computes the loss and its gradients anew.
        Returns:
            what the closure returns; None without one.
        """
        loss = evaluate(closure)
        steps, divergence = self._directions()
        bound = self.param_groups[0]["kl_clip"]
        scale = (bound / divergence) ** 0.5 if 0 < bound < divergence else 1.0
        self._steps = {parameter: scale * step for parameter, step in steps.items()}
        super().step()
        self._steps = {}
        return loss

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step."""
        others = [p for p in parameters if p not in self._steps and "factor_in" not in self.state[p]]
        adam_step(self.state, group | {"lr": group["adam_rate"] * group["lr"]}, others, decoupled=True)
        for parameter in parameters:
            if (step := self._steps.get(parameter)) is not None:
                entry = self.state[parameter]
                if "momentum" not in entry:
                    self._forget_adam(entry)
                    entry["momentum"] = torch.zeros_like(step)
                # m, theta
                m = entry["momentum"].mul_(group["momentum"]).add_(step)
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_((group["lr"] * m).to(parameter.dtype))

    @staticmethod
    def _forget_adam(entry: dict[str, Any]) -> None:
        """The bias of a layer that had no factors until now."""
        if "exp_avg" in entry:
            for name in ("step", "exp_avg", "exp_avg_sq"):
                del entry[name]


class EKFAC(KFAC):
    """KFAC with the variances along its eigenbases measured, instead of taken for products.

    Args:
        params, lr, model, adam_rate, momentum, damping, relative, kl_clip, factor_beta, every, refresh, fisher,
            likelihood, samples, sharing, largest, seed, weight_decay: as of `KFAC`; the damping is added to the
            variances, whatever `pi` says.
    Source: George, Laurent, Bouthillier, Ballas and Vincent (2018).
    """

    corrected = True
