"""The posterior of a denoised phase: its error as a von Mises variable at a correlated Gaussian field.

    phi_n = phi + Q(kappa, g_n),        g_n = sum_r c_r (B_r * w_n) / |c|

Q is the wrapped quantile, w_n white noise, B_1, ..., B_R orthonormal filters, so that g_n is standard normal at every
pixel whatever its coefficients c, and every pixel is von Mises of the concentration that the denoiser says. c is that
of a filter of a bank, one for every node of log kappa, fringe frequency and gain of concentration, for white and for
correlated noise of the input, interpolated between the nodes. A filter is the root of the spectrum of the latents
Q^-1(kappa, error) that were measured on training scenes (`mvnet.models.insar.posterior.fit`).
Source: paper section 4.1.3, its reference [62], the invertible convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError

LOG_CONCENTRATIONS = (0.0, 2.0, 3.5, 5.0)
FREQUENCIES = (0.08, 0.3, 1.0)
"""Radians per pixel; they are interpolated in their logarithms."""

LOG_GAINS = (0.0, 0.75, 1.5, 2.25, 3.0, 4.0, 5.0, 6.0)
"""log kappa less that of the input: the logarithm of the number of pixels averaged, in effect."""

CORRELATIONS = (0.1, 0.6)
"""Of the noise of the input at one pixel, the mean of both axes; below the first, what is measured is the signal."""

_LEAST = 1e-3  # radians per pixel


class InSARPosterior(nn.Module):
    """A bank of filters. Its buffers are measured, not trained.

    Args:
        log_concentrations, frequencies, log_gains, correlations: nodes of the bank, increasing; frequencies in radians
            per pixel.
        taps: side of a filter, odd.
        rank: R, number of orthonormal filters.
    Raises:
        MvnetError: nodes that do not increase, or an even number of taps.
    """

    filters: Tensor
    coefficients: Tensor

    def __init__(
        self,
        log_concentrations: Sequence[float] = LOG_CONCENTRATIONS,
        frequencies: Sequence[float] = FREQUENCIES,
        log_gains: Sequence[float] = LOG_GAINS,
        correlations: Sequence[float] = CORRELATIONS,
        taps: int = 33,
        rank: int = 8,
    ):
        super().__init__()
        nodes = {
            "log_concentrations": list(log_concentrations),
            "frequencies": list(frequencies),
            "log_gains": list(log_gains),
            "correlations": list(correlations),
        }
        for name, values in nodes.items():
            if not values or values != sorted(set(values)):
                raise MvnetError(f"{name}: found {values}, expected increasing numbers")
        if taps < 1 or taps % 2 == 0 or rank < 1:
            raise MvnetError(f"taps, rank: found {taps} and {rank}, expected an odd number and a positive one")
        self.config = {**nodes, "taps": taps, "rank": rank}
        white = torch.zeros(rank, taps, taps)
        white[0, taps // 2, taps // 2] = 1
        self.register_buffer("filters", white)
        axes = (correlations, log_concentrations, frequencies, log_gains)
        first = torch.zeros(*(len(values) for values in axes), rank)
        first[..., 0] = 1
        self.register_buffer("coefficients", first)

    @property
    def margin(self) -> int:
        """Pixels of noise on each side that the field at a pixel depends on."""
        return self.config["taps"] // 2

    def place(self, log_concentration: Tensor, frequency: Tensor, log_gain: Tensor, correlation: float = 0.0) -> Tensor:
        """c / |c| of every pixel.

        Args:
            log_concentration: log kappa, shape (...).
            frequency: of the fringes, radians per pixel, the same shape.
            log_gain: of `mvnet.models.insar.posterior.inputs.log_gain`, the same shape.
            correlation: of the noise of the input at one pixel.
        Returns:
            (R, ...), of sum of squares 1.
        """
        bank = _between(self.coefficients, self.config["correlations"], correlation)
        axes = self._axes(log_concentration, frequency, log_gain)
        found = torch.zeros(bank.shape[-1], *log_concentration.shape)
        for corner in product((False, True), repeat=len(axes)):
            index, weight = [], torch.ones_like(found[0])
            for above, (below, share), n in zip(corner, axes, bank.shape):
                index.append((below + 1).clamp_max(n - 1) if above else below)
                weight = weight * (share if above else 1 - share)
            found += bank[tuple(index)].movedim(-1, 0) * weight
        return found / found.square().sum(0).sqrt()

    def nearest(self, log_concentration: Tensor, frequency: Tensor, log_gain: Tensor) -> Tensor:
        """Number of the nearest node of the bank, for every pixel.

        Args:
            log_concentration, frequency, log_gain: as of `place`.
        Returns:
            whole numbers of the same shape; the gains run fastest, then the frequencies.
        """
        number = torch.zeros_like(log_concentration, dtype=torch.long)
        axes = self._axes(log_concentration, frequency, log_gain)
        for (below, share), n in zip(axes, self.coefficients.shape[1:]):
            number = number * n + below + share.round().long()
        return number

    def _axes(self, log_concentration: Tensor, frequency: Tensor, log_gain: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The node below, and the share of the way to the next, along every axis of the bank."""
        logs = [math.log(f) for f in self.config["frequencies"]]
        return [
            _nodes(log_concentration, self.config["log_concentrations"]),
            _nodes(frequency.clamp_min(_LEAST).log(), logs),
            _nodes(log_gain, self.config["log_gains"]),
        ]

    def correlate(self, noise: Tensor) -> Tensor:
        """B_r * w, where the filters lie within the noise.

        Args:
            noise: w, (h + 2 m, w + 2 m) with the margin m.
        Returns:
            (R, h, w).
        """
        size, (height, width) = self.config["taps"], noise.shape
        grid = [_fast(n) for n in noise.shape]
        # correlation, the same as convolution for filters that are even
        transfer = torch.fft.rfft2(self.filters.to(noise), grid).conj()
        spectrum = torch.fft.rfft2(noise, grid)
        return torch.fft.irfft2(transfer * spectrum, grid)[:, : height - size + 1, : width - size + 1]


def _nodes(values: Tensor, nodes: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The node below every value, and the share of the way to the next: 0 below the first, and above the last."""
    known = torch.tensor(nodes, dtype=torch.float32)
    values = values.float().clamp(nodes[0], nodes[-1])
    if len(nodes) == 1:
        return torch.zeros_like(values).long(), torch.zeros_like(values)
    index = (torch.searchsorted(known, values.contiguous(), right=True) - 1).clamp(0, len(nodes) - 2)
    return index, (values - known[index]) / (known[index + 1] - known[index])


def _between(bank: Tensor, nodes: Sequence[float], value: float) -> Tensor:
    index, share = _nodes(torch.tensor([value]), nodes)
    last = min(int(index) + 1, len(nodes) - 1)
    return torch.lerp(bank[int(index)], bank[last], float(share))


def _fast(n: int) -> int:
    """The next number with no prime factor above 5: its Fourier transform is fast."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
