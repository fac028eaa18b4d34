"""The tree of a skeleton that its file does not give: by the names of the joints, as a known layout, or from rigidity.

A layout of as many joints is recognised where its bones cost little more than those of the cheapest tree of all, see
`rigidity`, and where exchanging its left and right maps the mean pose onto its mirror image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mvnet.data_loaders.motion.skeleton.common_joints import names_of
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.names import exchange_of_names, tree_of_names
from mvnet.data_loaders.motion.skeleton.rigidity import (
    along_limbs,
    bone_costs,
    find_exchange,
    mirror_residual,
    rooted,
    spanning_tree,
)
from mvnet.data_loaders.motion.stand_in import StandIn

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.motion_set import MotionSet

_FEWEST = 5  # joints of which a tree is inferred
_DEARER = 1.25  # cost of the bones of a layout over that of the cheapest tree
_UNLIKE = 0.2  # largest mirror residual of a layout


def find_tree(motions: MotionSet) -> tuple[np.ndarray, str] | None:
    """Parents (joints,) and a note on how they were found; None where nothing fits.

    Args:
        motions: positions, of training recordings only.
    """
    names = names_of(motions)
    if names is not None and (parent := tree_of_names(names)) is not None:
        return parent, "no tree in the file: found by the names of the joints"
    if motions.width < _FEWEST:
        return None
    cost, pose = bone_costs(motions.sequences), StandIn.fit(motions).pose
    bones = spanning_tree(cost)
    if bones is None:
        return None
    cheapest = float(cost[bones[:, 0], bones[:, 1]].sum())
    ratios = {}
    for name, layout in LAYOUTS.items():
        if len(layout.joints) != motions.width:
            continue
        parent = layout.parents()
        below = np.flatnonzero(parent >= 0)
        ratio = float(cost[below, parent[below]].sum()) / cheapest
        if ratio < _DEARER and mirror_residual(pose, exchange_of_names(layout.joints)) < _UNLIKE:
            ratios[name] = ratio
    if ratios:
        name = min(ratios, key=lambda key: ratios[key])
        return LAYOUTS[name].parents(), f"no tree in the file: the joints are those of {name}, by lengths and mean pose"
    if motions.is_flat:  # bones of an image change their length
        return None
    exchange = find_exchange(pose)
    exchange = None if exchange is None else along_limbs(exchange, bones, cost)
    paired = None if exchange is None else spanning_tree(cost, exchange)
    if paired is not None:
        return rooted(paired, exchange), "no tree in the file: inferred from rigid pairs of joints, with left and right"
    return rooted(bones), "no tree in the file: inferred from rigid pairs of joints, without left and right"
