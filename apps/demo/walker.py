"""The motion of `mvnet demo`: a figure that walks, recorded with noise, spikes and gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.console import Console
from mvnet.apps.common.figures import AFTER, BEFORE
from mvnet.apps.demo.section import Section

INPUT, OUTPUT = "walk_noisy.npz", "walk.npz"
NAMES = (INPUT, OUTPUT, "walk_confidence.npz", "walk_report.html")
FRAMES, RATE, CYCLE = 120, 30.0, 36.0  # frames, a second, a step with each foot
TITLES, TRUTH = ("recorded", "denoised", "truth"), "#2b8a57"
NOISE, SPIKES, GAPS = 0.02, 0.01, 0.05  # metres; shares of the values
_BONES: tuple[tuple[int, tuple[float, float, float], float, float], ...] = (
    (-1, (0.0, 0.0, 0.95), 0.0, 0.0),  # hips
    (0, (0.0, 0.0, 0.50), 0.05, 0.5),  # neck
    (1, (0.0, 0.0, 0.22), 0.05, 0.5),  # head
    (1, (0.0, 0.20, 0.0), 0.0, 0.0),  # shoulder, elbow, hand
    (3, (0.0, 0.03, -0.28), 0.5, 0.5),
    (4, (0.05, 0.0, -0.26), 0.7, 0.45),
    (1, (0.0, -0.20, 0.0), 0.0, 0.0),
    (6, (0.0, -0.03, -0.28), 0.5, 0.0),
    (7, (0.05, 0.0, -0.26), 0.7, -0.05),
    (0, (0.0, 0.10, 0.0), 0.0, 0.0),  # hip, knee, foot
    (9, (0.0, 0.0, -0.45), 0.5, 0.0),
    (10, (0.0, 0.0, -0.45), 0.6, 0.15),
    (0, (0.0, -0.10, 0.0), 0.0, 0.0),
    (12, (0.0, 0.0, -0.45), 0.5, 0.5),
    (13, (0.0, 0.0, -0.45), 0.6, 0.65),
)
"""Joint above, bone at rest in metres (ahead, left, up), how far it swings about the axis to the left, radians, and
when, in cycles."""
PARENT = np.array([bone[0] for bone in _BONES])


def walk(frames: int = FRAMES) -> np.ndarray:
    """Positions of the joints, (frames, joints, 3) metres: ahead, left, up; walking on the spot."""
    turn = 2 * np.pi * np.arange(frames) / CYCLE
    x = np.zeros((frames, len(_BONES), 3))
    for joint, (parent, bone, swing, when) in enumerate(_BONES):
        angle = swing * np.sin(turn + 2 * np.pi * when)
        ahead = bone[0] * np.cos(angle) + bone[2] * np.sin(angle)
        up = bone[2] * np.cos(angle) - bone[0] * np.sin(angle)
        x[:, joint] = np.stack([ahead, np.full(frames, bone[1]), up], -1)
        x[:, joint] += x[:, parent] if parent >= 0 else 0
    x[..., 2] += 0.03 * np.cos(2 * turn)[:, None]
    return x


def denoise_walk(folder: Path, console: Console, seed: int = 0) -> Section:
    """Record it badly, denoise it by `mvnet denoise motion`, and measure what is left."""
    from mvnet.apps.motion.denoise import run
    from mvnet.apps.motion.options import MotionOptions
    from mvnet.data_loaders.motion import MotionSet, save_motion
    from mvnet.data_loaders.motion.editing import open_recording

    console.say("motion")
    random, truth = np.random.default_rng(seed), walk()
    noisy = truth + NOISE * random.normal(size=truth.shape)
    noisy[random.random(noisy.shape[:2]) < SPIKES] += 0.3
    gaps = random.random(noisy.shape[:2]) < GAPS
    noisy[gaps] = np.nan
    save_motion(MotionSet([noisy], parent=PARENT, rate=RATE), folder / INPUT)
    summary = run(MotionOptions(folder / INPUT, folder / OUTPUT, report=True), console)
    after = np.asarray(open_recording(folder / OUTPUT).curves[0].values)
    errors = [100 * _error(found, truth) for found in (noisy, after)]
    counts = summary["counts"]
    words = "The recording, gaps filled, what was denoised, and the truth."
    return Section(
        title="Motion",
        about=(
            f"A figure of {len(PARENT)} joints that walks, {FRAMES} frames, with noise of {100 * NOISE:g} cm, "
            f"{SPIKES:.0%} of the positions far off and {GAPS:.0%} missing."
        ),
        rows=[
            ("root mean square error of a position, cm", *(f"{error:.2f}" for error in errors)),
            ("missing positions", str(counts["missing"]), "0"),
        ],
        html=page.skeletons([_filled(noisy), after, truth], [BEFORE, AFTER, TRUTH], PARENT, RATE, words, TITLES),
        report="walk_report.html",
        numbers={"rms_before_cm": errors[0], "rms_after_cm": errors[1], "missing": counts["missing"]},
    )


def _filled(positions: np.ndarray) -> np.ndarray:
    """Positions (frames, joints, 3) with straight lines over the gaps."""
    time, columns = np.arange(len(positions)), positions.reshape(len(positions), -1)
    seen = np.isfinite(columns)
    lines = [np.interp(time, time[known], column[known]) for column, known in zip(columns.T, seen.T)]
    return np.stack(lines, 1).reshape(positions.shape)


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square distance of positions that are there."""
    return float(np.sqrt(np.nanmean(np.square(found - truth).sum(-1))))
