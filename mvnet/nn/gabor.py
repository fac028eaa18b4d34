"""A Gabor bank: complex matched filters for the local fringe frequencies of an interferogram.

A bank of complex kernels k_j turns z into |(k_j * z)(p)|: invariant to the global phase, and a field of the group that
permutes the kernels. An element (M, s) of D4xZ2 takes the wave vector v of a kernel to s M v, since conj z holds the
conjugate waves. At the start

    k(x) = exp(-|x|^2 / (2 sigma^2)) exp(-i v.x),        sigma = size / 4,      sum |k|^2 = 1

and training is free within k_gj(x) = k_j(M^-1 x), conjugated where s = -1. The two planes of a kernel are an ordinary
equivariant kernel from (1, internal), the types of Re z and Im z; applied to z and to -i z it gives the real and the
imaginary part of k * z.
Source: Gabor, Theory of communication (1946); Bruna and Mallat, Invariant scattering networks (2013), for moduli.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import REPRESENTATIONS, FieldType, Group, GroupConv, Internal, Points, Trivial
from mvnet.errors import MvnetError

_EPS = 1e-2  # modulus below which a number counts as zero

Wave = tuple[str, float]
"""A representation ("trivial" or an orbit of wave vectors) and the length of its wave vectors, radians per pixel."""


class GaborBank(nn.Module):
    """|k_j * z| at the centre of every block of `stride` x `stride` pixels.

    Args:
        group: a group of the plane, acting on values by conjugation.
        waves: the fields of kernels: a representation, and the length of its wave vectors in radians per pixel.
        size: taps along each axis; even where the stride is.
        stride: side of the blocks in pixels; the output has one value for each block.
        generator: source of the draw that the initial kernels replace; torch's global one when None.
    Shape:
        planes (B, 2, H, W) -> (B, fields_out.channels, H / stride, W / stride).
    Attributes:
        fields_out: type of the output, one field for each entry of `waves`.
    Raises:
        MvnetError: when size and stride are not both even or both odd.
    Source: Gabor, Theory of communication (1946).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import group
        >>> from mvnet.nn import GaborBank
        >>> bank = GaborBank(group("D4xZ2"), (("trivial", 0.0), ("waves-sides", 1.2)), size=8, stride=2)
        >>> bank(torch.randn(1, 2, 16, 24)).shape
        torch.Size([1, 5, 8, 12])
    """

    def __init__(
        self,
        group: Group,
        waves: Sequence[Wave],
        size: int,
        stride: int,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if (size - stride) % 2:
            raise MvnetError(f"size and stride: found {size} and {stride}, expected both even or both odd")
        pairs = [(REPRESENTATIONS[name](group), length) for name, length in waves]
        self.fields_out = FieldType(*((1, rho) for rho, _ in pairs))
        fields_in = FieldType((1, Trivial(group)), (1, Internal(group)))
        self.stride, self.padding = stride, (size - stride) // 2
        self.kernels = GroupConv(fields_in, self.fields_out, size, bias=False, generator=generator)
        self._initialise(torch.cat([wave_vectors(rho, length) for rho, length in pairs]), size)

    @torch.no_grad()
    def _initialise(self, vectors: Tensor, size: int) -> None:
        """Weights of the kernels with the given wave vectors (J, 2)."""
        line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        x = torch.cartesian_prod(line, line)
        angle, window = x @ vectors.mT, torch.exp(-x.square().sum(1, keepdim=True) / (2 * (size / 4) ** 2))
        window = window / window.square().sum().sqrt()
        # k = a + i b acts on (Re z, Im z) as (a, -b)
        kernel = torch.stack([window * angle.cos(), window * angle.sin()]).permute(2, 0, 1)
        # kernel -> free weights: the mean over the entries that share one
        expansion = self.kernels.expansion
        total = torch.zeros(expansion.count, dtype=torch.float64)
        total.index_add_(0, expansion.index, expansion.sign.double() * kernel.flatten())
        count = torch.zeros_like(total).index_add_(0, expansion.index, expansion.sign.abs().double())
        self.kernels.weight.copy_(total / count)

    def forward(self, planes: Tensor) -> Tensor:
        """Moduli of the filtered image.

        Args:
            planes: shape (B, 2, H, W), real and imaginary part in any unit; H and W multiples of the stride.
        Returns:
            shape (B, fields_out.channels, H / stride, W / stride), of the type `fields_out`, in the unit of the planes.
        Raises:
            MvnetError: when a length is no multiple of the stride.
        """
        if planes.shape[-1] % self.stride or planes.shape[-2] % self.stride:
            raise MvnetError(
                f"planes: found a field of shape {tuple(planes.shape[2:])}, expected multiples of {self.stride}"
            )
        real, imaginary = planes.unbind(1)
        # z -> z and -i z -> Re(k * z) and Im(k * z) -> |k * z|
        both = torch.cat([planes, torch.stack([imaginary, -real], 1)])
        kernel, _ = self.kernels.kernel_and_bias()
        real, imaginary = F.conv2d(both, kernel, stride=self.stride, padding=self.padding).chunk(2)
        return (real.square() + imaginary.square() + _EPS**2).sqrt()


def wave_vectors(rho: object, length: float) -> Tensor:
    """The orbit of wave vectors that a representation permutes, scaled to a length.

    Args:
        rho: a representation; one that permutes points has an orbit.
        length: radians per pixel.
    Returns:
        shape (n, 2), float64, radians per pixel; zero, (1, 2), for scalars.
    """
    if not isinstance(rho, Points):
        return torch.zeros(1, 2, dtype=torch.float64)
    return length * rho.points / rho.points[0].norm()
