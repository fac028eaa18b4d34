"""The layers of a network as y = K x + b, applied at one place or at many.

`Linear` and the convolutions without groups are such layers, and so is every module with a `matrix_view()` that acts on
the last axis of its input, or that says by `kernel_size`, `padding`, `stride`, `dilation` which convolution it is. Its
bias may be that of the channels, or fewer numbers, which `bias_map` (count, out) takes there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.linalg.matrix_view import MatrixView
from mvnet.optim.base import at_least_single
from mvnet.optim.roles import matrix_view, roles


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights that are one matrix (out, in taps), and the biases that belong to it.

    Args:
        weight: the parameter.
        view: its kernel.
        bias: the parameter; None where there is none, or where it is not treated together with the weight.
        modules: those that apply it; several where they share it.
    """

    weight: nn.Parameter
    view: MatrixView
    bias: nn.Parameter | None
    modules: tuple[nn.Module, ...]

    @property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """The weight, and the bias where there is one."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows and columns of the matrix, the biases being its last column."""
        out, into, taps = self.view.shape
        return out, into * taps + (self.bias is not None)

    def lift(self) -> Tensor | None:
        """The gradients as a matrix.

        A parameter without a gradient has zeros there.

        Returns:
            shape `sizes`, at least single precision; None where no parameter has a dense gradient.
        """
        weight, bias = (None if p is None else _dense(p.grad) for p in (self.weight, self.bias))
        if weight is None and bias is None:
            return None
        given = weight if weight is not None else torch.zeros_like(self.weight)
        matrix = self.view.lift(at_least_single(given)).flatten(-2)
        if self.bias is None:
            return matrix
        column = matrix.new_zeros(len(matrix)) if bias is None else at_least_single(bias)
        if bias is not None and (basis := self._bias_map(column)) is not None:
            column = torch.linalg.solve(basis @ basis.mT, column) @ basis
        return torch.cat((matrix, column[:, None]), 1)

    def project(self, matrix: Tensor) -> list[tuple[nn.Parameter, Tensor]]:
        """The steps of the parameters that are nearest to a step of the matrix.

        Args:
            matrix: shape `sizes`.
        Returns:
            pairs of a parameter that has a gradient and its step, of the shape of the parameter.
        """
        steps = []
        if self.weight.grad is not None:
            columns = matrix.shape[1] - (self.bias is not None)
            kernel = matrix[:, :columns].unflatten(-1, self.view.shape[1:])
            steps.append((self.weight, self.view.project(kernel)))
        if self.bias is not None and self.bias.grad is not None:
            column = matrix[:, -1]
            if (basis := self._bias_map(column)) is not None:
                column = torch.linalg.solve(basis @ basis.mT, basis @ column)
            steps.append((self.bias, column))
        return steps

    def _bias_map(self, like: Tensor) -> Tensor | None:
        basis = getattr(self.modules[0], "bias_map", None)
        return None if basis is None else basis.to(like)


def find_layers(model: nn.Module, largest: int) -> list[Layer]:
    """The layers that a network can be preconditioned by.

    Args:
        model: the network.
        largest: layers with more rows or columns than that are left out.
    Returns:
        one entry for each weight that is trained, in the order of the network's parameters.
    """
    users: dict[nn.Parameter, list[nn.Module]] = {}
    owners: dict[nn.Parameter, set[int]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(parameter, set()).add(id(module))
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and matrix_view(module) is not None:
            users.setdefault(weight, []).append(module)
    layers = []
    for role in roles(model):
        if role.view is None or not role.parameter.requires_grad or role.parameter.numel() == 0:
            continue
        modules = tuple(users[role.parameter])
        bias = _common_bias(modules, owners)
        layer = Layer(role.parameter, role.view, bias, modules)
        if max(layer.sizes) <= largest and all(_is_understood(module, role.view) for module in modules):
            layers.append(layer)
    return layers


def _common_bias(modules: tuple[nn.Module, ...], owners: dict[nn.Parameter, set[int]]) -> nn.Parameter | None:
    """The bias that all of these have and no other module, if it is trained."""
    found = {id(bias): bias for module in modules if isinstance(bias := getattr(module, "bias", None), nn.Parameter)}
    if len(found) != 1:
        return None
    (bias,) = found.values()
    together = owners.get(bias, set()) == {id(module) for module in modules}
    return bias if together and bias.requires_grad and bias.numel() else None


def _is_understood(module: nn.Module, view: MatrixView) -> bool:
    """Whether `patches` knows what the module does with its weight."""
    if (size := getattr(module, "kernel_size", None)) is None:
        return view.shape[2] == 1
    return math.prod(size) == view.shape[2] and getattr(module, "groups", 1) == 1


def patches(module: nn.Module, x: Tensor) -> Tensor:
    """What a layer multiplies by its matrix.

    Args:
        module: one of `Layer.modules`.
        x: its input.
    Returns:
        shape (examples, places, in taps).
    """
    size = getattr(module, "kernel_size", None)
    if size is None:
        return x.reshape(1, 1, -1) if x.ndim == 1 else x.reshape(len(x), -1, x.shape[-1])
    dims = len(size)
    if x.ndim == dims + 1:
        x = x.unsqueeze(0)
    stride, dilation = (_each(getattr(module, name, 1), dims) for name in ("stride", "dilation"))
    x = _pad(module, x, size, dilation)
    # (n, channels, *sizes) -> (n, channels, *places, *taps) -> (n, places, channels taps)
    for axis, (taps, step, spread) in enumerate(zip(size, stride, dilation), 2):
        x = x.unfold(axis, spread * (taps - 1) + 1, step)[..., ::spread]
    x = x.movedim(1, dims + 1)
    return x.reshape(len(x), math.prod(x.shape[1 : dims + 1]), -1)


def rows(module: nn.Module, y: Tensor) -> Tensor:
    """What a layer gave, or a gradient in it, place by place.

    Args:
        module: one of `Layer.modules`.
        y: of the shape of its output.
    Returns:
        shape (examples, places, out).
    """
    size = getattr(module, "kernel_size", None)
    if size is None:
        return y.reshape(1, 1, -1) if y.ndim == 1 else y.reshape(len(y), -1, y.shape[-1])
    if y.ndim == len(size) + 1:
        y = y.unsqueeze(0)
    return y.flatten(2).mT


def _pad(module: nn.Module, x: Tensor, size: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """The input with what the convolution puts around it."""
    padding = getattr(module, "padding", 0)
    if padding == "valid":
        return x
    if padding == "same":
        # torch puts the odd one behind
        both = [(d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for k, d in zip(size, dilation)]
    else:
        both = [(p, p) for p in _each(padding, len(size))]
    sides = [side for pair in reversed(both) for side in pair]
    if not any(sides):
        return x
    mode = getattr(module, "padding_mode", "zeros")
    return F.pad(x, sides, mode="constant" if mode == "zeros" else mode)


def _each(value: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _dense(gradient: Tensor | None) -> Tensor | None:
    return gradient if gradient is not None and gradient.layout == torch.strided else None
