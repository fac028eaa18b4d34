"""Normalisation of fields: every field of a type is shifted along its invariants and scaled as a whole.

Source: paper section 5.1.3 (maps that do not mix components need the representation to allow it); Ioffe and Szegedy,
Batch normalization (2015); Ulyanov et al., Instance normalization (2016), for the statistics.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mvnet.equivariant import fieldwise
from mvnet.equivariant.expansion import bias_basis
from mvnet.equivariant.field_type import FieldType
from mvnet.errors import MvnetError


def rms_squash(h: Tensor) -> Tensor:
    """h / sqrt(1 + mean of h^2 over the channels): features of root mean square below 1, however large the residuals.

    Pointwise and by an invariant of orthogonal representations, so that tiles and symmetries are kept.

    Args:
        h: shape (B, channels, ...).
    Returns:
        the shape of h; its root mean square over the channels is below 1 at every point.
    Source: Zhang and Sennrich, Root mean square layer normalization (2019), with 1 in the place of epsilon.
    """
    return h * (1 + h.square().mean(1, keepdim=True)).rsqrt()


class FieldAffine(nn.Module):
    """One scale for each field, and a bias on its invariant components: y = s_i x_i + b.

    Args:
        fields: type of the input and of the output.
        bias: whether there is one.
    Shape:
        (B, fields.channels, ...) -> the same.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import FieldAffine, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> FieldAffine(fields)(torch.randn(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, fields: FieldType, bias: bool = True):
        super().__init__()
        self.fields_in = self.fields_out = fields
        invariants = bias_basis(fields)
        self._owner, self._invariants = (
            fieldwise.Constant(fieldwise.field_of_channel(fields)),
            fieldwise.Constant(invariants),
        )
        self.scale = nn.Parameter(torch.ones(fieldwise.field_count(fields)))
        self.bias = nn.Parameter(torch.zeros(len(invariants))) if bias and len(invariants) else None

    def channels(self) -> tuple[Tensor, Tensor | None]:
        """Scale and bias of every channel.

        Returns:
            shape (channels,) each, the bias None for a layer without one.
        """
        scale = self.scale.index_select(0, self._owner(self.scale))
        return scale, None if self.bias is None else self.bias @ self._invariants(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scale every field and shift its invariant part.

        Args:
            x: shape (B, fields.channels, ...).
        Returns:
            same shape.
        Raises:
            MvnetError: the channels do not fit.
        """
        fieldwise.check_channels(self.fields_in, x)
        scale, bias = self.channels()
        scale = fieldwise.broadcast_over_space(scale, x)
        return x * scale if bias is None else torch.addcmul(fieldwise.broadcast_over_space(bias, x), x, scale)

    def extra_repr(self) -> str:
        """Type, for print(layer)."""
        return f"{self.fields_in}"


class FieldNorm(nn.Module):
    """Every field x_i -> (x_i - m_i) / sqrt(v_i + eps), then `FieldAffine`.

    m_i is the mean over space, projected onto the invariants of the representation (zero where it has none); v_i is the
    mean of (x_i - m_i)^2 over space and over the components of the field.

    Args:
        fields: type of the input and of the output.
        statistics: "instance": those of each sample; "batch": those of the batch in training, their running average
            in evaluation.
        affine: whether `FieldAffine` follows.
        momentum: weight of a new batch in the running average.
        eps: added to the variance.
    Shape:
        (B, fields.channels, n_1, ..., n_d) -> the same.
    Raises:
        MvnetError: when statistics is another name.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import FieldNorm, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> FieldNorm(fields)(torch.randn(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    mean: Tensor
    variance: Tensor

    def __init__(
        self,
        fields: FieldType,
        statistics: str = "instance",
        affine: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ):
        super().__init__()
        if statistics not in ("instance", "batch"):
            raise MvnetError(f"statistics: found {statistics!r}, expected 'instance' or 'batch'")
        self.fields_in = self.fields_out = fields
        self.statistics, self.momentum, self.eps = statistics, momentum, eps
        basis, owner = fieldwise.invariant_basis(fields), fieldwise.field_of_channel(fields)
        average = [(owner == i).double() / rho.size for i, rho in enumerate(fields.summands())]
        self._basis, self._owner = fieldwise.Constant(basis), fieldwise.Constant(owner)
        self._average = fieldwise.Constant(torch.stack(average, 1))
        self.affine = FieldAffine(fields) if affine else None
        if statistics == "batch":
            self.register_buffer("mean", torch.zeros(len(basis)))
            self.register_buffer("variance", torch.ones(fieldwise.field_count(fields)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every field.

        Args:
            x: shape (B, fields.channels, n_1, ..., n_d).
        Returns:
            same shape.
        Raises:
            MvnetError: the channels do not fit.
        """
        fieldwise.check_channels(self.fields_in, x)
        # m = mean B, B the invariant basis; x -> (x - m) / sqrt(v + eps) as factor x + shift, one pass over the field
        basis = self._basis(x)
        mean, variance = self._moments(x, basis)
        factor = (variance + self.eps).rsqrt()[:, self._owner(x)]
        shift = -(mean @ basis) * factor
        if self.affine is not None:
            scale, bias = self.affine.channels()
            factor = factor * scale
            shift = shift * scale if bias is None else shift * scale + bias
        where = (*shift.shape, *(1,) * (x.ndim - 2))
        return torch.addcmul(shift.view(where), x, factor.view(where))

    def _moments(self, x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of the mean in the basis (B or 1, invariants), and variances (B or 1, fields)."""
        if self.statistics == "batch" and not self.training:
            return self.mean[None].to(x), self.variance[None].to(x)
        # x (B, C, N) -> mean over N -> its coefficients in the basis; |x - m|^2 -> mean over N -> over each field
        flat = x.flatten(2)
        if self.statistics == "batch":
            flat = flat.transpose(0, 1).flatten(1)[None]
        mean = flat.mean(2) @ basis.mT
        squared = (flat - (mean @ basis)[..., None]).square().mean(2)
        variance = squared @ self._average(x)
        if self.statistics == "batch":
            with torch.no_grad():
                self.mean.lerp_(mean[0].to(self.mean), self.momentum)
                self.variance.lerp_(variance[0].to(self.variance), self.momentum)
        return mean, variance

    def extra_repr(self) -> str:
        """Type and kind of statistics, for print(layer)."""
        return f"{self.fields_in}, {self.statistics}"
