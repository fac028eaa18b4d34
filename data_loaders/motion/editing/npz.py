"""The neutral .npz: its sequences change, everything else stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.editing.recording import Curves, Recording
from mvnet.data_loaders.motion.formats.npz import read_neutral, save_motion


def open_npz(path: Path) -> Recording:
    """Every sequence of rotations or positions; joints that a sequence never shows stay as they are.

    Raises:
        DataError: damaged, signals, which are no curves of joints, or positions in the plane of an image.
    """
    motions = read_neutral(path)
    if motions.kind == "signals" or motions.is_flat:
        found = "positions in an image" if motions.is_flat else "signals"
        raise DataError(f"{path}: found {found}, expected positions in space or rotations of joints")
    rotations = motions.kind == "rotations"
    axes = (2, 3) if rotations else 2
    masks = [np.asarray(np.isfinite(sequence).all(axis=axes)) for sequence in motions.sequences]
    there = [np.flatnonzero(mask.any(0)) for mask in masks]
    whole = all(len(kept) == motions.width for kept in there)
    curves = tuple(
        Curves(
            name,
            sequence[:, kept],
            mask[:, kept],
            motions.parent if whole else None,
            None if motions.joints is None else tuple(motions.joints[k] for k in kept),
            "" if rotations else "m",
        )
        for name, sequence, mask, kept in zip(motions.names, motions.sequences, masks, there)
    )

    def write(target: Path, values: Sequence[np.ndarray]) -> None:
        changed = [sequence.copy() for sequence in motions.sequences]
        for sequence, kept, new in zip(changed, there, values):
            sequence[:, kept] = new
        save_motion(replace(motions, sequences=tuple(changed)), target, overwrite=True)

    def pose(values: Sequence[np.ndarray]) -> np.ndarray:
        return values[0][..., 2] if rotations else values[0]  # of rotations, where each turns its third axis

    parent = None if rotations or not whole else motions.parent
    return Recording(path, "npz", curves, write, pose, parent, motions.rate)
