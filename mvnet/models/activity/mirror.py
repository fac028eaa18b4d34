"""Left and right of a skeleton, found from its tree and its mean pose.

A mirror exchanges limbs: an automorphism s of the tree with s o s = 1. Of all of them it is the one for which the mean
pose m comes closest to its own image in a vertical plane with normal n,

    residual(s) = min_n sum_j | m_s(j) - (1 - 2 n n^T) m_j |^2 / sum_j |m_j|^2,

where n is the horizontal eigenvector of the smallest eigenvalue of sym sum_j m_j m_s(j)^T.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_LARGEST_RESIDUAL = 0.1
_MOST = 4096  # automorphisms tried


def find_mirror(parent: Tensor, pose: Tensor) -> Tensor | None:
    """The joint that each becomes in a mirror.

    Args:
        parent: (joints,) integers, -1 at the root.
        pose: (joints, 3) mean pose, z up, any unit of length.
    Returns:
        (joints,) int64; None where no exchange of limbs fits the pose.
    """
    above = [int(p) for p in parent]
    below: list[list[int]] = [[] for _ in above]
    roots = []
    for joint, p in enumerate(above):
        (roots if p < 0 else below[p]).append(joint)
    if len(roots) != 1:
        return None
    m = pose - pose.mean(0)
    best, found = _LARGEST_RESIDUAL, None
    for exchange in _involutions(roots[0], below):
        s = torch.tensor([exchange[j] for j in range(len(above))], device=pose.device)
        if bool((s == torch.arange(len(s), device=s.device)).all()):
            continue
        residual = float(_residual(m, s))
        if residual < best:
            best, found = residual, s
    return found


def _residual(m: Tensor, s: Tensor) -> Tensor:
    a = m.mT @ m[s]
    n = m.new_zeros(3)
    n[:2] = torch.linalg.eigh((a + a.mT)[:2, :2] / 2).eigenvectors[:, 0]
    image = m - 2 * (m @ n).unsqueeze(-1) * n
    return (m[s] - image).square().sum() / m.square().sum().clamp_min(1e-12)


def _form(joint: int, below: list[list[int]]) -> str:
    """The same text for isomorphic trees."""
    return "(" + "".join(sorted(_form(child, below) for child in below[joint])) + ")"


def _isomorphism(a: int, b: int, below: list[list[int]]) -> dict[int, int]:
    """One map of the tree under a onto that under b."""
    result = {a: b}
    pairs = zip(*(sorted(below[x], key=lambda c: _form(c, below)) for x in (a, b)))
    for x, y in pairs:
        result.update(_isomorphism(x, y, below))
    return result


def _involutions(joint: int, below: list[list[int]]) -> list[dict[int, int]]:
    """Automorphisms of the tree under a joint that are their own inverse, at most `_MOST`."""
    results = [{joint: joint}]
    alike: dict[str, list[int]] = {}
    for child in below[joint]:
        alike.setdefault(_form(child, below), []).append(child)
    for group in alike.values():
        options: list[dict[int, int]] = []
        for matching in _matchings(group):
            partial: list[dict[int, int]] = [{}]
            for pair in matching:
                if len(pair) == 1:
                    choices = _involutions(pair[0], below)
                else:
                    there = _isomorphism(pair[0], pair[1], below)
                    choices = [there | {v: k for k, v in there.items()}]
                partial = [a | b for a in partial for b in choices][:_MOST]
            options += partial
        results = [a | b for a in results for b in options][:_MOST]
    return results


def _matchings(group: list[int]) -> Iterator[list[tuple[int, ...]]]:
    """All ways to divide a group into pairs and single ones."""
    if not group:
        yield []
        return
    first, rest = group[0], group[1:]
    for matching in _matchings(rest):
        yield [(first,), *matching]
    for i, other in enumerate(rest):
        for matching in _matchings(rest[:i] + rest[i + 1 :]):
            yield [(first, other), *matching]
