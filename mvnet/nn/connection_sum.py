"""The weighted sum of parallel-transported neighbours, z'_p = sum_q K(p, q) z_q, with K a complex number for each tap.

In real arithmetic, K = K^r + i K^i and z as two planes,

    z'_p = sum_q  K^r_pq z_q  +  i sum_q  K^i_pq z_q

so the sums with the real and with the imaginary weights are gathered separately, and i is applied once at the end.
Gradients, with <a, b> = Re(a conj b) for the product of two planes:

    dz_q += conj(K_pq) dz'_p,        dK^r_pq = <dz'_p, z_q>,        dK^i_pq = <dz'_p, i z_q>
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mvnet.nn.complex_planes import times_i
from mvnet.nn.stencil import Stencil, unblock


class _ConnectionSum(torch.autograd.Function):
    """`weighted_sum` without a phase, with a backward that adds into one padded buffer instead of one for each tap."""

    @staticmethod
    def forward(ctx, padded: Tensor, kernel: Tensor, stencil: Stencil) -> Tensor:
        """padded (B, 2, 2 (n + 2 blocks), 2 (m + 2 blocks)), kernel (B, 2, 4, taps, n, m) -> (B, 2, 4, n, m)."""
        ctx.save_for_backward(padded, kernel)
        ctx.stencil = stencil
        return weighted_sum(padded, kernel, stencil)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """dz' (B, 2, 4, n, m) -> (dz, dK, None), in the shapes of `forward`."""
        padded, kernel = ctx.saved_tensors
        stencil: Stencil = ctx.stencil
        n, m = kernel.shape[-2:]
        # z -> views of z_q and of i z_q, corner by corner and tap by tap
        plain = stencil.windows(stencil.split(padded), n, m)
        rotated = stencil.windows(stencil.split(times_i(padded)), n, m)
        # dz -> the same views of a buffer of zeros: writing into them scatters
        sums = stencil.split(torch.zeros_like(padded))
        targets = stencil.windows(sums, n, m)
        to_kernel = torch.empty_like(kernel)
        real, imaginary = split_kernel(kernel)
        to_real, to_imaginary = split_kernel(to_kernel)
        for q, (z, iz, target) in enumerate(zip(plain, rotated, targets)):
            if q % stencil.size**2 == 0:  # the taps of another corner begin
                g = gradient[:, :, q // stencil.size**2].contiguous()
                back, (g0, g1) = -times_i(g), g.split(1, 1)
            # dz_q += K^r dz' - K^i (i dz')
            target.addcmul_(real[q], g).addcmul_(imaginary[q], back)
            # dK^r = <dz', z_q>
            torch.mul(g0, z[:, :1], out=to_real[q]).addcmul_(g1, z[:, 1:])
            # dK^i = <dz', i z_q>
            torch.mul(g0, iz[:, :1], out=to_imaginary[q]).addcmul_(g1, iz[:, 1:])
        # four fields of equal parity -> one padded image
        to_padded = torch.empty_like(padded)
        for a in (0, 1):
            for b in (0, 1):
                to_padded[:, :, a::2, b::2] = sums[a][b]
        return to_padded, to_kernel, None


def split_kernel(kernel: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Views of the real and of the imaginary part for every corner and tap.

    Args:
        kernel: shape (B, 2, 4, taps, n, m).
    Returns:
        two tuples of 4 taps views of shape (B, 1, n, m).
    """
    real, imaginary = kernel.flatten(2, 3).split(1, 1)
    return real.unbind(2), imaginary.unbind(2)


def weighted_sum(padded: Tensor, kernel: Tensor, stencil: Stencil, phase: Tensor | None = None) -> Tensor:
    """sum_q k(p, q) exp(-i phase(p, q)) z_q, corner by corner.

    Args:
        padded: shape (B, 2, 2 (n + 2 blocks), 2 (m + 2 blocks)): z with `stencil.blocks` blocks around it.
        kernel: shape (B, 2, 4, taps, n, m): planes, corner of the block, tap.
        stencil: where the taps lie.
        phase: shape (B, taps, n, m), radians, the same for all corners; None for zero.
    Returns:
        shape (B, 2, 4, n, m).
    """
    n, m = kernel.shape[-2:]
    plain = stencil.windows(stencil.split(padded), n, m)
    taps_each = stencil.size**2
    by_real, by_imaginary = padded.new_zeros(2, len(padded), 4, 2, n, m)
    real, imaginary = split_kernel(kernel)
    if phase is not None:
        rotated = stencil.windows(stencil.split(times_i(padded)), n, m)
        cosines, sines = (x.unsqueeze(1).unbind(2) for x in (phase.cos(), phase.sin()))
        y = padded.new_empty(len(padded), 2, n, m)
    for q, z in enumerate(plain):
        corner, tap = divmod(q, taps_each)
        if phase is not None:
            # z_q -> exp(-i phase) z_q = cos(phase) z_q - sin(phase) i z_q
            z = torch.mul(z, cosines[tap], out=y).addcmul_(rotated[q], sines[tap], value=-1)
        # -> sums with k^r and with k^i
        by_real[:, corner].addcmul_(real[q], z)
        by_imaginary[:, corner].addcmul_(imaginary[q], z)
    # -> sum k^r z + i sum k^i z
    return by_real.transpose(1, 2).add_(times_i(by_imaginary.transpose(1, 2)))


def apply_connection(planes: Tensor, kernel: Tensor, stencil: Stencil) -> Tensor:
    """z'_p = sum_q K(p, q) z_q, zero outside the image; differentiable once.

    Args:
        planes: shape (B, 2, 2 n, 2 m): real and imaginary part of z, any unit.
        kernel: shape (B, 2, 4, taps, n, m): planes, corner of the block, tap.
        stencil: where the taps lie.
    Returns:
        shape (B, 2, 2 n, 2 m), the unit of z.

    Examples:
        >>> import torch
        >>> from mvnet.nn import Stencil, apply_connection
        >>> stencil, z = Stencil(3, 1), torch.randn(1, 2, 8, 12)
        >>> identity = torch.zeros(1, 2, 4, 9, 4, 6)
        >>> identity[:, 0, :, 4] = 1  # the central tap, real
        >>> torch.equal(apply_connection(z, identity, stencil), z)
        True
    """
    return unblock(_ConnectionSum.apply(stencil.pad(planes), kernel, stencil))
