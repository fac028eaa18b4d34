"""Gradient descent and Adam for parameters on manifolds, paper 6.2.1.

At a point x with the Riemannian gradient r = grad f(x) of the metric <., .>_x, and with step sizes h:

    SGD     b <- mu b + r,                   x <- R_x(-h b), or with Nesterov's look ahead R_x(-h (r + mu b))
    Adam    m <- b1 m + (1 - b1) r,          x <- R_x(-h m^ / (sqrt(v^) + eps)),   m^ = m / (1 - b1^k), v^ alike
            v <- b2 v + (1 - b2) r o r       entry by entry, in a frame that moves along with x, or
            v <- b2 v + (1 - b2) <r, r>_x / dim     one number for a point

and b, m are carried to the tangent space of the new point. R is the manifold's retraction; with `geodesic=True` it is
the exponential map, and b, m move by parallel transport. The frame is that of `Manifold.coordinates`: the ambient
coordinates, or a basis of a Lie algebra translated along its group. The one number is divided by the dimension, so that
steps have the length of Adam's and its rates carry over.

A plain parameter is a point of R^n, where all this is Adam and gradient descent.

Source: paper (58), (59); Bonnabel (2013); Becigneul and Ganea, Riemannian adaptive optimization methods (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.linalg.smooth import point_sum
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.optim.adam import adam_step
from mvnet.optim.base import StructuredOptimizer, at_least_single
from mvnet.optim.matrices import Stacks, stacked_gradients

_CHECK_EVERY = 64  # steps after which rounding errors are looked for
_DRIFT = 32  # rounding units off the manifold, beyond which points are projected to it
SECOND_MOMENTS = ("entry", "point")

Get = Callable[[str], Tensor]
Pair = tuple[Tensor, Tensor]


class RiemannianOptimizer(StructuredOptimizer):
    """Base class: plain parameters apart, points of one manifold and shape in one step.

    A subclass implements `advance_plain`, and `begin` and `direction` for points.

    Args:
        params: parameters or groups.
        defaults: options of a group; "lr", "weight_decay" and "geodesic" are among them.
    Raises:
        MvnetError: a parameter is off its manifold.
    """

    treats = ("manifold",)
    extra = ("_stacks",)
    momentum: ClassVar[str]
    """The entry of the state that is a tangent vector."""

    def __init__(self, params: Any, defaults: dict[str, Any]):
        self._stacks = Stacks()
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; points must be on their manifolds.

        Args:
            param_group: parameters and options.
        """
        super().add_param_group(param_group)
        for number, parameter in enumerate(self.param_groups[-1]["params"]):
            if isinstance(parameter, ManifoldParameter):
                parameter.check(f"params[{number}]")

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step."""
        self.advance_plain(group, [p for p in parameters if not isinstance(p, ManifoldParameter)])
        points = [p for p in parameters if isinstance(p, ManifoldParameter)]
        for parameter in points:
            if not (entry := self.state[parameter]):
                entry["step"] = torch.tensor(0.0)
                self.begin(group, parameter, at_least_single(parameter.detach()))
            entry["step"] += 1
        for manifold, batch in self._batches(points):
            self._advance_points(group, manifold, batch)

    def _batches(self, points: list[ManifoldParameter]) -> Iterator[tuple[Manifold, list[nn.Parameter]]]:
        """Those of one manifold, shape and number of steps together, where the manifold's layout allows it."""
        batches: dict[Any, tuple[Manifold, list[nn.Parameter]]] = {}
        for number, p in enumerate(points):
            step = self.state[p]["step"].item()
            key = (p.manifold, p.shape, p.dtype, p.device, step) if _in_last_dims(p.manifold) else number
            batches.setdefault(key, (p.manifold, []))[1].append(p)
        yield from batches.values()

    def _advance_points(self, group: dict[str, Any], manifold: Manifold, batch: list[nn.Parameter]) -> None:
        """x -> grad f(x) -> v -> R_x(v), and the momentum is carried there."""
        alone, entry = len(batch) == 1, self.state[batch[0]]
        if alone:
            x, g = batch[0].detach(), batch[0].grad
            assert g is not None
        else:
            x, g = torch.stack([p.detach() for p in batch]), stacked_gradients(batch)
        x, g = at_least_single(x), at_least_single(g)

        def get(name: str) -> Tensor:
            return entry[name] if alone else self._stacks.get(self.state, batch, name)

        r = manifold.riemannian_gradient(x, g)
        v = self.direction(group, manifold, x, (g, r), entry["step"].item(), get)
        carried = [get(self.momentum)] if self.momentum in entry else []
        y, *moved = manifold.move(x, v, *carried, geodesic=group["geodesic"])
        if entry["step"].item() % _CHECK_EVERY == 1 and _has_drifted(manifold, y):
            y = manifold.project(y)
        for old, new in zip(carried, moved):
            old.copy_(new)
        for parameter, value in zip(batch, [y] if alone else y.unbind()):
            parameter.copy_(value)

    def advance_plain(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step of points of R^n.

        Args:
            group: its options.
            parameters: with gradients.
        """
        raise NotImplementedError

    def begin(self, group: dict[str, Any], parameter: ManifoldParameter, x: Tensor) -> None:
        """Fill the state of a parameter.

        Args:
            group: its options.
            parameter: whose state is empty but for "step".
            x: its value, in the dtype of the states.
        """
        raise NotImplementedError

    def direction(self, group: dict[str, Any], m: Manifold, x: Tensor, gr: Pair, step: float, get: Get) -> Tensor:
        """Tangent vectors along which points move; their states move on.

        Args:
            group: its options.
            m: the manifold.
            x: the points.
            gr: ambient and Riemannian gradients.
            step: 1 at the first one.
            get: name of an entry of the state -> the entry, to be written to.
        Returns:
            tangent vectors at x.
        """
        raise NotImplementedError


class RiemannianSGD(RiemannianOptimizer):
    """Gradient descent along retractions, with a momentum that is carried along.

    Args:
        params: parameters or groups; `ManifoldParameter`s stay on their manifolds.
        lr: learning rate.
        momentum: factor of the last step.
        nesterov: look ahead.
        geodesic: exponential map and parallel transport.
        weight_decay: of plain parameters, decoupled.
    Source: see the module.
    """

    momentum = "momentum_buffer"

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        *,
        momentum: float = 0.9,
        nesterov: bool = False,
        geodesic: bool = False,
        weight_decay: float = 0.0,
    ):
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "geodesic": geodesic}
        super().__init__(params, {**defaults, "weight_decay": weight_decay})

    def advance_plain(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """theta <- theta - h b"""
        for parameter in parameters:
            entry = self.state[parameter]
            if group["momentum"] and not entry:
                entry[self.momentum] = torch.zeros_like(parameter)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(_averaged(group, parameter.grad, entry.get(self.momentum)), alpha=group["lr"])

    def begin(self, group: dict[str, Any], parameter: ManifoldParameter, x: Tensor) -> None:
        """b = 0, where there is one."""
        if group["momentum"]:
            self.state[parameter][self.momentum] = torch.zeros_like(x)

    def direction(self, group: dict[str, Any], m: Manifold, x: Tensor, gr: Pair, step: float, get: Get) -> Tensor:
        """-h b, or -h (r + mu b)"""
        return -group["lr"] * _averaged(group, gr[1], get(self.momentum) if group["momentum"] else None)


class RiemannianAdam(RiemannianOptimizer):
    """Adam along retractions, with a momentum that is carried along.

    Args:
        params: parameters or groups; `ManifoldParameter`s stay on their manifolds.
        lr: learning rate.
        beta1, beta2: averaging factors of the moments.
        eps: added to the root of the second moment.
        amsgrad: divide by the largest second moment so far.
        second_moment: "point" for one number, which depends on the metric alone, or "entry" for each coordinate.
        geodesic: exponential map and parallel transport.
        weight_decay: of plain parameters, decoupled.
    Raises:
        MvnetError: second_moment is another word.
    Source: see the module.
    """

    momentum = "exp_avg"

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        amsgrad: bool = False,
        second_moment: str = "point",
        geodesic: bool = False,
        weight_decay: float = 0.0,
    ):
        if second_moment not in SECOND_MOMENTS:
            raise MvnetError(f"second_moment: found {second_moment!r}, expected 'entry' or 'point'")
        defaults = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "amsgrad": amsgrad}
        defaults |= {"second_moment": second_moment, "geodesic": geodesic, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def advance_plain(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step of Adam."""
        adam_step(self.state, group, parameters, decoupled=True)

    def begin(self, group: dict[str, Any], parameter: ManifoldParameter, x: Tensor) -> None:
        """m = 0, v = 0"""
        entry, manifold = self.state[parameter], parameter.manifold
        entry["exp_avg"] = torch.zeros_like(x)
        by_entry = group["second_moment"] == "entry"
        entry["exp_avg_sq"] = torch.zeros_like(manifold.coordinates(x, x) if by_entry else manifold.inner(x, x, x))
        if group["amsgrad"]:
            entry["max_exp_avg_sq"] = torch.zeros_like(entry["exp_avg_sq"])

    def direction(self, group: dict[str, Any], m: Manifold, x: Tensor, gr: Pair, step: float, get: Get) -> Tensor:
        """-h m^ / (sqrt(v^) + eps)"""
        b1, b2, (g, r) = group["beta1"], group["beta2"], gr
        by_entry = group["second_moment"] == "entry"
        mean, square = get("exp_avg").lerp_(r, 1 - b1), get("exp_avg_sq")
        if by_entry:
            c = m.coordinates(x, r)
            square.mul_(b2).addcmul_(c, c, value=1 - b2)
        else:
            square.lerp_(_squared_norm(m, x, g, r) / m.dim, 1 - b2)
        if group["amsgrad"]:
            square = torch.maximum(get("max_exp_avg_sq"), square, out=get("max_exp_avg_sq"))
        root = square.sqrt().mul_((1 - b2**step) ** -0.5).add_(group["eps"])
        size = -group["lr"] / (1 - b1**step)
        if by_entry:
            return m.from_coordinates(x, (m.coordinates(x, mean) / root).mul_(size))
        return mean * m.expand(size / root)


def _in_last_dims(manifold: Manifold) -> bool:
    """Whether the dims of a point are the last ones of a batch."""
    return type(manifold).batch_shape is Manifold.batch_shape


def _squared_norm(m: Manifold, x: Tensor, g: Tensor, r: Tensor) -> Tensor:
    """<r, r>_x, which is the plain product of r with the ambient gradient g that it represents"""
    return point_sum(g * r, m.point_ndim).clamp(min=0) if _in_last_dims(m) else m.inner(x, r, r)


def _has_drifted(manifold: Manifold, x: Tensor) -> bool:
    return bool((manifold.violation(x) > _DRIFT * torch.finfo(x.dtype).eps).any())


def _averaged(group: dict[str, Any], r: Tensor | None, b: Tensor | None) -> Tensor:
    """b <- mu b + r; gives b, or r + mu b."""
    assert r is not None
    if b is None:
        return r
    b.mul_(group["momentum"]).add_(r)
    return r.add(b, alpha=group["momentum"]) if group["nesterov"] else b
