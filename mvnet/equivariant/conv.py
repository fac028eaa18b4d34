"""Equivariant convolutions between any two field types.

Lifting is a convolution from scalars to regular fields, projection one back to scalars, a group convolution one
between regular fields: one layer serves all. In training the kernel is expanded from its weights at every step; in
evaluation it is kept until a weight changes, and the layer costs what a plain convolution costs, which `export` gives.
Source: paper section 5.1; Cohen and Welling, Group equivariant convolutional networks (2016); for the constraint on
kernels Weiler and Cesa (2019), theorem 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant.expansion import KernelExpansion, bias_basis
from mvnet.equivariant.field_type import FieldType
from mvnet.linalg.matrix_view import MatrixView

_CONVOLUTION = {2: F.conv2d, 3: F.conv3d}
_MODULE = {2: nn.Conv2d, 3: nn.Conv3d}
_LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}


class GroupConv(nn.Module):
    """Equivariant convolution in the plane or in space, stride 1, with zero padding.

    Args:
        fields_in, fields_out: types of one group.
        size: taps along each axis.
        padding: zeros on every side; keeps the size of the field when None.
        bias: constants are added to the invariant components of the output.
        gain: the variance of the output over that of a smooth input at initialisation; 2 suits a ReLU that follows.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        (B, fields_in.channels, n_1, ..., n_d) -> (B, fields_out.channels, n_1, ..., n_d), with the padding that keeps
        the size.
    Source: paper section 5.1; Cohen and Welling (2016).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import GroupConv, equivariance_error, field_type, group
        >>> square = group("D4")
        >>> scalars, features = field_type(square, {"trivial": 1}), field_type(square, {"regular": 2})
        >>> conv = GroupConv(scalars, features, size=3)
        >>> conv(torch.randn(1, 1, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
        >>> equivariance_error(conv, square, torch.randn(1, 1, 8, 8), scalars, features).largest < 1e-5
        True
    """

    def __init__(
        self,
        fields_in: FieldType,
        fields_out: FieldType,
        size: int = 3,
        padding: int | None = None,
        bias: bool = True,
        gain: float = 2.0,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.fields_in, self.fields_out = fields_in, fields_out
        self.padding = (size - 1) // 2 if padding is None else padding
        self.expansion = self._expansion(size)
        self.kernel_size = self.expansion.shape[2:]
        normal = torch.randn(self.expansion.count, generator=generator)
        self.weight = nn.Parameter(normal * self.expansion.deviation() * gain**0.5)
        self._invariants = bias_basis(fields_out)
        self.bias = nn.Parameter(torch.zeros(len(self._invariants))) if bias and len(self._invariants) else None
        self._kept: tuple[tuple, Tensor, Tensor | None] | None = None

    def _expansion(self, size: int) -> KernelExpansion:
        """The kernels of this layer; what a layer for another family of kernels overrides."""
        return KernelExpansion(self.fields_in, self.fields_out, size)

    def train(self, mode: bool = True) -> GroupConv:
        """As in torch; the cached kernel is dropped, so that weights written through `.data` take effect.

        Args:
            mode: training or evaluation.
        Returns:
            the layer.
        """
        self._kept = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve a field.

        Args:
            x: shape (B, fields_in.channels, n_1, ..., n_d).
        Returns:
            shape (B, fields_out.channels, ...).
        """
        # weights -> kernel, bias -> plain convolution
        kernel, bias = self.kernel_and_bias()
        return _CONVOLUTION[self.fields_in.group.dim](x, kernel, bias, padding=self.padding)

    def kernel_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """The plain kernel and bias, kept between calls in evaluation without gradients.

        Returns:
            shapes (out, in, *taps) and (out,), the latter None for a layer without bias.
        """
        if self.training or torch.is_grad_enabled() or torch.compiler.is_exporting():
            self._kept = None
            return self._expand()
        parameters = [p for p in (self.weight, self.bias) if p is not None]
        state = tuple((p.data_ptr(), p._version, p.dtype) for p in parameters)
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, *self._expand())
        return self._kept[1:]

    def _expand(self) -> tuple[Tensor, Tensor | None]:
        kernel = self.expansion(self.weight).contiguous(memory_format=_LAYOUT[self.fields_in.group.dim])
        return kernel, None if self.bias is None else self.bias @ self._invariants.to(self.bias)

    def matrix_view(self) -> MatrixView:
        """`weight` as the kernel that optimisers of matrices act on; see `mvnet.optim.roles`."""
        return self.expansion.view(type(self).__name__)

    @property
    def bias_map(self) -> Tensor:
        """What `bias` is multiplied by to give the bias of the channels, shape (biases, out), float64."""
        return self._invariants

    def export(self) -> nn.Conv2d | nn.Conv3d:
        """A plain torch convolution that computes the same, with weights of its own."""
        with torch.no_grad():
            kernel, bias = self.kernel_and_bias()
            out = _MODULE[kernel.ndim - 2](
                kernel.shape[1], kernel.shape[0], kernel.shape[2], padding=self.padding, bias=bias is not None
            ).to(kernel)
            out.weight.copy_(kernel)
            if bias is not None:
                out.bias = nn.Parameter(bias.clone())
        return out

    def extra_repr(self) -> str:
        """Types, size and padding, for print(layer)."""
        return f"{self.fields_in} -> {self.fields_out}, size={self.expansion.shape[2]}, padding={self.padding}"


def export(model: nn.Module) -> nn.Module:
    """Replace every equivariant convolution inside `model`, in place, by the plain one that computes the same.

    Args:
        model: a network, or a `GroupConv`.
    Returns:
        the model, or the plain convolution when `model` is itself a `GroupConv`.
    """
    if isinstance(model, GroupConv):
        return model.export()
    for name, child in model.named_children():
        setattr(model, name, export(child))
    return model
