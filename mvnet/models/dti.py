"""The denoiser of diffusion tensors: features on a grid, values on Sym+(3), choose then move, several times.

Architecture (paper sections 2.3 and 2.4.3; the state never leaves the manifold):

    h_0 = lift(log z_0, noise information)
    repeat K times:
        h   <- residual convolutions(h + inject(log z))
        z   <- exp( sum_q w_q(h) log z_q )          choose: weighted log-Euclidean mean of 27 neighbours
        z   <- flow of  z' = xi(t, z; h) . z         move: Lie-group integrator, congruence by GL(3)
    log of the expected affine-invariant error from h: the confidence map

Features are zero outside the mask after every layer, as the padding of a convolution is: nothing exists out there, and
the result does not depend on how much empty space surrounds the mask.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.linalg import sym3
from mvnet.models.choose import Choose
from mvnet.models.move import Move

FEATURES = ("mask", "known", "log_b0", "log_noise", "log_residual")
"""Scalar inputs beside the tensor: mask and whether a DWI was given, in {0, 1}; the others zero where unknown."""

REFERENCE_DIFFUSIVITY = 0.75
"""um^2/ms: tissue of this mean diffusivity is where the log-tensor features are centred."""


_LOG_ERROR_RANGE = 4.0  # |log error| stays below: exp(-log error) enters the loss of the error head


class DenoisedField(NamedTuple):
    """tensors (B, 6, D, H, W), um^2/ms; log_error (B, 1, D, H, W), log of the expected affine-invariant distance."""

    tensors: Tensor
    log_error: Tensor


class Stage(nn.Module):
    """One choose-then-move step with the residual convolutions that drive it.

    Args:
        channels: feature channels.
        dilations: one 3x3x3 convolution for each entry.
        method: integrator of the move.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...], method: str):
        super().__init__()
        self.inject = nn.Conv3d(6, channels, 1)
        self.convolutions = nn.ModuleList(nn.Conv3d(channels, channels, 3, padding=d, dilation=d) for d in dilations)
        self.choose = Choose(channels)
        self.move = Move(channels, method=method)

    def forward(self, h: Tensor, z: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        logs = centred_log(z) * mask
        h = (h + self.inject(logs)) * mask
        for convolution in self.convolutions:
            h = h + F.silu(convolution(h)) * mask
        z = self.move(h, uncentred_exp(self.choose(h, logs, mask)))
        return h, z


class DTIDenoiser(nn.Module):
    """Sym+(3)-valued manifold-ODE network on volumes.

    Args:
        channels: feature channels of the trunk.
        dilations: for every stage, the dilations of its convolutions.
        method: Lie-group integrator of the move, a name of `mvnet.integrators.METHODS`.
    """

    def __init__(
        self,
        channels: int = 32,
        dilations: tuple[tuple[int, ...], ...] = ((1, 1, 1, 1), (1, 1, 1, 1)),
        method: str = "rkmk2",
    ):
        super().__init__()
        self.config = {"channels": channels, "dilations": [list(d) for d in dilations], "method": method}
        self.lift = nn.Conv3d(6 + len(FEATURES), channels, 3, padding=1)
        self.stages = nn.ModuleList(Stage(channels, tuple(d), method) for d in dilations)
        self.error = nn.Conv3d(channels, 1, 1)
        # the layout in which CPU and GPU convolve fastest
        self.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]

    @property
    def receptive_radius(self) -> int:
        """Voxels on each side that an output voxel can depend on: what tiles must overlap by.

        The weights of a choose come from the features of its own voxel, so it reaches no further than a convolution.
        """
        return 1 + sum(sum(d) for d in self.config["dilations"])

    def forward(self, tensors: Tensor, features: Tensor) -> DenoisedField:
        """Denoise.

        Args:
            tensors: (B, 6, D, H, W) Mandel planes, positive definite, tissue near `REFERENCE_DIFFUSIVITY` um^2/ms.
            features: (B, 5, D, H, W), the planes named in `FEATURES`.
        """
        if tensors.shape[1] != 6 or features.shape[1] != len(FEATURES):
            raise ValueError(
                f"tensors and features: found {tensors.shape[1]} and {features.shape[1]} planes, "
                f"expected 6 and {len(FEATURES)} at dim 1"
            )
        mask = features[:, :1]
        planes = torch.cat([centred_log(tensors) * mask, features], 1)
        h = F.silu(self.lift(planes.contiguous(memory_format=torch.channels_last_3d))) * mask
        z = tensors
        for stage in self.stages:
            h, z = stage(h, z, mask)
        log_error = _LOG_ERROR_RANGE * torch.tanh(self.error(h.detach()) / _LOG_ERROR_RANGE)
        return DenoisedField(z, log_error)


def centred_log(tensors: Tensor) -> Tensor:
    """log(D / reference): zero for isotropic tissue of the reference diffusivity."""
    return sym3.log(tensors / REFERENCE_DIFFUSIVITY)


def uncentred_exp(logs: Tensor) -> Tensor:
    """Inverse of `centred_log`."""
    return sym3.exp(logs) * REFERENCE_DIFFUSIVITY
