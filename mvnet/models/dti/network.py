"""The denoiser of diffusion tensors: features on a grid, values on Sym+(3), filters alternating with ODEs.

Architecture (paper sections 2.3 and 2.4.3; the state never leaves the manifold):

    h_0 = lift(log z_0, noise information)
    repeat K times:
        h   <- convolutions(h + inject(log z, distances of log z to its 26 neighbours))
        z   <- exp( sum_q w_q(h) log z_q )          Frechet filter: log-Euclidean mean of 27 neighbours
        z   <- flow of  z' = xi(t, z; h) . z         manifold ODE: Lie-group integrator, congruence by GL(3)
    log of the expected affine-invariant error from h: the confidence map

Every layer is equivariant to the symmetries Oh of the cube, which act on the voxels and on the tensors, P -> R P R^T:
rotating a volume rotates the result, exactly. The shape of a voxel enters as one more tensor, so that an anisotropic
grid leaves only the symmetries that preserve it, D4h or D2h (paper section 5.1).

Features are zero outside the mask after every layer, as the padding of a convolution is, so that the result does not
depend on how much empty space surrounds the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, Sym2, Trivial, permutation_type, rms_squash
from mvnet.equivariant import group as find_group
from mvnet.equivariant.kernels import taps
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY
from mvnet.models.dti.trunk import TRUNKS, ReversibleConvolutions
from mvnet.nn.frechet_filter import FrechetFilter, dissimilarity
from mvnet.nn.memory import run_part
from mvnet.nn.spd_ode import SPDODE

SCALARS = ("mask", "known", "log_b0", "log_noise", "log_residual")
"""Scalar inputs beside the tensor: mask and whether a DWI was given, in {0, 1}; the others zero where unknown."""

FEATURES = len(SCALARS) + 7
"""Planes beside the tensor: the scalars, the shape of a voxel as a symmetric tensor (zero for a cube), and the log of
the noise of the tensor's size over that of a component (zero where unknown), which only some networks look at."""

TRUNK = {"trivial": 8, "faces": 2, "vertices": 2, "edges": 1}
HIDDEN = {"flags": 1}
"""Features of 48 and 24 channels on orbits of the cube, which pointwise nonlinearities keep equivariant."""


_LOG_ERROR_RANGE = 4.0  # bound of |log error|: exp(-log error) enters the loss of the error head


class DenoisedField(NamedTuple):
    """What the network makes of a field.

    Attributes:
        tensors: (B, 6, D, H, W), um^2/ms.
        log_error: (B, 1, D, H, W), log of the expected affine-invariant distance to the truth.
        log_spread: (B, 2, D, H, W), logs of the factors by which the errors of FA and MD exceed those of an error that
            is alike in all components (`mvnet.models.dti.uncertainty`); None from networks that do not predict them.
    """

    tensors: Tensor
    log_error: Tensor
    log_spread: Tensor | None = None


