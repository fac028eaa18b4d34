"""How far apart the motions of a data set are, by the distance that does not see their timing (`mvnet.curves`)."""

from __future__ import annotations

import numpy as np

from mvnet.apps.common import page
from mvnet.curves import pairwise_elastic_distance
from mvnet.data_loaders.motion import MotionSet
from mvnet.models.activity.rotation_curves import CurveMaker

_MOST = 150  # sequences on either side


def elastic_table(motions: MotionSet, training: np.ndarray, test: np.ndarray) -> list[str]:
    """Mean elastic distance from the test sequences of each class to training sequences of it and of others.

    Rotations as the network sees them, fitted to training recordings; nothing for signals, for positions in an
    image or of an unknown skeleton, or without a test part.
    """
    unknown = motions.kind == "positions" and motions.parent is None
    if not len(test) or motions.kind == "signals" or motions.is_flat or unknown:
        return []
    known, new = (motions.take(_thin(index)) for index in (training, test))
    maker = CurveMaker.fit(motions.take(training))
    distance = pairwise_elastic_distance(maker(new.sequences), maker(known.sequences), side="left").numpy()
    known_labels, new_labels = known.require_labels(), new.require_labels()
    nearest = known_labels[distance.argmin(1)]
    rows = []
    for label in np.unique(new_labels):
        mine, same = new_labels == label, known_labels == label
        within = distance[np.ix_(mine, same)].mean() if same.any() else np.nan
        apart = distance[np.ix_(mine, ~same)].mean() if not same.all() else np.nan
        share = 100 * (nearest[mine] == label).mean()
        rows.append((motions.classes[label], f"{within:.2f}", f"{apart:.2f}", f"{share:.0f} %"))
    header = ("Class", "To its own class", "To other classes", "Nearest is of the class")
    note = (
        "Mean elastic distance of test sequences to training sequences, radians^(1/2): between curves of rotations, "
        f"over all changes of timing. {len(new)} test and {len(known)} training sequences."
    )
    return [page.heading("Elastic distances"), page.table(header, rows), page.paragraph(note)]


def _thin(index: np.ndarray) -> np.ndarray:
    """At most _MOST of the indices, evenly picked."""
    step = max(1, -(-len(index) // _MOST))
    return index[::step]
