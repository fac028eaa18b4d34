"""Positions of the joints of a skeleton: denoised as curves in R^3, then put back on bones of constant length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.motion.skeleton.tree import order


def bone_lengths(positions: Tensor, seen: Tensor, parent: Tensor) -> Tensor:
    """Median length of the bone that ends in every joint.

    Args:
        positions: (T, J, 3).
        seen: (T, J) bool.
        parent: (J,) long, -1 at the root.
    Returns:
        (J,), 0 at the root and where no frame shows both ends.
    """
    above = parent.clamp(min=0)
    length = torch.linalg.vector_norm(positions - positions[:, above], dim=-1)
    both = seen & seen[:, above] & (parent >= 0)
    return torch.where(both, length, torch.nan).nanmedian(0).values.nan_to_num()


def with_lengths(positions: Tensor, parent: Tensor, lengths: Tensor) -> Tensor:
    """Positions with the directions of the bones as given and lengths that are constant,

        x'_j = x'_p + l_j (x_j - x_p) / |x_j - x_p|,    p the joint above j, the root stays.

    Args:
        positions: x, (T, J, 3).
        parent: (J,) long, -1 at the root.
        lengths: l, (J,).
    Returns:
        (T, J, 3).
    """
    result = positions.clone()
    for joint in order(np.asarray(parent)):
        above = int(parent[joint])
        if above >= 0:
            bone = positions[:, joint] - positions[:, above]
            size = torch.linalg.vector_norm(bone, dim=-1, keepdim=True).clamp(min=torch.finfo(bone.dtype).tiny)
            result[:, joint] = result[:, above] + lengths[joint] * bone / size
    return result
