"""Vector-Jacobian products of a field, and the tensors whose gradients they add to."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from mvnet.errors import MvnetError
from mvnet.integrators.base import Method
from mvnet.integrators.explicit import advance, stages
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.tableaus import Tableau


class Replay(NamedTuple):
    """A step once more: what it gives, and the leaves of its graph."""

    value: Tensor
    leaves: list[Tensor]


class Tape:
    """Gradients with respect to the tensors that a field reads, summed over its evaluations.

    Args:
        problem: whose field it is.
        tensors: its parameters and the inputs that it closes over.
    """

    def __init__(self, problem: Problem, tensors: Sequence[Tensor]):
        self.field = problem.field
        self.args = tuple(leaf(a) if a.requires_grad else a.detach() for a in problem.args)
        self.sources = (*self.args, *tensors)
        self.wanted = [i for i, x in enumerate(self.sources) if x.requires_grad]
        self.gradients: list[Tensor | None] = [None] * len(self.sources)
        self._ours: set[int] = set()
        self.times = torch.zeros_like(problem.times) if problem.times.requires_grad else None

    def stages(self, tableau: Tableau, h: float | Tensor, nodes: Sequence[Tensor], z: Tensor) -> Replay:
        """The increment h sum_i b_i k_i of an explicit step, with its graph.

        Args:
            tableau: coefficients.
            h: step size.
            nodes: times of the stages.
            z: state at the start.
        Returns:
            the increment, and the leaves z or z, t, h.
        """
        with torch.enable_grad():
            points = [leaf(z)]
            if self.times is not None:
                t, h = (leaf(torch.as_tensor(x, dtype=nodes[0].dtype, device=z.device)) for x in (nodes[0], h))
                points, nodes = [*points, t, h], [t + c * h for c in tableau.c]
            slopes = stages(tableau, self.field.function, h, nodes, points[0], self.args)
            return Replay(advance(torch.zeros_like(z), h, tableau.b, slopes), points)

    def step(self, method: Method, t: Tensor, h: Tensor, z: Tensor) -> Replay:
        """The end of a step of any method, with its graph.

        Args:
            method: whose step it is.
            t, h: time and step size, scalars.
            z: state at t.
        Returns:
            the state at t + h, and the leaves z or z, t, h.
        """
        with torch.enable_grad():
            points = [leaf(z)]
            if self.times is not None:
                t, h = leaf(t), leaf(h)
                points += [t, h]
            state = method.init(self.field, t, points[0], self.args)
            return Replay(method.step(self.field, t, h, points[0], self.args, state).z, points)

    def pull_step(self, replay: Replay, cotangent: Tensor, index: int, backwards: bool = False) -> Tensor:
        """J^T w of a step; what it says of its times is added to their gradients.

        Args:
            replay: the step.
            cotangent: w.
            index: the step goes from times[index] to times[index + 1].
            backwards: or the other way.
        Returns:
            J^T w for the state where it starts.
        """
        of_z, *of_times = self.pull(replay.value, replay.leaves, cotangent)
        if self.times is not None:
            start, stop = (index + 1, index) if backwards else (index, index + 1)
            of_t, of_h = of_times
            self.times[start] += of_t - of_h
            self.times[stop] += of_h
        return of_z

    def pull(
        self, value: Tensor, leaves: Sequence[Tensor], cotangent: Tensor, scale: float | Tensor = 1.0
    ) -> list[Tensor]:
        """J^T w, for the leaves returned, for the sources added to their gradients.

        Args:
            value: what was computed from leaves and sources.
            leaves: of its graph.
            cotangent: w, of the shape of the value or one that sums to it.
            scale: factor of what is added to the gradients of the sources.
        Returns:
            J^T w for every leaf, zeros where the value does not depend on it.
        """
        if not value.requires_grad:
            return [torch.zeros_like(x) for x in leaves]
        read = [*leaves, *(self.sources[i] for i in self.wanted)]
        weights = cotangent.sum_to_size(value.shape).to(value.dtype)
        found = torch.autograd.grad(value, read, weights, allow_unused=True)
        for i, gradient in zip(self.wanted, found[len(leaves) :], strict=True):
            if gradient is not None:
                self._add(i, gradient if scale == 1.0 else scale * gradient)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found)]

    def _add(self, i: int, gradient: Tensor) -> None:
        """To the gradient of source i; in place from the second time on, when the sum is ours."""
        total = self.gradients[i]
        if total is None:
            self.gradients[i] = gradient
        elif i in self._ours:
            total.add_(gradient)
        else:
            self.gradients[i] = total + gradient
            self._ours.add(i)


def parameters_of(field: Any) -> Iterator[Tensor]:
    """Parameters that require a gradient, of a module, of the module that a method is bound to, of partial arguments.

    Args:
        field: a field.
    Yields:
        its parameters.
    """
    if isinstance(field, nn.Module):
        yield from (p for p in field.parameters() if p.requires_grad)
    elif isinstance(field, functools.partial):
        for part in (field.func, *field.args, *field.keywords.values()):
            yield from (part,) if isinstance(part, Tensor) and part.requires_grad else parameters_of(part)
    elif isinstance(getattr(field, "__self__", None), nn.Module):
        yield from parameters_of(field.__self__)


def sources_of(problem: Problem) -> list[Tensor]:
    """Parameters of the field and `inputs`, each once.

    Args:
        problem: what is solved.
    Returns:
        tensors.
    """
    return list({id(x): x for x in (*parameters_of(problem.field.function), *problem.inputs)}.values())


def check_sources(problem: Problem, gradient: str, sources: Sequence[Tensor]) -> None:
    """Evaluate the field once and look in its graph for tensors that no gradient would reach.

    Nodes older than the evaluation belong to what the field closes over.

    Args:
        problem: what is solved.
        gradient: name of the mode.
        sources: tensors that are known.
    Raises:
        MvnetError: the graph leads to another tensor that requires a gradient.
    """
    with torch.enable_grad():
        clock = torch.zeros((), requires_grad=True).clone().grad_fn
        assert clock is not None
        born = clock._sequence_nr()  # pyright: ignore[reportAttributeAccessIssue]
        z, args = leaf(problem.z0), tuple(leaf(a) if a.requires_grad else a for a in problem.args)
        value = problem.field(problem.times[0].detach(), z, *args)
    known = {_edge(x) for x in (z, *args, *sources) if x.requires_grad}
    pending, seen = [_edge(value)] if value.requires_grad else [], set()
    while pending:
        node, index = pending.pop()
        if node is None or (node, index) in known or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None or node._sequence_nr() < born:
            which = f"of shape {tuple(variable.shape)}" if variable is not None else f"made by {node.name()}"
            found = f"a field that closes over a tensor {which} that requires a gradient"
            raise MvnetError(f"inputs: found {found}, expected it in args or inputs with gradient {gradient!r}")
        pending.extend(node.next_functions)


def check_no_ancestors(sources: Sequence[Tensor]) -> None:
    """Refuse a source that was computed from another: its gradient would be counted twice.

    Args:
        sources: parameters and inputs.
    Raises:
        MvnetError: one of them lies in the graph of another.
    """
    made = [x for x in sources if x.grad_fn is not None]
    if not made:
        return
    known = {_edge(x) for x in sources if x.requires_grad}
    for x in made:
        pending, seen = list(x.grad_fn.next_functions), set()  # pyright: ignore[reportOptionalMemberAccess]
        while pending:
            node, index = pending.pop()
            if (node, index) in known:
                found = f"a tensor of shape {tuple(x.shape)} made from another input or a parameter of the field"
                raise MvnetError(f"inputs: found {found}, expected it in args")
            if node is not None and node not in seen:
                seen.add(node)
                pending.extend(node.next_functions)


def leaf(x: Tensor) -> Tensor:
    """A leaf with the same values.

    Args:
        x: any tensor.
    Returns:
        one that requires a gradient, unless it holds integers.
    """
    x = x.detach()
    return x.requires_grad_() if x.is_floating_point() or x.is_complex() else x


def _edge(x: Tensor) -> tuple[Any, int]:
    edge = get_gradient_edge(x)
    return edge.node, edge.output_nr
