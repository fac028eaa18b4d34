"""A part of the page of `mvnet demo`: one application on one input with a known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """title, about: of the section, in words.  rows: (what, before, after) as text.  html: what is shown below the
    table.  report: name of the page of the command.  numbers: for comparison.json.
    """

    title: str
    about: str
    rows: list[tuple[str, ...]]
    html: str
    report: str
    numbers: dict[str, Any]