class Stage(nn.Module):
    """Residual convolutions, then a Frechet filter and an ODE block driven by their features.

    Args:
        fields: type of the features.
        hidden: type of the hidden layer of the ODE block.
        convolutions: number of residual 3x3x3 convolutions.
        method: Lie-group integrator of the ODE block.
        gradient: how its gradient is found.
        trunk: form of the convolutions, a name of `mvnet.models.dti.trunk.TRUNKS`.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        h (B, fields.channels, D, H, W), z (B, 6, D, H, W), mask (B, 1, D, H, W) -> h and z of the same shapes.
    """

    def __init__(
        self,
        fields: FieldType,
        hidden: FieldType,
        convolutions: int,
        method: str,
        gradient: str = "discrete",
        trunk: str = "residual",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        seen = FieldType((1, Sym2(fields.group)), (1, taps(fields.group, 3)))
        self.inject = GroupConv(seen, fields, 1, gain=1.0, generator=generator)
        self.convolutions = TRUNKS[trunk](fields, convolutions, generator=generator)
        self.choose = FrechetFilter(fields, generator=generator)
        self.move = SPDODE(fields, hidden, method=method, gradient=gradient, generator=generator)

    def forward(self, h: Tensor, z: Tensor, mask: Tensor, memory: str = "plain") -> tuple[Tensor, Tensor]:
        """Next features and next tensors.

        Args:
            h: shape (B, fields.channels, D, H, W).
            z: shape (B, 6, D, H, W), positive definite, um^2/ms.
            mask: shape (B, 1, D, H, W), in {0, 1}.
            memory: a name of `mvnet.runtime.MEMORY`.
        Returns:
            features and tensors of the same shapes.
        """
        # z -> log z, distances of log z to its neighbours -> h + inject -> convolutions
        logs = centred_log(z) * mask
        distances = dissimilarity(logs, mask)
        if memory == "low" and isinstance(self.convolutions, ReversibleConvolutions):
            h = self.convolutions(run_part(self._inject, h, logs, distances, mask, memory=memory), mask, memory)
        else:
            h = run_part(self._next_features, h, logs, distances, mask, memory=memory)
        return h, run_part(self._next_tensors, h, logs, distances, mask, memory=memory)

    def _inject(self, h: Tensor, logs: Tensor, distances: Tensor, mask: Tensor) -> Tensor:
        return (h + self.inject(torch.cat([logs, distances], 1))) * mask

    def _next_features(self, h: Tensor, logs: Tensor, distances: Tensor, mask: Tensor) -> Tensor:
        return self.convolutions(self._inject(h, logs, distances, mask), mask)

    def _next_tensors(self, h: Tensor, logs: Tensor, distances: Tensor, mask: Tensor) -> Tensor:
        # h -> weights w_q -> exp(sum_q w_q log z_q);  h -> xi in gl(3) -> flow of z' = xi . z
        drive = rms_squash(h)
        return self.move(drive, uncentred_exp(self.choose(drive, distances, logs, mask)))


class DTIDenoiser(nn.Module):
    """Sym+(3)-valued manifold-ODE network on volumes.

    Args:
        fields: features of the trunk, multiplicities of named representations; permutations only.
        hidden: features inside the ODE blocks, likewise.
        convolutions: number of residual convolutions of every stage.
        group: "Oh" for equivariance to the symmetries of the cube, "E" for none.
        method: Lie-group integrator of the ODE blocks, a name of `mvnet.integrators.METHODS`.
        spread: whether the errors of FA and MD are predicted, beside that of the tensor.
        size_noise: whether the noise of a tensor's size is seen, beside that of its components.
        gradient: how the gradient of the ODE blocks is found, a name of `mvnet.integrators.GRADIENTS`.
        trunk: form of the convolutions, a name of `mvnet.models.dti.trunk.TRUNKS`.
        generator: source of the initial weights; torch's global generator when None.
    Attributes:
        memory: a name of `mvnet.runtime.MEMORY`: what is kept for the backward pass. No property of the weights.
    Raises:
        MvnetError: features that no pointwise nonlinearity keeps equivariant, an unknown trunk, or fields of odd
            multiplicity for the two streams of a reversible one.
    """

    def __init__(
        self,
        fields: Mapping[str, int] = TRUNK,
        hidden: Mapping[str, int] = HIDDEN,
        convolutions: Sequence[int] = (4, 4),
        group: str = "Oh",
        method: str = "rkmk2",
        spread: bool = False,
        size_noise: bool = False,
        gradient: str = "discrete",
        trunk: str = "residual",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if trunk not in TRUNKS:
            raise MvnetError(f"trunk: found {trunk!r}, expected one of {', '.join(TRUNKS)}")
        self.memory = "plain"
        self.config = {
            "fields": dict(fields),
            "hidden": dict(hidden),
            "convolutions": list(convolutions),
            "group": group,
            "method": method,
            "spread": spread,
            "size_noise": size_noise,
            "gradient": gradient,
            "trunk": trunk,
        }
        symmetry = find_group(group)
        outer, inner = permutation_type(symmetry, fields), permutation_type(symmetry, hidden)
        scalar, tensor = Trivial(symmetry), Sym2(symmetry)
        self.lift = GroupConv(
            FieldType((1, tensor), (len(SCALARS), scalar), (1, tensor)), outer, 3, generator=generator
        )
        self.lift_size = (
            GroupConv(FieldType((1, scalar)), outer, 3, bias=False, generator=generator) if size_noise else None
        )
        if self.lift_size is not None:
            nn.init.zeros_(self.lift_size.weight)
        self.stages = nn.ModuleList(
            Stage(outer, inner, count, method, gradient, trunk, generator=generator) for count in convolutions
        )
        self.error = GroupConv(outer, FieldType((1, scalar)), 1, generator=generator)
        nn.init.zeros_(self.error.weight)  # exp(-log error) enters the loss
        self.spread = GroupConv(outer, FieldType((2, scalar)), 1, generator=generator) if spread else None
        if self.spread is not None:
            nn.init.zeros_(self.spread.weight)

    @property
    def receptive_radius(self) -> int:
        """Voxels on each side that an output voxel can depend on: the overlap of tiles.

        A stage reads the neighbours (lift, then distances) and adds its convolutions; the weights of a filter come
        from the features of its own voxel.
        """
        return len(self.config["convolutions"]) + sum(self.config["convolutions"])

    def forward(self, tensors: Tensor, features: Tensor) -> DenoisedField:
        """Denoise.

        Args:
            tensors: shape (B, 6, D, H, W), Mandel planes, positive definite, um^2/ms, with tissue near
                `REFERENCE_DIFFUSIVITY`.
            features: shape (B, 12, D, H, W), the planes named in `SCALARS`, then the voxel shape, 6 Mandel planes, and
                the noise of the size.
        Returns:
            tensors, shape (B, 6, D, H, W), um^2/ms, the log of their expected error, and more.
        """
        h, z = self.run_trunk(tensors, features)
        # no gradient of the heads into the trunk
        return DenoisedField(z, *run_part(self._log_errors, h.detach(), memory=self.memory))

    def _log_errors(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        # h -> log errors, bounded
        seen = rms_squash(h)
        spread = None if self.spread is None else bounded_log_error(self.spread(seen))
        return bounded_log_error(self.error(seen)), spread

    def run_trunk(self, tensors: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """What the heads read, and the denoised tensors.

        Args:
            tensors, features: as of `forward`.
        Returns:
            features h of the last stage, shape (B, channels of the trunk, D, H, W), and z, shape (B, 6, D, H, W).
        Raises:
            MvnetError: another number of planes.
        """
        if tensors.shape[1] != 6 or features.shape[1] != FEATURES:
            raise MvnetError(
                f"tensors and features: found {tensors.shape[1]} and {features.shape[1]} planes, "
                f"expected 6 and {FEATURES} at dim 1"
            )
        # log z, features -> h
        mask = features[:, :1]
        planes = torch.cat([centred_log(tensors) * mask, features[:, :-1]], 1)
        h = run_part(self._lift, planes, features, memory=self.memory)
        # h, z -> h, z, stage by stage
        z = tensors
        for stage in self.stages:
            h, z = stage(h, z, mask, self.memory)
        return h, z

    def _lift(self, planes: Tensor, features: Tensor) -> Tensor:
        h = self.lift(planes.contiguous(memory_format=torch.channels_last_3d))
        if self.lift_size is not None:
            h = h + self.lift_size(features[:, -1:].contiguous())
        return F.silu(h) * features[:, :1]


def bounded_log_error(x: Tensor) -> Tensor:
    """What the error head's linear map stands for: c tanh(x / c), near x where |x| is well below c = 4.

    Args:
        x: any shape.
    Returns:
        same shape, in (-4, 4).
    """
    return _LOG_ERROR_RANGE * torch.tanh(x / _LOG_ERROR_RANGE)


def centred_log(tensors: Tensor) -> Tensor:
    """log(D / reference): zero for isotropic tissue of the reference diffusivity.

    Args:
        tensors: shape (B, 6, ...), Mandel planes, positive definite, um^2/ms.
    Returns:
        shape (B, 6, ...).
    """
    return sym3.log(tensors / REFERENCE_DIFFUSIVITY)


def uncentred_exp(logs: Tensor) -> Tensor:
    """Inverse of `centred_log`.

    Args:
        logs: shape (B, 6, ...).
    Returns:
        shape (B, 6, ...), Mandel planes, positive definite, um^2/ms.
    """
    return sym3.exp(logs) * REFERENCE_DIFFUSIVITY
