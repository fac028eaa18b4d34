"""Images of random coloured rectangles, drawn analytically at any angle.

The clean images of paper section 5.2: rectangles with sides along the grid and random colours. A scene lives in the
plane; an image samples it at the pixel centres,

    x(p) = scene(R(-angle) p),      p measured from the centre of the image,

so that images at an angle are exactly the rotated scenes, and as sharp: edges lie between pixels, blurred by a Gaussian
point spread that leaves little above the Nyquist frequency. Noise is added by `noisy`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError

POINT_SPREAD = 0.7  # standard deviation in pixels; 0.8 % of the power of an edge is left at the Nyquist frequency
SIDES = (6.0, 30.0)  # shortest and longest side in pixels
DENSITY = 8 / 60**2  # rectangles for every square pixel


@dataclass(frozen=True)
class Scenes:
    """Rectangles in the plane, later ones in front: a batch of B scenes of n rectangles.

    Args:
        centres: (B, n, 2) in pixels from the centre of the image.
        sides: (B, n, 2) in pixels.
        colours: (B, n, 3) in [0, 1].
        background: (B, 3) in [0, 1].
        size: side of the images in pixels for which the rectangles were laid out.
    """

    centres: Tensor
    sides: Tensor
    colours: Tensor
    background: Tensor
    size: int

    def draw(self, angle: float | Tensor = 0.0) -> Tensor:
        """The scenes rotated by `angle` radians (a number, or (B,)) about the centre -> (B, 3, size, size).

        A rotation by pi / 2 is that of `Group.act`: row axis to column axis.
        """
        line = torch.arange(self.size, device=self.centres.device) - (self.size - 1) / 2
        row, column = torch.meshgrid(line, line, indexing="ij")
        a = torch.as_tensor(angle, device=line.device).to(line).expand(len(self.centres)).view(-1, 1, 1)
        # R(-angle) p, (B, size, size) each
        u, v = a.cos() * row + a.sin() * column, a.cos() * column - a.sin() * row
        image = self.background[:, :, None, None].expand(-1, -1, self.size, self.size)
        for centre, side, colour in zip(self.centres.unbind(1), self.sides.unbind(1), self.colours.unbind(1)):
            cover = _interval(u, centre[:, 0], side[:, 0]) * _interval(v, centre[:, 1], side[:, 1])
            image = torch.lerp(image, colour[:, :, None, None], cover.unsqueeze(1))
        return image


def _interval(x: Tensor, centre: Tensor, length: Tensor) -> Tensor:
    """Indicator of an interval convolved with the point spread; x (B, ...), centre and length (B,)."""
    scale = 1 / (POINT_SPREAD * 2**0.5)
    start, end = ((centre + s * length / 2).view(-1, 1, 1) for s in (-1, 1))
    return (torch.erf((x - start) * scale) - torch.erf((x - end) * scale)) / 2


def random_scenes(count: int, size: int = 60, *, generator: torch.Generator) -> Scenes:
    """`count` scenes for images of size x size pixels, float32, on the device of the generator.

    Centres are uniform on a square that contains every rectangle which meets the image at any angle, so that the
    statistics of the scene do not depend on the place.

    Raises:
        ValueError: when count or size is below 1.
    """
    if count < 1 or size < 1:
        raise MvnetError(f"count, size: found {count}, {size}, expected positive numbers")
    half = (size + SIDES[1]) / 2**0.5
    number = round(DENSITY * (2 * half) ** 2)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=generator.device)

    centres = half * (2 * uniform(number, 2) - 1)
    sides = SIDES[0] + (SIDES[1] - SIDES[0]) * uniform(number, 2)
    return Scenes(centres, sides, uniform(number, 3), uniform(3), size)


def noisy(clean: Tensor, sigma: float = 0.1, *, generator: torch.Generator) -> Tensor:
    """Gaussian white noise of standard deviation sigma added to every value."""
    return clean + sigma * torch.randn(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
