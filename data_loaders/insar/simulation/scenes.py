"""Ingredients of a simulated interferogram: smooth fields, terrain, deformation, steps.

Rows are azimuth, columns ground range away from the sensor, both `Geometry.spacing` metres apart. A phase grows
with the path to the ground: topography gives 4 pi B h / (lambda R sin theta), a displacement d towards the
sensor -4 pi d / lambda. All fields are float32; phases in radians, not wrapped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.data_loaders.insar.simulation.dislocation import mogi, okada
from mvnet.data_loaders.random_fields import log_uniform, normal, uniform


@dataclass(frozen=True)
class Geometry:
    """Of a side-looking radar, Sentinel-1's by default. Lengths in metres, incidence in degrees off the vertical."""

    wavelength: float = 0.05547
    incidence: float = 39.0
    slant_range: float = 880e3
    spacing: float = 20.0

    @property
    def tangent(self) -> float:
        """Of the incidence angle."""
        return math.tan(math.radians(self.incidence))

    def topographic_phase(self, height: Tensor, baseline: float) -> Tensor:
        """4 pi B h / (lambda R sin theta)"""
        sine = math.sin(math.radians(self.incidence))
        return height * (4 * math.pi * baseline / (self.wavelength * self.slant_range * sine))

    def displacement_phase(self, displacement: Tensor) -> Tensor:
        """-4 pi d / lambda with d = cos theta u_up - sin theta u_range; (3, H, W) range, azimuth, up -> (H, W)."""
        angle = math.radians(self.incidence)
        towards = math.cos(angle) * displacement[2] - math.sin(angle) * displacement[0]
        return towards * (-4 * math.pi / self.wavelength)


SENTINEL_1 = Geometry()


@dataclass(frozen=True)
class SceneGrid:
    """Where a scene is drawn: (H, W) pixels, and the source of every random number."""

    shape: tuple[int, int]
    generator: torch.Generator
    device: torch.device
    geometry: Geometry = SENTINEL_1

    @property
    def size(self) -> float:
        """Geometric mean of the sides, pixels."""
        return math.sqrt(self.shape[0] * self.shape[1])

    def uniform(self, low: float, high: float) -> float:
        """A number drawn evenly between low and high."""
        return uniform(low, high, self.generator)

    def log_uniform(self, low: float, high: float) -> float:
        """A number drawn so that its logarithm is spread evenly."""
        return log_uniform(low, high, self.generator)

    def point(self, margin: float = 0.1) -> tuple[float, float]:
        """(row, column) in the image or, up to `margin` of a side, beyond it."""
        row, column = (n * self.uniform(-margin, 1 + margin) for n in self.shape)
        return row, column

    def offsets(self, row: float, column: float, degrees: float = 0.0) -> tuple[Tensor, Tensor]:
        """(along, across) pixels from a point, along at `degrees` from the columns' direction; broadcastable."""
        y = torch.arange(self.shape[0], device=self.device, dtype=torch.float32).unsqueeze(1) - row
        x = torch.arange(self.shape[1], device=self.device, dtype=torch.float32) - column
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return c * x + s * y, c * y - s * x


