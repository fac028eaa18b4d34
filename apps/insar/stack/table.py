"""The pairs of a stack as rows of text."""

from __future__ import annotations

from typing import Any

from mvnet.apps.insar.stack.pair import FAILED


def table(summary: dict[str, Any]) -> list[str]:
    """One line for every pair, under a header."""
    rows = [("pair", "status", "valid", "residues", "after", "quality", "seconds")]
    for pair in summary["pairs"]:
        rows.append((pair["name"], pair["status"], *cells(pair), f"{pair['seconds']:.1f}"))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]
    lines += [f"{pair['name']}: {pair['message']}" for pair in summary["pairs"] if pair["status"] == FAILED]
    return [line.rstrip() for line in lines]


def cells(pair: dict[str, Any]) -> tuple[str, str, str, str]:
    """Valid share, residues before and after, and mean quality of a pair, as text; empty where it failed."""
    numbers = pair["statistics"]
    if not numbers:
        return "", "", "", ""
    before, after = (f"{numbers[f'residues_{when}']:,}" for when in ("before", "after"))
    return f"{numbers['valid_share']:.1%}", before, after, f"{numbers['mean_confidence']:.3f}"
