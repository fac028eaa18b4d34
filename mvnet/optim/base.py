"""What every optimiser of this folder has in common.

An optimiser is a `torch.optim.Optimizer`: closures, parameter groups, learning-rate schedules, deep copies. Beyond that
its `state_dict` holds plain tensors and numbers that share no memory with it, complex, sparse and integer gradients are
refused, and so are parameters on a manifold by a method that would step off it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.manifolds.parameter import ManifoldParameter


class StructuredOptimizer(torch.optim.Optimizer):
    """Base class: checks at construction, gradients that can be used, states that can be stored.

    A subclass implements `advance`, and `for_model` where it needs more of a network than its parameters.

    Args:
        params: parameters, or groups of them as for any optimiser of torch.
        defaults: options of a group; "lr" is one of them.
    Raises:
        MvnetError: a learning rate that is not positive, complex parameters, or parameters on a manifold that this
            method does not treat.
    """

    treats: ClassVar[tuple[str, ...]] = ()
    """The kinds of `mvnet.optim.roles` that get a geometry of their own: "matrix", "manifold"."""

    extra: ClassVar[tuple[str, ...]] = ()
    """Names of attributes beside torch's that a copy of the optimiser keeps."""

    @classmethod
    def for_model(cls, model: nn.Module, lr: float, weight_decay: float = 0.0, **options: Any) -> Self:
        """The optimiser of a network's parameters.

        Args:
            model: the network.
            lr: learning rate.
            weight_decay: as of the class.
            **options: further arguments of the class.
        Returns:
            the optimiser.
        """
        return cls(model.parameters(), lr=lr, weight_decay=weight_decay, **options)  # type: ignore[call-arg]

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Take one step.

        Args:
            group: its options.
            parameters: those of the group that have a gradient; at least one.
        """
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step.

        Args:
            closure: computes the loss and its gradients anew.
        Returns:
            what the closure returns; None without one.
        Raises:
            MvnetError: a gradient that is sparse.
        """
        loss = evaluate(closure)
        for group in self.param_groups:
            if ready := list(with_gradients(group["params"])):
                self.advance(group, ready)
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch, with the checks of this class.

        Args:
            param_group: parameters and options.
        Raises:
            MvnetError: as for the class.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        rate = group["lr"]
        if not (math.isfinite(rate) and rate > 0):
            raise MvnetError(f"lr: found {rate}, expected a positive number")
        for parameter in group["params"]:
            if parameter.is_complex():
                raise MvnetError(f"params: found dtype {parameter.dtype}, expected real parameters")
            if isinstance(parameter, ManifoldParameter) and "manifold" not in self.treats:
                name = type(self).__name__
                raise MvnetError(
                    f"params: found a parameter on {parameter.manifold}, expected plain ones for {name}; "
                    "RiemannianAdam and RiemannianSGD keep it on its manifold"
                )

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        """As in torch, of copies: a later step changes none of its tensors."""
        found = super().state_dict()
        found["state"] = {
            index: {name: value.clone() if isinstance(value, Tensor) else value for name, value in entries.items()}
            for index, entries in found["state"].items()
        }
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # type: ignore[override]
        """As in torch, but every tensor keeps its dtype: that of a factor is not that of its parameter.

        Args:
            state_dict: what `state_dict` returned.
        """
        super().load_state_dict(state_dict)
        parameters = [p for group in self.param_groups for p in group["params"]]
        for index, entries in state_dict["state"].items():
            parameter = parameters[int(index)]
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    place = value.device if value.ndim == 0 else parameter.device
                    self.state[parameter][name] = value.detach().clone().to(place)

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which keep `extra` too."""
        return {**super().__getstate__(), **{name: getattr(self, name) for name in self.extra}}


def evaluate(closure: Callable[[], Any] | None) -> Any:
    """What a closure returns, gradients enabled.

    Args:
        closure: computes the loss and its gradients anew.
    Returns:
        its result; None without one.
    """
    with torch.enable_grad():
        return None if closure is None else closure()


def at_least_single(x: Tensor) -> Tensor:
    """A tensor in the precision that states are kept in.

    Args:
        x: real.
    Returns:
        itself in double precision, else in single precision.
    """
    return x if x.dtype == torch.float64 else x.float()


def with_gradients(parameters: list[nn.Parameter]) -> Iterator[nn.Parameter]:
    """Those that a step can move.

    Args:
        parameters: of a group.
    Yields:
        the ones with a gradient and at least one entry.
    Raises:
        MvnetError: a gradient that is sparse.
    """
    for parameter in parameters:
        if parameter.grad is None or parameter.numel() == 0:
            continue
        if parameter.grad.layout != torch.strided:
            raise MvnetError(f"gradient: found layout {parameter.grad.layout}, expected a dense one")
        yield parameter
