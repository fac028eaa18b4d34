"""What denoising saves of a scan: 30, 20, 12 and 6 of the 64 directions, as measured and denoised.

All are compared with one reference, the fit of the b0 and the 34 directions that are in none of them. Fewer directions
are the first of more, and spread as evenly as that allows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.dti.accuracy import directions_left_out, load
from benchmarks.dti.ours import denoised
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare
from mvnet.apps.demo.show import SCORES
from mvnet.models import DTIDenoiser

COUNTS = (30, 20, 12, 6)
SIX = {"ai_rmse": 0.490, "fa_mae": 0.0740, "v1_deg": 12.8, "dev_rmse": 0.435}
"""What six denoised directions should reach."""


def measure(model: DTIDenoiser, root: Path, quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Scores of every number of directions before and after, and what they should be."""
    scan = load(root, slice(34, 37) if quick else slice(30, 42))
    _, others = directions_left_out(scan, max(COUNTS))
    reference = compare.fit(others.dwi, others.bvals, others.bvecs, others.mask)
    rows = []
    for count in COUNTS:
        given, _ = directions_left_out(scan, count)
        raw = compare.fit(given.dwi, given.bvals, given.bvecs, given.mask)
        for method, tensors in (("raw WLS", raw), ("mvnet", denoised(model, given).tensors)):
            rows.append({"directions": count, "method": method, **compare.scores(tensors, reference)})
    return rows, targets_of(rows)


def targets_of(rows: list[dict[str, Any]]) -> list[Target]:
    """Twelve denoised beat thirty as measured, and how far six come."""
    found = {(row["directions"], row["method"]): row for row in rows}
    targets = []
    for few, many, what in ((12, 30, "12 denoised over 30 raw"), (6, 20, "moonshot, 6 denoised over 20 raw")):
        for score, title in SCORES.items():
            ratio = found[few, "mvnet"][score] / found[many, "raw WLS"][score]
            targets.append(Target(f"{what}: {title}", ratio, "< 1", ratio < 1))
    for score, most in SIX.items():
        value = found[6, "mvnet"][score]
        targets.append(Target(f"6 denoised: {SCORES[score]}", value, f"<= {most}", value <= most))
    return targets
