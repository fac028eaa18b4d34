"""Residual denoisers for images: an ordinary one and one that commutes with rotations.

    lift -> n times  z + ReLU(a (K z) + b)  -> projection

with one scale a and shift b for every channel, or for every regular field, along which they must be constant. The lift,
too, is followed by a scale and a shift. With 64 channels and 20 layers the ordinary network has 741,891 parameters.
Source: paper section 5.2 and eq. (5).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mvnet.equivariant import FieldAffine, FieldType, Regular, Trivial
from mvnet.equivariant import group as named_group
from mvnet.equivariant.harmonics import HarmonicConv, Ring, default_rings


class ResidualDenoiser(nn.Module):
    """The residual network of eq. (5) between a learnable lift and a learnable projection.

    At the start it is the identity plus what the residual branches add: the lift only has its central tap, a random
    matrix, and the projection inverts it.

    Args:
        lift, projection: convolutions from and to the image; the projection with one tap.
        layers: convolutions K from the hidden channels to themselves.
        hidden: their type, which decides what shares a scale and a shift.
        residual_scale: of a at the start.
    """

    def __init__(
        self,
        lift: nn.Module,
        layers: Sequence[nn.Module],
        projection: nn.Module,
        hidden: FieldType,
        residual_scale: float,
    ):
        super().__init__()
        self.lift, self.projection = lift, projection
        self.layers = nn.ModuleList(layers)
        self.lift_affine = FieldAffine(hidden)
        affines = [FieldAffine(hidden) for _ in layers]
        for affine in affines:
            nn.init.constant_(affine.scale, residual_scale)
        self.affines = nn.ModuleList(affines)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, colours, H, W) -> the denoised image, same shape."""
        z = self.lift_affine(self.lift(x))
        for conv, affine in zip(self.layers, self.affines):
            z = z + torch.relu(affine(conv(z)))
        return self.projection(z)


def ordinary_denoiser(
    channels: int = 64, layers: int = 20, colours: int = 3, residual_scale: float = 0.1
) -> ResidualDenoiser:
    """3x3 convolutions without constraint; 741,891 parameters by default.

    Args:
        channels: hidden width.
        layers: residual layers.
        colours: channels of the image.
        residual_scale: of the initial kernels K, relative to unit gain through a ReLU.
    """
    lift = nn.Conv2d(colours, channels, 3, padding=1, bias=False)
    projection = nn.Conv2d(channels, colours, 1)
    body = [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers)]
    with torch.no_grad():
        for conv in body:
            nn.init.kaiming_normal_(conv.weight)
        mixing = torch.randn(channels, colours)
        lift.weight.zero_()[:, :, 1, 1] = mixing
        projection.weight[:, :, 0, 0] = torch.linalg.pinv(mixing)
        assert projection.bias is not None
        projection.bias.zero_()
    return ResidualDenoiser(lift, body, projection, FieldType((channels, Trivial(named_group("C1")))), residual_scale)


def equivariant_denoiser(
    group: str = "C8",
    fields: int = 8,
    layers: int = 20,
    colours: int = 3,
    residual_scale: float = 0.1,
    size: int = 5,
    rings: Sequence[Ring] | None = None,
) -> ResidualDenoiser:
    """The same network with regular fields of a group of the plane; 72,211 parameters by default.

    Args:
        group: name, for example C8 or C16.
        fields: regular fields; the hidden width is fields * |G| channels.
        layers, colours, residual_scale: as in `ordinary_denoiser`.
        size, rings: of the kernels, see `HarmonicConv`.
    """
    g = named_group(group)
    image, hidden = FieldType((colours, Trivial(g))), FieldType((fields, Regular(g)))
    centre = Ring(0.0, 0.1, 0)
    rings = default_rings(size) if rings is None else rings
    lift = HarmonicConv(image, hidden, size, bias=False, rings=(centre, *rings[1:]))
    projection = HarmonicConv(hidden, image, 1, rings=(centre,))
    body = [HarmonicConv(hidden, hidden, size, bias=False, rings=rings) for _ in range(layers)]
    with torch.no_grad():
        mixing = torch.randn(fields, colours)
        # one weight for each pair of fields and kernel function, the centre first; all |G| entries of a pair are equal
        for conv, matrix in ((lift, mixing), (projection, torch.linalg.pinv(mixing) / g.order)):
            weight = conv.weight.zero_().view(*matrix.shape, -1)
            weight[..., 0] = 1.0
            unit = conv.kernel_and_bias()[0]
            weight[..., 0] = matrix / unit[0, 0, size // 2 if conv is lift else 0, size // 2 if conv is lift else 0]
    return ResidualDenoiser(lift, body, projection, hidden, residual_scale)
