"""Training of `BodyMotionNetwork` on few sequences: mirror images, other timing, examples mixed in the tangent space.

All streams are trained side by side, each on batches of its own. One more stream, the witness, does not see the motions
of one subject and of some classes: what it says of them is how the network will do on people and on actions that it
has not learned from. It is dropped afterwards.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.lie.network import BodyMotionNetwork, align
from mvnet.models.activity.training import CHECKPOINT, EpochRun, MotionSchedule
from mvnet.runtime import seed_torch
from mvnet.training import Schedule

_WEIGHT_DECAY = {"adamw": 0.05, "muon": 0.05, "soap": 0.05, "sgd": 1e-3}
_VECTOR_NOISE = 0.02
_MIXING = 0.4  # parameter of the Beta law of the shares
_AVERAGE = 0.99

Batch = list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]
"""For each stream: rotations, vectors, labels, other example of each, share of its own."""


@dataclass(frozen=True)
class Curves:
    """Training curves, and those of the mirror images; both the same where there are none.

    Args:
        r, mirrored_r: rotations (n, frames, joints, 3, 3).
        v, mirrored_v: vectors (n, frames, m).
    """

    r: Tensor
    v: Tensor
    mirrored_r: Tensor
    mirrored_v: Tensor

    def aligned(self, frame: str) -> Curves:
        """In the frame of their first rotation.

        Args:
            frame: as in `BodyMotionNetwork`.
        Returns:
            the curves.
        """
        return Curves(*align(self.r, self.v, frame), *align(self.mirrored_r, self.mirrored_v, frame))

    def draw(self, index: Tensor, options: MotionSchedule, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Some of them with other timing, axes of the joints turned slightly, and every second one mirrored.

        t -> t + warp sin(pi t) a / pi with a uniform in [-1, 1]; frames are selected, not interpolated.

        Args:
            index: (batch,) which.
            options: warp and noise.
            generator: source of the random numbers, on the CPU.
        Returns:
            rotations (batch, frames, joints, 3, 3) and vectors (batch, frames, m).
        """
        batch, frames = len(index), self.r.shape[1]
        mirrored = (torch.rand(batch, generator=generator) < 0.5).to(self.r.device)
        t, a = torch.linspace(0, 1, frames), 2 * torch.rand(batch, 1, generator=generator) - 1
        at = (t + options.warp * torch.sin(torch.pi * t) * a / torch.pi) * (frames - 1)
        at = at.round().long().clamp(0, frames - 1).to(self.r.device)
        rows = torch.arange(batch, device=self.r.device).unsqueeze(-1)
        r = torch.where(mirrored.view(-1, 1, 1, 1, 1), self.mirrored_r[index], self.r[index])[rows, at]
        v = torch.where(mirrored.view(-1, 1, 1), self.mirrored_v[index], self.v[index])[rows, at]
        turn = options.noise * torch.randn(batch, 1, r.shape[2], 3, generator=generator)
        shift = _VECTOR_NOISE * torch.randn(batch, 1, v.shape[2], generator=generator)
        return r @ so3.exp(turn.to(r)), v + shift.to(v)


