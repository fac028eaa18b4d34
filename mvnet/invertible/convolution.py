"""Invertible convolutions with filters larger than 1: periodic, inverted in Fourier space, and triangular.

Source: paper section 4.1.3; Hoogeboom, van den Berg, Welling, Emerging convolutions for generative normalizing flows
(2019), the paper's reference [62].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped, wide

_CONVOLUTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class PeriodicConv(Invertible):
    """Convolution on a periodic grid: z^(w) = K^(w) x^(w) at every frequency w.

    log|det| = sum_w log|det K^(w)|;    x^(w) = K^(w)^-1 z^(w)

    Args:
        channels: of input and output.
        size: taps along each axis, odd.
        dim: number of axes of space, 1 to 3.
        shared: one filter for all channels, which are not mixed.
        generator: source of the initial kernel, a small perturbation of the identity; torch's global one when None.
    Shape:
        (B, channels, n_1, ..., n_d) -> the same, n_i at least `size`.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import PeriodicConv
        >>> layer, x = PeriodicConv(3, size=3, dim=2), torch.randn(2, 3, 8, 8)
        >>> z, change = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    def __init__(
        self,
        channels: int,
        size: int = 3,
        dim: int = 2,
        shared: bool = False,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        _check_taps(size, dim)
        self.channels, self.size, self.dim, self.shared = channels, size, dim, shared
        self.kernel = nn.Parameter(_near_identity(1 if shared else channels, size, dim, generator))

    @classmethod
    def from_filter(cls, taps: Tensor) -> PeriodicConv:
        """The layer of one given filter for all channels, such as `noise_filter` measures.

        Args:
            taps: shape (k, ..., k), k odd.
        Returns:
            the layer; its kernel carries no gradient.
        """
        layer = cls(1, taps.shape[0], taps.ndim, shared=True)
        layer.kernel = nn.Parameter(taps.detach()[None, None].clone(), requires_grad=False)
        return layer

    def transfer(self, sizes: Sequence[int]) -> Tensor:
        """K^ on the half-grid of frequencies that `rfftn` uses.

        Args:
            sizes: n_1, ..., n_d.
        Returns:
            shape (n_1, ..., n_d // 2 + 1, c, c), complex; c = 1 for a shared filter.
        """
        kernel = wide(self.kernel)
        grid = F.pad(kernel, [p for n in reversed(sizes) for p in (0, n - self.size)])
        centred = grid.roll([-(self.size // 2)] * self.dim, tuple(range(2, 2 + self.dim)))
        return torch.fft.rfftn(centred, dim=tuple(range(2, 2 + self.dim))).movedim((0, 1), (-2, -1))

    def smallest_gain(self, sizes: Sequence[int]) -> float:
        """Smallest singular value of the layer on a grid: its inverse magnifies by one over that.

        Args:
            sizes: n_1, ..., n_d.
        Returns:
            a number.
        """
        return float(torch.linalg.svdvals(self.transfer(sizes).detach())[..., -1].min())

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """None: the constants depend on the grid; see `smallest_gain`."""
        return None

    def convolve(self, x: Tensor) -> Tensor:
        """The value of the layer without its log-determinant.

        Args:
            x: shape (B, channels, n_1, ..., n_d).
        Returns:
            the same shape.
        """
        return self._filter(x, self.transfer(x.shape[2:]))

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        transfer = self.transfer(x.shape[2:])
        return self._filter(x, transfer), self._change(transfer, x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        transfer = self.transfer(z.shape[2:])
        gain = torch.linalg.svdvals(transfer.detach())
        if not bool((gain[..., -1] > 1e2 * torch.finfo(gain.dtype).eps * gain[..., 0].max()).all()):
            raise MvnetError(
                f"kernel: found a smallest gain of {float(gain.min()):.1e} on this grid, expected one to divide by"
            )
        return self._filter(z, torch.linalg.inv(transfer)), -self._change(transfer, z)

    def _filter(self, x: Tensor, transfer: Tensor) -> Tensor:
        axes = tuple(range(2, 2 + self.dim))
        spectrum = torch.fft.rfftn(wide(x), dim=axes).movedim(1, -1)
        mixed = spectrum * transfer[..., 0] if self.shared else (transfer @ spectrum[..., None])[..., 0]
        return torch.fft.irfftn(mixed.movedim(-1, 1), s=x.shape[2:], dim=axes)

    def _change(self, transfer: Tensor, x: Tensor) -> Tensor:
        """Frequencies between the ends of the last axis stand for their conjugates too."""
        n = x.shape[-1]
        twice = torch.full((n // 2 + 1,), 2.0, dtype=transfer.real.dtype, device=x.device)
        twice[0] = 1.0
        if n % 2 == 0:
            twice[-1] = 1.0
        # det K^ of the small matrices; x x = |.|^2 keeps the derivative real
        total = (torch.linalg.slogdet(transfer).logabsdet * twice).sum()
        return (total * (x.shape[1] if self.shared else 1)).expand(x.shape[0])

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        if x.ndim != 2 + self.dim or (not self.shared and x.shape[1] != self.channels):
            raise MvnetError(
                f"{name}: found shape {tuple(x.shape)}, expected {self.channels} channels on {self.dim} axes"
            )
        if min(x.shape[2:]) < self.size:
            raise MvnetError(f"{name}: found a grid {tuple(x.shape[2:])}, expected at least {self.size} points an axis")


class TriangularConv(Invertible):
    """Convolution with zero padding whose taps come no later than their point in row-major order.

    The Jacobian is triangular, its diagonal that of the central tap: log|det| = (number of points) sum_c log k_cc, each
    k_cc in (1 / b, b). The inverse solves one line of the last axis after the other, exactly. Two of them in opposite
    order make an emerging convolution.

    Args:
        channels: of input and output.
        size: taps along each axis, odd.
        dim: number of axes of space, 1 to 3.
        reverse: taps come no earlier instead.
        bound: b.
        generator: source of the initial kernel; torch's global one when None.
    Shape:
        (B, channels, n_1, ..., n_d) -> the same.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Chain, TriangularConv
        >>> emerging, x = Chain(TriangularConv(2), TriangularConv(2, reverse=True)), torch.randn(1, 2, 6, 6)
        >>> torch.allclose(emerging.inverse(emerging(x)[0])[0], x, atol=1e-4)
        True
    """

    earlier: Tensor

    def __init__(
        self,
        channels: int,
        size: int = 3,
        dim: int = 2,
        reverse: bool = False,
        bound: float = 2.0,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        _check_taps(size, dim)
        if not 1 < bound < math.inf:
            raise MvnetError(f"bound: found {bound}, expected a number above 1")
        self.channels, self.size, self.dim, self.reverse, self.bound = channels, size, dim, reverse, bound
        self.weight = nn.Parameter(_near_identity(channels, size, dim, generator))
        self.diagonal = nn.Parameter(torch.zeros(channels))
        # taps before the centre in row-major order, and at the centre what is below the diagonal
        earlier = torch.zeros(channels, channels, size**dim)
        earlier[..., : size**dim // 2] = 1
        earlier[..., size**dim // 2] = torch.ones(channels, channels).tril(-1)
        self.register_buffer("earlier", earlier.unflatten(-1, (size,) * dim), persistent=False)

    def kernel(self) -> Tensor:
        """The kernel of the order that is not reversed, shape (channels, channels, k, ..., k)."""
        limit = math.log(self.bound)
        central = torch.diag((limit * torch.tanh(self.diagonal / limit)).exp())
        placed = F.pad(central[(...,) + (None,) * self.dim], [self.size // 2] * (2 * self.dim))
        return wide(self.weight * self.earlier + placed)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        kernel = self.kernel()
        y = _CONVOLUTION[self.dim](self._turn(wide(x)), kernel, padding=self.size // 2)
        return self._turn(y), self._change(x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        z, kernel, half = self._turn(wide(z)), self.kernel(), self.size // 2
        n, leading = z.shape[-1], z.shape[2:-1]
        centre = (slice(None), slice(None), *(half,) * (self.dim - 1))
        line = _line_matrix(kernel[centre], n)
        done: dict[tuple[int, ...], Tensor] = {}
        for at in itertools.product(*map(range, leading)):
            rest = z[(slice(None), slice(None), *at)]
            # what the lines before this one contribute
            for offset in itertools.product(range(-half, half + 1), repeat=self.dim - 1):
                other = tuple(a + o for a, o in zip(at, offset, strict=True))
                if offset < (0,) * (self.dim - 1) and other in done:
                    taps = kernel[(slice(None), slice(None), *(half + o for o in offset))]
                    rest = rest - F.conv1d(done[other], taps, padding=half)
            flat = rest.mT.flatten(1).mT  # (n c, B): points first
            solved = torch.linalg.solve_triangular(line, flat, upper=False)
            done[at] = solved.mT.unflatten(1, (n, self.channels)).mT
        x = torch.stack(list(done.values()), 2).unflatten(2, leading) if leading else done[()]
        return self._turn(x), -self._change(z)

    def _change(self, x: Tensor) -> Tensor:
        limit = math.log(self.bound)
        one = wide(limit * torch.tanh(self.diagonal / limit)).sum()
        return (one * math.prod(x.shape[2:])).expand(x.shape[0])

    def _turn(self, x: Tensor) -> Tensor:
        return x.flip(tuple(range(1, x.ndim))) if self.reverse else x

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        if x.ndim != 2 + self.dim or x.shape[1] != self.channels:
            raise MvnetError(
                f"{name}: found shape {tuple(x.shape)}, expected {self.channels} channels on {self.dim} axes"
            )


def _line_matrix(taps: Tensor, n: int) -> Tensor:
    """The convolution of one line as a matrix (n c, n c), points first: taps (c, c, k), those after the centre zero."""
    c, half = taps.shape[0], taps.shape[-1] // 2
    total = taps.new_zeros(n * c, n * c)
    for lag in range(min(half, n - 1) + 1):
        shifted = torch.diag(taps.new_ones(n - lag), -lag)
        total = total + torch.kron(shifted, taps[..., half - lag])
    return total


def _near_identity(channels: int, size: int, dim: int, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(channels, channels, *(size,) * dim, generator=generator)
    kernel = 0.1 * noise / (channels * size**dim) ** 0.5
    kernel[(slice(None), slice(None), *(size // 2,) * dim)] += torch.eye(channels)
    return kernel


def _check_taps(size: int, dim: int) -> None:
    if size < 1 or size % 2 == 0 or dim not in _CONVOLUTION:
        raise MvnetError(f"size, dim: found {size} and {dim}, expected an odd number, and 1, 2 or 3")


def noise_filter(latents: Tensor, size: int, mask: Tensor | None = None) -> Tensor:
    """The symmetric filter k that gives white noise the correlations of a sample: k * k is its autocovariance.

    The autocovariance, averaged over samples, channels, reflections and exchanges of axes, is tapered (1 up to half of
    the longest lag, then a cosine); the root of its spectrum, cut to `size` taps, has sum of squares 1, so that k * w
    has the variance of w at every point.

    Args:
        latents: shape (B, C, n_1, ..., n_d), of mean zero.
        size: taps along each axis, odd.
        mask: what counts, shape (B, 1, n_1, ..., n_d); everything when None.
    Returns:
        shape (size, ..., size), in the dtype of the latents, or float32.
    Raises:
        MvnetError: the size is even, the latents are smaller than it, not finite, or zero throughout the mask.
    """
    x, dim = wide(latents.detach()), latents.ndim - 2
    _check_taps(size, dim)
    if min(x.shape[2:]) < size or not torch.isfinite(x).all():
        raise MvnetError(f"latents: found {tuple(x.shape)}, expected finite values on at least {size} points an axis")
    weight = torch.ones_like(x[:, :1]) if mask is None else (mask != 0).to(x)
    axes, padded = tuple(range(2, 2 + dim)), [n + size for n in x.shape[2:]]
    # sums over pairs of points at each lag, and the numbers of these pairs
    pairs = [
        torch.fft.irfftn(torch.fft.rfftn(f, padded, axes).abs().square(), padded, axes) for f in (x * weight, weight)
    ]
    sums, counts = (p.roll([size - 1] * dim, axes)[(..., *(slice(2 * size - 1),) * dim)].sum((0, 1)) for p in pairs)
    covariance = _symmetrise(sums) / _symmetrise(counts).clamp(min=0.5) / x.shape[1]
    if not float(covariance[(size - 1,) * dim]) > 0:
        raise MvnetError("latents: found zeros throughout the mask, expected a sample with a variance")
    lags = torch.arange(1 - size, size, dtype=x.dtype, device=x.device).abs() / size
    taper = torch.where(lags < 0.5, 1.0, (1 + torch.cos(math.pi * (2 * lags - 1))) / 2)
    for axis in range(dim):
        covariance = covariance * taper.view([-1 if a == axis else 1 for a in range(dim)])
    grid = [4 * size] * dim
    around = F.pad(covariance, [p for n in grid for p in (0, n - 2 * size + 1)]).roll(
        [1 - size] * dim, tuple(range(dim))
    )
    root = torch.fft.rfftn(around).real.clamp(min=0).sqrt()
    taps = torch.fft.irfftn(root, grid).roll([size // 2] * dim, tuple(range(dim)))[(slice(size),) * dim]
    return taps / taps.square().sum().sqrt()


def _symmetrise(x: Tensor) -> Tensor:
    """Average over reflections and exchanges of axes."""
    for axis in range(x.ndim):
        x = (x + x.flip(axis)) / 2
    orders = list(itertools.permutations(range(x.ndim)))
    return torch.stack([x.permute(order) for order in orders]).mean(0)
