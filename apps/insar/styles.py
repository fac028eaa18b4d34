"""Styles of QGIS: a file OUT.qml beside OUT.tif is how QGIS draws it when it is opened.

Wrapped phase runs through a cyclic ramp, whose ends meet, from -pi to pi; quality from black, 0, to white, 1.
"""

from __future__ import annotations

import math

_CYCLE = ("e2d9e2", "95b5c7", "6276ba", "592a8f", "2f1436", "741e4f", "b25652", "cca389", "e2d9e2")
"""Every second colour of matplotlib's map twilight, sixteen steps around the circle."""


def phase_style() -> str:
    """The style of a wrapped phase in radians."""
    step = 2 * math.pi / (len(_CYCLE) - 1)
    items = "\n".join(
        f'          <item value="{-math.pi + k * step:.6f}" label="{-math.pi + k * step:.2f} rad" '
        f'color="#{colour}" alpha="255"/>'
        for k, colour in enumerate(_CYCLE)
    )
    ends = f'minimumValue="{-math.pi:.6f}" maximumValue="{math.pi:.6f}"'
    return _document(f"""
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" classificationMin="{-math.pi:.6f}"
        classificationMax="{math.pi:.6f}">
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" {ends}>
{items}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>""")


def grey_style(low: float = 0.0, high: float = 1.0) -> str:
    """The style of a map of numbers, black at `low` and white at `high`."""
    return _document(f"""
    <rasterrenderer type="singlebandgray" grayBand="1" opacity="1" alphaBand="-1" gradient="BlackToWhite">
      <contrastEnhancement>
        <minValue>{low:g}</minValue>
        <maxValue>{high:g}</maxValue>
        <algorithm>StretchToMinimumMaximum</algorithm>
      </contrastEnhancement>
    </rasterrenderer>""")


def _document(renderer: str) -> str:
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        f'<qgis styleCategories="Symbology" version="3.22">\n  <pipe>{renderer}\n  </pipe>\n</qgis>\n'
    )
