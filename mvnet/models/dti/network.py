"""The denoiser of diffusion tensors: features on a grid, values on Sym+(3), choose then move, several times.

Architecture (paper sections 2.3 and 2.4.3; the state never leaves the manifold):

    h_0 = lift(log z_0, noise information)
    repeat K times:
        h   <- residual convolutions(h + inject(log z, distances of log z to its 26 neighbours))
        z   <- exp( sum_q w_q(h) log z_q )          choose: weighted log-Euclidean mean of 27 neighbours; own w for size
        z   <- flow of  z' = xi(t, z; h) . z         move: Lie-group integrator, congruence by GL(3)
    log of the expected affine-invariant error from h: the confidence map

Every layer commutes with the symmetries Oh of the cube, which act on the voxels and on the tensors, P -> R P R^T:
turning a volume turns the result, exactly. The shape of a voxel enters as one more tensor, so that an anisotropic grid
leaves just the symmetries that are true of it, D4h or D2h (paper section 5.1).

Features are zero outside the mask after every layer, as the padding of a convolution is: nothing exists out there, and
the result does not depend on how much empty space surrounds the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, Sym2, Trivial, bounded, field_type
from mvnet.equivariant import group as find_group
from mvnet.equivariant.kernels import taps
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY
from mvnet.nn.frechet_filter import Choose, dissimilarity
from mvnet.nn.spd_ode import Move

SCALARS = ("mask", "known", "log_b0", "log_noise", "log_residual")
"""Scalar inputs beside the tensor: mask and whether a DWI was given, in {0, 1}; the others zero where unknown."""

FEATURES = len(SCALARS) + 6
"""Planes beside the tensor: the scalars, and the shape of a voxel as a symmetric tensor (zero for a cube)."""

TRUNK = {"trivial": 8, "faces": 2, "vertices": 2, "edges": 1}
HIDDEN = {"flags": 1}
"""Features of 48 and 24 channels, on orbits of the cube: pointwise nonlinearities keep them equivariant."""


_LOG_ERROR_RANGE = 4.0  # |log error| stays below: exp(-log error) enters the loss of the error head


class DenoisedField(NamedTuple):
    """tensors (B, 6, D, H, W), um^2/ms; log_error (B, 1, D, H, W), log of the expected affine-invariant distance."""

    tensors: Tensor
    log_error: Tensor


class Stage(nn.Module):
    """One choose-then-move step with the residual convolutions that drive it.

    Args:
        fields: type of the features.
        hidden: type of the hidden layer of the move.
        convolutions: number of residual 3x3x3 convolutions.
        method: integrator of the move.
    """

    def __init__(self, fields: FieldType, hidden: FieldType, convolutions: int, method: str):
        super().__init__()
        seen = FieldType((1, Sym2(fields.group)), (1, taps(fields.group, 3)))
        self.inject = GroupConv(seen, fields, 1, gain=1.0)
        self.convolutions = nn.ModuleList(GroupConv(fields, fields, 3, gain=0.5) for _ in range(convolutions))
        self.choose = Choose(fields)
        self.move = Move(fields, hidden, method=method)

    def forward(self, h: Tensor, z: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        logs = centred_log(z) * mask
        distances = dissimilarity(logs, mask)
        h = (h + self.inject(torch.cat([logs, distances], 1))) * mask
        for convolution in self.convolutions:
            h = h + F.silu(convolution(bounded(h))) * mask
        drive = bounded(h)
        z = self.move(drive, uncentred_exp(self.choose(drive, distances, logs, mask)))
        return h, z


class DTIDenoiser(nn.Module):
    """Sym+(3)-valued manifold-ODE network on volumes.

    Args:
        fields: features of the trunk, multiplicities of named representations; permutations only.
        hidden: features inside the moves, likewise.
        convolutions: number of residual convolutions of every stage.
        group: "Oh" for a network that commutes with the symmetries of the cube, "E" for an ordinary one.
        method: Lie-group integrator of the move, a name of `mvnet.integrators.METHODS`.
    Raises:
        ValueError: on features that no pointwise nonlinearity keeps equivariant.
    """

    def __init__(
        self,
        fields: Mapping[str, int] = TRUNK,
        hidden: Mapping[str, int] = HIDDEN,
        convolutions: Sequence[int] = (4, 4),
        group: str = "Oh",
        method: str = "rkmk2",
    ):
        super().__init__()
        self.config = {
            "fields": dict(fields),
            "hidden": dict(hidden),
            "convolutions": list(convolutions),
            "group": group,
            "method": method,
        }
        symmetry = find_group(group)
        trunk, inner = field_type(symmetry, fields), field_type(symmetry, hidden)
        for given in (trunk, inner):
            if not given.is_permutation:
                raise MvnetError(f"fields: found {given}, expected permutation representations only")
        scalar, tensor = Trivial(symmetry), Sym2(symmetry)
        self.lift = GroupConv(FieldType((1, tensor), (len(SCALARS), scalar), (1, tensor)), trunk, 3)
        self.stages = nn.ModuleList(Stage(trunk, inner, count, method) for count in convolutions)
        self.error = GroupConv(trunk, FieldType((1, scalar)), 1)
        nn.init.zeros_(self.error.weight)  # exp(-log error) enters the loss

    @property
    def receptive_radius(self) -> int:
        """Voxels on each side that an output voxel can depend on: what tiles must overlap by.

        A stage looks at the neighbours (lift, then distances) and adds its convolutions; the weights of a choose come
        from the features of its own voxel and reach no further.
        """
        return len(self.config["convolutions"]) + sum(self.config["convolutions"])

    def forward(self, tensors: Tensor, features: Tensor) -> DenoisedField:
        """Denoise.

        Args:
            tensors: (B, 6, D, H, W) Mandel planes, positive definite, tissue near `REFERENCE_DIFFUSIVITY` um^2/ms.
            features: (B, 11, D, H, W), the planes named in `SCALARS`, then the voxel shape: 6 Mandel planes.
        """
        if tensors.shape[1] != 6 or features.shape[1] != FEATURES:
            raise MvnetError(
                f"tensors and features: found {tensors.shape[1]} and {features.shape[1]} planes, "
                f"expected 6 and {FEATURES} at dim 1"
            )
        mask = features[:, :1]
        planes = torch.cat([centred_log(tensors) * mask, features], 1)
        h = F.silu(self.lift(planes.contiguous(memory_format=torch.channels_last_3d))) * mask
        z = tensors
        for stage in self.stages:
            h, z = stage(h, z, mask)
        log_error = _LOG_ERROR_RANGE * torch.tanh(self.error(bounded(h.detach())) / _LOG_ERROR_RANGE)
        return DenoisedField(z, log_error)


def centred_log(tensors: Tensor) -> Tensor:
    """log(D / reference): zero for isotropic tissue of the reference diffusivity."""
    return sym3.log(tensors / REFERENCE_DIFFUSIVITY)


def uncentred_exp(logs: Tensor) -> Tensor:
    """Inverse of `centred_log`."""
    return sym3.exp(logs) * REFERENCE_DIFFUSIVITY
