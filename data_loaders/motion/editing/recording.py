"""What a file holds that can be changed: curves, and how they are written back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = "root"
"""Name of the curve of a skeleton's own position beside its rotations."""


@dataclass(frozen=True)
class Curves:
    """Curves of joints or markers.

    Args:
        name: what they are, for messages and files.
        values: (frames, joints, 3, 3) rotations or (frames, joints, 3) positions; anything where not seen.
        seen: (frames, joints) bool.
        parent: (joints,), -1 at the root; None where joints form no tree.
        joints: names; None where unknown.
        unit: of positions, as the file says it.
    """

    name: str
    values: np.ndarray
    seen: np.ndarray
    parent: np.ndarray | None = None
    joints: tuple[str, ...] | None = None
    unit: str = ""

    @property
    def is_rotations(self) -> bool:
        """Whether the values are rotations."""
        return self.values.ndim == 4


@dataclass(frozen=True)
class Recording:
    """A file opened for change.

    Args:
        path: of the file. format: name of the format, a key of `EDITABLE`.
        curves: what can be changed.
        write: (path, as many arrays as curves, of their shapes and finite) -> the file with these values.
        pose: arrays as `write` takes them -> positions (frames, joints, 3) of a skeleton, for pictures.
        parent: (joints,) of the skeleton of `pose`; None where there is none.
        rate: frames per second; None where unknown.
    """

    path: Path
    format: str
    curves: tuple[Curves, ...]
    write: Callable[[Path, Sequence[np.ndarray]], None]
    pose: Callable[[Sequence[np.ndarray]], np.ndarray]
    parent: np.ndarray | None = None
    rate: float | None = None
