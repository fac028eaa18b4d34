"""Denoising of joint rotations: recordings damaged by jitter alone, and by jitter, spikes and gaps.

The truth is a clean recording of optical capture that was not trained on: rotations relative to the joint above. Noise
is R exp(n), n normal with the standard deviation of the cell per component, independent from frame to frame or
correlated with 0.8 between frames; spikes of 20 to 180 degrees at 2 % of the values, gaps of up to 30 frames that take
10 %.

A peer gets its best parameter in every cell by the error itself, gaps filled along geodesics, and the better of the
data as they are and the data after a Hampel filter. Ours is one network that is told nothing. Errors are mean angles,
and mean lengths of second differences, in degrees.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.field_motion.peers import PEERS, Peer, hampel
from benchmarks.harness import Target
from mvnet.data_loaders.motion import load_motion
from mvnet.data_loaders.motion.bone_rotations import fill_rotations
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics
from mvnet.data_loaders.motion.training.corruption import Damage, Damaged, damage_rotations
from mvnet.models.motion.curves import RotationCurves
from mvnet.models.motion.inference import denoise_motion
from mvnet.models.motion.loss import acceleration
from mvnet.models.motion.skeletons import bone_lengths
from mvnet.storage import write_atomically

if TYPE_CHECKING:
    from benchmarks.field_motion.__main__ import Setup

RECORDINGS = (
    "amc/35_01.amc",
    "amc/49_20.amc",
    "bvh/Swagger.bvh",
    "bvh/cmu_12_01_walk.bvh",
    "bvh/test_mocapbank.bvh",
    "bvh/walk01.bvh",
)
"""Held out: trials of CMU and BVH files of other sources."""

_MOST_FRAMES, _QUICK_FRAMES = 240, 100
_CORRELATION, _SPIKES, _GAPS = 0.8, 0.02, 0.1
_CMU_RATE = 120.0
_SHARE, _ROUGHER = 0.85, 1.1  # targets: of the best peer's error, and of the true acceleration
_KIND = RotationCurves()


@dataclass(frozen=True)
class Truth:
    """rotations (frames, joints, 3, 3) float64 relative to the joint above, parent (joints,), and rate in Hz."""

    name: str
    rotations: Tensor
    parent: Tensor
    rate: float


@dataclass(frozen=True)
class Score:
    """Sums over values: angle of the error; lengths of the acceleration, of its truth and of the error of it."""

    error: float = 0.0
    rough: float = 0.0
    true: float = 0.0
    away: float = 0.0
    count: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))

    @classmethod
    def of(cls, found: Tensor, truth: Tensor) -> Score:
        """Of curves (frames, joints, 3, 3)."""
        angle = _KIND.distance(found, truth)
        a, b = (acceleration(x.transpose(0, 1), _KIND) for x in (found, truth))
        rough, true, away = (float(x.square().sum(-2).sqrt().mean()) * angle.numel() for x in (a, b, a - b))
        return cls(float(angle.sum()), rough, true, away, angle.numel())

    def degrees(self) -> dict[str, float]:
        """Means."""
        scale = 180 / np.pi / self.count
        names = {"error": self.error, "acceleration": self.rough, "true_acceleration": self.true}
        return {name: scale * value for name, value in (names | {"acceleration_error": self.away}).items()}


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows of every cell and method, and the targets."""
    truths = load(setup.data / "motion", setup.quick)
    rows: list[dict[str, Any]] = []
    targets: list[Target] = []
    for cell, damage in cells(setup.quick):
        damaged = [_damage(truth, damage, number) for number, truth in enumerate(truths)]
        found = {"none": sum_of(_filled(d, d.seen) for d in damaged)(truths)}
        for peer in _peers(setup.quick):
            found[peer.name] = kept(setup, f"{cell}, {peer.name}", partial(best, peer, damaged, truths))
        ours = sum_of(_ours(setup, d, t) for d, t in zip(damaged, truths))(truths)
        least = min(score.error / score.count for name, score in found.items() if name != "none")
        rows += [{"cell": cell, "method": name, **score.degrees()} for name, score in [*found.items(), ("mvnet", ours)]]
        share, rough = ours.error / ours.count / least, ours.rough / ours.true
        targets.append(Target(f"{cell}: error over the best peer's", share, f"<= {_SHARE}", share <= _SHARE))
        targets.append(Target(f"{cell}: acceleration over the truth's", rough, f"<= {_ROUGHER}", rough <= _ROUGHER))
    return rows, [*targets, *_others(setup, truths)]


def kept(setup: Setup, name: str, measure: Callable[[], Score]) -> Score:
    """A score as it was measured before, where there is a folder for them."""
    if setup.cache is None:
        return measure()
    setup.cache.mkdir(parents=True, exist_ok=True)
    file = setup.cache / (re.sub(r"\W+", "-", f"{name} {setup.quick}") + ".json")
    if not file.is_file():
        write_atomically(file, json.dumps(vars(measure())).encode())
    return Score(**json.loads(file.read_text()))


