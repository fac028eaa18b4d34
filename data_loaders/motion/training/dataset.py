"""The training set of the denoiser of motions: clips of recorded and simulated bodies, damaged.

Example i depends on the seed and i alone. A clip holds joints of a body, part of its tree, and the positions of a few
of them, both damaged on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics
from mvnet.data_loaders.motion.training.corruption import (
    Damage,
    Damaged,
    damage_positions,
    damage_rotations,
    draw_damage,
)
from mvnet.data_loaders.motion.training.simulation import Body, process, simulate_body
from mvnet.data_loaders.random_fields import log_uniform, uniform
from mvnet.errors import MvnetError
from mvnet.linalg import so3

NOISE = (0.3 * pi / 180, 16 * pi / 180)
"""Radians per component."""

RELATIVE_NOISE = (1e-3, 0.15)
"""Of positions, over the length of a bone."""

MARKERS = 4
P_RECORDED = 0.4
P_CLEAN = 0.05
SLOWEST, FASTEST = 0.8, 4.5  # recorded frames for each frame of a clip


class Curves(NamedTuple):
    """Curves before and after: values, target (joints, frames, ...), seen and spike (joints, frames) bool.

    noise: (), standard deviation per component. parent: (joints,) long.
    """

    values: Tensor
    target: Tensor
    seen: Tensor
    spike: Tensor
    noise: Tensor
    parent: Tensor


class MotionPair(NamedTuple):
    """An example: rotations of joints, and positions of some of them."""

    rotations: Curves
    positions: Curves


@dataclass
class MotionTrainingSet(Dataset):
    """Damaged clips.

    Args:
        recorded: clean recordings at their own rates.
        length: number of examples.
        simulated: number of simulated bodies; 0 for recorded ones alone.
        frames, joints: of a clip.
        seed: of everything.
    Raises:
        MvnetError: nothing to learn from, or no recording of enough frames and joints.
    """

    recorded: Sequence[Body] = ()
    length: int = 1000
    simulated: int = 1000
    frames: int = 128
    joints: int = 16
    seed: int = 0
    _weights: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.recorded and not self.simulated:
            raise MvnetError("training data: found none, expected recordings or simulated bodies")
        for body in self.recorded:
            frames, joints = body.rotations.shape[:2]
            if frames < SLOWEST * self.frames + 2 or joints < 2:
                raise MvnetError(
                    f"recorded: found {frames} frames of {joints} joints, expected at least "
                    f"{int(SLOWEST * self.frames) + 2} of 2"
                )
        lengths = np.array([len(body.rotations) for body in self.recorded], dtype=float)
        self._weights = lengths / lengths.sum() if len(lengths) else lengths

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> MotionPair:
        # a generator on the CPU takes 32 bits of its seed
        random = torch.Generator().manual_seed(int(np.random.SeedSequence((self.seed, index)).generate_state(1)[0]))
        if self.recorded and (not self.simulated or uniform(0, 1, random) < P_RECORDED):
            chosen = int(torch.multinomial(torch.from_numpy(self._weights), 1, generator=random))
            body = part_of(resample(self.recorded[chosen], self.frames, random), self.joints, random)
        else:
            number = int(torch.randint(self.simulated, (), generator=random))
            state = np.random.SeedSequence((self.seed, number, 1)).generate_state(1)
            body = simulate_body(self.frames, self.joints, torch.Generator().manual_seed(int(state[0])))
        turn = so3.exp(torch.randn(2, 3, generator=random))  # of the axes in space, and of those of the joints
        body = Body(turn[0] @ body.rotations @ turn[1], body.parent)
        positions, scale = self._positions(body, random), log_uniform(0.01, 100, random)
        clean = uniform(0, 1, random) < P_CLEAN
        damage = [draw_damage(low, high, random) for low, high in (NOISE, RELATIVE_NOISE)]
        if clean:
            damage = [Damage(0.01 * part.noise) for part in damage]
        rotations = damage_rotations(body.rotations, damage[0], random)
        moved = damage_positions(positions, damage[1], random)
        moved = moved._replace(values=scale * moved.values)
        alone = torch.full((MARKERS,), -1)
        return MotionPair(
            _curves(rotations, body.rotations, damage[0].noise, body.parent),
            _curves(moved, scale * positions, scale * damage[1].noise, alone),
        )

    def _positions(self, body: Body, random: torch.Generator) -> Tensor:
        """Positions (frames, MARKERS, 3) of some joints; bones have a length of about 1, the root walks."""
        joints = len(body.parent)
        offsets = torch.nn.functional.normalize(torch.randn(joints, 3, generator=random), dim=-1)
        time = torch.arange(self.frames, dtype=torch.float32)
        scale = torch.full((3,), log_uniform(15, 120, random))
        root = log_uniform(0.02, 3, random) * process(time, 3, scale, random)
        arrays = (x.numpy() for x in (body.rotations, offsets, body.parent, root))
        positions, _ = forward_kinematics(*arrays)
        chosen = torch.randint(joints, (MARKERS,), generator=random)
        return torch.from_numpy(positions)[:, chosen]


def _curves(damaged: Damaged, clean: Tensor, noise: float, parent: Tensor) -> Curves:
    """Joints first."""
    parts = (damaged.values, clean, damaged.seen, damaged.spike)
    values, target, seen, spike = (x.transpose(0, 1).contiguous() for x in parts)
    return Curves(values, target, seen, spike, torch.tensor(noise, dtype=torch.float32), parent)


def resample(body: Body, frames: int, random: torch.Generator) -> Body:
    """A clip of a recording at a random rate: R_a exp(s log(R_a^T R_{a+1})) between two of its frames."""
    length = len(body.rotations)
    step = log_uniform(SLOWEST, min(FASTEST, (length - 2) / frames), random)
    if uniform(0, 1, random) < 0.5:
        step = max(1.0, float(int(step)))  # frames of the recording itself
    start = uniform(0, length - 1 - step * (frames - 1), random)
    time = start + step * torch.arange(frames)
    before = time.long().clamp(max=length - 2)
    share = (time - before).view(-1, 1, 1)
    first, last = body.rotations[before], body.rotations[before + 1]
    return Body(first @ so3.exp(share * so3.log(first.mT @ last)), body.parent)


def part_of(body: Body, joints: int, random: torch.Generator) -> Body:
    """Joints of a recording with the tree that they keep: a random connected part, repeated where it is small."""
    parent = body.parent.tolist()
    chosen = [int(torch.randint(len(parent), (), generator=random))]
    while len(chosen) < min(joints, len(parent)):
        near = [
            j for j, p in enumerate(parent) if j not in chosen and (p in chosen or j in [parent[c] for c in chosen])
        ]
        chosen.append(near[int(torch.randint(len(near), (), generator=random))])
    place = {joint: k for k, joint in enumerate(chosen)}
    above = [place.get(parent[joint], -1) for joint in chosen]
    missing = joints - len(chosen)
    return Body(body.rotations[:, chosen + chosen[:1] * missing], torch.tensor(above + [0] * missing))
