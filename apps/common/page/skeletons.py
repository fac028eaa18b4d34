"""Skeletons that move side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvnet.apps.common.page.templates import asset, render, script_data

_MOST_FRAMES, _STEPS = 600, 4095  # frames shown, and steps of a coordinate
_STILL = 45  # of the 100 units of the picture that is shown without scripts


def skeletons(
    bodies: Sequence[np.ndarray],
    colours: Sequence[str],
    parent: np.ndarray | None,
    rate: float | None,
    caption: str,
    titles: Sequence[str] = (),
    up: int | None = None,
) -> str:
    """The bodies, moving, the shorter ones again and again; one frame of them without scripts.

    Args:
        bodies: positions (frames, joints, 3) or (frames, joints, 2), finite.
        colours: of each body. titles: of each body, none by default.
        parent: (joints,), -1 for none; None draws points.
        rate: frames per second; None plays 30.
        caption: below the picture; a word on frames that are left out follows it.
        up: axis drawn upwards; None takes the one along which the last body extends most, y or z.
    """
    step = max(1, -(-max(map(len, bodies)) // _MOST_FRAMES))
    whole = [_solid(body[::step]) for body in bodies]
    if up is None:
        up = int(np.ptp(np.median(whole[-1], axis=0), axis=0)[1:].argmax()) + 1
    whole = [body[..., [0, 3 - up, up]] for body in whole]
    whole = [body - np.median(body, axis=(0, 1)) for body in whole]
    size = float(np.quantile(np.abs(whole[-1]), 0.995)) or 1.0
    drawn = [np.clip(np.round(body / (2 * size) * _STEPS), -_STEPS, _STEPS).astype(int) for body in whole]
    tree = [-1] * whole[0].shape[1] if parent is None else np.asarray(parent).tolist()
    spec = {
        "bodies": [body.tolist() for body in drawn],
        "parent": tree,
        "rate": (rate or 30.0) / step,
        "scale": 1.8 / _STEPS,
        "colours": list(colours),
        "titles": list(titles),
    }
    return render(
        "skeletons.html",
        frames=max(map(len, whole)),
        stills=[_still(body[len(body) // 2] / size, tree, colour) for body, colour in zip(whole, colours)],
        titles=list(titles),
        caption=caption if step == 1 else f"{caption}, every {step}th frame",
        spec=script_data(spec),
        script=asset("skeletons.js"),
    )


def _solid(body: np.ndarray) -> np.ndarray:
    """Positions in space; those of an image stand upright in the plane x, z."""
    if body.shape[-1] == 3:
        return body
    return np.stack((body[..., 0], np.zeros(body.shape[:2]), body[..., 1]), -1)


def _still(pose: np.ndarray, parent: Sequence[int], colour: str) -> dict[str, Any]:
    """Lines and points of one frame (joints, 3) of size about 1, seen from ahead."""
    at = np.round(np.stack((pose[:, 0], -pose[:, 2]), -1).clip(-1.1, 1.1) * _STILL, 1).tolist()
    lines = [(*at[joint], *at[above]) for joint, above in enumerate(parent) if above >= 0]
    return {"lines": lines, "points": at, "colour": colour}
