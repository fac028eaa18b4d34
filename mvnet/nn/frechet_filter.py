"""Choose: a learned intrinsic filter. A network predicts weights over the neighbourhood, the layer takes the mean.

For weights w_q >= 0, sum_q w_q = 1 over the 27 neighbours q of a voxel, the weighted log-Euclidean mean

    z'_p = exp( sum_q w_q log z_q )

minimises sum_q w_q d(z, z_q)^2 in the log-Euclidean metric. It is positive definite whatever the weights, and commutes
with every rotation and scaling of the values, since log(s R P R^T) = log(s) I + R log(P) R^T. The weights are a field
of the representation that permutes the neighbours: the layer commutes with the symmetries of the grid as well.

A log-tensor is the orthogonal sum of its size, tr(log z) I / 3, and its shape. The noise of the images without
weighting moves all eigenvalues alike, the size first of all, and tissues differ less in size than in shape: each part
has weights of its own.
Source: Arsigny et al., Magn. Reson. Med. 56 (2006) 411-421, eq. 5.
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mvnet.equivariant import FieldType, GroupConv
from mvnet.equivariant.kernels import taps

NEIGHBOURS = tuple(product(range(3), repeat=3))
_CENTRE = NEIGHBOURS.index((1, 1, 1))
_PRIOR_LOGIT = 5.0  # of the centre: at initialisation it holds 85 % of the weight
_TYPICAL = 0.01  # squared distance of two noisy neighbours of one tissue in a good scan
_OUTSIDE = -1e4  # logit of a neighbour outside the mask


class _NeighbourhoodMean(torch.autograd.Function):
    """m_p = sum_q w_pq L_{p+q}, with a backward that adds into one padded buffer instead of 27 of them.

    dL_{p+q} += w_pq dm_p,      dw_pq = <dm_p, L_{p+q}>
    """

    @staticmethod
    def forward(ctx, logs: Tensor, weights: Tensor) -> Tensor:
        padded = F.pad(logs, (1,) * 6)
        ctx.save_for_backward(padded, weights)
        out = torch.zeros_like(logs)
        for q, window in enumerate(windows(padded)):
            out.addcmul_(weights[:, q : q + 1], window)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        padded, weights = ctx.saved_tensors
        to_logs, to_weights = torch.zeros_like(padded), torch.empty_like(weights)
        for q, (window, target) in enumerate(zip(windows(padded), windows(to_logs))):
            target.addcmul_(weights[:, q : q + 1], gradient)
            torch.sum(gradient * window, 1, out=to_weights[:, q])
        return to_logs[:, :, 1:-1, 1:-1, 1:-1], to_weights


def windows(padded: Tensor) -> list[Tensor]:
    """The 27 shifted views of a field padded by one voxel, in the order of `NEIGHBOURS`."""
    d, h, w = (n - 2 for n in padded.shape[2:])
    return [padded[:, :, i : i + d, j : j + h, k : k + w] for i, j, k in NEIGHBOURS]


def neighbourhood_mean(logs: Tensor, weights: Tensor) -> Tensor:
    """sum_q w_q log z_q over the 3x3x3 neighbourhood, zero outside the volume; differentiable once.

    Args:
        logs: (B, C, D, H, W) planes of log-tensors.
        weights: (B, 27, D, H, W), in the order of `NEIGHBOURS`.
    Returns:
        (B, C, D, H, W).
    """
    return _NeighbourhoodMean.apply(logs, weights)


@torch.no_grad()
def dissimilarity(logs: Tensor, mask: Tensor) -> Tensor:
    """log of the squared distance to every neighbour, near 0 for typical noise, 0 outside the mask.

    Invariant to every rotation of the values and to their scale, permuted as the neighbours are by symmetries of the
    grid: what bilateral and non-local filters weigh by. Not differentiated.

    Args:
        logs: (B, C, D, H, W) log-tensors, for the log-Euclidean distance, or their sizes.
        mask: (B, 1, D, H, W) in {0, 1}.
    Returns:
        (B, 27, D, H, W), in the order of `NEIGHBOURS`.
    """
    pairs = zip(windows(F.pad(logs, (1,) * 6)), windows(F.pad(mask, (1,) * 6)))
    squares = [
        (window - logs).square().sum(1, keepdim=True).add_(_TYPICAL).div_(10 * _TYPICAL).log_() * inside
        for window, inside in pairs
    ]
    return torch.cat(squares, 1) * mask


def isotropic_part(logs: Tensor) -> Tensor:
    """tr(log z) / sqrt 3, the component along I / sqrt 3: (B, 6, D, H, W) -> (B, 1, D, H, W)."""
    return logs[:, :3].sum(1, keepdim=True) / 3**0.5


class FrechetFilter(nn.Module):
    """Weights over the neighbourhood from features and distances, then the log-Euclidean mean of the values.

    The weights of the size are those of the shape with further logits, which are zero at initialisation.

    Args:
        fields: type of the features.
    """

    prior: Tensor

    def __init__(self, fields: FieldType):
        super().__init__()
        neighbours = FieldType((1, taps(fields.group, 3)))
        self.logits = GroupConv(fields, neighbours, 1)
        self.distances = GroupConv(neighbours, neighbours, 1, bias=False)
        self.size_logits = GroupConv(fields, neighbours, 1)
        self.size_distances = GroupConv(neighbours, neighbours, 1, bias=False)
        for layer in (self.logits, self.distances, self.size_logits, self.size_distances):
            nn.init.zeros_(layer.weight)
        prior = torch.zeros(len(NEIGHBOURS), 1, 1, 1)
        prior[_CENTRE] = _PRIOR_LOGIT
        self.register_buffer("prior", prior, persistent=False)

    def forward(self, features: Tensor, distances: Tensor, logs: Tensor, mask: Tensor) -> Tensor:
        """Mean of the logs (B, 6, ...).

        Args:
            features: (B, C, ...).
            distances: (B, 27, ...) of `dissimilarity`.
            logs: (B, 6, ...).
            mask: (B, 1, ...) in {0, 1}.
        """
        outside = 1 - torch.cat(windows(F.pad(mask, (1,) * 6)), 1)
        logits = (self.logits(features) + self.distances(distances)).contiguous() + self.prior + outside * _OUTSIDE
        mean = neighbourhood_mean(logs, torch.softmax(logits, 1))
        size = isotropic_part(logs)
        further = self.size_logits(features) + self.size_distances(dissimilarity(size, mask))
        of_size = neighbourhood_mean(size, torch.softmax(logits + further.contiguous(), 1))
        return torch.cat([mean[:, :3] + (of_size - isotropic_part(mean)) / 3**0.5, mean[:, 3:]], 1)
