"""Choose on the circle: a learned connection. A network predicts a complex kernel for every pixel,

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
from torch.autograd.function import once_differentiable

from mvnet.equivariant import FieldType, GroupConv, Internal, Kronecker, Vector, WaveVector
from mvnet.equivariant.kernels import taps
from mvnet.equivariant.pooling import corners

_STRIP = {"cpu": 2**22, "cuda": 2**28}
"""Kernel entries predicted at a time in evaluation: 16 MB of float32, or as many as keep a GPU busy."""


class Stencil:
    """Where the taps of every corner of a 2x2 block lie in a field that was padded and split by parity.

    Args:
        size: taps along each axis, odd.
        dilation: their distance in pixels.
    """

    def __init__(self, size: int, dilation: int):
        self.size, self.dilation = size, dilation
        self.receptive_radius = dilation * (size // 2)
        self.blocks = (self.receptive_radius + 1) // 2  # of padding on every side
        line = [dilation * (tap - size // 2) + 2 * self.blocks for tap in range(size)]
        self.taps = [[(cy + y, cx + x) for y in line for x in line] for cy in (0, 1) for cx in (0, 1)]

    def split(self, x: Tensor) -> list[list[Tensor]]:
        """x (B, C, 2 n, 2 m), padded by 2 `blocks` pixels -> the four fields of equal parity, [row][column]."""
        return [[x[:, :, a::2, b::2].contiguous() for b in (0, 1)] for a in (0, 1)]

    def windows(self, parts: list[list[Tensor]], n: int, m: int) -> list[Tensor]:
        """For every corner, and every tap of it, a view (B, C, n, m)."""
        first = parts[0][0]
        size, stride = (*first.shape[:2], n, m), first.stride()
        places = (
            (parts[y % 2][x % 2], y // 2 * stride[2] + x // 2 * stride[3]) for corner in self.taps for y, x in corner
        )
        return [part.as_strided(size, stride, start) for part, start in places]


def times_i(planes: Tensor) -> Tensor:
    """i z from (B, 2, ...)."""
    real, imaginary = planes.unbind(1)
    return torch.stack([-imaginary, real], 1)


class _ConnectionSum(torch.autograd.Function):
    """z'_p = sum_q (K^r + i K^i)_pq z_q  with  dz_q += conj K_pq dz'_p,  dK^r = <dz', z_q>,  dK^i = <dz', i z_q>."""

    @staticmethod
    def forward(ctx, padded: Tensor, kernel: Tensor, stencil: Stencil) -> Tensor:
        """padded (B, 2, 2 (n + 2 blocks), 2 (m + 2 blocks)), kernel (B, 2, 4, taps, n, m) -> (B, 2, 4, n, m)."""
        ctx.save_for_backward(padded, kernel)
        ctx.stencil = stencil
        return weighted_sum(padded, kernel, stencil)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        padded, kernel = ctx.saved_tensors
        stencil: Stencil = ctx.stencil
        n, m = kernel.shape[-2:]
        plain = stencil.windows(stencil.split(padded), n, m)
        turned = stencil.windows(stencil.split(times_i(padded)), n, m)
        sums = stencil.split(torch.zeros_like(padded))
        targets = stencil.windows(sums, n, m)
        to_kernel = torch.empty_like(kernel)
        real, imaginary = split_parts(kernel)
        to_real, to_imaginary = split_parts(to_kernel)
        for q, (z, iz, target) in enumerate(zip(plain, turned, targets)):
            if q % stencil.size**2 == 0:
                g = gradient[:, :, q // stencil.size**2].contiguous()
                back, (g0, g1) = -times_i(g), g.split(1, 1)
            target.addcmul_(real[q], g).addcmul_(imaginary[q], back)
            torch.mul(g0, z[:, :1], out=to_real[q]).addcmul_(g1, z[:, 1:])
            torch.mul(g0, iz[:, :1], out=to_imaginary[q]).addcmul_(g1, iz[:, 1:])
        to_padded = torch.empty_like(padded)
        for a in (0, 1):
            for b in (0, 1):
                to_padded[:, :, a::2, b::2] = sums[a][b]
        return to_padded, to_kernel, None


def split_parts(kernel: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Views (B, 1, n, m) of the real and of the imaginary part, for every corner and tap."""
    real, imaginary = kernel.flatten(2, 3).split(1, 1)
    return real.unbind(2), imaginary.unbind(2)


