"""A parallel-transport (gauge-covariant) filter on the circle. A network predicts a complex kernel for every pixel,

    z'_p = sum_q K(p, q) z_q,        K(p, q) = weight times phase transport from q to p

so that averaging goes along fringes instead of across them. K is made from invariants of the global phase, which
therefore passes through: z -> e^{ia} z gives e^{ia} z'. Under conjugation the real part of K is even and the imaginary
part odd; the symmetries of the square permute its taps: Re K is a field of the type corners (x) taps, Im K of
corners (x) taps (x) internal, for the four pixels ("corners") of every 2x2 block, whose features are shared.
Source: paper sections 2.3 and 5.1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, Internal, Kronecker, Vector, WaveVector
from mvnet.equivariant.kernels import taps
from mvnet.equivariant.pooling import corners
from mvnet.errors import MvnetError
from mvnet.nn.connection_sum import apply_connection, weighted_sum
from mvnet.nn.stencil import Stencil, unblock

_STRIP = {"cpu": 2**22, "cuda": 2**28}
"""Kernel entries predicted at a time in evaluation: 16 MB of float32, or as many as keep a GPU busy."""


class ConnectionFilter(nn.Module):
    """Kernels from features of 2x2 blocks, then the weighted sum of the transported neighbours.

    With a carrier the kernels follow a local fringe frequency theta that is predicted beside them, and its change,
    the chirp X, so that one linear map of the features serves all frequencies and fringes that bend:

        K(p, q) = k(p, q) exp(-i (theta . d + d . X d / 2 r)),    d = q - p,   theta a wave vector, X a matrix of such

    r is the radius of the kernel: X is the change of theta from its centre to its rim. Both are zero at the start.

    Args:
        fields: type of the features; its group acts on values by conjugation.
        size: taps along each axis, odd.
        dilation: distance of the taps in pixels.
        carrier: order of the phase that is predicted: 0 for none, 1 for theta, 2 for theta and X.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        features (B, fields.channels, n, m), planes (B, 2, 2 n, 2 m) -> (B, 2, 2 n, 2 m).
    Raises:
        MvnetError: when the size is even.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import field_type, group
        >>> from mvnet.nn import ConnectionFilter
        >>> fields = field_type(group("D4xZ2"), {"trivial": 2, "regular": 1})
        >>> layer = ConnectionFilter(fields, size=5, dilation=3, carrier=2)
        >>> layer(torch.randn(1, fields.channels, 8, 10), torch.randn(1, 2, 16, 20)).shape
        torch.Size([1, 2, 16, 20])
    """

    prior: Tensor
    monomials: Tensor

    def __init__(
        self,
        fields: FieldType,
        size: int,
        dilation: int = 1,
        carrier: int = 0,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if size % 2 == 0:
            raise MvnetError(f"size: found {size}, expected an odd number of taps")
        group = fields.group
        real, wave = Kronecker(corners(group), taps(group, size)), WaveVector(group)
        kernels = FieldType((1, real), (1, Kronecker(real, Internal(group))))
        theta, chirp = FieldType((1, wave)), FieldType((1, Kronecker(wave, Vector(group))))
        self.stencil = Stencil(size, dilation)
        self.kernels = GroupConv(fields, kernels, 1, generator=generator)
        self.frequency = GroupConv(fields, theta, 1, generator=generator) if carrier >= 1 else None
        self.chirp = GroupConv(fields, chirp, 1, generator=generator) if carrier >= 2 else None
        for predicted in (self.kernels, self.frequency, self.chirp):
            if predicted is not None:
                nn.init.zeros_(predicted.weight)
        self.register_buffer("prior", initial_kernel(size, dilation), persistent=False)
        self.register_buffer("monomials", phase_monomials(self.stencil, carrier), persistent=False)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        """Filter an image.

        Args:
            features: shape (B, fields.channels, n, m), invariant to the global phase, of 2x2 blocks.
            planes: shape (B, 2, 2 n, 2 m), real and imaginary part in any unit.
        Returns:
            shape (B, 2, 2 n, 2 m), the unit of the planes.
        """
        # weights of k and X, theta -> one affine map and two fields
        weight, bias = self.kernels.kernel_and_bias()
        bias = self.prior if bias is None else self.prior + bias
        affine = torch.cat([weight.flatten(1), bias[:, None]], 1)
        theta = [predicted(features) for predicted in (self.frequency, self.chirp) if predicted is not None]
        theta = torch.cat(theta, 1) if theta else None
        if torch.is_grad_enabled():
            # features -> k -> K = k exp(-i phase) -> sum_q K z_q
            kernel = self._rotate(self._kernel(affine, features), theta)
            return apply_connection(planes, kernel, self.stencil)
        return self._in_strips(affine, features, theta, planes)

    def _in_strips(self, affine: Tensor, features: Tensor, theta: Tensor | None, planes: Tensor) -> Tensor:
        """The same in strips of rows of blocks: a kernel has hundreds of entries for each block."""
        (n, m), halo = features.shape[-2:], 2 * self.stencil.blocks
        strip_size = _STRIP.get(features.device.type, _STRIP["cpu"])
        rows = min(n, max(1, strip_size // (len(affine) * m * len(features))))
        padded, out = self.stencil.pad(planes), []
        space = features.new_empty(len(features) * len(affine) * rows * m)  # memory that is new at every strip is slow
        for top in range(0, n, rows):
            strip = features[:, :, top : top + rows]
            # rows of features -> their k and their phases; rows of z with a halo -> sum_q k exp(-i phase) z_q
            kernel = self._kernel(affine, strip, space)
            phase = None if theta is None else self._phase(theta[:, :, top : top + rows])
            window = padded[:, :, 2 * top : 2 * (top + strip.shape[2]) + 2 * halo]
            out.append(unblock(weighted_sum(window, kernel, self.stencil, phase)))
        return torch.cat(out, 2)

    def _kernel(self, affine: Tensor, features: Tensor, space: Tensor | None = None) -> Tensor:
        """k (B, 2, 4, taps, n, m) in the given space when there is one: affine (K, C + 1), its last column the bias."""
        ones = F.pad(features, (0, 0, 0, 0, 0, 1), value=1.0)  # a channel more costs less than to write the bias first
        count, flat = len(features), ones.flatten(2)
        shape = (count, len(affine), flat.shape[2])
        out = None if space is None else space[: shape[0] * shape[1] * shape[2]].view(shape)
        # (K, C + 1) (B, C + 1, n m) -> (B, K, n m) -> planes, corners, taps
        kernel = torch.bmm(affine.expand(count, -1, -1), flat, out=out)
        return kernel.view(count, 2, 4, -1, *features.shape[-2:])

    def _phase(self, theta: Tensor) -> Tensor:
        """theta . d + d . X d / 2 r for every tap: theta, X (B, 2 or 6, n, m) radians per pixel -> (B, taps, n, m)."""
        return torch.einsum("ta,banm->btnm", self.monomials.to(theta), theta)

    def _rotate(self, kernel: Tensor, theta: Tensor | None) -> Tensor:
        """K = k exp(-i phase), shape (B, 2, 4, taps, n, m)."""
        if theta is None:
            return kernel
        phase = self._phase(theta).unsqueeze(1)
        c, s = phase.cos(), phase.sin()
        real, imaginary = kernel.unbind(1)
        return torch.stack([real * c + imaginary * s, imaginary * c - real * s], 1)


def initial_kernel(size: int, dilation: int) -> Tensor:
    """The kernel at the start: a real Gaussian of sum one, narrower in taps the further these are apart.

    Args:
        size: taps along each axis, odd.
        dilation: their distance in pixels.
    Returns:
        shape (8 size^2,): the real entries of the four corners, then the imaginary ones, which are zero.
    """
    line = torch.arange(size) - size // 2
    width = 0.5 ** math.log(dilation, 3)  # standard deviation in taps: 1, 1/2, 1/4 for dilation 1, 3, 9
    weight = torch.exp(-torch.cartesian_prod(line, line).square().sum(1) / (2 * width**2))
    return torch.cat([(weight / weight.sum()).repeat(4), torch.zeros(4 * size**2)])


def phase_monomials(stencil: Stencil, carrier: int) -> Tensor:
    """d and, for a chirp, d d^T / 2 r of every tap: the factors of theta and X.

    Args:
        stencil: its taps are d, in pixels from the central one; r is its radius.
        carrier: 2 with the second-order terms.
    Returns:
        shape (taps, 2), or (taps, 6) with the second-order terms.
    """
    line = torch.arange(stencil.size) - stencil.size // 2
    d = stencil.dilation * torch.cartesian_prod(line, line).float()
    products = (d[:, :, None] * d[:, None, :]).flatten(1) / (2 * max(stencil.receptive_radius, 1))
    return torch.cat([d, products], 1) if carrier >= 2 else d
