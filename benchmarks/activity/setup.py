"""What every part of the benchmark is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setup:
    """root: the folder that MVNET_DATA names. quick: few splits. data, methods: names, none for all. splits: at most
    so many of each set.
    """

    root: Path
    quick: bool
    data: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    splits: int | None = None
