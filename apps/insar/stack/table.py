"""The pairs of a stack as rows of text."""

from __future__ import annotations

from typing import Any

from mvnet.apps.common.summary import aligned
from mvnet.apps.insar.stack.pair import FAILED


def table(summary: dict[str, Any]) -> list[str]:
    """One line for every pair, under a header."""
    rows = [("pair", "status", "valid", "residues", "after", "quality", "seconds")]
    for pair in summary["pairs"]:
        rows.append((pair["name"], pair["status"], *cells(pair), f"{pair['seconds']:.1f}"))
    lines = aligned(rows, 2)
    lines += [f"{pair['name']}: {pair['message']}" for pair in summary["pairs"] if pair["status"] == FAILED]
    return lines


def cells(pair: dict[str, Any]) -> tuple[str, str, str, str]:
    """Valid share, residues before and after, and mean quality of a pair, as text; empty where it failed."""
    numbers = pair["statistics"]
    if not numbers:
        return "", "", "", ""
    before, after = (f"{numbers[f'residues_{when}']:,}" for when in ("before", "after"))
    return f"{numbers['valid_share']:.1%}", before, after, f"{numbers['mean_confidence']:.3f}"
