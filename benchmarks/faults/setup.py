"""What a part of the benchmark is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setup:
    """quick: fewer cases. kind: of damaged files, "" for all; seed: one case of it. keep: where its files are kept.

    cases: of a kind, 0 for the default. jobs: processes at the same time.
    """

    quick: bool = False
    kind: str = ""
    seed: int | None = None
    cases: int = 0
    jobs: int = 1
    keep: Path | None = None
