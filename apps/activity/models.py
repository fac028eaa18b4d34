"""The classifiers of motions behind one interface: how one is fitted, stored and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from mvnet.apps.activity.options import FRAMES, MIRROR, ModelOptions
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.serialization import load_classifier, save_classifier
from mvnet.storage import parse_json

FILTERS = 4000
_ENTRIES: dict[str, tuple[type, ...]] = {
    "data": (str,),
    "format": (str, NoneType),
    "only_classes": (str, NoneType),
    "classes": (list,),
    "test_sequences": (list,),
    "rate": (float, int, NoneType),
}
"""Entries of a card that commands use, and their types."""


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
    if options.network == "auto":
        return _fit_chosen(part, options, progress)
    return _fit_kernels(part, options) if options.network == "kernels" else _fit_lie(part, options, progress, folder)


def _fit_kernels(part: MotionSet, options: ModelOptions) -> MotionClassifier:
    mirror = MIRROR[options.mirror or "auto"]
    classifier = MotionClassifier(part.parent, mirror=mirror, filters=FILTERS, seed=options.seed)
    return classifier.fit(list(part.sequences), part.require_labels(), part.subjects)


def _fit_lie(
    part: MotionSet, options: ModelOptions, progress: Callable[[int, int], None], folder: Path | None = None
) -> Any:
    import torch

    from mvnet.models.activity.lie_classifier import fit_lie_classifier
    from mvnet.models.activity.training import MotionSchedule

    epochs = {} if options.epochs is None else {"epochs": options.epochs}
    schedule = MotionSchedule(seed=options.seed, **epochs, **options.descent())
    frame = options.frame or FRAMES[0]
    return fit_lie_classifier(part, schedule, torch.device(options.place), progress, folder, frame)


def _fit_chosen(part: MotionSet, options: ModelOptions, progress: Callable[[int, int], None]) -> Any:
    """Kernels, network or both, as inner folds of the training part say; `choice_of` the classifier says which."""
    from mvnet.models.activity.ensemble import BOTH, Choice, Fit, MotionEnsemble, choose

    fits: dict[str, Fit] = {
        "kernels": partial(_fit_kernels, options=options),
        "lie": partial(_fit_lie, options=options, progress=progress),
    }
    reason = options.obstacle(part)
    if reason:
        choice = Choice("kernels", {}, {}, f"chosen: kernels, as the network cannot take these motions ({reason})")
    else:
        choice = choose(part, fits)
    fitted = {name: fit(part) for name, fit in fits.items() if choice.name in (name, BOTH)}
    classifier = fitted.get(choice.name)
    if classifier is None:
        classifier = MotionEnsemble(fitted["kernels"], fitted["lie"], choice.accuracy[BOTH])
    classifier.settings_["choice"] = asdict(choice)
    return classifier


def choice_of(classifier: Any) -> dict[str, Any] | None:
    """What was chosen and why, of `--network auto`; None of others."""
    return classifier.settings_.get("choice")


def save(stem: Path, classifier: Any, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and the card STEM.json, which says what kind it is."""
    if isinstance(classifier, MotionClassifier):
        save_classifier(stem, classifier, card)
        return
    from mvnet.models.activity.ensemble import MotionEnsemble, save_ensemble
    from mvnet.models.activity.lie_classifier import save_lie_classifier

    if isinstance(classifier, MotionEnsemble):
        save_ensemble(stem, classifier, card)
    else:
        save_lie_classifier(stem, classifier, card)


def load(run: Path) -> tuple[Any, dict[str, Any]]:
    """The classifier of a run folder, and its card. MvnetError: a file is missing or holds something else."""
    stem = run / "activity"
    try:
        kind = parse_json((run / "activity.json").read_text())["architecture"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = None  # which the loader explains
    if kind in ("BodyMotionNetwork", "LieMotionNetwork"):
        from mvnet.models.activity.lie_classifier import load_lie_classifier

        classifier, card = load_lie_classifier(stem)
    elif kind == "MotionEnsemble":
        from mvnet.models.activity.ensemble import load_ensemble

        classifier, card = load_ensemble(stem)
    else:
        classifier, card = load_classifier(stem)
    _check_card(card, run, classifier.classes_)
    return classifier, card


def _check_card(card: dict[str, Any], run: Path, labels: np.ndarray) -> None:
    """UserError for what the command that trained did not write."""
    for name, kinds in _ENTRIES.items():
        if not isinstance(card.get(name, ...), kinds):
            found = f"{name} {card[name]!r}" if name in card else f"no {name}"
            raise UserError(f"{run}: found a card with {found}, expected that of `mvnet train activity`")
    names, test = card["classes"], card["test_sequences"]
    places = labels.dtype.kind in "iu" and 0 <= labels.min() <= labels.max() < len(names)
    if not places or not all(isinstance(name, str) for name in names):
        found = f"labels {labels.tolist()} and classes {names}"
        raise UserError(f"{run}: found a card with {found}, expected a name for every label")
    if not all(isinstance(number, int) and number >= 0 for number in test):
        raise UserError(f"{run}: found a card with test_sequences that are no numbers of sequences, expected some")


def prepare_checkpoint(folder: Path, resume: bool, overwrite: bool) -> None:
    """Make sure that a training starts afresh or continues as the options say.

    Raises:
        UserError: nothing to resume, or an unfinished training that neither --resume nor --overwrite speaks of.
    """
    from mvnet.models.activity.training import CHECKPOINT
    from mvnet.training import Run

    unfinished = Run.has_checkpoint(folder, CHECKPOINT)
    if resume and not unfinished:
        raise UserError(f"--resume: found no unfinished training in {folder}, expected one")
    if unfinished and not resume:
        if not overwrite:
            raise UserError(f"output: found an unfinished training in {folder}, expected --resume or --overwrite")
        Run.drop(folder, CHECKPOINT)
