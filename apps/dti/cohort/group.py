"""The group page of a data set: figures of quality of every series, and the series that are unlike the others.

A figure is unlike the others when its distance from their median is above 3.5 of their standard deviations, where the
deviation is 1.4826 times the median distance from the median.

Source: Iglewicz and Hoaglin, How to detect and handle outliers (1993), for the rule.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, new_figure, png
from mvnet.storage import parse_json, write_atomically

PAGE, TABLE = "group_desc-mvnet_report.html", "group_desc-mvnet_quality.tsv"
"""Names in the folder of the derivative."""

FIGURES = {
    "voxels": "voxels in the mask",
    "repaired": "share of tensors repaired",
    "outlier_slices": "outlier slices",
    "snr_b0": "b0 over sigma",
    "mean_change": "mean change",
    "expected_error": "expected error left",
    "fa_after": "mean FA",
    "md_after": "mean MD, um^2/ms",
}
"""key -> in words."""

_FEWEST, _LIMIT, _NORMAL = 5, 3.5, 1.4826


@dataclass(frozen=True)
class Row:
    """A series. figures: those of `FIGURES` that it has. outliers: keys of those unlike the others."""

    name: str
    figures: dict[str, float]
    outliers: tuple[str, ...] = ()


def write_group(output: Path) -> list[Row]:
    """Write the page and the table of all subjects that are finished in a folder; the rows.

    Args:
        output: folder of the derivative.
    """
    rows = mark_outliers(list(_rows(output)))
    if rows:
        write_atomically(output / TABLE, _table(rows).encode())
        write_atomically(output / PAGE, _page(rows).encode())
    return rows


def mark_outliers(rows: Sequence[Row]) -> list[Row]:
    """The rows with what is unlike the others; none of fewer than five."""
    limits: dict[str, tuple[float, float]] = {}
    for key in FIGURES:
        values = [row.figures[key] for row in rows if key in row.figures]
        if len(values) < _FEWEST:
            continue
        middle = median(values)
        spread = _NORMAL * median(abs(value - middle) for value in values)
        if spread > 0:
            limits[key] = (middle, _LIMIT * spread)
    return [
        Row(row.name, row.figures, tuple(k for k, v in row.figures.items() if _away(v, limits.get(k)))) for row in rows
    ]


def _away(value: float, limit: tuple[float, float] | None) -> bool:
    return limit is not None and abs(value - limit[0]) > limit[1]


def _rows(output: Path):
    """One for every series with a result."""
    for path in sorted(
        [*output.glob("sub-*/*_desc-mvnet_summary.json"), *output.glob("sub-*/ses-*/*_desc-mvnet_summary.json")]
    ):
        try:
            series = parse_json(path.read_text(encoding="utf-8"))["Series"]
            found = [(entry["Name"], {**entry["Counts"], **entry["Statistics"]}) for entry in series]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another version's, or damaged: its subject is done anew when asked for
        for name, numbers in found:
            if voxels := numbers.get("voxels"):
                numbers["repaired"] = numbers.get("repaired", 0) / voxels
                known = {key: numbers.get(key) for key in FIGURES}
                yield Row(name, {key: float(value) for key, value in known.items() if isinstance(value, int | float)})


def _table(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["series", *FIGURES, "unlike_others"])
    for row in rows:
        cells = [f"{row.figures[key]:.6g}" if key in row.figures else "n/a" for key in FIGURES]
        writer.writerow([row.name, *cells, " ".join(row.outliers) or "n/a"])
    return text.getvalue()


def _page(rows: Sequence[Row]) -> str:
    header = ["series", *FIGURES.values(), "unlike the others"]
    cells = [
        [row.name, *(f"{row.figures[k]:.4g}" if k in row.figures else "" for k in FIGURES), ", ".join(row.outliers)]
        for row in rows
    ]
    marked = [number for number, row in enumerate(rows) if row.outliers]
    rule = "Marked: a figure whose distance from the median is above 3.5 robust standard deviations."
    few = f" Fewer than {_FEWEST} series: none is marked." if len(rows) < _FEWEST else ""
    parts = [
        page.picture(png(_strips(rows)), "Every series as a point; red where it is unlike the others."),
        page.heading("Series"),
        page.table(header, cells, marked),
        page.paragraph(rule + few),
    ]
    return page.document("Quality of a data set", f"{len(rows)} series denoised by mvnet", parts)


def _strips(rows: Sequence[Row]):
    shown = [key for key in FIGURES if any(key in row.figures for row in rows)]
    figure = new_figure(2.2 * min(len(shown), 4), 2.4 * -(-len(shown) // 4))
    axes = figure.subplots(-(-len(shown) // 4), min(len(shown), 4), squeeze=False).ravel()
    for axis in axes[len(shown) :]:
        axis.axis("off")
    for axis, key in zip(axes, shown):
        having = [row for row in rows if key in row.figures]
        places = [((7 * number) % 11 - 5) / 20 for number in range(len(having))]  # apart, in no order
        colours = ["#c0392b" if key in row.outliers else AFTER for row in having]
        axis.scatter(places, [row.figures[key] for row in having], s=14, c=colours)
        axis.set_title(FIGURES[key], fontsize=8)
        axis.set_xlim(-1, 1)
        axis.set_xticks([])
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    return figure