def weighted_sum(padded: Tensor, kernel: Tensor, stencil: Stencil, phase: Tensor | None = None) -> Tensor:
    """sum_q k(p, q) exp(-i phase(p, q)) z_q.

    Args:
        padded: (B, 2, 2 (n + 2 blocks), 2 (m + 2 blocks)), z with `stencil.blocks` blocks around it.
        kernel: (B, 2, 4, taps, n, m): planes, corner of the block, tap.
        phase: (B, taps, n, m) radians, the same for all corners; None for zero.
    Returns:
        (B, 2, 4, n, m).
    """
    n, m = kernel.shape[-2:]
    plain = stencil.windows(stencil.split(padded), n, m)
    taps_each = stencil.size**2
    by_real, by_imaginary = padded.new_zeros(2, len(padded), 4, 2, n, m)
    real, imaginary = split_parts(kernel)
    if phase is not None:
        turned = stencil.windows(stencil.split(times_i(padded)), n, m)
        cosines, sines = (x.unsqueeze(1).unbind(2) for x in (phase.cos(), phase.sin()))
        y = padded.new_empty(len(padded), 2, n, m)
    for q, z in enumerate(plain):
        corner, tap = divmod(q, taps_each)
        if phase is not None:
            z = torch.mul(z, cosines[tap], out=y).addcmul_(turned[q], sines[tap], value=-1)
        by_real[:, corner].addcmul_(real[q], z)
        by_imaginary[:, corner].addcmul_(imaginary[q], z)
    return by_real.transpose(1, 2).add_(times_i(by_imaginary.transpose(1, 2)))


def apply_connection(planes: Tensor, kernel: Tensor, stencil: Stencil) -> Tensor:
    """sum_q K(p, q) z_q, zero outside the field; differentiable once.

    Args:
        planes: (B, 2, 2 n, 2 m), real and imaginary.
        kernel: (B, 2, 4, taps, n, m): planes, corner of the block, tap.
    Returns:
        (B, 2, 2 n, 2 m).
    """
    out = _ConnectionSum.apply(F.pad(planes, (2 * stencil.blocks,) * 4), kernel, stencil)
    return unblock(out)


def unblock(values: Tensor) -> Tensor:
    """(B, C, 4, n, m), the corners of the blocks in row-major order -> (B, C, 2 n, 2 m)."""
    return F.pixel_shuffle(values.flatten(1, 2), 2)


