"""pymanopt's solvers on the parameters of a module, for small problems that are to be solved to the end.

A `ManifoldParameter` is a point of its manifold, any other parameter one of R^n; several make a product. The loss and
its gradient are computed in the dtype and on the device of the module, the geometry in float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.manifolds.bridges import to_pymanopt
from mvnet.manifolds.euclidean import Euclidean
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.manifolds.product import Power

if TYPE_CHECKING:
    import numpy as np

METHODS = {
    "trust-regions": "TrustRegions",
    "conjugate-gradient": "ConjugateGradient",
    "steepest-descent": "SteepestDescent",
    "particle-swarm": "ParticleSwarm",
    "nelder-mead": "NelderMead",
}
"""Names of the solvers, and their classes in `pymanopt.optimizers`."""


def minimise(
    module: nn.Module, loss: Callable[[], Tensor], method: str = "trust-regions", **options: Any
) -> dict[str, float]:
    """Minimise a loss over the parameters of a module that require gradients; they end at the minimum found.

    Args:
        module: holds the parameters.
        loss: computes the loss from the module, without arguments and without randomness.
        method: a key of `METHODS`.
        **options: of the class in `pymanopt.optimizers`, such as max_iterations, max_time (seconds),
            min_gradient_norm (by default what the dtype allows: parameters in float64 get nearest to the minimum),
            verbosity (0 by default).
    Returns:
        "loss", "iterations", "seconds" and, where the solver knows it, "gradient_norm".
    Raises:
        MvnetError: unknown method, or no parameter that requires a gradient.
    Source: paper 6.2.1; Townsend, Koep, Weichwald, Pymanopt (2016).

    Examples:
        >>> import torch
        >>> from mvnet.manifolds import ManifoldParameter, Sphere
        >>> from mvnet.optim import minimise
        >>> module = torch.nn.ParameterList([ManifoldParameter(torch.tensor([0.6, 0.8, 0.0]), Sphere(3))])
        >>> found = minimise(module, lambda: module[0] @ torch.diag(torch.tensor([3.0, 2.0, 1.0])) @ module[0])
        >>> round(found["loss"], 3)
        1.0
    """
    if method not in METHODS:
        raise MvnetError(f"method: found {method!r}, expected one of {', '.join(map(repr, METHODS))}")
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise MvnetError("module: found no parameter that requires a gradient, expected at least one")
    import pymanopt
    from pymanopt import manifolds, optimizers

    spaces = [to_pymanopt(space_of(parameter)) for parameter in parameters]
    space = spaces[0] if len(spaces) == 1 else manifolds.Product(spaces)
    functions, wrap = _Functions(parameters, loss), pymanopt.function.numpy(space)
    problem = pymanopt.Problem(
        space,
        wrap(lambda *point: functions.cost(point)),
        euclidean_gradient=wrap(lambda *point: functions.gradient(point)),
        euclidean_hessian=wrap(lambda *point: functions.hessian(point)),
    )
    start = [_array(parameter) for parameter in parameters]
    defaults = {"verbosity": 0, "min_gradient_norm": functions.reachable(start)}
    solver = getattr(optimizers, METHODS[method])(**{**defaults, **options})
    result = solver.run(problem, initial_point=start[0] if len(start) == 1 else start)
    functions.put([result.point] if len(start) == 1 else list(result.point))
    found = {"loss": float(result.cost), "iterations": float(result.iterations), "seconds": float(result.time)}
    return found if result.gradient_norm is None else {**found, "gradient_norm": float(result.gradient_norm)}


def space_of(parameter: nn.Parameter) -> Any:
    """The manifold of one parameter as a single point.

    Args:
        parameter: a point, a batch of points or a plain parameter.
    Returns:
        its manifold, a power of it for a batch, or R^shape.
    Raises:
        MvnetError: a batch in a layout whose points do not lie in the last dims.
    """
    if not isinstance(parameter, ManifoldParameter):
        return Euclidean(tuple(parameter.shape))
    space = parameter.manifold
    batch = parameter.shape[: parameter.ndim - space.point_ndim]
    if tuple(parameter.shape[len(batch) :]) != space.point_shape:
        raise MvnetError(
            f"module: found points on {space} of shape {tuple(parameter.shape)}, expected them in the last dims"
        )
    for size in reversed(batch):
        space = Power(space, size)
    return space


class _Functions:
    """Loss, gradient and second derivatives along a direction, as functions of numpy arrays."""

    def __init__(self, parameters: list[nn.Parameter], loss: Callable[[], Tensor]):
        self.parameters, self.loss = parameters, loss

    def put(self, arrays: Sequence[np.ndarray]) -> None:
        """Arrays -> parameters."""
        with torch.no_grad():
            for parameter, array in zip(self.parameters, arrays):
                parameter.copy_(torch.as_tensor(array))

    def cost(self, point: Sequence[np.ndarray]) -> float:
        """The loss."""
        self.put(point)
        with torch.no_grad():
            return float(self.loss())

    def gradient(self, point: Sequence[np.ndarray]) -> Any:
        """d loss / d parameters"""
        self.put(point)
        return self._arrays(torch.autograd.grad(self.loss(), self.parameters, allow_unused=True))

    def reachable(self, point: Sequence[np.ndarray]) -> float:
        """A norm of the gradient that is above its rounding errors: that at a point, by the root of the unit."""
        gradient = self.gradient(point)
        size = sum(float((g**2).sum()) for g in (gradient if isinstance(gradient, list) else [gradient])) ** 0.5
        return max(1.0, size) * max(torch.finfo(p.dtype).eps for p in self.parameters) ** 0.5

    def hessian(self, point_and_direction: Sequence[np.ndarray]) -> Any:
        """d/dt of the gradient at t = 0 along a direction"""
        count = len(self.parameters)
        self.put(point_and_direction[:count])
        direction = [torch.as_tensor(d).to(p) for d, p in zip(point_and_direction[count:], self.parameters)]
        first = torch.autograd.grad(self.loss(), self.parameters, create_graph=True, allow_unused=True)
        pairs = [(g * d).sum() for g, d in zip(first, direction) if g is not None and g.requires_grad]
        if not pairs:  # a linear loss
            return self._arrays([None] * count)
        return self._arrays(torch.autograd.grad(torch.stack(pairs).sum(), self.parameters, allow_unused=True))

    def _arrays(self, tensors: Any) -> Any:
        filled = [torch.zeros_like(p) if t is None else t.detach() for t, p in zip(tensors, self.parameters)]
        arrays = [_array(t) for t in filled]
        return arrays[0] if len(arrays) == 1 else arrays


def _array(tensor: Tensor) -> np.ndarray:
    """A copy in float64: parameters change in place."""
    return tensor.detach().double().cpu().numpy().copy()
