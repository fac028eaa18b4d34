"""What a run knows of the motions it was trained on: written into its card, read back and checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import DataError, MotionSet, ReadOptions
from mvnet.data_loaders.motion.motion_set import TAILS
from mvnet.data_loaders.motion.skeleton.common_joints import names_of
from mvnet.data_loaders.motion.skeleton.tree import check_parent
from mvnet.data_loaders.motion.stand_in import StandIn


@dataclass(frozen=True)
class Trained:
    """kind: of the motions. names: of joints or channels. parent: the tree, declared: whether their file had it.

    pose: mean of training, see `StandIn`. options: how the data were read. read_as: their format. None where a run of
    an older version does not say it.
    """

    kind: str | None = None
    names: tuple[str, ...] | None = None
    parent: np.ndarray | None = None
    declared: bool = False
    pose: np.ndarray | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    read_as: str | None = None

    @classmethod
    def on(
        cls, motions: MotionSet, declared: bool, stand_in: StandIn, options: ReadOptions, read_as: str | None
    ) -> Trained:
        """Of the motions as they are learned from; `declared` says whether the tree is that of the file."""
        return cls(motions.kind, names_of(motions), motions.parent, declared, stand_in.pose, options, read_as)

    def entries(self) -> dict[str, Any]:
        """For the card."""
        options = {name: value for name, value in asdict(self.options).items() if value is not None}
        return {
            "kind": self.kind,
            "names": None if self.names is None else list(self.names),
            "parent": None if self.parent is None else self.parent.tolist(),
            "parent_declared": self.declared,
            "pose": None if self.pose is None else np.round(self.pose, 6).tolist(),
            "options": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
            "read_as": self.read_as,
        }

    @classmethod
    def of(cls, card: dict[str, Any], run: Path) -> Trained:
        """As the card of a run has it. UserError: entries that no training wrote."""
        if card.get("pose") is None:
            return cls()
        try:
            kind, pose = card["kind"], np.array(card["pose"], dtype=np.float64)
            tail = (2,) if kind == "positions" and pose.shape[1:] == (2,) else TAILS[kind]
            if pose.ndim < 1 or pose.shape[1:] != tail or not np.isfinite(pose).all():
                raise UserError(f"pose: found shape {pose.shape}, expected that of {kind}, finite")
            names, parent = card["names"], card["parent"]
            if names is not None and not (len(names) == len(pose) and all(isinstance(n, str) for n in names)):
                raise UserError(f"names: found {names!r}, expected {len(pose)} words")
            tree = None if parent is None else check_parent(np.array(parent), len(pose))
            options = dict(card["options"])
            if "gyroscope" in options:
                options["gyroscope"] = tuple(int(c) for c in options["gyroscope"])
            given, read_as = ReadOptions.of(options), card["read_as"]
            if not isinstance(read_as, str | None):
                raise UserError(f"read_as: found {read_as!r}, expected a word or null")
        except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
            found = f"a card whose motions cannot be read ({error})"
            raise UserError(f"{run}: found {found}, expected that of `mvnet train activity`") from error
        known = None if names is None else tuple(names)
        return cls(kind, known, tree, bool(card.get("parent_declared")), pose, given, read_as)
