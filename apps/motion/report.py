"""The HTML page of `mvnet denoise motion`: an animation before and after, curves, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, BEFORE

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.editing import Recording

_CAPTION = "Left as recorded with gaps filled, right denoised"


def write_report(
    path: Path,
    title: str,
    recording: Recording,
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    summary: dict[str, Any],
) -> None:
    """Write the page.

    Args:
        recording: as read; gives the skeleton.
        before, after: arrays as its `write` takes them.
        summary: of `mvnet.apps.motion.denoise.run`.
    """
    poses = [recording.pose(values) for values in (before, after)]
    parts = [
        page.table((), _numbers(summary)),
        page.heading("Before and after"),
        page.skeletons(poses, [BEFORE, AFTER], recording.parent, recording.rate, _CAPTION),
        page.heading("Provenance"),
        page.table((), _provenance(summary)),
    ]
    subtitle = f"Motion denoised by mvnet {summary['version']}"
    path.write_text(page.document(title, subtitle, parts), encoding="utf-8")


def _numbers(summary: dict[str, Any]) -> list[tuple[str, str]]:
    counts = summary["counts"]
    rows = [
        ("Frames and joints", f"{counts['frames']:,} of {counts['joints']}"),
        ("Missing values", f"{counts['missing']:,}, filled"),
        ("Outliers", f"{counts['outliers']:,}, replaced"),
    ]
    for found in summary["statistics"]:
        words = f"{found['noise']:.3g} {found['unit']} a component, expected error after {found['expected_error']:.3g}"
        rows.append((f"Noise of {found['curves']}", words))
    return rows[:12]


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    options, weights = summary["options"], summary["weights"]
    return [
        ("Input", Path(options["input"]).name),
        ("Weights", f"{weights['name']}, sha256 {weights['sha256'][:16]}"),
        ("Options", f"strength={options['strength']:g}, trust_region={options['trust_region']:g}"),
        ("Device", summary["device"]),
    ]
