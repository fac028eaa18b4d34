"""The denoiser of interferograms: features from invariants, values on the circle, connection filters, then an ODE.

    h   = U-Net( |k_j * z|, z_q conj z_p, |z|, coherence, validity, noise )    invariant to the global phase
    z'  = sum_q k(p, q; h) exp(-i (theta(h).d + d.X(h)d / 2r)) z_q, d = q-p  connection filter, several of them
    phi = flow of  phi' = xi(t, phi; z, h)  from  arg z'                     manifold ODE, Lie-group integrator on S^1
    log concentration of the error of phi from h and |z'|                    quality map

The network is equivariant to the global phase, z -> e^{ia} z, to conjugation, z -> conj z, and to the symmetries D4 of
the image; theta, a local fringe frequency, and its change X rotate with the image and change sign under conjugation.
The last two form the finite group D4xZ2, whose conjugation acts on values only. Features live on 2x2 blocks of
pixels and coarser; predictions from them are for the four pixels ("corners") of a block.
Source: paper sections 2.3 (circle), 2.4.3 and 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.data_loaders.insar.noise import LAGS as NOISE_LAGS
from mvnet.equivariant import (
    FieldType,
    Group,
    GroupConv,
    Internal,
    Kronecker,
    Points,
    Trivial,
    permutation_type,
    rms_squash,
)
from mvnet.equivariant import group as find_group
from mvnet.equivariant.pooling import corners
from mvnet.errors import MvnetError
from mvnet.nn.circle_ode import CircleODE
from mvnet.nn.complex_planes import angle
from mvnet.nn.connection import ConnectionFilter
from mvnet.nn.gabor import GaborBank, Wave
from mvnet.nn.memory import run_part
from mvnet.nn.stencil import Stencil
from mvnet.nn.unet import EquivariantUNet

SCALARS = ("valid", "known", "coherence")
"""Planes beside z: validity and whether a coherence was given, in {0, 1}; coherence in [0, 1], zero where unknown."""

FINE = {"trivial": 4, "sides": 1, "waves": 1, "regular": 1}
COARSE = {"trivial": 4, "sides": 1, "waves-sides": 1, "waves-corners": 1, "waves": 2, "regular": 2}
HIDDEN = {"regular": 1}
"""Features of 32, 64 and 16 channels: orbits, which D4xZ2 permutes, so that pointwise nonlinearities keep the symmetry.
The "waves" are orbits of wave vectors. Only "regular" contains an odd scalar."""

FIELD = {"down": (1, 4, 7), "up": (3, 4, 3), "noise": True}
"""Options of the network that is trained: it knows the noise, and has more convolutions than the first one had."""

WAVES: tuple[Wave, ...] = (
    ("trivial", 0.0),
    *((name, length) for length in (0.6, 1.2, 1.8, 2.4) for name in ("waves-sides", "waves-corners")),
    ("waves", 1.3),
    ("waves", 1.9),
)

LAGS = ((-1, 0), (0, -1), (0, 1), (1, 0))
_AROUND = Stencil(3, 1)

_SATURATION = 4.0  # c, the bound of |z| over its local mean
_WINDOW = 5  # blocks along each axis of the local mean
_NO_SIGNAL = 1e-15  # local mean of |z|, in the unit of the data, below which there is none
_EPS = 1e-3
_LOG_CONCENTRATION = (-3.0, 7.0)


class DenoisedPhase(NamedTuple):
    """Output of the network.

    Attributes:
        phase: shape (B, H, W), radians in (-pi, pi].
        log_concentration: shape (B, H, W), log of the kappa of a von Mises error of the phase.
        filtered: z' after every connection filter, shape (B, 2, H, W).
    """

    phase: Tensor
    log_concentration: Tensor
    filtered: list[Tensor]


class InSARDenoiser(nn.Module):
    """S^1-valued manifold-ODE network on interferograms.

    Args:
        fields: features of every level, multiplicities of named representations; permutations only.
        hidden: features inside the ODE block and the concentration map, likewise.
        down, up: number of residual convolutions of every level, before and after the coarser ones.
        waves: Gabor filters (representation, radians per pixel).
        windows: taps along each axis of the Gabor filters of every level; 0 for none.
        kernels: (taps along each axis, dilation) of every connection filter.
        carrier: order of the phase predicted for their kernels: 1, fringe frequency; 2, and its gradient; 0, none.
        move_levels: number of resolutions at which the ODE block reads its state.
        group: "D4xZ2"; any group of the plane with one internal sign.
        method: Lie-group integrator of the ODE block, a name of `mvnet.integrators.METHODS`.
        noise: whether the noise's correlation and looks enter, and the concentration is told from all filters.
        gradient: how the gradient of the ODE block is found, a name of `mvnet.integrators.GRADIENTS`.
        generator: source of the initial weights; torch's global generator when None.
    Attributes:
        memory: a name of `mvnet.runtime.MEMORY`: what is kept for the backward pass. No property of the weights.
    Raises:
        MvnetError: features that no pointwise nonlinearity keeps equivariant.
    """

    def __init__(
        self,
        fields: Sequence[Mapping[str, int]] = (FINE, COARSE, COARSE),
        hidden: Mapping[str, int] = HIDDEN,
        down: Sequence[int] = (0, 3, 5),
        up: Sequence[int] = (1, 3, 2),
        waves: Sequence[Wave] = WAVES,
        windows: Sequence[int] = (0, 12, 0),
        kernels: Sequence[tuple[int, int]] = ((5, 1), (5, 3), (3, 9)),
        carrier: int = 2,
        move_levels: int = 1,
        group: str = "D4xZ2",
        method: str = "rkmk2",
        noise: bool = False,
        gradient: str = "discrete",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.memory = "plain"
        self.config = {
            "fields": [dict(f) for f in fields],
            "hidden": dict(hidden),
            "down": list(down),
            "up": list(up),
            "waves": [list(w) for w in waves],
            "windows": list(windows),
            "kernels": [list(k) for k in kernels],
            "carrier": carrier,
            "move_levels": move_levels,
            "group": group,
            "method": method,
            "noise": noise,
            "gradient": gradient,
        }
        symmetry = find_group(group)
        types, inner = [permutation_type(symmetry, f) for f in fields], permutation_type(symmetry, hidden)
        banks = [
            GaborBank(symmetry, waves, size, 2 ** (level + 1), generator=generator) if size else None
            for level, size in enumerate(windows)
        ]
        self.banks = nn.ModuleList(nn.Identity() if bank is None else bank for bank in banks)
        entering = [None if bank is None else bank.fields_out for bank in banks]
        self.noise = noise_type(symmetry) if noise else None
        for level, given in ((0, local_type(symmetry)), (-1, self.noise)):
            if given is not None:
                bank = entering[level]
                entering[level] = given if bank is None else FieldType(*given.fields, *bank.fields)
        self.pyramid = EquivariantUNet(types, entering, down, up, generator=generator)
        self.transports = nn.ModuleList(
            ConnectionFilter(types[0], *kernel, carrier, generator=generator) for kernel in kernels
        )
        self.move = CircleODE(types[0], inner, move_levels, 1, method, gradient, generator=generator)
        corner = FieldType((1, corners(symmetry)))
        self.evidence = GroupConv(types[0], inner, 1, generator=generator)
        self.strength = GroupConv(corner, inner, 1, bias=False, generator=generator)
        earlier = FieldType((len(kernels) - 1, corners(symmetry)))
        self.strengths = GroupConv(earlier, inner, 1, bias=False, generator=generator) if noise else None
        self.concentration = GroupConv(inner, corner, 1, generator=generator)
        nn.init.zeros_(self.concentration.weight)

    @property
    def alignment(self) -> int:
        """Height and width must be multiples of this number of pixels, and tiles start at such."""
        return 2 ** len(self.config["fields"])

    @property
    def receptive_radius(self) -> int:
        """Pixels on each side that an output pixel can depend on at most: the overlap of tiles."""
        levels = enumerate(self.config["windows"])
        inputs = max([_WINDOW // 2 * 2 + 1, *((size - 2 ** (level + 1)) // 2 for level, size in levels if size)])
        features = 2 * self.pyramid.receptive_radius + 1 + inputs + _WINDOW // 2 * 2 + 1
        stencils = sum(dilation * (size // 2) for size, dilation in self.config["kernels"])
        return features + stencils + 2 * self.move.receptive_radius

    def forward(self, planes: Tensor, features: Tensor, noise: Tensor | None = None) -> DenoisedPhase:
        """Denoise.

        Args:
            planes: shape (B, 2, H, W), real and imaginary part of the interferogram in any unit; H and W multiples of
                `alignment`.
            features: shape (B, 3, H, W), the planes named in `SCALARS`.
            noise: shape (B, C), of the type `noise_type`; None is white noise of unknown looks. A network without
                `noise` ignores it.
        Returns:
            phase, radians, the log of its concentration, and the output of every filter.
        Raises:
            MvnetError: another number of planes, or sizes that do not fit.
        """
        if planes.shape[1] != 2 or features.shape[1] != len(SCALARS):
            raise MvnetError(
                f"planes and features: found {planes.shape[1]} and {features.shape[1]} planes, "
                f"expected 2 and {len(SCALARS)} at dim 1"
            )
        if any(n % self.alignment for n in planes.shape[2:]):
            raise MvnetError(
                f"planes: found a field of shape {tuple(planes.shape[2:])}, expected multiples of {self.alignment}"
            )
        # z -> |z| near 1 -> |k_j * z|, z_q conj z_p on 2x2 blocks, at several resolutions -> h
        valid = features[:, :1]
        z = normalise_amplitude(planes * valid, valid)
        entering = [bank(z) if isinstance(bank, GaborBank) else None for bank in self.banks]
        told = None
        if self.noise is not None:
            told = z.new_zeros(len(z), self.noise.channels) if noise is None else noise
            told = told[:, :, None, None].expand(-1, -1, *(size // self.alignment for size in z.shape[2:]))
        for level, given in ((0, local_features(z, features)), (-1, told)):
            if given is not None:
                bank = entering[level]
                entering[level] = given if bank is None else torch.cat([given, bank], 1)
        h = rms_squash(self.pyramid(entering, F.max_pool2d(valid, 2), self.memory))

        # h, z -> z', filter by filter -> arg -> flow of phi' = xi(t, phi; z, h)
        values = [z]
        for transport in self.transports:
            values.append(run_part(transport, h, values[-1], memory=self.memory))
        phase = run_part(self.move, h, angle(values[-1]), z, memory=self.memory)
        # h, log |z'| -> log kappa
        evidence = self.evidence(h).add_(self.strength(log_strength(values[-1])))
        if self.strengths is not None:
            evidence = evidence + self.strengths(torch.cat([log_strength(v) for v in values[1:-1]], 1))
        evidence = F.silu(evidence)
        low, high = _LOG_CONCENTRATION
        log_concentration = F.pixel_shuffle(self.concentration(evidence), 2)[:, 0].clamp(low, high)
        return DenoisedPhase(phase, log_concentration, values[1:])


def log_strength(planes: Tensor) -> Tensor:
    """log |z'| of the corners of 2x2 blocks.

    Args:
        planes: z', shape (B, 2, H, W).
    Returns:
        shape (B, 4, H / 2, W / 2).
    """
    return F.pixel_unshuffle(0.5 * (planes.square().sum(1, keepdim=True) + _EPS).log(), 2)


def normalise_amplitude(planes: Tensor, valid: Tensor) -> Tensor:
    """z over the mean a of |z| around it, saturated: z / a (1 + |z|^2 / (a c)^2)^(-1/2).

    Args:
        planes: shape (B, 2, H, W), zero where not valid, any unit.
        valid: shape (B, 1, H, W), in {0, 1}.
    Returns:
        shape (B, 2, H, W), no unit; |z| is below c everywhere.
    """
    # |z|, validity -> sums over windows of blocks -> their quotient a -> pixels
    modulus = (planes.square().sum(1, keepdim=True) + torch.finfo(planes.dtype).tiny).sqrt()
    total, count = (
        F.avg_pool2d(F.avg_pool2d(x, 2), _WINDOW, 1, _WINDOW // 2, count_include_pad=True) for x in (modulus, valid)
    )
    mean = total / count.clamp_min(1e-6)
    mean = F.interpolate(mean.masked_fill(mean < _NO_SIGNAL, 1), scale_factor=2.0, mode="nearest")
    relative = modulus / mean
    return planes / mean * (1 + (relative / _SATURATION).square()).rsqrt()


def local_type(group: Group) -> FieldType:
    """The type of `local_features`.

    Args:
        group: a group of the plane with one internal sign.
    Returns:
        differences to neighbours, even and odd; |z|, validity and coherence of the corners; one scalar.
    """
    corner = corners(group)
    each = Kronecker(Points(group, torch.tensor(LAGS, dtype=torch.float64), "lags"), corner)
    return FieldType((1, each), (1, Kronecker(each, Internal(group))), (3, corner), (1, Trivial(group)))


def noise_type(group: Group) -> FieldType:
    """The type of what is known of the noise, the same everywhere.

    Args:
        group: a group of the plane.
    Returns:
        its correlation towards the neighbours `LAGS`, at every distance; whether the looks are known, and their log.
    """
    towards = Points(group, torch.tensor(LAGS, dtype=torch.float64), "lags")
    return FieldType((NOISE_LAGS, towards), (2, Trivial(group)))


def local_features(planes: Tensor, features: Tensor) -> Tensor:
    """Invariants of 2x2 blocks.

    z_q conj z_p / |z_q z_p|^(1/2) for every pixel p and its four neighbours q, real parts, then imaginary ones;
    |z|, validity and coherence of every pixel; whether the coherence is known.

    Args:
        planes: shape (B, 2, H, W).
        features: shape (B, 3, H, W), the planes named in `SCALARS`.
    Returns:
        shape (B, 45, H / 2, W / 2), of the type `local_type`.
    """
    modulus, half = (planes.square().sum(1, keepdim=True) + _EPS**2).sqrt(), [n // 2 for n in planes.shape[2:]]
    windows = _AROUND.windows(_AROUND.split(F.pad(planes * modulus.rsqrt(), (2 * _AROUND.blocks,) * 4)), *half)
    # z / |z|^(1/2) -> Re, Im of z_q conj z_p for every neighbour q and every corner p of the blocks
    even, odd = [], []
    for y, x in LAGS:
        for corner in range(4):
            taps = windows[corner * 9 : (corner + 1) * 9]
            (a, b), (aq, bq) = (z.split(1, 1) for z in (taps[4], taps[3 * (1 + y) + 1 + x]))
            even.append(aq * a + bq * b)
            odd.append(bq * a - aq * b)
    valid, known, coherence = features.split(1, 1)
    pixels = (F.pixel_unshuffle(x, 2) for x in (modulus, valid, coherence))
    return torch.cat([*even, *odd, *pixels, F.avg_pool2d(known, 2)], 1)
