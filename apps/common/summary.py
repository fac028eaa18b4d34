"""The outcome of a command on stdout: one JSON object, or a few lines for a reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mvnet.apps.common.stdout import print_result
from mvnet.storage import json_text

Summary = dict[str, Any]


def print_summary(summary: Summary, headline: Callable[[Summary], str], *, quiet: bool, as_json: bool) -> None:
    """Print JSON when asked for, otherwise, unless quiet, a headline and the path of every file under "outputs"."""
    if as_json:
        print_result(json_text(summary))
    elif not quiet:
        paths = summary.get("outputs", {})
        width = max(10, *map(len, paths)) if paths else 0
        outputs = [f"{name:<{width}} {path}" for name, path in paths.items()]
        print_result("\n".join([headline(summary), *outputs]))


def format_timing(summary: Summary) -> str:
    """The end of a headline: how long it took, and where it ran."""
    return f"{summary['timings']['total']:.1f} s on {summary['device']}"


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows of as many cells each as lines, the first `left` columns to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = (
        "  ".join(cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    )
    return [line.rstrip() for line in lines]
