"""A denoiser of tensor fields that cannot amplify: averaged resolvents of pairs, driven by side information alone.

State: log-tensors L, split into size and shape. Round k of K, for all 26 neighbours q of a voxel p inside the mask:

    L_p <- L_p + h_k sum_q w_kq t_kpq (L_{p+q} - L_p),     then   size_p <- size_p + a_kp,   shape_p <- c_kp shape_p

t = (1 - s(d)/d) / 2, d = |L_{p+q} - L_p|, for size and shape apart (`pairs.py`). The scale and the strength of s, the
shift a and the factor c in [0, 1] come from side information - mask, b0, maps of noise and residual, shape of a voxel
- through convolutions that commute with the symmetries of the cube; the weights w from the shape of a voxel alone. The
tensors themselves enter nothing but the distances d.

Theorem. Let F be the network for given side information, X and Y two tensor fields on the mask. Then

    ( sum_p |log F(X)_p - log F(Y)_p|^2 )^1/2   <=   ( sum_p |log X_p - log Y_p|^2 )^1/2   <=   d(X, Y)

with d the affine-invariant distance of the fields. Proof: a pair map is 1-Lipschitz, an average of maps of matchings
with fixed weights is (`pairs.py`), a blend with the identity by h_k in [0, 1] too, and so are shifts and contractions
that do not depend on L. The second inequality holds on every manifold of non-positive curvature (Bhatia, Positive
definite matrices (2007), theorem 6.1.4).

Equivariance: d does not change when the values are rotated or scaled, so F commutes with X -> R X R^T and X -> c X, R
any rotation, and by its convolutions with every symmetry of the grid that preserves the shape of a voxel.

The theorem is about given side information. The maps of noise and residual are computed from the same signals.
Source: paper sections 2.1.1, 2.2.1, 2.4.3; steps and their regularisation in time: section 3.2, eqs. 37 and 39.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.control.steps import SimplexSteps
from mvnet.equivariant import FieldType, GroupConv, Sym2, Trivial, permutation_type, rms_squash
from mvnet.equivariant import group as find_group
from mvnet.equivariant.kernels import taps
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.models.dti.certified.pairs import OFFSETS, PARTS, average, join, split
from mvnet.models.dti.certified.sweep import sweep
from mvnet.models.dti.network import FEATURES, SCALARS

TRUNK = {"trivial": 8, "faces": 2, "vertices": 1, "edges": 1}
METRICS = ("log-euclidean", "affine-invariant")
_FIRST_SLOPES = (-0.6, 0.2, 0.9, 0.99)
_PER_PAIR = 2 * PARTS  # scale and strength of each
_KEPT = 6.0  # logit of the factor of the shape at the start


class Round(nn.Module):
    """What one round makes of the features: its maps of pairs, its weights, its shifts and factors.

    Args:
        fields: type of the features.
        generator: source of the initial weights; torch's global generator when None.
    """

    def __init__(self, fields: FieldType, *, generator: torch.Generator | None = None):
        super().__init__()
        neighbours = FieldType((_PER_PAIR, taps(fields.group, 3)))
        self.pairs = GroupConv(fields, neighbours, 1, gain=0.1, generator=generator)
        self.voxels = GroupConv(fields, FieldType((2, Trivial(fields.group))), 1, generator=generator)
        nn.init.zeros_(self.voxels.weight)
        self.slopes = nn.Parameter(torch.tensor(_FIRST_SLOPES).atanh().repeat(PARTS, 1))
        self.nearness = nn.Parameter(torch.tensor([0.0, 1.0]))  # of the voxel itself, and of distance

    def weights(self, lengths: Tensor) -> Tensor:
        """w_q of the 13 offsets, equal for opposite ones; the sum over 26 is below 1.

        Args:
            lengths: (B, 13), of the offsets in units of a voxel's mean side.
        Returns:
            shape (B, 13).
        """
        itself, decay = self.nearness
        logits = -decay * (lengths - 1)
        both = torch.cat([itself.expand(len(lengths), 1), logits, logits], 1)
        return torch.softmax(both, 1)[:, 1 : 1 + len(OFFSETS)]

    def maps(self, features: Tensor) -> Tensor:
        """Logits of scale and strength: (B, 4, 27, D, H, W), for size, then for shape.

        Args:
            features: shape (B, fields.channels, D, H, W).
        Returns:
            what a voxel contributes to each of its pairs.
        """
        return self.pairs(features).contiguous().unflatten(1, (_PER_PAIR, 27))

    def limits(self, slopes_from: float) -> Tensor:
        """Slopes c of s, (2, 4).

        Args:
            slopes_from: -1, or 0 where only resolvents are non-expansive.
        Returns:
            the slopes of size and of shape, between `slopes_from` and 1.
        """
        return torch.tanh(self.slopes).clamp_min(slopes_from)


class CertifiedDenoiser(nn.Module):
    """Non-expansive filter of tensor fields.

    Args:
        fields: features of the trunk on side information, multiplicities of named representations; permutations only.
        rounds: K.
        length: sum of the steps h_k, at most K.
        convolutions: number of residual 3x3x3 convolutions of the trunk.
        group: "Oh".
        metric: "log-euclidean", or "affine-invariant": the pair maps go along affine-invariant geodesics, one offset
            after another, with slopes in [0, 1]. Then F does not expand affine-invariant distances, and its symmetries
            hold up to the order of the offsets.
        generator: source of the initial weights; torch's global generator when None.
    Raises:
        MvnetError: an unknown metric, more length than rounds, or features that no pointwise nonlinearity keeps.
    """

    def __init__(
        self,
        fields: Mapping[str, int] = TRUNK,
        rounds: int = 6,
        length: float = 4.0,
        convolutions: int = 2,
        group: str = "Oh",
        metric: str = "log-euclidean",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if metric not in METRICS:
            raise MvnetError(f"metric: found {metric!r}, expected one of {', '.join(METRICS)}")
        if not 0 < length <= rounds:
            raise MvnetError(f"length: found {length}, expected a positive number of at most {rounds}, the rounds")
        self.config = {
            "fields": dict(fields),
            "rounds": rounds,
            "length": length,
            "convolutions": convolutions,
            "group": group,
            "metric": metric,
        }
        symmetry = find_group(group)
        trunk, scalar, tensor = permutation_type(symmetry, fields), Trivial(symmetry), Sym2(symmetry)
        side = FieldType((len(SCALARS), scalar), (1, tensor), (1, scalar))
        self.metric = metric
        self.lift = GroupConv(side, trunk, 3, generator=generator)
        self.convolutions = nn.ModuleList(
            GroupConv(trunk, trunk, 3, gain=0.5, generator=generator) for _ in range(convolutions)
        )
        self.rounds = nn.ModuleList(Round(trunk, generator=generator) for _ in range(rounds))
        self.steps = SimplexSteps(rounds, length)

    @property
    def receptive_radius(self) -> int:
        """Voxels on each side that an output voxel can depend on: the overlap of tiles."""
        swept = len(self.rounds) * (9 if self.metric == METRICS[1] else 1)
        return 1 + len(self.convolutions) + swept

    def side_information(self, features: Tensor) -> Tensor:
        """Features of the trunk.

        Args:
            features: shape (B, 12, D, H, W), of `mvnet.models.dti.inputs.feature_planes`.
        Returns:
            shape (B, fields.channels, D, H, W), zero outside the mask.
        Raises:
            MvnetError: another number of planes.
        """
        if features.shape[1] != FEATURES:
            raise MvnetError(f"features: found {features.shape[1]} planes, expected {FEATURES} at dim 1")
        mask = features[:, :1]
        h = F.silu(self.lift(features.contiguous(memory_format=torch.channels_last_3d))) * mask
        for convolution in self.convolutions:
            h = h + F.silu(convolution(rms_squash(h))) * mask
        return rms_squash(h)

    def drop_idle_rounds(self, below: float = 1e-3) -> int:
        """Leave out rounds that do nothing but shift.

        Args:
            below: largest step of a round that is dropped.
        Returns:
            number of rounds left; `config` describes what is left.
        """
        kept = [k for k, step in enumerate(self.steps().tolist()) if step > below]
        steps = SimplexSteps(len(kept), float(self.steps().detach()[kept].sum()))
        steps.raw.data = self.steps().detach()[kept].clone()
        self.rounds, self.steps = nn.ModuleList(self.rounds[k] for k in kept), steps
        self.config |= {"rounds": len(kept), "length": steps.total}
        return len(kept)

    def filter_logs(self, logs: Tensor, features: Tensor) -> Tensor:
        """F on log-tensors: what the theorem is about.

        Args:
            logs: shape (B, 6, D, H, W), Mandel planes; any value outside the mask.
            features: shape (B or 1, 12, D, H, W), side information.
        Returns:
            shape (B, 6, D, H, W).
        """
        mask = features[:, :1]
        seen, lengths, expected = self.side_information(features), _offset_lengths(features), _noise_logits(features)
        size, shape = split(logs)
        for step, one in zip(self.steps(), self.rounds, strict=True):
            assert isinstance(one, Round)
            weights, maps = step.clamp(0, 1) * one.weights(lengths), one.maps(seen) + expected
            if self.metric == METRICS[1]:
                size, shape = sweep(size, shape, mask, maps, weights, one.limits(0.0))
            else:
                size, shape = average(size, shape, mask, maps, weights, one.limits(-1.0))
            # side information -> shift of the size, factor of the shape
            shift, factor = one.voxels(seen).split(1, 1)
            size, shape = size + mask * shift, shape * torch.sigmoid(factor + _KEPT)
        return join(size, shape)

    def forward(self, tensors: Tensor, features: Tensor) -> Tensor:
        """Denoise.

        Args:
            tensors: shape (B, 6, D, H, W), Mandel planes, positive definite, in any unit.
            features: shape (B, 12, D, H, W), side information.
        Returns:
            shape (B, 6, D, H, W), positive definite, in the unit of the input.
        """
        return sym3.exp(self.filter_logs(sym3.log(tensors), features))


def _noise_logits(features: Tensor) -> Tensor:
    """What a voxel's noise adds to `Round.maps`: scales follow the noise of size and of shape, (B, 4, 1, D, H, W)."""
    noise, ratio = (features[:, k] for k in (SCALARS.index("log_noise"), -1))
    none = torch.zeros_like(noise)
    return torch.stack([noise + ratio, none, noise, none], 1).unsqueeze(2) / 2  # a pair adds up two of them


def _offset_lengths(features: Tensor) -> Tensor:
    """Lengths (B, 13) of the offsets, in units of the geometric mean of a voxel's sides."""
    inside = features[:, 0].flatten(1).argmax(1)
    planes = features[:, len(SCALARS) : len(SCALARS) + 3].flatten(2)
    sides = planes.gather(2, inside.view(-1, 1, 1).expand(-1, 3, 1))[..., 0].exp()
    vectors = torch.tensor([offset.vector for offset in OFFSETS], dtype=sides.dtype, device=sides.device)
    return (vectors * sides[:, None]).square().sum(-1).sqrt()
