"""What processors do to an interferogram, and what it makes of the noise: looks that overlap, geocoding, filtering.

All take and return complex (H, W) tensors; the noise of what they return is correlated over some pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError

RESAMPLING = ("nearest", "bilinear", "bicubic")
_PATCH, _STEP = 32, 8  # pixels: patches of the Goldstein filter, and their distance


def boxcar_looks(z: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean over windows of (rows, columns), not decimated; the image is reflected at its edges."""
    rows, columns = size
    padded = F.pad(_planes(z), (columns // 2, (columns - 1) // 2, rows // 2, (rows - 1) // 2), mode="reflect")
    return _complex(F.avg_pool2d(padded, size, 1))


def gaussian_looks(z: Tensor, sigma: float) -> Tensor:
    """Convolution with a Gaussian of the standard deviation sigma, pixels, cut at 3 sigma."""
    radius = max(1, math.ceil(3 * sigma))
    line = torch.exp(-torch.arange(-radius, radius + 1, device=z.device, dtype=z.real.dtype).square() / (2 * sigma**2))
    line = line / line.sum()
    padded = F.pad(_planes(z), (radius,) * 4, mode="reflect").transpose(0, 1)
    return _complex(F.conv2d(F.conv2d(padded, line[None, None, :, None]), line[None, None, None]).transpose(0, 1))


class Geocoding:
    """A map grid laid over a radar grid: x_radar = M (x_map - centre) + centre_radar.

    Args:
        shape: (rows, columns) of the map grid.
        spacing: radar pixels over map pixels, along rows and along columns; above 1 the noise gets correlated.
        rotation: degrees between the grids.  shear: columns of the radar grid a row.
    """

    def __init__(self, shape: tuple[int, int], spacing: tuple[float, float], rotation: float = 0.0, shear: float = 0.0):
        c, s = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
        turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        scale = torch.tensor([[1 / spacing[0], 0.0], [shear / spacing[1], 1 / spacing[1]]], dtype=torch.float64)
        self.matrix = scale @ turn
        self.shape = shape
        half = torch.tensor([(n - 1) / 2 for n in shape], dtype=torch.float64)
        reach = self.matrix.abs() @ half
        self.radar_shape = (2 * math.ceil(float(reach[0])) + 5, 2 * math.ceil(float(reach[1])) + 5)

    def to_radar(self, image: Tensor) -> Tensor:
        """A real image (H, W) of the map grid, smooth or not, at the pixels of the radar grid; continued outside."""
        return self._sample(image[None, None], self.matrix.inverse(), self.radar_shape, "bilinear")[0, 0]

    def to_map(self, z: Tensor, resampling: str) -> Tensor:
        """A complex image of the radar grid at the pixels of the map grid, by one of `RESAMPLING`."""
        if resampling not in RESAMPLING:
            raise MvnetError(f"resampling: found {resampling!r}, expected one of {', '.join(RESAMPLING)}")
        return _complex(self._sample(_planes(z), self.matrix, self.shape, resampling))

    @staticmethod
    def _sample(planes: Tensor, matrix: Tensor, shape: tuple[int, int], mode: str) -> Tensor:
        # pixels of the result from its centre -> pixels of the image from its centre -> [-1, 1]
        axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in shape]
        place = torch.cartesian_prod(*axes) @ matrix.T
        size = torch.tensor(planes.shape[2:], dtype=torch.float64)
        grid = (place / ((size - 1) / 2)).flip(1).reshape(1, *shape, 2).to(planes)
        return F.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=True)


def goldstein_filter(z: Tensor, alpha: float) -> Tensor:
    """Spectra of 32 x 32 patches, 8 pixels apart, times (S / max S)^alpha; S is |spectrum| in a 3 x 3 mean.

    Source: Goldstein and Werner, Geophys. Res. Lett. 25 (1998) 4035, eq. 3.
    """
    height, width = z.shape
    room = [_PATCH + -n % _STEP for n in (width, height)]
    padded = F.pad(_planes(z), (_PATCH, room[0], _PATCH, room[1]), mode="reflect" if min(z.shape) > 48 else "replicate")
    patches = F.unfold(padded.transpose(0, 1), _PATCH, stride=_STEP)  # (2, 32 * 32, number)
    stack = torch.complex(*patches).T.reshape(-1, _PATCH, _PATCH)
    spectrum = torch.fft.fft2(stack)
    strength = F.avg_pool2d(F.pad(spectrum.abs()[:, None], (1, 1, 1, 1), mode="circular"), 3, 1)[:, 0]
    strength = strength / strength.amax((1, 2), keepdim=True).clamp_min(1e-30)
    line = torch.arange(_PATCH, dtype=z.real.dtype, device=z.device)
    rise = torch.minimum(line + 0.5, _PATCH - 0.5 - line)
    filtered = torch.fft.ifft2(spectrum * strength.pow(alpha)) * (rise[:, None] * rise)
    columns = torch.view_as_real(filtered.flatten(1).T.contiguous()).movedim(-1, 0)
    shape = (padded.shape[2], padded.shape[3])
    total = F.fold(columns.contiguous(), shape, _PATCH, stride=_STEP).transpose(0, 1)
    return (
        _complex(total[..., _PATCH : _PATCH + height, _PATCH : _PATCH + width]) / (_PATCH / 2 / _STEP * _PATCH / 2) ** 2
    )


def _planes(z: Tensor) -> Tensor:
    """(H, W) complex -> (1, 2, H, W)."""
    return torch.view_as_real(z).movedim(-1, 0)[None]


def _complex(planes: Tensor) -> Tensor:
    """(1, 2, H, W) -> (H, W) complex."""
    return torch.complex(planes[0, 0], planes[0, 1])
