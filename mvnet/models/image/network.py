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
from mvnet.equivariant.harmonics import HarmonicConv, Ring

CENTRE = Ring(0.0, 0.1, 0)
RINGS = (Ring(1.0, 0.5, 1),)
"""Kernel functions on 3x3 taps: the central tap, and a ring, wide enough to reach it, of angular frequency 1. Eight
neighbours tell apart frequencies up to 3; those would share their parameters with two thirds as many channels, learn
on-grid images faster at first, and do worse on rotated ones. Residual layers have none of the central tap alone: what
passes through it is the identity."""


class ResidualDenoiser(nn.Module):
    """The residual network of eq. (5) between a learnable lift and a learnable projection.

    Initially it is nearly the identity plus the residual branches: the projection inverts the lift in the sense of
    least squares.

    Args:
        lift, projection: convolutions from and to the image; the projection with one tap.
        layers: convolutions K from the hidden channels to themselves.
        hidden: their type, which decides what shares a scale and a shift.
        residual_scale: initial value of a.
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
        """Denoise images.

        Args:
            x: shape (B, colours, H, W).
        Returns:
            shape of x.
        """
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
        residual_scale: initial value of the scales a.
    Returns:
        the network, images (B, colours, H, W) in and out.
    """
    lift = nn.Conv2d(colours, channels, 3, padding=1, bias=False)
    projection = nn.Conv2d(channels, colours, 1)
    body = [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers)]
    with torch.no_grad():
        nn.init.kaiming_normal_(lift.weight, nonlinearity="linear")
        for conv in body:
            nn.init.kaiming_normal_(conv.weight)
        projection.weight[:, :, 0, 0] = _inverse(lift.weight)
        nn.init.zeros_(projection.bias)  # pyright: ignore[reportArgumentType]
    return ResidualDenoiser(lift, body, projection, FieldType((channels, Trivial(named_group("C1")))), residual_scale)


def _inverse(lift: Tensor, length: float = 10.0) -> Tensor:
    """The one-tap projection that best undoes a lift, by least squares.

    The mean square error is that on images whose values at a distance d have correlation exp(-d / length).

    Args:
        lift: (channels, colours, k, k).
        length: pixels.
    Returns:
        (colours, channels).
    """
    colours, size = lift.shape[1], lift.shape[2]
    line = torch.arange(size, dtype=torch.float64)
    taps = torch.cartesian_prod(line, line).view(-1, 2)
    root = torch.linalg.cholesky((-torch.cdist(taps, taps) / length).exp())
    seen = lift.double().cpu().flatten(2) @ root
    centre = torch.einsum("ij,t->ijt", torch.eye(colours, dtype=torch.float64), root[len(taps) // 2])
    return (centre.flatten(1) @ torch.linalg.pinv(seen.flatten(1), rtol=1e-3)).to(lift)


def equivariant_denoiser(
    group: str = "C8",
    fields: int = 12,
    layers: int = 20,
    colours: int = 3,
    residual_scale: float = 0.1,
    size: int = 3,
    rings: Sequence[Ring] = RINGS,
) -> ResidualDenoiser:
    """The same network with regular fields of a group of the plane: 96 channels and 69,807 parameters by default.

    Args:
        group: name, for example C8 or C16.
        fields: regular fields, of |G| channels each; at least `colours`, so that the start can be the identity.
        layers, colours, residual_scale: as in `ordinary_denoiser`.
        size, rings: size and rings of the kernels, see `HarmonicConv`; the lift has the central tap as well.
    Returns:
        the network, images (B, colours, H, W) in and out.
    """
    g = named_group(group)
    image, hidden = FieldType((colours, Trivial(g))), FieldType((fields, Regular(g)))
    rings, lift_rings = tuple(rings), (CENTRE, *rings)
    lift = HarmonicConv(image, hidden, size, bias=False, gain=1.0, rings=lift_rings)
    body = [HarmonicConv(hidden, hidden, size, bias=False, rings=rings) for _ in range(layers)]
    projection = HarmonicConv(hidden, image, 1)
    with torch.no_grad():
        # what is constant along the group passes through the central tap, mixed orthogonally; the rest stays random
        mixing = nn.init.orthogonal_(torch.empty(fields, colours), float(lift.weight.std()) * fields**0.5)
        kinds = [(ring, m) for ring in lift_rings for m in range(ring.frequency + 1) for _ in range(1 + (m > 0))]
        for weight, (ring, m) in zip(lift.weight.view(fields, colours, -1).unbind(-1), kinds):
            if m == 0:
                weight.copy_(mixing if ring.radius == 0 else torch.zeros_like(mixing))
        # a projection sums over the group: it has one weight for each field, and reads the sum of the lift's kernels
        projection.weight.fill_(1.0)
        unit = projection.kernel_and_bias()[0].flatten()[0]
        summed = lift.kernel_and_bias()[0].unflatten(0, (fields, g.order)).sum(1)
        projection.weight.copy_(_inverse(summed).flatten() / unit)
    return ResidualDenoiser(lift, body, projection, hidden, residual_scale)
