"""Hooks that watch a network's forward pass, and draw the Fisher information from it.

In training, before the user's own loss is formed, the gradients of the network's own likelihood are taken down to the
outputs of its layers: the graph of the pass serves both, and hooks that a user put on its tensors run for both. The
generator of the labels is the recorder's own, seeded by the number of the update, so that neither dropout nor a resumed
run notices.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from mvnet.optim.base import at_least_single
from mvnet.optim.kfac.factors import Call
from mvnet.optim.kfac.fisher import columns, output_tensors
from mvnet.optim.kfac.layers import Layer


@dataclass(frozen=True)
class FisherOptions:
    """Which Fisher information is taken.

    Args:
        kind: "monte-carlo", "type-2", or "empirical": of the labels of the data instead of the model's own.
        likelihood: "categorical", "bernoulli" or "gaussian".
        samples: labels drawn for each example.
        seed: of the labels.
    """

    kind: str
    likelihood: str
    samples: int
    seed: int


class Hook:
    """A method of an object that may be gone; a copy of a network takes no hooks with it."""

    def __init__(self, owner: Any = None, method: str = "", *arguments: Any):
        self._owner = None if owner is None else weakref.ref(owner)
        self._method, self._arguments = method, arguments

    def __call__(self, *given: Any) -> None:
        """Call the method with its own arguments and those of the hook."""
        if self._owner is not None and (owner := self._owner()) is not None:
            getattr(owner, self._method)(*self._arguments, *given)

    def __reduce__(self) -> tuple[type[Hook], tuple]:
        """A copy does nothing."""
        return Hook, ()


class Recorder:
    """Watches a network until it is itself forgotten.

    Args:
        model: the network.
        layers: of it.
        options: which Fisher information.
        due: the number of the update that is to come, None while none is due.
        receive: takes a layer, its calls with gradients, and the number of examples.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: list[Layer],
        options: FisherOptions,
        due: Callable[[], int | None],
        receive: Callable[[Layer, list[Call], int], None],
    ):
        self._model, self._layers, self._options = weakref.ref(model), layers, options
        self._due, self._receive = weakref.WeakMethod(due), weakref.WeakMethod(receive)
        self._update: int | None = None  # the number of the update while a pass is watched
        self._examples = 1
        self._seen: list[tuple[int, nn.Module, Tensor, GradientEdge]] = []
        self._handles = [model.register_forward_pre_hook(Hook(self, "_begin"))]
        for number, layer in enumerate(layers):
            for module in layer.modules:
                hook = Hook(self, "_see", number)
                self._handles.append(module.register_forward_hook(hook, with_kwargs=True))
        # the last hook of the network: a network may be a layer itself
        self._handles.append(model.register_forward_hook(Hook(self, "_end")))
        weakref.finalize(self, _remove, self._handles)

    def _begin(self, model: nn.Module, *_: Any) -> None:
        """Before the network runs."""
        due = self._due() if model.training and torch.is_grad_enabled() else None
        self._update, self._seen = (None if due is None else due()), []

    def _see(self, number: int, module: nn.Module, given: tuple, named: dict[str, Any], output: Any) -> None:
        """After a layer has run."""
        if self._update is None or not isinstance(output, Tensor) or not output.requires_grad:
            return
        x = given[0] if given else next(iter(named.values()), None)
        if not isinstance(x, Tensor) or output.numel() == 0:
            return
        # not the output itself: an activation may work in place
        self._seen.append((number, module, x.detach(), get_gradient_edge(output)))
        if self._options.kind == "empirical":
            output.register_hook(Hook(self, "_receive_empirical", number, module, x.detach()))

    def _receive_empirical(self, number: int, module: nn.Module, x: Tensor, gradient: Tensor) -> None:
        """In the user's backward pass: the gradient of a mean over the examples."""
        call = Call(module, x, [gradient.detach() * self._examples])
        self._pass_on(self._layers[number], [call], self._examples)

    def _end(self, model: nn.Module, given: Any, output: Any) -> None:
        """After the network has run."""
        update, seen = self._update, self._seen
        self._update, self._seen = None, []
        if update is None or not seen or not (tensors := output_tensors(output)):
            return
        self._examples = len(tensors[0]) if tensors[0].ndim else 1
        if self._options.kind != "empirical":
            gradients = self._gradients(tensors, [edge for *_, edge in seen], update)
            calls: dict[int, list[Call]] = {}
            for index, (number, module, x, _) in enumerate(seen):
                # None: the output does not depend on it
                if found := [column[index] for column in gradients if column[index] is not None]:
                    calls.setdefault(number, []).append(Call(module, x, found))
            for number, its in calls.items():
                self._pass_on(self._layers[number], its, self._examples)

    def _gradients(self, tensors: list[Tensor], edges: list[GradientEdge], update: int) -> list[tuple]:
        """For each column of the Fisher information the gradients at the edges."""
        options, found = self._options, []
        generator = torch.Generator().manual_seed(options.seed + 1_000_003 * update)
        sources = [
            columns(_like_scores(t), options.likelihood, options.kind, options.samples, generator) for t in tensors
        ]
        if options.kind == "type-2":
            # one column of one output at a time
            pairs = [([t], [v]) for t, source in zip(tensors, sources) for v in source]
        else:
            pairs = [(tensors, list(vs)) for vs in zip(*sources)]
        for outputs, vs in pairs:
            vs = [v.reshape(t.shape).to(t.dtype) for t, v in zip(outputs, vs)]
            with torch.autocast(tensors[0].device.type, enabled=False):
                found.append(torch.autograd.grad(outputs, edges, vs, retain_graph=True, allow_unused=True))
        return found

    def _pass_on(self, layer: Layer, calls: list[Call], examples: int) -> None:
        receive = self._receive()
        if receive is not None:
            with torch.no_grad(), torch.autocast(layer.weight.device.type, enabled=False):
                receive(layer, calls, examples)


def _like_scores(t: Tensor) -> Tensor:
    """An output without its graph, (N,) or (N, C, ...), at least single precision."""
    t = t.detach().reshape(1) if t.ndim == 0 else t.detach()
    return at_least_single(t)


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()
