"""Methods that treat every entry by itself: Adam, AdamW and AMSGrad (paper (53)), and descent with momentum (4).

    m <- b1 m + (1 - b1) g                                  first moment
    v <- b2 v + (1 - b2) g^2                                second moment
    theta <- theta - h  m / (1 - b1^k)  /  ( sqrt(v / (1 - b2^k)) + eps )

at step k = 1, 2, ... Equation (53) of the paper as printed divides the stored m and v by the bias correction in every
step, so that the factors accumulate and the iteration diverges; the correction belongs to the estimate that the step
uses, not to the state (Kingma and Ba, 2015). AMSGrad divides by the largest v so far (Reddi, Kale and Kumar, 2018).
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn

from mvnet.optim.base import StructuredOptimizer

_SGD_RATE = 10  # learning rate over that of the adaptive methods, whose steps are normalised


class SGD(StructuredOptimizer):
    """Gradient descent with momentum:  m <- b m + g,  theta <- theta - h m.

    Args:
        params: parameters or groups.
        lr: learning rate h.
        momentum: b; 0 keeps none.
        weight_decay: added to the gradient.
    Source: paper (4); Polyak's heavy ball (1964).
    """

    def __init__(self, params: Any, lr: float = 1e-2, *, momentum: float = 0.9, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @classmethod
    def for_model(cls, model: nn.Module, lr: float, weight_decay: float = 0.0, **options: Any) -> Self:
        """The optimiser of a network's parameters.

        Args:
            model: the network.
            lr: a tenth of the learning rate: that of the methods whose steps are normalised.
            weight_decay: added to the gradient.
            **options: further arguments of the class.
        Returns:
            the optimiser.
        """
        return cls(model.parameters(), _SGD_RATE * lr, weight_decay=weight_decay, **options)

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step."""
        for parameter in parameters:
            step = parameter.grad
            if step is None:
                continue
            if group["weight_decay"]:
                step = step.add(parameter, alpha=group["weight_decay"])
            if group["momentum"]:
                entry = self.state[parameter]
                if "momentum_buffer" not in entry:
                    entry["momentum_buffer"] = step.clone()
                else:
                    entry["momentum_buffer"].mul_(group["momentum"]).add_(step)
                step = entry["momentum_buffer"]
            parameter.add_(step, alpha=-group["lr"])


class Adam(StructuredOptimizer):
    """Adam, with weight decay added to the gradient.

    Args:
        params: parameters or groups.
        lr: learning rate h.
        beta1, beta2: averaging factors of the moments.
        eps: added to the root of the second moment.
        weight_decay: factor of the decay.
        amsgrad: divide by the largest second moment so far.
    Source: paper (53), in its correct form; Kingma and Ba (2015); Reddi, Kale and Kumar (2018).
    """

    decoupled = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ):
        defaults = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad})

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step of (53)."""
        adam_step(self.state, group, parameters, decoupled=self.decoupled)


class AdamW(Adam):
    """Adam with decoupled weight decay: theta <- (1 - h decay) theta before the step.

    Args:
        params, lr, beta1, beta2, eps, weight_decay, amsgrad: as of `Adam`.
    Source: Loshchilov and Hutter (2019).
    """

    decoupled = True


class AMSGrad(Adam):
    """Adam that divides by the largest second moment so far.

    Args:
        params, lr, beta1, beta2, eps, weight_decay: as of `Adam`.
    Source: Reddi, Kale and Kumar (2018).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay, amsgrad=True)


def adam_step(state: Any, group: dict[str, Any], parameters: list[nn.Parameter], *, decoupled: bool) -> None:
    """One step of Adam on every entry; also what the methods for matrices do with biases.

    Args:
        state: of the optimiser; holds "step", "exp_avg", "exp_avg_sq" and "max_exp_avg_sq" of each parameter.
        group: "lr", "beta1", "beta2", "eps", "weight_decay" and, where wanted, "amsgrad".
        parameters: with gradients.
        decoupled: whether the weights decay beside the step instead of through the gradient.
    """
    lr, b1, b2, eps, decay = (group[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay"))
    for parameter in parameters:
        entry, gradient = state[parameter], parameter.grad
        if gradient is None:
            continue
        if not entry:
            entry["step"] = torch.tensor(0.0)
            for name in ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group.get("amsgrad") else ())):
                entry[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        entry["step"] += 1
        k = entry["step"].item()
        if decoupled:
            parameter.mul_(1 - lr * decay)
        elif decay:
            gradient = gradient.add(parameter, alpha=decay)
        # m, v
        m = entry["exp_avg"].lerp_(gradient, 1 - b1)
        v = entry["exp_avg_sq"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        if group.get("amsgrad"):
            v = torch.maximum(entry["max_exp_avg_sq"], v, out=entry["max_exp_avg_sq"])
        # theta - h m^ / (sqrt(v^) + eps)
        root = (v.sqrt() / (1 - b2**k) ** 0.5).add_(eps)
        parameter.addcdiv_(m, root, value=-lr / (1 - b1**k))