def cells(quick: bool) -> Iterator[tuple[str, Damage]]:
    """Names and damages."""
    for all_of_it in (True,) if quick else (False, True):
        for degrees in (5,) if quick else (2, 5, 10):
            for correlation in (0.0, _CORRELATION):
                kind = "correlated" if correlation else "white"
                more = (_SPIKES, _GAPS) if all_of_it else (0.0, 0.0)
                name = f"{degrees} degrees {kind}" + (", spikes, gaps" if all_of_it else "")
                yield name, Damage(degrees * np.pi / 180, correlation, 0.0, *more)


def load(folder: Path, quick: bool) -> list[Truth]:
    """The middle of every recording."""
    truths = []
    for name in RECORDINGS[1:3] if quick else RECORDINGS:
        motions = load_motion(folder / name, value="local")
        r = torch.from_numpy(motions.sequences[0]).double()
        middle = max(0, (len(r) - _MOST_FRAMES) // 2)
        r = r[middle : middle + (_QUICK_FRAMES if quick else _MOST_FRAMES)]
        parent = torch.from_numpy(np.asarray(motions.parent))
        truths.append(Truth(name, r, parent, motions.rate or _CMU_RATE))
    return truths


def moving(truth: Truth) -> Tensor:
    """(joints,) bool: those that turn by more than a hundredth of a degree."""
    return _KIND.distance(truth.rotations, truth.rotations[:1]).amax(0) > 2e-4


def _damage(truth: Truth, damage: Damage, number: int) -> Damaged:
    return damage_rotations(truth.rotations, damage, torch.Generator().manual_seed(number))


def _filled(damaged: Damaged, seen: Tensor) -> Tensor:
    return fill_rotations(damaged.values, seen)


def sum_of(found: Iterator[Tensor]) -> Callable[[list[Truth]], Score]:
    """The sum of the scores of results, over the joints that move."""

    def score(truths: list[Truth]) -> Score:
        parts = (Score.of(r[:, moving(t)], t.rotations[:, moving(t)]) for r, t in zip(found, truths))
        return sum(parts, Score())

    return score


def best(peer: Peer, damaged: list[Damaged], truths: list[Truth]) -> Score:
    """The score of a peer at its best parameter, on the data as they are or after a Hampel filter."""
    inputs = [[_filled(d, d.seen) for d in damaged]]
    if any(d.spike.any() for d in damaged):
        inputs.append([_filled(d, hampel(d.values, d.seen)) for d in damaged])

    def run(value: Any, given: list[Tensor]) -> Score:
        smooth = (torch.from_numpy(peer.smooth(r[:, moving(t)].numpy(), t.rate, value)) for r, t in zip(given, truths))
        parts = (Score.of(r, t.rotations[:, moving(t)]) for r, t in zip(smooth, truths))
        return sum(parts, Score())

    scores = [run(value, given) for value in peer.grid for given in inputs]
    return min(scores, key=lambda score: score.error)


def _peers(quick: bool) -> tuple[Peer, ...]:
    return tuple(p._replace(grid=p.grid[1:4]) for p in PEERS[1:5:3]) if quick else PEERS


def _ours(setup: Setup, damaged: Damaged, truth: Truth) -> Tensor:
    return denoise_motion(setup.model, damaged.values, damaged.seen, truth.parent).values  # type: ignore[arg-type]


def _others(setup: Setup, truths: list[Truth]) -> list[Target]:
    """Lengths of bones after the denoiser, and its speed on 10,000 frames of 31 joints with two threads."""
    truth = truths[0]
    joints = len(truth.parent)
    offsets = np.random.default_rng(0).normal(size=(joints, 3))
    damaged = _damage(truth, Damage(0.1, 0.0, 0.0, _SPIKES, _GAPS), 0)
    rotations = _ours(setup, damaged, truth).numpy()
    root = np.zeros((len(rotations), 3))
    positions, _ = forward_kinematics(rotations, offsets, truth.parent.numpy(), root)
    everywhere = torch.ones(positions.shape[:2], dtype=torch.bool)
    lengths = bone_lengths(torch.from_numpy(positions), everywhere, truth.parent)
    length = np.linalg.norm(positions - positions[:, truth.parent.clamp(min=0)], axis=-1)
    change = float(np.abs(length / np.maximum(lengths.numpy(), 1e-9) - 1)[:, truth.parent.numpy() >= 0].max())
    frames = 1000 if setup.quick else 10_000
    many = damaged.values[torch.arange(frames) % len(damaged.values)][:, torch.arange(31) % joints].float()
    seen = torch.ones(many.shape[:2], dtype=torch.bool)
    begin = time.perf_counter()
    denoise_motion(setup.model, many, seen, workers=2)  # type: ignore[arg-type]
    seconds = time.perf_counter() - begin
    return [
        Target("change of a bone's length", change, "< 1e-6", change < 1e-6),
        Target(f"{frames} frames of 31 joints, s", seconds, "< 10", seconds < 10),
    ]
