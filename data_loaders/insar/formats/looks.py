"""The number of looks, as processors write it into the metadata of an interferogram."""

from __future__ import annotations

from collections.abc import Mapping

_BOTH = (
    ("ALOOKS", "RLOOKS"),  # ROI_PAC, MintPy
    ("azimuth_looks", "range_looks"),  # GAMMA, SNAP
    ("Azimuth looks", "Range looks"),  # HyP3
    ("numberOfAzimuthLooks", "numberOfRangeLooks"),  # ISCE, NISAR
)
_ALONE = ("NCORRLOOKS", "nlooks", "number_of_looks", "effective_looks")


def looks_of(tags: Mapping[str, str]) -> float | None:
    """The product of the looks along both axes, or the number that stands alone; None where there is neither.

    Args:
        tags: metadata of a file.
    """
    for names in (*_BOTH, *((name,) for name in _ALONE)):
        looks = 1.0
        try:
            for name in names:
                looks *= float(str(tags[name]).split()[0])
        except (KeyError, ValueError, IndexError):
            continue
        if looks >= 1:
            return looks
    return None
