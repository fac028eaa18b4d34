"""A weighted Frechet-mean layer: a network predicts weights over the neighbourhood, the layer takes the mean.

For weights w_q >= 0, sum_q w_q = 1 over the 27 neighbours q of a voxel, the weighted log-Euclidean mean

    z'_p = exp( sum_q w_q log z_q )

minimises sum_q w_q d(z, z_q)^2 in the log-Euclidean metric. It is positive definite whatever the weights, and commutes
with every rotation and scaling of the values, since log(s R P R^T) = log(s) I + R log(P) R^T. The weights are a field
of the representation that permutes the neighbours: the layer commutes with the symmetries of the grid as well.

A log-tensor is the orthogonal sum of its isotropic part, tr(log z) I / 3, and its deviatoric part. The noise of the
images without diffusion weighting scales all eigenvalues alike, and tissues differ less in the isotropic part than in
the other: each part has weights of its own.
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
_PRIOR_LOGIT = 5.0  # logit of the central voxel, which has 85 % of the weight at initialisation
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
        # m_p += w_pq L_{p+q}, neighbour by neighbour
        for q, window in enumerate(windows(padded)):
            out.addcmul_(weights[:, q : q + 1], window)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        padded, weights = ctx.saved_tensors
        to_logs, to_weights = torch.zeros_like(padded), torch.empty_like(weights)
        for q, (window, target) in enumerate(zip(windows(padded), windows(to_logs))):
            # dL_{p+q} += w_pq dm_p
            target.addcmul_(weights[:, q : q + 1], gradient)
            # dw_pq = <dm_p, L_{p+q}>
            torch.sum(gradient * window, 1, out=to_weights[:, q])
        return to_logs[:, :, 1:-1, 1:-1, 1:-1], to_weights


def windows(padded: Tensor) -> list[Tensor]:
    """Shifted views of a field: every voxel beside its 27 neighbours.

    Args:
        padded: shape (B, C, D + 2, H + 2, W + 2), a field with one voxel around it.
    Returns:
        27 views of shape (B, C, D, H, W), in the order of `NEIGHBOURS`.
    """
    d, h, w = (n - 2 for n in padded.shape[2:])
    return [padded[:, :, i : i + d, j : j + h, k : k + w] for i, j, k in NEIGHBOURS]


def neighbourhood_mean(logs: Tensor, weights: Tensor) -> Tensor:
    """sum_q w_q log z_q over the 3x3x3 neighbourhood, zero outside the volume; differentiable once.

    Args:
        logs: shape (B, C, D, H, W), planes of log-tensors or of any vectors.
        weights: shape (B, 27, D, H, W), in the order of `NEIGHBOURS`.
    Returns:
        shape (B, C, D, H, W).
    Source: Arsigny et al., Magn. Reson. Med. 56 (2006), eq. 5, before the exponential.

    Examples:
        >>> import torch
        >>> from mvnet.nn import neighbourhood_mean
        >>> logs = torch.randn(1, 6, 4, 5, 6)
        >>> weights = torch.softmax(torch.randn(1, 27, 4, 5, 6), 1)
        >>> neighbourhood_mean(logs, weights).shape
        torch.Size([1, 6, 4, 5, 6])
    """
    return _NeighbourhoodMean.apply(logs, weights)


@torch.no_grad()
def dissimilarity(logs: Tensor, mask: Tensor) -> Tensor:
    """log of the squared distance to every neighbour, near 0 for typical noise, 0 outside the mask.

    Invariant to every rotation of the values and to their scale, permuted as the neighbours are by symmetries of the
    grid: what bilateral and non-local filters weigh by. Not differentiated.

    Args:
        logs: shape (B, C, D, H, W), log-tensors for the log-Euclidean distance, or their isotropic parts.
        mask: shape (B, 1, D, H, W), in {0, 1}.
    Returns:
        shape (B, 27, D, H, W), in the order of `NEIGHBOURS`.
    Source: Tomasi and Manduchi, Bilateral filtering for gray and color images (1998), for the range weights.

    Examples:
        >>> import torch
        >>> from mvnet.nn import dissimilarity
        >>> dissimilarity(torch.randn(1, 6, 4, 5, 6), torch.ones(1, 1, 4, 5, 6)).shape
        torch.Size([1, 27, 4, 5, 6])
    """
    pairs = zip(windows(F.pad(logs, (1,) * 6)), windows(F.pad(mask, (1,) * 6)))
    squares = [
        (window - logs).square().sum(1, keepdim=True).add_(_TYPICAL).div_(10 * _TYPICAL).log_() * inside
        for window, inside in pairs
    ]
    return torch.cat(squares, 1) * mask


def isotropic_part(logs: Tensor) -> Tensor:
    """tr(log z) / sqrt 3, the component of a log-tensor along I / sqrt 3.

    Args:
        logs: shape (B, 6, D, H, W), Mandel planes.
    Returns:
        shape (B, 1, D, H, W).

    Examples:
        >>> import torch
        >>> from mvnet.nn import isotropic_part
        >>> isotropic_part(torch.ones(1, 6, 2, 2, 2)).shape
        torch.Size([1, 1, 2, 2, 2])
    """
    return logs[:, :3].sum(1, keepdim=True) / 3**0.5


class FrechetFilter(nn.Module):
    """Weights over the neighbourhood from features and distances, then the log-Euclidean mean of the values.

    The isotropic part has the logits of the deviatoric one and further ones, which are zero at initialisation.

    Args:
        fields: type of the features, of a group of space.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        features (B, fields.channels, D, H, W), distances (B, 27, D, H, W), logs (B, 6, D, H, W),
        mask (B, 1, D, H, W) -> (B, 6, D, H, W).
    Source: Arsigny et al., Magn. Reson. Med. 56 (2006); Chakraborty et al., ManifoldNet (2020), for learned means.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import field_type, group
        >>> from mvnet.linalg import sym3
        >>> from mvnet.nn import FrechetFilter, dissimilarity
        >>> layer = FrechetFilter(field_type(group("Oh"), {"trivial": 4}))
        >>> features, mask = torch.randn(1, 4, 3, 4, 5), torch.ones(1, 1, 3, 4, 5)
        >>> tensors = torch.tensor([1.0, 1, 1, 0, 0, 0]).view(1, 6, 1, 1, 1).repeat(1, 1, 3, 4, 5)
        >>> logs = sym3.log(tensors)
        >>> mean = sym3.exp(layer(features, dissimilarity(logs, mask), logs, mask))
        >>> torch.allclose(mean, tensors)
        True
    """

    prior: Tensor

    def __init__(self, fields: FieldType, *, generator: torch.Generator | None = None):
        super().__init__()
        neighbours = FieldType((1, taps(fields.group, 3)))
        self.logits = GroupConv(fields, neighbours, 1, generator=generator)
        self.distances = GroupConv(neighbours, neighbours, 1, bias=False, generator=generator)
        self.size_logits = GroupConv(fields, neighbours, 1, generator=generator)
        self.size_distances = GroupConv(neighbours, neighbours, 1, bias=False, generator=generator)
        for layer in (self.logits, self.distances, self.size_logits, self.size_distances):
            nn.init.zeros_(layer.weight)
        prior = torch.zeros(len(NEIGHBOURS), 1, 1, 1)
        prior[_CENTRE] = _PRIOR_LOGIT
        self.register_buffer("prior", prior, persistent=False)

    def forward(self, features: Tensor, distances: Tensor, logs: Tensor, mask: Tensor) -> Tensor:
        """Weighted mean of the log-tensors of every neighbourhood.

        Args:
            features: shape (B, fields.channels, D, H, W), of the type `fields`.
            distances: shape (B, 27, D, H, W), of `dissimilarity`.
            logs: shape (B, 6, D, H, W), log-tensors as Mandel planes.
            mask: shape (B, 1, D, H, W), in {0, 1}; neighbours outside have no weight.
        Returns:
            shape (B, 6, D, H, W), log-tensors.
        """
        # features, distances -> logits -> weights -> weighted mean of logs
        outside = 1 - torch.cat(windows(F.pad(mask, (1,) * 6)), 1)
        logits = (self.logits(features) + self.distances(distances)).contiguous() + self.prior + outside * _OUTSIDE
        mean = neighbourhood_mean(logs, torch.softmax(logits, 1))
        # logits + further logits -> weights -> weighted mean of the isotropic part
        isotropic = isotropic_part(logs)
        further = self.size_logits(features) + self.size_distances(dissimilarity(isotropic, mask))
        isotropic_mean = neighbourhood_mean(isotropic, torch.softmax(logits + further.contiguous(), 1))
        # both means -> deviatoric part of the first with the second as its trace
        return torch.cat([mean[:, :3] + (isotropic_mean - isotropic_part(mean)) / 3**0.5, mean[:, 3:]], 1)
