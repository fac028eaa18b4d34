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

    pose: mean of training, see `StandIn`. options: how the data were read. read_as: their format, told: whether it was
    given. up: the vertical axis of the files, where it was a guess. None where a run of an older version says nothing.
    """

    kind: str | None = None
    names: tuple[str, ...] | None = None
    parent: np.ndarray | None = None
    declared: bool = False
    pose: np.ndarray | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    read_as: str | None = None
    told: bool = False
    up: str | None = None

    @classmethod
    def on(
        cls, motions: MotionSet, declared: bool, stand_in: StandIn, options: ReadOptions, read_as: str | None
    ) -> Trained:
        """Of the motions as they are learned from; `declared` says whether the tree is that of the file."""
        up = motions.vertical.axis if motions.vertical is not None and motions.vertical.extents is not None else None
        names, pose = names_of(motions), stand_in.pose
        return cls(motions.kind, names, motions.parent, declared, pose, options, read_as, up=up)

    def entries(self) -> dict[str, Any]:
        """For the entry "motions" of the card."""
        options = {name: value for name, value in asdict(self.options).items() if value is not None}
        return {
            "kind": self.kind,
            "names": None if self.names is None else list(self.names),
            "parent": None if self.parent is None else self.parent.tolist(),
            "parent_declared": self.declared,
            "pose": None if self.pose is None else np.round(self.pose, 6).tolist(),
            "options": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
            "read_as": self.read_as,
            "up": self.up,
        }

    @classmethod
    def of(cls, card: dict[str, Any], run: Path) -> Trained:
        """As the card of a run has it. UserError: entries that no training wrote."""
        if "motions" not in card:
            return cls()
        told = card.get("format") is not None
        try:
            card = card["motions"]
            kind, pose = card["kind"], np.array(card["pose"], dtype=np.float64)
            flat = pose.shape[1:] == (2,)
            kind = "positions" if flat and kind == "poses" else kind  # as a classifier calls those of an image
            tail = (2,) if flat and kind == "positions" else TAILS[kind]
            if pose.ndim < 1 or pose.shape[1:] != tail or not np.isfinite(pose).all():
                raise UserError(f"pose: found shape {pose.shape}, expected that of {kind}, finite")
            names, parent = card["names"], card["parent"]
            if names is not None and not (len(names) == len(pose) and all(isinstance(n, str) for n in names)):
                raise UserError(f"names: found {names!r}, expected {len(pose)} words")
            tree = None if parent is None else check_parent(np.array(parent), len(pose))
            options = dict(card["options"])
            if "gyroscope" in options:
                options["gyroscope"] = tuple(int(c) for c in options["gyroscope"])
            given, read_as, up = ReadOptions.of(options), card["read_as"], card.get("up")
            ReadOptions(up=up)
            if not isinstance(read_as, str | None):
                raise UserError(f"read_as: found {read_as!r}, expected a word or null")
        except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
            found = f"a card whose motions cannot be read ({error})"
            raise UserError(f"{run}: found {found}, expected that of `mvnet train activity`") from error
        known = None if names is None else tuple(names)
        return cls(kind, known, tree, bool(card.get("parent_declared")), pose, given, read_as, told, up)
