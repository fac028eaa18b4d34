"""Skeletons that move side by side on a page, drawn by a script of the page itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from mvnet.storage import json_text

_MOST_FRAMES, _STEPS = 600, 4095  # frames shown, and steps of a coordinate
_WIDTH, _HEIGHT = 960, 460

_SCRIPT = """
(() => {
const D = %s, f = document.currentScript.closest('figure');
const c = f.querySelector('canvas'), x = c.getContext('2d');
const s = f.querySelector('input'), b = f.querySelector('button');
let k = 0, on = true, turn = 0.6, last = 0;
function draw(pose, left, colour) {
  const w = c.width / D.bodies.length, q = D.scale * Math.min(w, c.height) / 2, at = pose.map(p => {
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
  D.bodies.forEach((m, i) => draw(m[k %% m.length], i * c.width / D.bodies.length, D.colours[i]));
  x.fillStyle = '#334'; x.font = '15px system-ui';
  D.titles.forEach((t, i) => x.fillText(t, i * c.width / D.bodies.length + 8, 18));
  s.value = k;
}
s.max = Math.max(...D.bodies.map(m => m.length)) - 1;
s.oninput = () => { k = +s.value; on = false; show(); };
b.onclick = () => { on = !on; };
c.onmousemove = e => { if (e.buttons) { turn += e.movementX / 150; show(); } };
function run(now) {
  if (on && now - last > 1000 / D.rate) { k = (k + 1) %% (+s.max + 1); last = now; show(); }
  requestAnimationFrame(run);
}
show(); requestAnimationFrame(run);
})();
"""


def animation(
    bodies: Sequence[np.ndarray],
    colours: Sequence[str],
    parent: np.ndarray | None,
    rate: float | None,
    caption: str,
    titles: Sequence[str] = (),
    up: int | None = None,
) -> str:
    """Bodies that move side by side, the shorter ones again and again.

    Args:
        bodies: positions (frames, joints, 3) or (frames, joints, 2), finite.
        colours: of each body. titles: of each body, none by default.
        parent: (joints,), -1 for none; None draws points.
        rate: frames per second; None plays 30.
        caption: below the picture; ends with a word on frames that are left out.
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
    data = {
        "bodies": [body.tolist() for body in drawn],
        "parent": [-1] * whole[0].shape[1] if parent is None else np.asarray(parent).tolist(),
        "rate": (rate or 30.0) / step,
        "scale": 1.8 / _STEPS,
        "colours": list(colours),
        "titles": list(titles),
    }
    text = (_SCRIPT % json_text(data, separators=(",", ":"))).replace("</", "<\\/")
    shown = "" if step == 1 else f", every {step}th frame"
    return (
        f'<figure><canvas width="{_WIDTH}" height="{_HEIGHT}" style="max-width:100%"></canvas><br>'
        '<button>play / pause</button> <input type="range" min="0" value="0" aria-label="frame">'
        f"<figcaption>{escape(caption)}{shown}; drag to turn.</figcaption><script>{text}</script></figure>"
    )


def _solid(body: np.ndarray) -> np.ndarray:
    """Positions in space; those of an image stand upright in the plane x, z."""
    if body.shape[-1] == 3:
        return body
    return np.stack((body[..., 0], np.zeros(body.shape[:2]), body[..., 1]), -1)
