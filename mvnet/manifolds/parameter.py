"""A parameter of a network that stays on a manifold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mvnet.manifolds.base import Manifold

_ATOL = 1e3 * torch.finfo(torch.float32).eps


class ManifoldParameter(nn.Parameter):
    """A parameter whose value is a point of a manifold, or a batch of points.

    In a `state_dict` it is a plain tensor: saving, resuming and loading need nothing special. The optimisers of
    `mvnet.optim.riemannian` keep it on its manifold; those that would step off it refuse it.

    Args:
        data: points, shape (..., *manifold.point_shape).
        manifold: where they stay.
        requires_grad: as for `torch.nn.Parameter`.
    Raises:
        MvnetError: the data are not on the manifold; `manifold.project` gives points that are.

    Examples:
        >>> import torch
        >>> from mvnet.manifolds import ManifoldParameter, Sphere
        >>> ManifoldParameter(torch.tensor([0.0, 0.6, 0.8]), Sphere(3)).manifold
        Sphere(3)
    """

    manifold: Manifold

    if TYPE_CHECKING:

        def __init__(self, data: Tensor, manifold: Manifold, requires_grad: bool = True) -> None: ...

    def __new__(cls, data: Tensor, manifold: Manifold, requires_grad: bool = True) -> ManifoldParameter:
        """See the class."""
        manifold.check_point(data, "data (manifold.project gives points)")
        return cls._wrap(data, manifold, requires_grad)

    @classmethod
    def _wrap(cls, data: Tensor, manifold: Manifold, requires_grad: bool) -> ManifoldParameter:
        parameter = torch.Tensor._make_subclass(cls, data.detach(), requires_grad)
        parameter.manifold = manifold
        return parameter

    def check(self, name: str) -> None:
        """Raise an error unless the value is on the manifold, up to single precision: a module may change its dtype.

        Args:
            name: of the parameter.
        Raises:
            MvnetError: it is not.
        """
        atol = max(_ATOL, 1e3 * torch.finfo(self.dtype).eps)
        self.manifold.check_point(self.detach(), f"{name} (manifold.project gives points)", atol)

    def __deepcopy__(self, memo: dict[int, Any]) -> ManifoldParameter:
        """A copy with data of its own, on the same manifold."""
        if id(self) not in memo:
            memo[id(self)] = self._wrap(self.data.clone(), self.manifold, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle, so that a network can be sent to another process."""
        return _restore, (self.data, self.manifold, self.requires_grad)

    def __repr__(self) -> str:
        return f"{super().__repr__()} on {self.manifold}"


def _restore(data: Tensor, manifold: Manifold, requires_grad: bool) -> ManifoldParameter:
    return ManifoldParameter._wrap(data, manifold, requires_grad)