class BodyRun(EpochRun):
    """A run in epochs over the training sequences; arguments and errors as in `train_body_network`."""

    def __init__(
        self,
        folder: Path | None,
        model: BodyMotionNetwork,
        curves: Curves,
        labels: Tensor,
        witness: Tensor,
        options: MotionSchedule,
    ):
        if len(curves.r) != len(labels) or len(witness) != len(labels):
            raise MvnetError(f"labels, witness: found {len(labels)} and {len(witness)}, expected {len(curves.r)}")
        self.curves, self.labels, self.options = curves.aligned(model.config["frame"]), labels, options
        self.seen = [torch.arange(len(labels))] * (len(model.streams) - 1) + [torch.nonzero(witness).flatten()]
        self.each = len(labels) - (len(labels) % options.batch == 1)  # no batch of one, which has no variance
        self.steps_per_epoch = math.ceil(self.each / options.batch)
        schedule = Schedule(
            steps=options.epochs * self.steps_per_epoch,
            batch=options.batch,
            rate=options.rate,
            warm_up=min(20, options.epochs),
            weight_decay=_WEIGHT_DECAY.get(options.optimizer, 0.0),
            average=_AVERAGE,
            checkpoint_every=self.steps_per_epoch,
            seed=options.seed,
            optimizer=options.optimizer,
            optimizer_options=options.optimizer_options,
        )
        super().__init__(folder, model, schedule, name=CHECKPOINT, identity=self._identity(model))

    def _identity(self, model: BodyMotionNetwork) -> dict[str, Any]:
        digest = hashlib.sha256()
        for tensor in (self.curves.r, self.curves.v, self.curves.mirrored_r, self.labels, *self.seen):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        augmentation = {"warp": self.options.warp, "noise": self.options.noise, "smoothing": self.options.smoothing}
        return {**augmentation, "curves": digest.hexdigest(), **{f"network {k}": v for k, v in model.config.items()}}

    def objective(self, model: nn.Module, batches: Batch) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy with smoothed labels of every stream, each with its batch.

        l = s l(x, y) + (1 - s) l(x, y'),    s the share of an example's own tangent vectors

        Args:
            model: the network.
            batches: of each stream.
        Returns:
            loss (), and no figures.
        """
        losses = []
        assert isinstance(model, BodyMotionNetwork)
        for stream, (r, v, y, other, share) in zip(model.members(), batches):
            scores = stream(r, v, (other, share))
            own, mixed = (
                cross_entropy(scores, labels, reduction="none", label_smoothing=self.options.smoothing)
                for labels in (y, y[other])
            )
            losses.append((share * own + (1 - share) * mixed).mean())
        return torch.stack(losses).sum(), {}

    def batches(self) -> Iterator[Batch]:
        """Batches from the first step of the next epoch on; an epoch is a function of the seed and its number.

        Yields:
            the batches of every stream.
        """
        options, device = self.options, self.labels.device
        beta = torch.distributions.Beta(torch.tensor(_MIXING), torch.tensor(_MIXING))
        for epoch in range(self.epoch, options.epochs):
            seed = 1_000_003 * options.seed + epoch
            generator = torch.Generator().manual_seed(seed)
            with seed_torch(seed, device):  # dropout, shares
                orders = [self._order(seen, generator).split(options.batch) for seen in self.seen]
                for parts in zip(*orders):
                    batch = []
                    for index in parts:
                        share = beta.sample((len(index),))
                        r, v = self.curves.draw(index.to(device), options, generator)
                        other = torch.randperm(len(index), generator=generator).to(device)
                        share = torch.maximum(share, 1 - share).to(device)
                        batch.append((r, v, self.labels[index.to(device)], other, share))
                    yield batch

    def _order(self, seen: Tensor, generator: torch.Generator) -> Tensor:
        """As many indices as there are sequences, in a random order, those of `seen` again and again."""
        turns = math.ceil(len(self.labels) / len(seen))
        parts = [seen[torch.randperm(len(seen), generator=generator)] for _ in range(turns)]
        return torch.cat(parts)[: self.each]


def train_body_network(
    model: BodyMotionNetwork,
    curves: Curves,
    labels: Tensor,
    witness: Tensor,
    schedule: MotionSchedule,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
) -> None:
    """Train in place.

    Args:
        model: on the device of the curves; its last stream is the witness.
        curves: of n sequences.
        labels: (n,) integers, on the same device.
        witness: (n,) bool, the sequences that the last stream sees.
        schedule: options; patience is not used, all epochs are trained.
        progress: called as progress(done, total) after every epoch.
        folder: where a checkpoint is written after every epoch; training resumes from one that exists.
    Raises:
        MvnetError: unknown optimiser, lengths that differ, a checkpoint of another run.
    """
    run = BodyRun(folder, model, curves, labels, witness, schedule)
    run.train_epochs(progress)
