"""Units that files declare for a phase."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.layers import Layer

UNITS: tuple[tuple[str, float], ...] = (
    (r"rad(ian)?s?", 1.0),
    (r"m(illi)?rad(ian)?s?", 1e-3),
    (r"(phase )?cycles?|turns?|rev(olution)?s?|fringes?", 2 * math.pi),
    (r"half[ -]?cycles?|pi( rad(ian)?s?)?|semicircles?", math.pi),
    (r"deg(ree)?s?|\u00b0|arc_?degrees?", math.pi / 180),
)
"""Pattern of a unit -> radians in it."""

_NO_ANGLE = r"([cmk]?m|[a-z]*met(er|re)s?|d[bn]|inch(es)?|f(ee|oo)t|hz|s|sec|seconds?|kelvins?|percent|%)([ /*^.].*)?"


def in_radians(layer: Layer) -> Layer:
    """A phase layer with its declared unit turned into radians, which `part` then says; complex ones as they are.

    Raises:
        DataError: the declared unit is none of an angle, such as metres.
    """
    unit = layer.units.strip().lower()
    if layer.is_complex or not unit:
        return layer
    factor = next((factor for pattern, factor in UNITS if re.fullmatch(pattern, unit)), None)
    if factor is None:
        if re.fullmatch(_NO_ANGLE, unit):
            raise DataError(f"{layer.path}: found values in {layer.units}, expected phases in radians")
        return replace(layer, units="")
    said = f"{layer.units} converted to radians" if factor != 1 else ""
    return replace(layer.scaled(factor), part=", ".join(filter(None, (layer.part, said))))
