"""The HTML page of `mvnet denoise insar`: phase before and after, quality, histograms, and the numbers.

Pictures are made of an overview and, where that leaves pixels out, of a detail, so that the page costs the same for a
scene of any size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, BEFORE, new_figure, png
from mvnet.apps.insar.survey import CHANGE_EDGES, QUALITY_EDGES, Pictures, Survey

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_report(
    path: Path, title: str, survey: Survey, summary: dict[str, Any], posterior: Sequence[str] = ()
) -> None:
    """Write the page.

    Args:
        survey: counts and pictures of the scene.
        summary: of `mvnet.apps.insar.denoise.run`.
        posterior: its section, of `mvnet.apps.insar.posterior.section`.
    """
    step = survey.overview.step
    every = "Every pixel" if step == 1 else f"One pixel of {step} along each axis"
    words = f"{every}. Wrapped phase in radians, on colours whose ends meet. Green: no data."
    parts = [
        page.table((), _numbers(summary), caption="What was found"),
        page.heading("The scene"),
        page.images(_layers(survey.overview), words, step=step),
    ]
    if step > 1:
        parts += [
            page.heading("A detail"),
            page.images(_layers(survey.detail), "Every pixel around the centre of the tile with most data."),
        ]
    parts += [
        page.heading("Histograms"),
        page.picture(
            png(_histograms(survey)),
            "All valid pixels: phase before minus phase after; quality, the expected cosine of the error left.",
        ),
        *posterior,
        page.heading("Provenance"),
        page.table((), _provenance(summary), caption="Where the results come from"),
        *(page.paragraph(message) for message in summary["messages"]),
        page.paragraph(
            "The quality c is the cosine expected of the error of the fully denoised phase, 1 where it is exact; as a "
            "circular standard deviation in radians it reads s = sqrt(-2 ln c). A residue is a loop of four pixels "
            "around which the wrapped steps of the phase do not add up to zero."
        ),
    ]
    subtitle = f"Interferogram denoised by mvnet {summary['version']}"
    path.write_text(page.document(title, subtitle, parts), encoding="utf-8")


def _layers(pictures: Pictures) -> list[page.Layer]:
    """Phase before, phase after, quality."""
    ends, ticks = (-math.pi, math.pi), ("−π", "π rad")
    return [
        page.Layer("phase before", pictures.before, ends, "twilight", ticks),
        page.Layer("phase after", pictures.after, ends, "twilight", ticks),
        page.Layer("quality", pictures.quality, (0.0, 1.0), "viridis", ("0", "1 (expected cosine of the error)")),
    ]


def _histograms(survey: Survey) -> Figure:
    figure = new_figure(8.4, 2.6)
    left, right = figure.subplots(1, 2)
    _bars(left, survey.changes, CHANGE_EDGES, BEFORE, "before minus after, rad")
    _bars(right, survey.qualities, QUALITY_EDGES, AFTER, "quality")
    return figure


def _bars(axis: Axes, counts: np.ndarray, edges: np.ndarray, colour: str, label: str) -> None:
    axis.stairs(counts, edges, fill=True, color=colour, alpha=0.2)
    axis.stairs(counts, edges, color=colour, linewidth=1.4)
    axis.set_xlim(float(edges[0]), float(edges[-1]))
    axis.set_xlabel(label, fontsize=9)
    axis.set_ylabel("pixels", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _numbers(summary: dict[str, Any]) -> list[tuple[str, str]]:
    counts, numbers = summary["counts"], summary["statistics"]
    rows = [
        ("Pixels", f"{counts['pixels']:,}, {numbers['valid_share']:.1%} with data"),
        ("Residues", f"{numbers['residues_before']:,} before, {numbers['residues_after']:,} after"),
        ("Mean quality", f"{numbers['mean_confidence']:.3f}"),
        ("Change of phase", f"{numbers['rms_change']:.3f} rad (root mean square)"),
    ]
    if "unwrapped_range" in numbers:
        rows.append(("Unwrapped phase", f"spans {numbers['unwrapped_range']:.1f} rad"))
    return rows


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    options = summary["options"]
    hidden = ("input", "output", "model", "header", "overwrite", "report")
    kept = {k: v for k, v in options.items() if v not in (None, False) and k not in hidden}
    if "coherence" in kept:
        kept["coherence"] = Path(kept["coherence"]).name
    return [
        ("Input", Path(options["input"]).name),
        ("Weights", f"{summary['weights']['name']}, sha256 {summary['weights']['sha256'][:16]}"),
        ("Options", ", ".join(f"{k}={v}" for k, v in kept.items())),
        ("Device", summary["device"]),
    ]
