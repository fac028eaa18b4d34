"""What the caller may have to say about a motion file, because the file does not."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from mvnet.data_loaders.errors import DataError

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.motion_set import MotionSet

_CHOICES: dict[str, tuple[str, ...]] = {
    "up": ("x", "y", "z"),
    "order": ("wxyz", "xyzw"),
    "unit": ("rad/s", "deg/s"),
    "value": ("positions", "rotations", "local", "signals"),
}


@dataclass(frozen=True)
class ReadOptions:
    """Options of the readers; None leaves what the file declares, or the default its reader documents.

    Args:
        scale: metres per unit of length of the file.
        up: axis that points up in the file: "x", "y" or "z".
        order: of quaternions: "wxyz" or "xyzw".
        unit: of angular rates: "rad/s" or "deg/s".
        rate: samples per second.
        value: what to return where a file holds several: "positions", "rotations" (world), "local" (rotations
            relative to the joint above) or "signals".
        gyroscope: channels of angular rates where no name tells them, counted from 0, x, y, z of each sensor.
    """

    scale: float | None = None
    up: str | None = None
    order: str | None = None
    unit: str | None = None
    rate: float | None = None
    value: str | None = None
    gyroscope: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            found = getattr(self, name)
            if found is not None and found not in choices:
                raise DataError(f"{name}: found {found!r}, expected one of {', '.join(choices)}")
        for name in ("scale", "rate"):
            found = getattr(self, name)
            if found is not None and not 0 < found < math.inf:
                raise DataError(f"{name}: found {found}, expected a number above 0")

    @classmethod
    def of(cls, options: dict[str, Any]) -> ReadOptions:
        """The options of keyword options; DataError for one that does not exist."""
        names = [field.name for field in fields(cls)]
        unknown = [name for name in options if name not in names]
        if unknown:
            raise DataError(f"options: found {unknown[0]!r}, expected {', '.join(names)}")
        return cls(**options)

    def hold(self, motions: MotionSet) -> MotionSet:
        """Motions as read, at the rate that was asked for, with a note where `up` does nothing.

        DataError: they are not what `value` asked for.
        """
        wanted = "rotations" if self.value == "local" else self.value
        if wanted is not None and motions.kind != wanted:
            raise DataError(f"value: found {motions.kind} in {motions.source}, expected {self.value} as asked")
        if self.up and motions.vertical is None and motions.kind != "signals":
            note = f"up: {self.up} not used: the axes of this format are known"
            motions = motions if note in motions.notes else replace(motions, notes=(*motions.notes, note))
        if self.rate is None or motions.rate == self.rate:
            return motions
        return replace(motions, rate=self.rate, timestamps=None)
