"""What happened when: bars of intervals to scale, and what their colours mean."""

from __future__ import annotations

from collections.abc import Sequence

from mvnet.apps.common.page.templates import render


def timeline(title: str, intervals: Sequence[tuple[float, float, str, str]], unit: str) -> str:
    """A bar of intervals (start, stop, text, colour), in order."""
    first, last = intervals[0][0], intervals[-1][1]
    scale = 1000 / ((last - first) or 1.0)
    bars = [
        {"left": round((a - first) * scale, 2), "width": round((b - a) * scale, 2), "text": text, "colour": colour}
        for a, b, text, colour in intervals
    ]
    bounds = (f"{first:.4g}", f"{last:.4g}")
    return render("timeline.html", title=title, bars=bars, bounds=bounds, unit=unit)


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names and their colours."""
    return render("legend.html", entries=entries)