def fractal(grid: SceneGrid, exponent: float, shape: tuple[int, int] | None = None) -> Tensor:
    """A random field with power spectrum |k|^-exponent, mean 0, variance 1; not periodic.

    A fractal surface of Hurst exponent H has exponent 2 H + 2.
    """
    shape = grid.shape if shape is None else shape
    big = tuple(n + max(8, n // 4) for n in shape)
    white = normal(big, grid.generator, grid.device)
    k = torch.hypot(
        torch.fft.fftfreq(big[0], device=grid.device).unsqueeze(1), torch.fft.rfftfreq(big[1], device=grid.device)
    )
    k[0, 0] = torch.inf
    field = torch.fft.irfft2(torch.fft.rfft2(white) * k.pow(-exponent / 2), s=big)[: shape[0], : shape[1]]
    field = field - field.mean()
    return field / field.std().clamp_min(1e-12)


def terrain(grid: SceneGrid) -> Tensor:
    """Fractal heights in metres, seen in slant range without layover.

    A ground point x pixels away appears at x - h / (s tan theta), s the spacing; the slope towards the sensor stays
    below 0.9 tan theta, so the order of the points is kept and slopes facing the sensor are foreshortened.
    """
    h, w = grid.shape
    margin = max(4, w // 4)
    ground = fractal(grid, grid.uniform(3.4, 4.4), (h, w + 2 * margin))
    run = grid.geometry.spacing * grid.geometry.tangent  # metres of height that shift a point by a pixel
    steepest = ground.diff(dim=1).max().clamp_min(1e-6) / run
    farthest = ground.abs().max() / (0.9 * margin * run)
    ground = ground * grid.uniform(0.1, 0.9) / torch.maximum(steepest, farthest)
    x = torch.arange(ground.shape[1], device=grid.device, dtype=torch.float32).expand_as(ground)
    seen = (x - ground / run).contiguous()  # increasing along the rows
    wanted = (x[:, :w] + margin).contiguous()
    right = torch.searchsorted(seen, wanted).clamp(1, ground.shape[1] - 1)
    a, b = seen.gather(1, right - 1), seen.gather(1, right)
    t = ((wanted - a) / (b - a)).clamp(0, 1)
    return torch.lerp(ground.gather(1, right - 1), ground.gather(1, right), t)


def ramp(grid: SceneGrid) -> Tensor:
    """A plane: what an error of the orbit leaves."""
    along, _ = grid.offsets(0, 0, grid.uniform(0, 360))
    return along / grid.size


def atmosphere(grid: SceneGrid) -> Tensor:
    """Turbulence of the troposphere: |k|^-8/3 at distances beyond its thickness, |k|^-11/3 below.

    Source: Hanssen, Radar Interferometry (2001), section 4.7; his profiles fall one power slower.
    """
    return fractal(grid, grid.uniform(8 / 3, 11 / 3))


def volcano(grid: SceneGrid) -> Tensor:
    """One to three Mogi sources."""
    total = torch.zeros(3, *grid.shape, device=grid.device)
    for _ in range(1 + int(grid.uniform(0, 3))):
        x, y = (o * grid.geometry.spacing for o in grid.offsets(*grid.point()))
        depth = grid.log_uniform(0.04, 0.4) * grid.size * grid.geometry.spacing
        total += mogi(x.expand(grid.shape), y.expand(grid.shape), depth, grid.uniform(-1, 1) * depth**3)
    return grid.geometry.displacement_phase(total / total.abs().max().clamp_min(1e-12))


def earthquake(grid: SceneGrid) -> Tensor:
    """A rectangular dislocation, buried or up to the surface, with slip in a random direction."""
    metres = grid.size * grid.geometry.spacing
    length, width, dip = metres * grid.uniform(0.1, 0.8), metres * grid.uniform(0.05, 0.4), grid.uniform(15, 88)
    top = 0.0 if grid.uniform(0, 1) < 0.3 else metres * grid.log_uniform(0.01, 0.2)
    strike, rake = grid.uniform(0, 360), math.radians(grid.uniform(0, 360))
    along, across = grid.offsets(*grid.point(-0.1), strike)
    x = (along * grid.geometry.spacing + length / 2).expand(grid.shape)
    y = (across * grid.geometry.spacing).expand(grid.shape)
    slip = (math.cos(rake), math.sin(rake), 0.0)
    u = okada(x, y, top + width * math.sin(math.radians(dip)), dip, length, width, slip)
    c, s = math.cos(math.radians(strike)), math.sin(math.radians(strike))
    return grid.geometry.displacement_phase(torch.stack([c * u[0] - s * u[1], s * u[0] + c * u[1], u[2]]))


def subsidence(grid: SceneGrid) -> Tensor:
    """One to four Gaussian bowls and hills, round or oblong."""
    total = torch.zeros(grid.shape, device=grid.device)
    for _ in range(1 + int(grid.uniform(0, 4))):
        along, across = grid.offsets(*grid.point(), grid.uniform(0, 180))
        radius = grid.log_uniform(0.03, 0.3) * grid.size
        shape = grid.uniform(0.5, 1)
        bowl = (-(along.square() + (across / shape).square()) / (2 * radius**2)).exp()
        total += grid.uniform(-1, 1) * radius * bowl
    return total


def cones(grid: SceneGrid) -> Tensor:
    """One to three cones, of constant slope up to a sharp foot and a sharp top."""
    total = torch.zeros(grid.shape, device=grid.device)
    for _ in range(1 + int(grid.uniform(0, 3))):
        along, across = grid.offsets(*grid.point())
        radius = grid.log_uniform(0.06, 0.4) * grid.size
        total += grid.uniform(-1, 1) * (radius - torch.hypot(along, across)).clamp_min(0)
    return total


def buildings(grid: SceneGrid) -> Tensor:
    """Rectangles of constant phase, sides 3 to 30 pixels, up to pi high; in rows or scattered."""
    total = torch.zeros(grid.shape, device=grid.device)
    street = grid.uniform(0, 90)
    for _ in range(1 + int(grid.uniform(0, 8))):
        degrees = street if grid.uniform(0, 1) < 0.7 else grid.uniform(0, 90)
        along, across = grid.offsets(*grid.point(0.0), degrees)
        half, other = grid.log_uniform(1.5, 15), grid.log_uniform(1.5, 15)
        total += grid.uniform(-math.pi, math.pi) * ((along.abs() <= half) & (across.abs() <= other))
    return total


def faults(grid: SceneGrid) -> Tensor:
    """One or two steps of up to pi across a line, straight or wavy, that fade towards their tips or do not."""
    total = torch.zeros(grid.shape, device=grid.device)
    for _ in range(1 + int(grid.uniform(0, 2))):
        along, across = grid.offsets(*grid.point(0.0), grid.uniform(0, 360))
        if grid.uniform(0, 1) < 0.5:
            wave = grid.size * grid.log_uniform(0.05, 0.5)
            across = across + 0.15 * wave * (2 * math.pi * along / wave).sin()
        step = grid.uniform(-math.pi, math.pi) * (across > 0)
        if grid.uniform(0, 1) < 0.5:
            reach = grid.size * grid.uniform(0.2, 1)
            step = step * (-(along.square() + across.square()) / (2 * reach**2)).exp()
        total += step
    return total


@dataclass(frozen=True)
class PhaseComponent:
    """One kind of phase: how to draw it, in how many scenes, and whether its slope is scaled (or its values kept)."""

    draw: Callable[[SceneGrid], Tensor]
    probability: float
    scaled: bool = True


PHASE_COMPONENTS: dict[str, PhaseComponent] = {
    "ramp": PhaseComponent(ramp, 0.6),
    "terrain": PhaseComponent(lambda grid: grid.geometry.topographic_phase(terrain(grid), 100.0), 0.4),
    "atmosphere": PhaseComponent(atmosphere, 0.5),
    "volcano": PhaseComponent(volcano, 0.25),
    "earthquake": PhaseComponent(earthquake, 0.2),
    "subsidence": PhaseComponent(subsidence, 0.35),
    "cones": PhaseComponent(cones, 0.25),
    "buildings": PhaseComponent(buildings, 0.35, scaled=False),
    "faults": PhaseComponent(faults, 0.25, scaled=False),
}
"""Everything a scene is made of, phases in radians. A new component is one function and one line here."""
