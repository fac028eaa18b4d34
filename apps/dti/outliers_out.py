"""The table of outlier volumes and slices: a TSV file as BIDS writes tables, its JSON, and rows for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mvnet.apps.dti import bids
from mvnet.apps.dti.maps_out import write_json

if TYPE_CHECKING:
    from mvnet.apps.common.outputs import Outputs
    from mvnet.data_loaders.dti.volume import Outlier

COLUMNS = {
    "volume": "Number of the volume, the first is 0",
    "slice": "Number of the slice along the third axis, the first is 0; n/a for the whole volume",
    "kind": "empty, not finite, dropout, or residual: one that fits the others too badly",
    "score": "Robust z-score of the residuals; n/a where there are none",
    "weight": "Weight that it kept in the fit, in [0, 1]; 0 left it out",
}
"""Column -> what it means."""


def outlier_rows(outliers: Sequence[Outlier]) -> list[list[str]]:
    """Cells of the table, by volume, then by slice."""
    return [
        [
            str(o.volume),
            "n/a" if o.slice is None else str(o.slice),
            o.kind,
            f"{o.score:.2f}" if math.isfinite(o.score) else "n/a",
            f"{o.weight:.3g}",
        ]
        for o in sorted(outliers, key=lambda o: (o.volume, -1 if o.slice is None else o.slice))
    ]


def write_outliers(outliers: Sequence[Outlier], stem: str, outputs: Outputs, provenance: dict[str, Any]) -> None:
    """Write the table, of its header alone when there are none, and the meaning of its columns."""
    lines = ["\t".join(COLUMNS), *("\t".join(row) for row in outlier_rows(outliers))]
    outputs.path(bids.outliers_name(stem)).write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = {name: {"Description": text} for name, text in COLUMNS.items()}
    write_json(outputs.path(bids.outliers_name(stem, ".json")), columns | provenance)
