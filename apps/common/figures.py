"""What all figures share: how they are made, the colours of before and after, and PNG bytes."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEFORE, AFTER = "#8a8f98", "#1f6fb2"


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of a size in inches, whose parts make room for each other."""
    with _quiet_matplotlib():
        from matplotlib.figure import Figure

        return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def png(figure: Figure, dpi: int = 130) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    with _quiet_matplotlib():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


@contextmanager
def _quiet_matplotlib() -> Iterator[None]:
    """Errors only inside: no lines about its caches and fonts."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
