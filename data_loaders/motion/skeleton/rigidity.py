"""A tree of joints from how they move, without names: bones keep their length.

    c(i, j) = sqrt(mean_r var_t d_ij) + a mean d_ij,    d_ij the distance of joints i and j, within recordings r

The tree is the minimum spanning tree of c, symmetric under the exchange s of left and right where the mean pose maps
onto its mirror image: with c(i, j) + c(s i, s j) for c, bones are chosen in pairs (i, j), (s i, s j), none from a
joint to its own image. Source of the spanning tree of rigid pairs: de Aguiar, Theobalt, Seidel, ISVC (2006).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mvnet.data_loaders.motion.skeleton.tree import children, order, parent_of_bones

_SHORT = 0.1  # a, the price of length
_FRAMES = 3000
_ANGLES, _LARGEST_RESIDUAL = 36, 0.1


def bone_costs(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """c (joints, joints) over the mean distance of all joints, infinite on the diagonal and for pairs never seen.

    Args:
        sequences: positions (frames, joints, 2 or 3), NaN where missing.
    """
    joints = sequences[0].shape[1]
    sequences = sequences[:: max(1, len(sequences) // _FRAMES)]
    step = max(1, sum(map(len, sequences)) // _FRAMES)
    total, within, count = (np.zeros((joints, joints)) for _ in range(3))
    for sequence in sequences:
        x = np.asarray(sequence[:: min(step, max(1, len(sequence) // 2))], dtype=np.float64)
        d = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)
        seen = np.isfinite(d)
        n, d = seen.sum(0), np.where(seen, d, 0.0)
        mean = d.sum(0) / np.maximum(n, 1)
        total, count = total + d.sum(0), count + n
        within += np.where(seen, (d - mean) ** 2, 0.0).sum(0)
    many = np.maximum(count, 1)
    mean, spread = total / many, np.sqrt(within / many)
    cost = np.where(count > 0, spread + _SHORT * mean, np.inf) / max(float(mean.mean()), 1e-12)
    np.fill_diagonal(cost, np.inf)
    return cost


def find_exchange(pose: np.ndarray) -> np.ndarray | None:
    """The joint that each becomes in the mirror of the body, from a mean pose alone.

    Of the vertical planes through the centre, that in which the image, matched joint by joint, comes closest.

    Args:
        pose: (joints, 3) z up, or (joints, 2), to the right and up.
    Returns:
        (joints,), its own inverse; None where the pose is not its own mirror image.
    """
    best, found = _LARGEST_RESIDUAL, None
    for image in _images(pose):
        m = pose - pose.mean(0)
        distance = ((image[:, None] - m[None]) ** 2).sum(-1)
        exchange = _matching(distance)
        residual = float(distance[np.arange(len(m)), exchange].sum()) / max(float((m**2).sum()), 1e-12)
        if residual < best and (exchange != np.arange(len(m))).any():
            best, found = residual, exchange
    return found


def mirror_residual(pose: np.ndarray, exchange: np.ndarray) -> float:
    """Squared distance of the exchanged pose from its image in the best vertical plane, over the size of the pose."""
    m = pose - pose.mean(0)
    least = min(float(((image - m[exchange]) ** 2).sum()) for image in _images(pose))
    return least / max(float((m**2).sum()), 1e-12)


def _images(pose: np.ndarray) -> Iterator[np.ndarray]:
    """The centred pose mirrored in vertical planes through its centre, m - 2 n n^T m."""
    m = pose - pose.mean(0)
    for angle in np.linspace(0, np.pi, _ANGLES, endpoint=False) if pose.shape[1] == 3 else (0.0,):
        n = np.array([np.cos(angle), np.sin(angle), 0.0])[: pose.shape[1]]
        yield m - 2 * np.outer(m @ n, n)


def _matching(distance: np.ndarray) -> np.ndarray:
    """Pairs and single joints of a symmetric matrix of distances: the best assignment, its longer cycles undone."""
    from scipy.optimize import linear_sum_assignment

    exchange = linear_sum_assignment(distance)[1]
    joints = np.arange(len(distance))
    odd = exchange[exchange] != joints
    exchange[odd] = joints[odd]
    loose = np.flatnonzero(odd)
    pairs = sorted(
        (distance[i, j] - (distance[i, i] + distance[j, j]) / 2, i, j) for i in loose for j in loose if i < j
    )
    for gain, i, j in pairs:
        if gain < 0 and exchange[i] == i and exchange[j] == j:
            exchange[i], exchange[j] = j, i
    return exchange


def along_limbs(exchange: np.ndarray, bones: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The exchange with joints below a pair paired too, where they were taken for their own images.

    Feet that are close to each other in the mean pose say little; the bones to them say more.

    Args:
        exchange: of `find_exchange`. bones: a spanning tree. cost: of the bones.
    """
    result, joints = exchange.copy(), np.arange(len(exchange))
    parent = rooted(bones, exchange)
    for joint in order(parent):
        other = int(result[joint])
        if other <= joint:
            continue
        mine, theirs = ([c for c in children(parent, j) if result[c] == c] for j in (joint, other))
        while mine and theirs:
            difference = {(i, k): abs(cost[joint, i] - cost[other, k]) for i in mine for k in theirs}
            i, k = min(difference, key=lambda pair: difference[pair])
            result[i], result[k] = k, i
            mine.remove(i)
            theirs.remove(k)
    return result if (result[result] == joints).all() else exchange


def spanning_tree(cost: np.ndarray, exchange: np.ndarray | None = None) -> np.ndarray | None:
    """Bones (joints - 1, 2) of least cost that join all joints, symmetric under `exchange`; None where none do."""
    joints = len(cost)
    s = np.arange(joints) if exchange is None else exchange
    both = cost + cost[s][:, s]
    ends = np.argwhere(np.triu(np.isfinite(both), 1))
    ends = ends[np.argsort(both[ends[:, 0], ends[:, 1]], kind="stable")]
    group = np.arange(joints)
    bones: list[tuple[int, int]] = []
    for i, j in ends.tolist():
        a, b = int(s[i]), int(s[j])
        if exchange is not None and a == j:
            continue
        trial, orbit = group.copy(), [(i, j)] if {a, b} == {i, j} else [(i, j), (a, b)]
        for one, other in orbit:
            if trial[one] == trial[other]:
                break
            trial[trial == trial[other]] = trial[one]
        else:
            group = trial
            bones += orbit
    return np.array(bones) if len(bones) == joints - 1 else None


def rooted(bones: np.ndarray, exchange: np.ndarray | None = None) -> np.ndarray:
    """Parents (joints,) seen from the middle: the joint nearest to all others, of those that are their own image."""
    joints = len(bones) + 1
    candidates = np.arange(joints) if exchange is None else np.flatnonzero(exchange == np.arange(joints))
    trees = [parent_of_bones(bones, joints, int(root)) for root in (candidates if len(candidates) else range(joints))]
    return min(trees, key=_total_depth)


def _total_depth(parent: np.ndarray) -> int:
    depth = np.zeros(len(parent), dtype=int)
    for joint in order(parent)[1:]:
        depth[joint] = depth[parent[joint]] + 1
    return int(depth.sum())
