"""Figures of several pictures, and PNG files with few bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 300 * 1024
"""Bytes of a picture."""


def grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], options: Sequence[Any]) -> Any:
    """A figure with a row of pictures for each entry of `rows`; options for imshow, of a row or of each picture."""
    from matplotlib.figure import Figure

    heights = [row[0].shape[0] / row[0].shape[1] for row in rows]
    side = 3.0
    figure = Figure(figsize=(len(titles) * side, sum(heights) * side + 0.3), facecolor="white")
    axes = figure.subplots(len(rows), len(titles), squeeze=False, height_ratios=heights)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.3 / figure.get_figheight(), wspace=0.02, hspace=0.02)
    for line, row, given in zip(axes, rows, options, strict=True):
        for k, (axis, plane) in enumerate(zip(line, row, strict=True)):
            axis.imshow(plane, interpolation="nearest", **(given if isinstance(given, dict) else given[k]))
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def with_palette(picture: Any, colours: int = 256) -> Any:
    """A picture of Pillow with few colours, a third of the bytes."""
    from PIL import Image

    return picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)


def shrink(path: Path) -> None:
    """A PNG with a palette, smaller until it keeps below the limit."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    for share in (1.0, 0.85, 0.7, 0.6, 0.5):
        part = picture.resize((round(picture.width * share), round(picture.height * share)))
        with_palette(part).save(path, optimize=True)
        if path.stat().st_size < LIMIT:
            break
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def save(figure: Any, path: Path) -> None:
    """As PNG with a palette, at the highest resolution that keeps below the limit."""
    from PIL import Image

    for dpi in (140, 120, 100, 80, 60):
        figure.savefig(path, dpi=dpi)
        with_palette(Image.open(path)).save(path, optimize=True)
        if path.stat().st_size < LIMIT:
            break
    print(f"{path}: {path.stat().st_size // 1024} KiB, {dpi} dpi")