class ConnectionFilter(nn.Module):
    """Kernels from features of 2x2 blocks, then the weighted, transported sum.

    With a carrier the kernels follow a local fringe frequency theta that is predicted beside them, and its change,
    the chirp X, so that one linear map of the features serves all frequencies and fringes that bend:

        K(p, q) = k(p, q) exp(-i (theta . d + d . X d / 2 r)),    d = q - p,   theta a wave vector, X a matrix of such

    r is the reach of the kernel: X is the change of theta from its centre to its rim. Both are zero at the start.

    Args:
        fields: type of the features; its group acts on values by conjugation.
        size: taps along each axis, odd.
        dilation: distance of the taps in pixels.
        carrier: order of the phase that is predicted: 0 for none, 1 for theta, 2 for theta and X.
    """

    prior: Tensor
    monomials: Tensor

    def __init__(self, fields: FieldType, size: int, dilation: int = 1, carrier: int = 0):
        super().__init__()
        group = fields.group
        real = Kronecker(corners(group), taps(group, size))
        self.stencil = Stencil(size, dilation)
        self.kernels = GroupConv(fields, FieldType((1, real), (1, Kronecker(real, Internal(group)))), 1)
        nn.init.zeros_(self.kernels.weight)
        wave = WaveVector(group)
        self.frequency = GroupConv(fields, FieldType((1, wave)), 1) if carrier >= 1 else None
        self.chirp = GroupConv(fields, FieldType((1, Kronecker(wave, Vector(group)))), 1) if carrier >= 2 else None
        for predicted in (self.frequency, self.chirp):
            if predicted is not None:
                nn.init.zeros_(predicted.weight)
        line = torch.arange(size) - size // 2
        width = 0.5 ** math.log(dilation, 3)  # of the kernel at the start, in taps
        weight = torch.exp(-torch.cartesian_prod(line, line).square().sum(1) / (2 * width**2))
        weight = torch.cat([(weight / weight.sum()).repeat(4), torch.zeros(4 * size**2)])
        self.register_buffer("prior", weight, persistent=False)
        d = dilation * torch.cartesian_prod(line, line).float()
        products = (d[:, :, None] * d[:, None, :]).flatten(1) / (2 * max(self.stencil.receptive_radius, 1))
        monomials = torch.cat([d, products], 1) if carrier >= 2 else d
        self.register_buffer("monomials", monomials, persistent=False)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        """features (B, C, n, m) and planes (B, 2, 2 n, 2 m) -> (B, 2, 2 n, 2 m)."""
        weight, bias = self.kernels.kernel_and_bias()
        bias = self.prior if bias is None else self.prior + bias
        affine = torch.cat([weight.flatten(1), bias[:, None]], 1)
        theta = [predicted(features) for predicted in (self.frequency, self.chirp) if predicted is not None]
        theta = torch.cat(theta, 1) if theta else None
        if torch.is_grad_enabled():
            return apply_connection(planes, self._rotate(self._kernel(affine, features), theta), self.stencil)
        (n, m), halo = features.shape[-2:], 2 * self.stencil.blocks
        strip_size = _STRIP.get(features.device.type, _STRIP["cpu"])
        rows = min(n, max(1, strip_size // (len(bias) * m * len(features))))
        padded, out = F.pad(planes, (halo,) * 4), []
        space = features.new_empty(len(features) * len(bias) * rows * m)  # memory that is new at every strip is slow
        for top in range(0, n, rows):
            strip = features[:, :, top : top + rows]
            kernel = self._kernel(affine, strip, space)
            phase = None if theta is None else self._phase(theta[:, :, top : top + rows])
            window = padded[:, :, 2 * top : 2 * (top + strip.shape[2]) + 2 * halo]
            out.append(unblock(weighted_sum(window, kernel, self.stencil, phase)))
        return torch.cat(out, 2)

    def _kernel(self, affine: Tensor, features: Tensor, space: Tensor | None = None) -> Tensor:
        """(B, 2, 4, taps, n, m) in the given space when there is one: affine (K, C + 1), its last column the bias."""
        ones = F.pad(features, (0, 0, 0, 0, 0, 1), value=1.0)  # a channel more costs less than to write the bias first
        count, flat = len(features), ones.flatten(2)
        shape = (count, len(affine), flat.shape[2])
        out = None if space is None else space[: shape[0] * shape[1] * shape[2]].view(shape)
        kernel = torch.bmm(affine.expand(count, -1, -1), flat, out=out)
        return kernel.view(count, 2, 4, -1, *features.shape[-2:])

    def _phase(self, theta: Tensor) -> Tensor:
        """theta . d + d . X d / 2 r for every tap: theta, X (B, 2 or 6, n, m) radians per pixel -> (B, taps, n, m)."""
        return torch.einsum("ta,banm->btnm", self.monomials.to(theta), theta)

    def _rotate(self, kernel: Tensor, theta: Tensor | None) -> Tensor:
        """The kernel (B, 2, 4, taps, n, m) with the phase of the carrier."""
        if theta is None:
            return kernel
        phase = self._phase(theta).unsqueeze(1)
        c, s = phase.cos(), phase.sin()
        real, imaginary = kernel.unbind(1)
        return torch.stack([real * c + imaginary * s, imaginary * c - real * s], 1)
