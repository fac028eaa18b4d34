"""Seeded interferograms with their truth.

    scene = simulate_scene((256, 256), seed=0)                        phase, coherence, amplitude, water
    pair = simulate_pair(scene.phase, scene.coherence, looks=4)       complex interferogram, estimated coherence

Model: two circular Gaussian images s1, s2 of unit power with E[s1 conj(s2)] = g exp(j phi); the interferogram is the
mean of s1 conj(s2) over L independent looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.insar.simulation.scenes import PHASE_COMPONENTS, SENTINEL_1, Geometry, PhaseComponent, SceneGrid
from mvnet.data_loaders.insar.simulation.surface import backscatter, coherence_map, water
from mvnet.errors import MvnetError


class Scene(NamedTuple):
    """The truth. phase (H, W) radians, not wrapped; coherence (H, W) in [0, 1]; amplitude (H, W), mean square 1.

    water (H, W) bool: coherence 0 there. parts: the phase of every component drawn; they add up to `phase`.
    """

    phase: Tensor
    coherence: Tensor
    amplitude: Tensor
    water: Tensor
    parts: dict[str, Tensor]


class SimulatedPair(NamedTuple):
    """interferogram (..., H, W) complex; coherence (..., H, W) estimated from the looks, None for a single look."""

    interferogram: Tensor
    coherence: Tensor | None


def simulate_scene(
    shape: tuple[int, int] = (256, 256),
    seed: int = 0,
    *,
    steepness: float = 0.8,
    coherence: float | tuple[float, float] = (0.1, 0.97),
    water_share: float = 0.15,
    components: Mapping[str, PhaseComponent] = PHASE_COMPONENTS,
    geometry: Geometry = SENTINEL_1,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Scene:
    """A random scene, the same for the same seed.

    Args:
        shape: (rows, columns), at least 8 each.
        seed: of everything; not used when a generator is given.
        steepness: slope in radians per pixel; the slope that 1 % of the pixels exceed is, for every scaled component,
            a random share of it.
        coherence: one number everywhere, or the range of a random map.
        water_share: water covers up to this share of the scene, half of the scenes have none. Its coherence is 0.
        components: what to draw from, each with its own probability; at least one is drawn.
        geometry: of the radar.
        generator: source of all random numbers; must not be shared by threads.
        dtype, device: of the result.
    """
    if len(shape) != 2 or min(shape) < 8:
        raise MvnetError(f"shape: found {tuple(shape)}, expected (rows, columns) of at least 8")
    if not components:
        raise MvnetError("components: found none, expected at least one")
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    grid = SceneGrid((shape[0], shape[1]), generator, torch.device(device), geometry)

    drawn = {name: grid.uniform(0, 1) < one.probability for name, one in components.items()}
    if not any(drawn.values()):
        drawn[list(components)[int(grid.uniform(0, len(components)))]] = True
    parts = {}
    for name in (name for name, wanted in drawn.items() if wanted):
        part = components[name].draw(grid)
        if components[name].scaled:
            part = part * (steepness * grid.uniform(0, 1) / _slope(part))
        parts[name] = part.to(dtype)

    wet = water(grid, water_share * max(0.0, grid.uniform(-1, 1)))
    if isinstance(coherence, tuple):
        g = coherence_map(grid, *coherence)
    else:
        g = torch.full(grid.shape, float(coherence), device=grid.device)
    g = torch.where(wet, 0.0, g).to(dtype)
    return Scene(sum(parts.values(), torch.zeros_like(g)), g, backscatter(grid, wet).to(dtype), wet, parts)


def simulate_pair(
    phase: Tensor,
    coherence: Tensor | float,
    looks: int = 1,
    generator: torch.Generator | None = None,
    *,
    seed: int = 0,
    amplitude: Tensor | None = None,
    oversampling: float | tuple[float, float] = 1.0,
) -> SimulatedPair:
    """An interferogram of L looks with the given phase and coherence.

    z = <s1 conj(s2)>_L,   estimated coherence |z| / sqrt(<|s1|^2>_L <|s2|^2>_L)

    Args:
        phase: (..., H, W) radians; gives dtype and device.
        coherence: number or broadcastable tensor, in [0, 1].
        looks: L, independent looks averaged.
        generator: source of the noise; None makes one from `seed`.
        amplitude: of both images, broadcastable; None is 1.
        oversampling: sampling rate over bandwidth of the images, at least 1, or one along rows and one along columns;
            above 1 the speckle of neighbours is correlated, as in a focused image.
    Raises:
        ValueError: looks or oversampling below 1, coherence outside [0, 1].
    """
    if looks < 1 or looks != int(looks):
        raise MvnetError(f"looks: found {looks}, expected a whole number of at least 1")
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    cross = torch.zeros_like(torch.complex(phase, phase))
    power1, power2 = torch.zeros_like(phase), torch.zeros_like(phase)
    for _ in range(int(looks)):
        s1, s2 = simulate_images(phase, coherence, generator, amplitude=amplitude, oversampling=oversampling)
        cross += s1 * s2.conj()
        if looks > 1:
            power1 += s1.real.square() + s1.imag.square()
            power2 += s2.real.square() + s2.imag.square()
    if looks == 1:
        return SimulatedPair(cross, None)
    estimate = cross.abs() / (power1 * power2).sqrt().clamp_min(torch.finfo(phase.dtype).tiny)
    return SimulatedPair(cross / looks, estimate.clamp(max=1))


def simulate_images(
    phase: Tensor,
    coherence: Tensor | float,
    generator: torch.Generator,
    *,
    amplitude: Tensor | None = None,
    oversampling: float | tuple[float, float] = 1.0,
    taper: float = 0.0,
    reflectivity: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Two single-look complex images, s1 = a u and s2 = a (g u + sqrt(1 - g^2) v) exp(-j phi), u and v ~ CN(0, 1).

    Args:
        taper: of the spectrum, as processors weigh it against side lobes: 0 is flat, 1 a Hann window.
        reflectivity: amplitude of the ground, as `amplitude`, but before the band of the images is limited: bright
            points have the width of their resolution.
        phase, coherence, generator, amplitude, oversampling: as for `simulate_pair`, with its errors.
    """
    g = torch.as_tensor(coherence, dtype=phase.dtype, device=phase.device)
    if not bool(((g >= 0) & (g <= 1)).all()):
        raise MvnetError("coherence: found values outside [0, 1], expected none")
    rates = oversampling if isinstance(oversampling, tuple) else (oversampling, oversampling)
    if min(rates) < 1:
        raise MvnetError(f"oversampling: found {oversampling}, expected at least 1")
    u, v = (_speckle(phase, generator, rates, taper, reflectivity) for _ in range(2))
    s2 = (g * u + (1 - g.square()).sqrt() * v) * torch.polar(torch.ones_like(phase), -phase)
    return (u, s2) if amplitude is None else (amplitude * u, amplitude * s2)


