"""A viewer of pictures of one scene: pan, zoom, and a divider between two of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mvnet.apps.common.page.templates import asset, render, script_data, text_of

_EMPTY = (183, 211, 176)  # green: no colour of the maps
_COLOURS = 255  # of a map; one entry of the palette is left for pixels without data


@dataclass(frozen=True)
class Layer:
    """A picture, one pixel a value.

    label: what it is.  values: (h, w), NaN where there are no data.  limits: of the colours.  colours: a colour map of
    matplotlib; a cyclic one for angles.  ticks: text at the ends of the legend, with the unit.
    """

    label: str
    values: np.ndarray
    limits: tuple[float, float]
    colours: str
    ticks: tuple[str, str]


def images(layers: Sequence[Layer], caption: str, *, step: int = 1) -> str:
    """The viewer: the first two layers beside each other under a divider, and each layer alone.

    Args:
        layers: of one shape; two or more.
        caption: below the viewer.
        step: pixels of the scene that a pixel of the pictures stands for.
    Returns:
        a piece of HTML; a page may hold several. Without scripts the pictures stand below each other.
    """
    shown = [
        {"label": one.label, "data": text_of(_png(one)), "colours": _gradient(one.colours), "ticks": one.ticks}
        for one in layers
    ]
    height, width = layers[0].values.shape
    spec = {"width": width, "height": height, "step": step}
    return render("images.html", layers=shown, script=asset("images.js"), spec=script_data(spec), caption=caption)


def _png(layer: Layer) -> bytes:
    """A PNG with the palette of the map; the last entry is for pixels without data."""
    from matplotlib import colormaps
    from PIL import Image

    low, high = layer.limits
    share = np.clip((layer.values - low) / (high - low), 0, 1)
    known = np.isfinite(share)
    index = np.where(known, np.rint(np.nan_to_num(share) * (_COLOURS - 1)), _COLOURS).astype(np.uint8)
    picture = Image.fromarray(index)
    colours = (colormaps[layer.colours](np.linspace(0, 1, _COLOURS))[:, :3] * 255).round().astype(np.uint8)
    picture.putpalette(np.vstack([colours, np.asarray(_EMPTY, np.uint8)]).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _gradient(name: str) -> str:
    """The map as a list of colours in CSS."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ",".join(to_hex(colour) for colour in colormaps[name](np.linspace(0, 1, 17)))
