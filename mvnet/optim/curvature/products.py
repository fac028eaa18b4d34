"""Products with G = J^T H J, which is never formed: Gauss-Newton and Fisher matrices of a network.

The outputs f with their graph are all that is needed. J^T u is one backward pass through it; as J^T u is linear in u,
J v is one backward pass through the graph of that backward pass. The forward pass is done once for any number of
products, and each takes as many multiplications as a forward-mode derivative and a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import at_least_single

_ENTRIES = 2**24  # of the derivatives that a chunk of rows or columns of J may hold


class GaussNewton:
    """J, J^T and G = J^T H J of the outputs of a network at its parameters.

    Vectors of parameters are flat, in the order given, and in at least single precision.

    Args:
        outputs: with their graph, any shape; its operations must be differentiable twice for `jacobian`.
        parameters: P numbers in all, of one device.
        metric: v -> H v for v of the shape of the outputs, linear; those of `mvnet.optim.curvature.losses` with
            outputs and targets put in. None is the identity.
    Raises:
        MvnetError: outputs without a graph.
    Source: paper (60); Schraudolph, Fast curvature matrix-vector products (2002); Martens [89].
    """

    def __init__(
        self,
        outputs: Tensor,
        parameters: Sequence[Tensor],
        metric: Callable[[Tensor], Tensor] | None = None,
    ):
        if not outputs.requires_grad:
            raise MvnetError("outputs: found no graph, expected outputs computed from the parameters with gradients on")
        self.outputs, self.parameters, self.metric = outputs, list(parameters), metric
        self.dtype = outputs.dtype if outputs.dtype == torch.float64 else torch.float32
        self._sizes = [p.numel() for p in self.parameters]
        self._cotangent: Tensor | None = None
        self._used: list[int] = []  # parameters that J v depends on
        self._linear: list[Tensor] = []  # their J^T u, with its graph

    # ---- products ----

    def __call__(self, v: Tensor) -> Tensor:
        """G v.

        Args:
            v: (P,).
        Returns:
            (P,).
        """
        # v -> J v -> H J v -> J^T H J v
        jv = self.jacobian(v)
        return self.transpose(jv if self.metric is None else self.metric(jv))

    def jacobian(self, v: Tensor) -> Tensor:
        """J v.

        Args:
            v: (P,).
        Returns:
            shape of the outputs.
        """
        return self._forward(self._split(v))

    def transpose(self, u: Tensor) -> Tensor:
        """J^T u.

        Args:
            u: shape of the outputs.
        Returns:
            (P,).
        """
        return self._join(self._backward(u.to(self.outputs.dtype)))

    # ---- the matrix J ----

    def rows(self) -> Tensor:
        """J by batched backward passes, one for each output: for few outputs.

        Returns:
            (outputs.numel(), P).
        """
        count = self.outputs.numel()
        unit = torch.eye(count, dtype=self.outputs.dtype, device=self.outputs.device)
        chunk = max(1, _ENTRIES // max(sum(self._sizes), count))
        parts = []
        for some in unit.split(chunk):
            found = self._backward(some.view(-1, *self.outputs.shape), batched=True)
            parts.append(torch.cat([x.flatten(1).to(self.dtype) for x in found], 1))
        return torch.cat(parts)

    def columns(self) -> Tensor:
        """J by batched products, one for each parameter: for few parameters.

        Returns:
            (outputs.numel(), P).
        """
        count = sum(self._sizes)
        unit = torch.eye(count, dtype=self.dtype, device=self.outputs.device)
        chunk = max(1, _ENTRIES // max(self.outputs.numel(), count))
        parts = [self._forward(self._split(some), batched=True).flatten(1) for some in unit.split(chunk)]
        return torch.cat(parts).T.to(self.dtype)

    def measure(self, vectors: Tensor) -> Tensor:
        """H v for several v.

        Args:
            vectors: (K, outputs.numel()).
        Returns:
            same shape.
        """
        if self.metric is None:
            return vectors
        shaped = vectors.view(-1, *self.outputs.shape)
        return torch.func.vmap(self.metric)(shaped).flatten(1)

    # ---- passes through the graph ----

    def _backward(self, u: Tensor, batched: bool = False) -> Sequence[Tensor]:
        return torch.autograd.grad(
            self.outputs,
            self.parameters,
            u,
            retain_graph=True,
            is_grads_batched=batched,
            allow_unused=True,
            materialize_grads=True,
        )

    def _forward(self, vectors: Sequence[Tensor], batched: bool = False) -> Tensor:
        """J v as the derivative of u -> v^T J^T u, whose graph is made on the first call."""
        if self._cotangent is None:
            with torch.enable_grad():
                self._cotangent = torch.zeros_like(self.outputs, requires_grad=True)
                found = torch.autograd.grad(
                    self.outputs, self.parameters, self._cotangent, create_graph=True, allow_unused=True
                )
            used = [(i, g) for i, g in enumerate(found) if g is not None and g.requires_grad]
            self._used, self._linear = [i for i, _ in used], [g for _, g in used]
        if not self._used:
            lead = (len(vectors[0]),) if batched else ()
            return self.outputs.new_zeros(*lead, *self.outputs.shape)
        return torch.autograd.grad(
            self._linear,
            self._cotangent,
            [vectors[i] for i in self._used],
            retain_graph=True,
            is_grads_batched=batched,
            materialize_grads=True,
        )[0]

    def _split(self, v: Tensor) -> list[Tensor]:
        """(..., P) -> one tensor (..., *shape) for each parameter, of its dtype."""
        parts = v.split(self._sizes, -1)
        return [x.view(*x.shape[:-1], *p.shape).to(p.dtype) for x, p in zip(parts, self.parameters)]

    def _join(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([x.flatten().to(self.dtype) for x in tensors])


def sample_rows(model: nn.Module, parameters: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tensor:
    """J of a network that treats every sample by itself: a backward pass of single samples instead of the batch.

    Args:
        model: maps the inputs to outputs (N, ...), without exchange between samples.
        parameters: some of the network's, P numbers in all.
        inputs: (N, ...) each.
    Returns:
        (outputs.numel(), P), as `GaussNewton.rows`.
    Raises:
        RuntimeError: the network cannot be vectorised over samples, such as one that normalises over a batch.
        KeyError: a parameter is not the network's.
    """
    names = {id(p): name for name, p in model.named_parameters()}

    def one(values: dict[str, Tensor], sample: tuple[Tensor, ...]) -> Tensor:
        return torch.func.functional_call(model, values, tuple(x[None] for x in sample))[0]

    values = {names[id(p)]: p.detach() for p in parameters}
    found = torch.func.vmap(torch.func.jacrev(one), (None, 0))(values, tuple(inputs))
    # (N, ..., *shape) -> (outputs, entries)
    rows = [found[names[id(p)]].reshape(-1, p.numel()) for p in parameters]
    return torch.cat([at_least_single(x) for x in rows], 1)