def _speckle(
    like: Tensor,
    generator: torch.Generator,
    oversampling: tuple[float, float],
    taper: float,
    reflectivity: Tensor | None,
) -> Tensor:
    """CN(0, 1) of the shape of `like`; frequencies beyond 1 / (2 oversampling) cycles per pixel removed."""
    dtype = torch.complex128 if like.dtype == torch.float64 else torch.complex64
    white = torch.randn(like.shape, dtype=dtype, generator=generator, device=generator.device).to(like.device)
    if reflectivity is not None:
        white = white * reflectivity
    if oversampling == (1, 1) and not taper:
        return white
    bands = []
    for n, rate in zip(like.shape[-2:], oversampling):
        place = torch.fft.fftfreq(n, device=like.device, dtype=like.dtype) * rate  # within +-1/2 inside the band
        bands.append((1 - taper * (math.pi * place).sin().square()) * (place.abs() <= 0.5))
    band = bands[0].unsqueeze(1) * bands[1]
    return torch.fft.ifft2(torch.fft.fft2(white) * band) / band.square().mean().sqrt()


def _slope(phase: Tensor) -> Tensor:
    """Radians per pixel that 1 % of the pixels (of at most about 10^5, regularly spaced) exceed."""
    slope = torch.hypot(phase.diff(dim=0)[:, :-1], phase.diff(dim=1)[:-1])
    step = max(1, round((slope.numel() / 1e5) ** 0.5))
    values = slope[::step, ::step].flatten()
    rank = max(1, int(0.99 * values.numel()))
    high = values.kthvalue(rank).values
    return torch.where(high > 0, high, values.max()).clamp_min(1e-6)
