"""Descent by one port-Hamiltonian system for every layer, with friction that makes H fall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import StructuredOptimizer
from mvnet.optim.hamiltonian.kinetic import inner, square_norm
from mvnet.optim.hamiltonian.states import gradients_of, momentum_of, move

METHODS = ("discrete-gradient", "strang")
_FIRST_STEP = 1e-2  # over the norm of the parameters of a layer
_LEAST = 0.1  # h^2 lambda / m, where friction by lambda begins to be felt
_TRIALS = 40  # of a friction with a closure; it grows at least twofold every time


class PortHamiltonianDescent(StructuredOptimizer):
    """Momentum with a friction, for every layer its own, that is chosen so that H = T(p) + E(theta) falls.

    A layer is a mass with momentum p: the force -dE/dtheta goes in, the velocity p / m comes out. All layers together
    load the loss, to which the theta of each belongs. Friction r >= gamma is a positive semidefinite function of the
    state.

    "discrete-gradient": dE/dtheta is replaced by the discrete gradient g + lambda d; lambda d acts as friction,

        p+ = (p - h g) / (1 + h r / m),    theta+ = theta + d,    d = h p+ / m,    r = gamma + h lambda
        T(p+) - T(p) = - d . g - D,        D = (r / h) |d|^2 + |p+ - p|^2 / 2m                     (power balance)

    so that H falls where lambda is at least half the curvature of E along d. That is taken from the last steps of the
    layer, d . (g+ - g) / |d|^2; the first step, before any is known, is at most a hundredth as long as the parameters.
    When the next gradient shows that H grew all the same (by the trapezoidal rule, exact for a quadratic E), p is
    shortened by as much, or to zero. With a closure nothing is estimated: the step is taken anew with a larger lambda
    until H has fallen. Any h will do: for a large one this is gradient descent at the rate 1 / curvature. Between
    batches the noise of the gradients counts as curvature, and steps become shorter than need be; not so with a
    closure, which stays with one batch.

    "strang": exact friction for half a step, leapfrog, friction for half a step; the friction of the second half is as
    much larger than gamma as it must be to take what the leapfrog added, h^2/8m (|g+|^2 - |g|^2). Second order; a
    closure is called once.

    Args:
        params: parameters or groups.
        lr: time step h.
        layers: parameters that are one system; each of those in none is one of its own. `for_model` takes the modules.
        friction: gamma, not negative.
        mass: m.
        method: "strang", or "discrete-gradient" for gradients without noise.
        memory: factor by which an estimated curvature fades in a step.
        weight_decay: lambda of a term lambda/2 |theta|^2 in E.
    Raises:
        MvnetError: an unknown method, a number out of its range, or parameters as for any optimiser here.
    Source: paper section 6.4.1; Celledoni and Hoeiseth (2017) for both methods; Massaroli et al. (2019) for the system.
    """

    extra = ("_layer_of",)

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        layers: Sequence[Sequence[nn.Parameter]] = (),
        *,
        friction: float = 1.0,
        mass: float = 1.0,
        method: str = "strang",
        memory: float = 0.9,
        weight_decay: float = 0.0,
    ):
        if method not in METHODS:
            raise MvnetError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
        if not (math.isfinite(friction) and friction >= 0):
            raise MvnetError(f"friction: found {friction}, expected a number that is not negative")
        if not mass > 0:
            raise MvnetError(f"mass: found {mass}, expected a positive number")
        if not 0 <= memory <= 1:
            raise MvnetError(f"memory: found {memory}, expected a number from 0 to 1")
        self._layer_of = {parameter: number for number, layer in enumerate(layers) for parameter in layer}
        defaults = {"lr": lr, "friction": friction, "mass": mass, "method": method, "memory": memory}
        super().__init__(params, {**defaults, "weight_decay": weight_decay})

    @classmethod
    def for_model(cls, model: nn.Module, lr: float, weight_decay: float = 0.0, **options: Any) -> Self:
        """The optimiser of a network: the parameters of a module are one system.

        Args:
            model: the network.
            lr: time step.
            weight_decay: as of the class.
            **options: further arguments of the class.
        Returns:
            the optimiser.
        """
        layers, seen = [], set()
        for module in model.modules():
            layers.append([p for p in module.parameters(recurse=False) if p not in seen])
            seen.update(layers[-1])
        return cls(model.parameters(), lr, layers, weight_decay=weight_decay, **options)

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step of every layer."""
        for layer in self._layers(parameters):
            gradients = gradients_of(group, layer)
            self._arrive(group, layer, gradients)
            if self._begun is not None:
                self._begun.append(_Begun.of(self.state, group, layer, gradients))
            self._leave(group, layer, gradients)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step; with a closure and "discrete-gradient", one along which H falls.

        Args:
            closure: computes the loss and its gradients anew; the same loss every time.
        Returns:
            what the closure returns at the first call; None without one.
        """
        searched = closure is not None and all(group["method"] != "strang" for group in self.param_groups)
        self._begun: list[_Begun] | None = [] if searched else None
        loss = super().step(closure)
        if closure is not None and self._begun:
            with torch.no_grad():
                self._search(float(loss.detach()), closure, self._begun)
        return loss

    @torch.no_grad()
    def energy(self, loss: Tensor | float) -> float:
        """H = T(p) + E(theta). To be called between `loss.backward()` and `step()`.

        Args:
            loss: at the parameters as they are.
        Returns:
            the energy, with the term of the weight decay.
        """
        total = float(loss.detach()) if isinstance(loss, Tensor) else loss
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None and "momentum" in self.state.get(p, {})]
            for layer in self._layers(moving):
                momenta, _ = self._settled(group, layer, gradients_of(group, layer))
                total += float(square_norm(momenta)) / (2 * group["mass"]) + _decay_energy(group, layer)
        return total

    def balance(self) -> list[dict[str, float]]:
        """The powers of every layer in the last step of "discrete-gradient", as energies.

        Returns:
            for each layer "supplied", - d . g, and "dissipated", D: T grew by the one less the other. Nothing for
            layers of "strang".
        """
        found = []
        for group in self.param_groups:
            if group["method"] == "strang":
                continue
            for layer in self._layers([p for p in group["params"] if "work" in self.state.get(p, {})]):
                entry = self.state[layer[0]]
                found.append({"supplied": -float(entry["work"]), "dissipated": float(entry["dissipated"])})
        return found

    def _layers(self, parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
        """The parameters of each layer that are among these."""
        found: dict[Any, list[nn.Parameter]] = {}
        for parameter in parameters:
            begun = "momentum" in self.state.get(parameter, {})  # one that joins its layer later has no past with it
            found.setdefault((self._layer_of.get(parameter, parameter), begun), []).append(parameter)
        return list(found.values())

    def _settled(
        self, group: dict[str, Any], layer: list[nn.Parameter], gradients: list[Tensor]
    ) -> tuple[list[Tensor], Tensor | None]:
        """Momenta at the time of the parameters, shortened where H grew, and the curvature along the last step."""
        momenta, entry = [momentum_of(self.state, p) for p in layer], self.state[layer[0]]
        if "open" not in entry:
            return momenta, None
        h, m = entry["open"], group["mass"]
        # d = h p / m, for both methods
        if group["method"] == "strang":
            growth = h**2 / (8 * m) * (square_norm(gradients) - entry["work"])
            momenta = [p.sub(g, alpha=h / 2) for p, g in zip(momenta, gradients)]
            kept, curvature = math.exp(-group["friction"] * h / m), None
        else:
            change = h / m * inner(momenta, gradients) - entry["work"]  # d . (g+ - g)
            growth = change / 2 - entry["dissipated"]
            square = (h / m) ** 2 * square_norm(momenta)
            kept, curvature = 1.0, change / square.clamp_min(torch.finfo(square.dtype).tiny)
        kinetic = square_norm(momenta) / (2 * m)
        share = 1 - growth / kinetic.clamp_min(torch.finfo(kinetic.dtype).tiny)
        factor = share.clamp(0, kept).sqrt()
        return [p * factor.to(p) for p in momenta], curvature

    def _arrive(self, group: dict[str, Any], layer: list[nn.Parameter], gradients: list[Tensor]) -> None:
        """Momenta and curvature after the last step, now that the gradients at its end are known."""
        momenta, curvature = self._settled(group, layer, gradients)
        known = self.state[layer[0]].get("curvature", torch.zeros((), device=momenta[0].device))
        if curvature is not None:
            known = torch.maximum(curvature, group["memory"] * known.to(curvature))
        for parameter, p in zip(layer, momenta):
            self.state[parameter]["momentum"].copy_(p)
            self.state[parameter]["curvature"] = known.clone()

    def _leave(self, group: dict[str, Any], layer: list[nn.Parameter], gradients: list[Tensor]) -> None:
        """The step, up to what the next gradients are needed for."""
        h, m, gamma = group["lr"], group["mass"], group["friction"]
        momenta, curvature = [momentum_of(self.state, p) for p in layer], self.state[layer[0]]["curvature"]
        if group["method"] == "strang":
            for p, g in zip(momenta, gradients):
                p.mul_(math.exp(-gamma * h / (2 * m))).sub_(g, alpha=h / 2)
            work, dissipated = square_norm(gradients), torch.zeros(())
        else:
            before = square_norm(momenta)
            # p+ = (p - h g) / (1 + h r / m),    r = gamma + h lambda
            if "open" not in self.state[layer[0]]:
                curvature = torch.maximum(curvature, _first_curvature(layer, gradients))
            shrink = 1 / (1 + h * gamma / m + h**2 / m * curvature)
            for p, g in zip(momenta, gradients):
                p.sub_(g, alpha=h).mul_(shrink.to(p))
            work = h / m * inner(momenta, gradients)
            dissipated = (before - square_norm(momenta)) / (2 * m) - work
        move(layer, momenta, h / m)
        for parameter in layer:
            self.state[parameter].update({"open": h, "work": work.clone(), "dissipated": dissipated.clone()})

    def _search(self, loss: float, closure: Callable[[], Any], begun: list[_Begun]) -> None:
        """Take the steps of all layers anew, with curvatures that grow until H has fallen."""
        before = loss + sum(layer.decay_energy for layer in begun)
        for _ in range(_TRIALS):
            with torch.enable_grad():
                after = float(closure().detach())
            after += sum(_decay_energy(layer.group, layer.parameters) for layer in begun)
            entries = [self.state[layer.parameters[0]] for layer in begun]
            work, dissipated = (sum(float(entry[name]) for entry in entries) for name in ("work", "dissipated"))
            # E+ - E <= d . g + D
            excess = after - before - work
            rounding = max(torch.finfo(layer.start[0].dtype).eps for layer in begun) * abs(before)
            if excess <= dissipated + rounding:
                break
            square = sum(layer.square_step() for layer in begun)
            curvature = 2 * excess / square if math.isfinite(excess) and square else 0.0
            for layer in begun:
                h = max(layer.group["lr"], torch.finfo(torch.float32).eps)
                least = max(curvature, _LEAST * layer.group["mass"] / h**2)
                layer.restore(self.state, least)
                self._leave(layer.group, layer.parameters, layer.gradients)


@dataclass(frozen=True)
class _Begun:
    """A layer before its step."""

    group: dict[str, Any]
    parameters: list[nn.Parameter]
    gradients: list[Tensor]
    start: list[Tensor]
    momenta: list[Tensor]
    decay_energy: float

    @classmethod
    def of(cls, state: Any, group: dict[str, Any], parameters: list[nn.Parameter], gradients: list[Tensor]) -> _Begun:
        """Copies of what the step changes, and of the gradients."""
        start, momenta = [p.clone() for p in parameters], [state[p]["momentum"].clone() for p in parameters]
        return cls(group, parameters, [g.clone() for g in gradients], start, momenta, _decay_energy(group, parameters))

    def square_step(self) -> float:
        """|d|^2."""
        return sum(float((p - q).square().sum()) for p, q in zip(self.parameters, self.start))

    def restore(self, state: Any, least: float) -> None:
        """Back to the start, with twice the curvature and no less than some."""
        for parameter, start, momentum in zip(self.parameters, self.start, self.momenta):
            parameter.copy_(start)
            state[parameter]["momentum"].copy_(momentum)
            state[parameter]["curvature"] = (2 * state[parameter]["curvature"]).clamp_min(least)


def _first_curvature(layer: list[nn.Parameter], gradients: list[Tensor]) -> Tensor:
    """lambda with which g / lambda is a hundredth as long as the parameters."""
    length = square_norm([p.to(g.dtype) for p, g in zip(layer, gradients)]).sqrt()
    return square_norm(gradients).sqrt() / (_FIRST_STEP * length.clamp_min(_FIRST_STEP))


def _decay_energy(group: dict[str, Any], layer: list[nn.Parameter]) -> float:
    """lambda/2 |theta|^2."""
    return group["weight_decay"] / 2 * float(square_norm(layer)) if group["weight_decay"] else 0.0
