"""The two classifiers of motions behind one interface: which, with what options, and how it is fitted and stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.serialization import load_classifier, save_classifier

NETWORKS = ("kernels", "lie")
FILTERS = 4000
_MIRROR = {"auto": "auto", "yes": True, "no": False}


@dataclass(frozen=True)
class ModelOptions:
    """Options of the command line that say what is fitted; None where not given.

    network: "kernels", the ridge regression on kernels, or "lie", `LieMotionNetwork`. mirror belongs to the first;
    epochs, optimizer, device and resume to the second.
    """

    network: str = "kernels"
    mirror: str | None = None
    seed: int = 0
    epochs: int | None = None
    optimizer: str | None = None
    device: str | None = None
    resume: bool = False

    def check(self) -> None:
        """UserError: an unknown word, or an option of the other kind."""
        if self.network not in NETWORKS:
            raise UserError(f"--network: found {self.network!r}, expected one of {', '.join(NETWORKS)}")
        if (self.mirror or "auto") not in _MIRROR:
            raise UserError(f"--mirror: found {self.mirror!r}, expected one of {', '.join(_MIRROR)}")
        if self.network == "lie":
            if self.mirror is not None:
                raise UserError("--mirror belongs to --network kernels, found --network lie")
            from mvnet.optim import OPTIMIZERS

            if (self.optimizer or "adamw") not in OPTIMIZERS:
                raise UserError(f"--optimizer: found {self.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
            return
        given = {"--epochs": self.epochs, "--optimizer": self.optimizer, "--device": self.device}
        names = [name for name, value in given.items() if value is not None] + ["--resume"] * self.resume
        if names:
            verb = "belongs" if len(names) == 1 else "belong"
            raise UserError(f"{', '.join(names)} {verb} to --network lie, found --network {self.network}")

    def check_data(self, motions: MotionSet) -> None:
        """UserError: motions that the network cannot take."""
        if self.network == "lie":
            from mvnet.apps.activity.lie_network import require_rotations

            require_rotations(motions)

    @property
    def where(self) -> str:
        """The device, in words. UserError: it cannot be used."""
        if self.network == "kernels":
            return "cpu"
        from mvnet.runtime import find_device

        return str(find_device(self.device or "auto"))


def fit(
    motions: MotionSet,
    index: np.ndarray,
    options: ModelOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
) -> Any:
    """A classifier of the sequences at `index`; its labels are positions in motions.classes.

    `folder` is where a network leaves checkpoints; one that is there is continued.
    """
    part = motions.take(index)
    if options.network == "kernels":
        mirror = _MIRROR[options.mirror or "auto"]
        classifier = MotionClassifier(part.parent, mirror=mirror, filters=FILTERS, seed=options.seed)
        return classifier.fit(list(part.sequences), part.require_labels(), part.subjects)
    import torch

    from mvnet.apps.activity.lie_network import fit_network
    from mvnet.models.activity.training import MotionSchedule

    default = MotionSchedule()
    schedule = MotionSchedule(
        epochs=options.epochs or default.epochs, optimizer=options.optimizer or default.optimizer, seed=options.seed
    )
    return fit_network(part, schedule, torch.device(options.where), progress, folder)


def save(stem: Path, classifier: Any, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and the card STEM.json, which says what kind it is."""
    if isinstance(classifier, MotionClassifier):
        save_classifier(stem, classifier, card)
    else:
        from mvnet.apps.activity.lie_network import save_network

        save_network(stem, classifier, card)


def load(run: Path) -> tuple[Any, dict[str, Any]]:
    """The classifier of a run folder, and its card. ValueError: a file is missing or holds something else."""
    stem = run / "activity"
    try:
        kind = json.loads((run / "activity.json").read_text())["architecture"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = None  # which the loader explains
    if kind != "LieMotionNetwork":
        return load_classifier(stem)
    from mvnet.apps.activity.lie_network import load_network

    return load_network(stem)


def prepare_checkpoint(folder: Path, resume: bool, overwrite: bool) -> None:
    """See that the training starts afresh, or goes on, as asked for.

    Raises:
        UserError: nothing to resume, or an unfinished training that neither --resume nor --overwrite speaks of.
    """
    from mvnet.models.activity.training import CHECKPOINT
    from mvnet.training import Run

    unfinished = Run.is_unfinished(folder, CHECKPOINT)
    if resume and not unfinished:
        raise UserError(f"--resume: found no unfinished training in {folder}, expected one")
    if unfinished and not resume:
        if not overwrite:
            raise UserError(f"output: {folder} holds an unfinished training; give --resume to go on, or --overwrite")
        Run.drop(folder, CHECKPOINT)
