"""Bridges to other libraries: any geomstats manifold as one of ours, ours as a pymanopt manifold.

Neither library is imported here: the caller imports geomstats to make a space (the variable GEOMSTATS_BACKEND selects
its backend, numpy or pytorch, before that), and `to_pymanopt` imports pymanopt.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.base import Manifold

if TYPE_CHECKING:
    from pymanopt.manifolds.manifold import Manifold as PymanoptManifold


def from_geomstats(space: Any) -> GeomstatsManifold:
    """Wrap a geomstats manifold equipped with a metric, e.g. `from_geomstats(Grassmannian(4, 2))`.

    The metric, its factors and the shape of a point are the space's own. With geomstats' pytorch backend
    everything is differentiable where geomstats is; with its numpy backend a tensor that requires a gradient
    raises an MvnetError.

    Args:
        space: a geomstats manifold with a metric.
    Returns:
        the manifold.
    Raises:
        MvnetError: the space has no metric.
    """
    return GeomstatsManifold(space)


class GeomstatsManifold(Manifold):
    """A geomstats space with the methods of `Manifold`; see `from_geomstats`."""

    def __init__(self, space: Any) -> None:
        if not hasattr(space, "metric"):
            raise MvnetError(f"space: found {type(space).__name__} without a metric, expected one with a metric")
        self.space = space

    def __repr__(self) -> str:
        return f"from_geomstats({type(self.space).__name__}, metric={type(self.space.metric).__name__})"

    @property
    def point_shape(self) -> tuple[int, ...]:
        """`shape` of the space."""
        return tuple(self.space.shape)

    @property
    def dim(self) -> int:
        """`dim` of the space."""
        return int(self.space.dim)

    @property
    def uses_numpy(self) -> bool:
        """Whether geomstats runs on numpy, i.e. without gradients."""
        return "numpy" in sys.modules["geomstats.backend"].__name__

    def _call(self, function: Any, *points: Tensor, scalar: bool = False, **options: Any) -> Tensor:
        """Evaluate function(*points) over one flat batch dim, the broadcasting geomstats has everywhere."""
        like = points[0]
        if self.uses_numpy and any(p.requires_grad for p in points) and torch.is_grad_enabled():
            raise MvnetError(
                "x: found a tensor that requires a gradient while geomstats runs on numpy, "
                "expected GEOMSTATS_BACKEND=pytorch before its import"
            )
        points = torch.broadcast_tensors(*points)
        batch = points[0].shape[: points[0].ndim - self.point_ndim]
        flat = [p.reshape(-1, *self.point_shape) for p in points]
        out = function(*(p.detach().cpu().numpy() for p in flat) if self.uses_numpy else flat, **options)
        out = torch.tensor(out).to(like) if self.uses_numpy else out.to(like)
        return out.reshape(batch if scalar else batch + self.point_shape)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`exp` of the metric."""
        return self._call(lambda x, v: self.space.metric.exp(v, base_point=x), x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`log` of the metric."""
        return self._call(lambda x, y: self.space.metric.log(y, base_point=x), x, y)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """`dist` of the metric."""
        return self._call(self.space.metric.dist, x, y, scalar=True)

    def squared_dist(self, x: Tensor, y: Tensor) -> Tensor:
        """`squared_dist` of the metric."""
        return self._call(self.space.metric.squared_dist, x, y, scalar=True)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """`inner_product` of the metric."""
        return self._call(lambda x, u, v: self.space.metric.inner_product(u, v, base_point=x), x, u, v, scalar=True)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """geomstats' closed form; without one, one step of its pole ladder, exact on symmetric spaces."""

        def along(x: Any, y: Any, v: Any) -> Any:
            try:
                return self.space.metric.parallel_transport(v, base_point=x, end_point=y)
            except NotImplementedError:
                direction = self.space.metric.log(y, base_point=x)
                ladder = self.space.metric.ladder_parallel_transport(v, base_point=x, direction=direction)
                return ladder["transported_tangent_vec"]

        return self._call(along, x, y, v)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """`to_tangent` of the space."""
        return self._call(lambda x, v: self.space.to_tangent(v, base_point=x), x, v)

    def project(self, x: Tensor) -> Tensor:
        """`projection` of the space."""
        return self._call(self.space.projection, x)

    def violation(self, x: Tensor) -> Tensor:
        """0 where geomstats' `belongs` holds to 1e-9 (1e-4 in single precision), else inf."""
        atol = 1e-9 if x.dtype == torch.float64 else 1e-4
        belongs = self._call(lambda x: self.space.belongs(x, atol=atol), x.detach(), scalar=True)
        return torch.where(belongs != 0, 0.0, math.inf).to(x)

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """The space's own distribution, seeded from the generator; the global random states are restored."""
        import numpy as np

        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        numpy_state = np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)
            try:
                drawn = torch.as_tensor(self.space.random_point(math.prod(shape)))
            finally:
                np.random.set_state(numpy_state)
        drawn = drawn.to(device or generator.device, dtype or torch.get_default_dtype())
        return drawn.reshape(*shape, *self.point_shape)


