"""Motions made ready to be learned from: a tree where the file has none, and stand-ins for joints never seen."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.skeleton.recognition import find_tree
from mvnet.data_loaders.motion.stand_in import StandIn


class Prepared(NamedTuple):
    """motions: whole. declared: whether the tree is that of the file. stand_in: fitted to the training recordings."""

    motions: MotionSet
    declared: bool
    stand_in: StandIn


def prepare(motions: MotionSet, training: np.ndarray) -> Prepared:
    """The set with what its training recordings tell; the notes say what was found."""
    part, declared = motions.take(training), motions.parent is not None
    if not declared and motions.kind == "positions":
        found = find_tree(part)
        parent, note = (None, "no tree of joints was found") if found is None else found
        motions = replace(motions, parent=parent, notes=(*motions.notes, note))
    stand_in = StandIn.fit(part)
    return Prepared(stand_in.complete(motions), declared, stand_in)
