"""Complex numbers as two real planes (B, 2, ...): the real part first, then the imaginary one."""

from __future__ import annotations

import torch
from torch import Tensor

_ZERO = 1e-20  # squared modulus below which a number has no angle


def angle(planes: Tensor) -> Tensor:
    """arg z in (-pi, pi]; 0 with zero gradient where z is 0, so that no NaN comes back from masked pixels.

    Args:
        planes: shape (B, 2, ...), real and imaginary part in any unit.
    Returns:
        shape (B, ...), radians.

    Examples:
        >>> import torch
        >>> from mvnet.nn import angle
        >>> z = torch.polar(torch.ones(1, 4, 4), torch.full((1, 4, 4), 0.5))
        >>> bool((angle(torch.stack([z.real, z.imag], 1)) - 0.5 < 1e-6).all())
        True
    """
    real, imaginary = planes.unbind(1)
    nothing = real.square() + imaginary.square() < _ZERO
    return torch.atan2(imaginary.masked_fill(nothing, 0), real.masked_fill(nothing, 1))


def times_i(planes: Tensor) -> Tensor:
    """Planes of i z = -Im z + i Re z.

    Args:
        planes: Re z and Im z, shape (B, 2, ...).
    Returns:
        same shape.
    """
    real, imaginary = planes.unbind(1)
    return torch.stack([-imaginary, real], 1)
