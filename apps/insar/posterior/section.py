"""The section of the page on the posterior: deviation of the phase, ambiguity, and the mean of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mvnet.apps.common import page
from mvnet.apps.common.figures import new_figure, png
from mvnet.models.insar.posterior import deviation, log_concentration_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mvnet.apps.insar.survey import Survey

Plane = tuple[str, np.ndarray, str, float | None]
"""Name, values (h, w), colours, and the end of their scale."""


def section(
    survey: Survey, said: dict[str, Any], statistics: dict[str, float], ambiguity: np.ndarray | None
) -> list[str]:
    """Pieces of HTML.

    Args:
        survey: of the scene.
        said: of the summary, as `mvnet.apps.insar.posterior.outputs.describe` makes it.
        statistics: of the summary.
        ambiguity: (H, W) in [0, 1], None without `--unwrap`.
    """
    quality = survey.overview.quality
    logs = log_concentration_of(torch.from_numpy(np.nan_to_num(quality)))
    planes: list[Plane] = [
        ("standard deviation, rad", np.where(np.isfinite(quality), deviation(logs).numpy(), np.nan), "magma", None)
    ]
    words = "The standard deviation of the error left in the phase."
    if ambiguity is not None:
        step = survey.overview.step
        planes.append(("ambiguity", ambiguity[::step, ::step], "cividis", 1.0))
        words += " The share of the samples that give a pixel another ambiguity than the denoised phase has."
    rows = [("Samples", f"{said['samples']}, seed {said['seed']}")]
    rows.append(("Mean standard deviation", f"{statistics['mean_phase_sd']:.3f} rad"))
    if "mean_ambiguity" in statistics:
        rows.append(
            ("Pixels whose ambiguity is disputed", f"{statistics['mean_ambiguity']:.2%} of a sample, on average")
        )
    if region := said.get("region"):
        where = ", ".join(map(str, region["centre"]))
        text = f"{region['sd']:.4f} rad; {region['sd_if_independent']:.4f} rad if neighbours erred independently"
        rows.append((f"Standard deviation of the mean of {region['pixels']} pixels about ({where})", text))
    note = (
        "A mean over a region has the spread that it has over the samples: pixels err together with their neighbours, "
        "so that dividing the deviation of a pixel by the root of their number promises too much."
    )
    return [
        page.heading("How sure is it"),
        page.picture(png(_figure(planes)), words),
        page.table((), rows),
        page.paragraph(note),
    ]


def _figure(planes: list[Plane]) -> Figure:
    height, width = planes[0][1].shape
    side = 4.2
    figure = new_figure(side * len(planes) + 0.8, min(max(side * height / width, 1.2), 9.0) + 0.4)
    axes = figure.subplots(1, len(planes), squeeze=False).ravel()
    for axis, (name, values, colours, most) in zip(axes, planes):
        image = axis.imshow(values, interpolation="nearest", cmap=colours, vmin=0, vmax=most)
        axis.set_title(name, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
        bar = figure.colorbar(image, ax=axis, shrink=0.8, pad=0.02)
        bar.ax.tick_params(labelsize=7)
    return figure