def _tensors(*arrays: Any) -> list[Tensor]:
    """What pymanopt hands over, in float64."""
    return [torch.as_tensor(np.asarray(a, dtype=np.float64)) for a in arrays]


def to_pymanopt(manifold: Manifold, seed: int = 0) -> PymanoptManifold:
    """A manifold for pymanopt's optimisers (SteepestDescent, ConjugateGradient, TrustRegions, ...).

    Points and tangent vectors are float64 arrays of manifold.point_shape, tangent vectors in ambient form;
    use Power or Product for several points. Second derivatives, which TrustRegions needs, come from autograd
    through exp and transport along geodesics:

        Hess f(x)[v] = d/dt at 0 of transport(x_t, x, grad f(x_t)),   x_t = exp(x, t v).

    Args:
        manifold: the manifold.
        seed: random seed of the initial points that pymanopt draws when none is given.
    Returns:
        an instance of a subclass of pymanopt's `Manifold`.
    """
    from pymanopt.manifolds.manifold import Manifold as Base

    def vector_method(method: Any) -> Any:
        return lambda self, *arrays: method(*_tensors(*arrays)).detach().numpy()

    def scalar_method(method: Any) -> Any:
        return lambda self, *arrays: method(*_tensors(*arrays)).item()

    generator = torch.Generator().manual_seed(seed)

    def random_tangent_vector(self: Any, point: Any) -> Any:
        (x,) = _tensors(point)
        v = manifold.random_tangent(x, generator=generator)
        return (v / manifold.norm(x, v)).numpy()

    def hessian(self: Any, point: Any, euclidean_gradient: Any, euclidean_hessian: Any, tangent_vector: Any) -> Any:
        x, g, h, v = _tensors(point, euclidean_gradient, euclidean_hessian, tangent_vector)

        def carried_gradient(t: Tensor) -> Tensor:
            x_t, velocity = manifold.move(x, t * v, v, geodesic=True)
            gradient = manifold.riemannian_gradient(x_t, g + t * h)
            return manifold.move(x_t, -t * velocity, gradient, geodesic=True)[1]

        _, derivative = torch.autograd.functional.jvp(carried_gradient, x.new_zeros(()), x.new_ones(()))
        return manifold.to_tangent(x, derivative).numpy()  # type: ignore[arg-type]

    members = {
        "typical_dist": property(lambda self: math.sqrt(self.dim)),
        "dist": scalar_method(manifold.dist),
        "inner_product": scalar_method(manifold.inner),
        "norm": scalar_method(manifold.norm),
        "exp": vector_method(manifold.exp),
        "log": vector_method(manifold.log),
        "retraction": vector_method(manifold.retract),
        "transport": vector_method(manifold.transport),
        "projection": vector_method(manifold.to_tangent),
        "to_tangent_space": vector_method(manifold.to_tangent),
        "pair_mean": vector_method(lambda x, y: manifold.geodesic(x, y, 0.5)),
        "zero_vector": vector_method(torch.zeros_like),
        "euclidean_to_riemannian_gradient": vector_method(manifold.riemannian_gradient),
        "euclidean_to_riemannian_hessian": hessian,
        "random_point": lambda self: manifold.random_point((), generator=generator, dtype=torch.float64).numpy(),
        "random_tangent_vector": random_tangent_vector,
    }
    return type("MvnetManifold", (Base,), members)(f"mvnet {manifold}", manifold.dim)
