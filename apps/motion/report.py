"""The HTML page of `mvnet denoise motion`: an animation before and after, curves, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, BEFORE
from mvnet.storage import json_text

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.editing import Recording

_MOST_FRAMES, _STEPS = 600, 4095  # frames shown, and steps of a coordinate

_SCRIPT = """
(() => {
const D = %s, c = document.getElementById('body'), x = c.getContext('2d');
const s = document.getElementById('frame'), b = document.getElementById('play');
let k = 0, on = true, turn = 0.6, last = 0;
function draw(pose, left, colour) {
  const w = c.width / 2, q = D.scale * Math.min(w, c.height) / 2, at = pose.map(p => {
    const a = p[0] * Math.cos(turn) + p[1] * Math.sin(turn);
    return [left + w / 2 + q * a, c.height / 2 - q * p[2]];
  });
  x.strokeStyle = x.fillStyle = colour; x.lineWidth = 2;
  at.forEach((p, j) => {
    if (D.parent[j] >= 0) {
      const o = at[D.parent[j]]; x.beginPath(); x.moveTo(o[0], o[1]); x.lineTo(p[0], p[1]); x.stroke();
    }
    x.beginPath(); x.arc(p[0], p[1], 2.5, 0, 7); x.fill();
  });
}
function show() {
  x.clearRect(0, 0, c.width, c.height);
  draw(D.before[k], 0, D.colours[0]); draw(D.after[k], c.width / 2, D.colours[1]); s.value = k;
}
s.max = D.before.length - 1;
s.oninput = () => { k = +s.value; on = false; show(); };
b.onclick = () => { on = !on; };
c.onmousemove = e => { if (e.buttons) { turn += e.movementX / 150; show(); } };
function run(now) {
  if (on && now - last > 1000 / D.rate) { k = (k + 1) %% D.before.length; last = now; show(); }
  requestAnimationFrame(run);
}
show(); requestAnimationFrame(run);
})();
"""


def write_report(
    path: Path,
    title: str,
    recording: Recording,
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    summary: dict[str, Any],
) -> None:
    """Write the page.

    Args:
        recording: as read; gives the skeleton.
        before, after: arrays as its `write` takes them.
        summary: of `mvnet.apps.motion.denoise.run`.
    """
    poses = [recording.pose(values) for values in (before, after)]
    parts = [
        page.table((), _numbers(summary)),
        page.heading("Before and after"),
        animation(poses[0], poses[1], recording.parent, recording.rate),
        page.heading("Provenance"),
        page.table((), _provenance(summary)),
    ]
    subtitle = f"Motion denoised by mvnet {summary['version']}"
    path.write_text(page.document(title, subtitle, parts), encoding="utf-8")


def animation(before: np.ndarray, after: np.ndarray, parent: np.ndarray | None, rate: float | None) -> str:
    """Two skeletons that move side by side, drawn by a script of the page itself: left before, right after.

    Args:
        before, after: positions (frames, joints, 3); the axis along which the body extends most is drawn upwards.
        parent: (joints,), -1 for none; None draws points.
        rate: frames per second; None plays 30.
    """
    step = max(1, -(-len(before) // _MOST_FRAMES))
    both = np.stack([before[::step], after[::step]])
    up = int(np.ptp(np.median(both[1], axis=0), axis=0)[1:].argmax()) + 1
    both = both[..., [0, 3 - up, up]]
    both = both - np.median(both[1], axis=(0, 1))
    size = float(np.quantile(np.abs(both[1]), 0.995)) or 1.0
    whole = np.clip(np.round(both / (2 * size) * _STEPS), -_STEPS, _STEPS).astype(int)
    data = {
        "before": whole[0].tolist(),
        "after": whole[1].tolist(),
        "parent": [-1] * both.shape[2] if parent is None else np.asarray(parent).tolist(),
        "rate": (rate or 30.0) / step,
        "scale": 1.8 / _STEPS,
        "colours": [BEFORE, AFTER],
    }
    text = _SCRIPT % json_text(data, separators=(",", ":"))
    shown = "" if step == 1 else f", every {step}th frame"
    return (
        '<figure><canvas id="body" width="960" height="460" style="max-width:100%"></canvas><br>'
        '<button id="play">play / pause</button> <input type="range" id="frame" min="0" value="0" aria-label="frame">'
        f"<figcaption>Left as recorded with gaps filled, right denoised{shown}; drag to turn.</figcaption></figure>"
        f"<script>{text}</script>"
    )


def _numbers(summary: dict[str, Any]) -> list[tuple[str, str]]:
    counts = summary["counts"]
    rows = [
        ("Frames and joints", f"{counts['frames']:,} of {counts['joints']}"),
        ("Missing values", f"{counts['missing']:,}, filled"),
        ("Outliers", f"{counts['outliers']:,}, replaced"),
    ]
    for found in summary["statistics"]:
        words = f"{found['noise']:.3g} {found['unit']} a component, expected error after {found['expected_error']:.3g}"
        rows.append((f"Noise of {found['curves']}", words))
    return rows[:12]


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    options, weights = summary["options"], summary["weights"]
    return [
        ("Input", Path(options["input"]).name),
        ("Weights", f"{weights['name']}, sha256 {weights['sha256'][:16]}"),
        ("Options", f"strength={options['strength']:g}, trust_region={options['trust_region']:g}"),
        ("Device", summary["device"]),
    ]
