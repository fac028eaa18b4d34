"""The action of a product of groups on a product of manifolds, stored as one flat vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.actions import GroupAction


class ProductAction(GroupAction):
    """Group actions side by side; a state is (B, n), the concatenation of the flattened points (as of `Product`).

    Args:
        parts: pairs of an action and the shape of one of its points.
    Raises:
        MvnetError: no parts.
    """

    def __init__(self, *parts: tuple[GroupAction, Sequence[int]]):
        if not parts:
            raise MvnetError("parts: found none, expected at least one action")
        self.actions = [action for action, _ in parts]
        self.shapes = [tuple(shape) for _, shape in parts]
        self.algebra_shapes = [a.algebra_shape(torch.zeros(1, *s))[1:] for a, s in zip(self.actions, self.shapes)]
        self.sizes = [math.prod(s) for s in self.shapes]
        self.algebra_sizes = [math.prod(s) for s in self.algebra_shapes]

    def points(self, z: Tensor) -> list[Tensor]:
        """The points of the parts.

        Args:
            z: states, shape (..., n).
        Returns:
            shapes (..., *shape of a point).
        """
        return [p.unflatten(-1, s) if s else p[..., 0] for p, s in zip(z.split(self.sizes, -1), self.shapes)]

    def elements(self, xi: Tensor) -> list[Tensor]:
        """The elements of the parts' algebras.

        Args:
            xi: shape (..., m).
        Returns:
            shapes (..., *shape of an element).
        """
        pieces = zip(xi.split(self.algebra_sizes, -1), self.algebra_shapes)
        return [p.unflatten(-1, s) if s else p[..., 0] for p, s in pieces]

    def flatten(self, parts: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> Tensor:
        """One vector from parts.

        Args:
            parts: shapes (..., *shape).
            shapes: the shapes of one of each.
        Returns:
            shape (..., sum of the sizes).
        """
        return torch.cat([p.flatten(-len(s)) if s else p.unsqueeze(-1) for p, s in zip(parts, shapes)], -1)

    def _each(self, name: str, first: list[Tensor], second: list[Tensor], shapes: list[tuple[int, ...]]) -> Tensor:
        functions: list[Callable[..., Tensor]] = [getattr(action, name) for action in self.actions]
        return self.flatten([f(a, b) for f, a, b in zip(functions, first, second)], shapes)

    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """Part by part"""
        return self._each("act", self.elements(xi), self.points(z), self.shapes)

    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """Part by part"""
        return self._each("cay_act", self.elements(xi), self.points(z), self.shapes)

    def bracket(self, a: Tensor, b: Tensor) -> Tensor:
        """Part by part"""
        return self._each("bracket", self.elements(a), self.elements(b), self.algebra_shapes)

    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """Part by part"""
        return self._each("dcayinv", self.elements(u), self.elements(v), self.algebra_shapes)

    def dexpinv(self, u: Tensor, v: Tensor, order: int) -> Tensor:
        """Part by part"""
        parts = zip(self.actions, self.elements(u), self.elements(v))
        return self.flatten([a.dexpinv(x, y, order) for a, x, y in parts], self.algebra_shapes)

    def algebra_shape(self, z: Tensor) -> tuple[int, ...]:
        """(..., m); MvnetError unless z is (..., n)."""
        if z.ndim < 1 or z.shape[-1] != sum(self.sizes):
            raise MvnetError(f"z: found shape {tuple(z.shape)}, expected (..., {sum(self.sizes)})")
        return (*z.shape[:-1], sum(self.algebra_sizes))
