"""A small checkpoint of every architecture, and fitted classifiers: loaded, and asked to predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.faults.case import Input, Kind
from mvnet.data_loaders.motion import MotionSet
from mvnet.linalg import so3
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.ensemble import MotionEnsemble, load_ensemble, save_ensemble
from mvnet.models.activity.lie.network import BodyMotionNetwork
from mvnet.models.activity.lie_classifier import fit_lie_classifier, load_lie_classifier, save_lie_classifier
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.serialization import load_classifier, save_classifier
from mvnet.models.activity.training import MotionSchedule
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint, weights_hash
from mvnet.models.dti.certified.network import CertifiedDenoiser
from mvnet.models.dti.inference import denoise_volume
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.motion.network import MotionDenoiser
from mvnet.models.posterior_weights import load_head
from mvnet.models.registry import ARCHITECTURES

_PARENT = [-1, 0, 1, 2, 1, 4]
_FIELDS = {"trivial": 2, "faces": 1}

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "DTIDenoiser": lambda: DTIDenoiser(_FIELDS, {"faces": 1}, convolutions=(1,), spread=True, size_noise=True),
    "CertifiedDenoiser": lambda: CertifiedDenoiser(_FIELDS, rounds=2, length=1.5, convolutions=1),
    "DTIPosterior": lambda: DTIPosterior({"trivial": 1, "faces": 1}, {"trivial": 2}, taps=3),
    "InSARDenoiser": lambda: InSARDenoiser(
        fields=({"regular": 1}, {"regular": 1}), hidden={"trivial": 1}, down=(0, 1), up=(1, 0), windows=(4, 0),
        waves=(("trivial", 0.0), ("waves-sides", 1.0)), kernels=((3, 1),), carrier=1,
    ),
    "InSARPosterior": lambda: InSARPosterior((-1.0, 2.0), (0.1, 1.0), (0.0, 2.0), (0.0, 0.5), taps=5, rank=2),
    "BodyMotionNetwork": lambda: BodyMotionNetwork(
        3, 3, 2, [-1, 0, 1], streams=1, width=8, dilations=(1,), references=2
    ),
    "LieMotionNetwork": lambda: LieMotionNetwork(3, 2, [-1, 0, 1], width=8, dilations=(1, 2)),
    "MotionDenoiser": lambda: MotionDenoiser(2, dilations=((1,),), widths=((1.0, 2.0),), flow_widths=((1.0,),)),
}  # fmt: skip
"""One of each architecture, as small as it can be."""


def _network(name: str) -> Input:
    def make(folder: Path) -> Path:
        torch.manual_seed(0)
        save_checkpoint(folder / "net", NETWORKS[name](), {"task": "none", "measured": {"error": 0.1}})
        return _without_digest(folder / "net")

    return Input(make, _predict)


def _without_digest(stem: Path) -> Path:
    """A pair whose card is an older one, so that what comes after the comparison of digests is tried."""
    path = stem.with_name(f"{stem.name}.json")
    card = json.loads(path.read_text(encoding="utf-8"))
    del card["sha256"]
    path.write_text(json.dumps(card), encoding="utf-8")
    return stem


@torch.no_grad()
def _predict(path: Path) -> list[torch.Tensor]:
    """What a checkpoint predicts."""
    random = torch.Generator().manual_seed(5)
    model, card = load_checkpoint(path)
    if isinstance(model, DTIDenoiser):
        tensors = torch.tensor([1.4, 0.5, 0.4, 0.1, 0.0, 0.2]).view(6, 1, 1, 1) * (
            1 + torch.rand(4, 3, 3, generator=random)
        )
        found = denoise_volume(model, tensors, torch.ones(4, 3, 3, dtype=torch.bool))
        return [part for part in found if part is not None]
    if isinstance(model, InSARDenoiser):
        found = denoise_interferogram(model, torch.randn(9, 7, generator=random, dtype=torch.complex64))
        return [part for part in found if isinstance(part, torch.Tensor)]
    return ARCHITECTURES[card["architecture"]].trial(model)


def _head(folder: Path) -> Path:
    torch.manual_seed(0)
    save_checkpoint(folder / "net", NETWORKS["DTIDenoiser"](), {})
    digest = {"sha256": weights_hash(folder / "net")}
    save_checkpoint(folder / "net-posterior", NETWORKS["DTIPosterior"](), {"denoiser": digest})
    _without_digest(folder / "net-posterior")
    return _without_digest(folder / "net")


@torch.no_grad()
def _read_head(path: Path) -> list[torch.Tensor]:
    head, _ = load_head(path, DTIPosterior, "dti")
    return ARCHITECTURES["DTIPosterior"].trial(head)


def _recordings(kind: str = "positions", seed: int = 0) -> MotionSet:
    """Six recordings of a skeleton of six joints, two classes, three subjects."""
    random = torch.Generator().manual_seed(seed)
    rest = torch.tensor([[0, 0, 0], [0, 0, 1], [1, 0, 1], [2, 0, 1.1], [-1, 0, 1], [-2, 0, 1.1]], dtype=torch.float64)
    sequences = []
    for i in range(6):
        noise = 0.1 * torch.randn(7, 6, 3, generator=random, dtype=torch.float64).cumsum(0)
        noise[:, 3 if i % 2 else 5, 2] += torch.linspace(0, 2, 7)
        sequences.append((so3.exp(noise) if kind == "rotations" else rest + noise).numpy())
    labels, subjects = np.arange(6) % 2, np.arange(6) // 2
    parent = np.array(_PARENT) if kind == "positions" else None
    return MotionSet(sequences, kind, labels, ("a", "b"), subjects, parent)  # type: ignore[arg-type]


def _fit_kernels(motions: MotionSet) -> MotionClassifier:
    classifier = MotionClassifier(motions.parent, mirror=False, filters=84)
    return classifier.fit(list(motions.sequences), motions.require_labels(), motions.subjects)


def _kernels(kind: str) -> Input:
    def make(folder: Path) -> Path:
        save_classifier(folder / "activity", _fit_kernels(_recordings(kind)), {"classes": ["a", "b"]})
        return _without_digest(folder / "activity")

    return Input(make, partial(_classify, load_classifier, kind))


def _lie(kind: str) -> Input:
    def make(folder: Path) -> Path:
        classifier = fit_lie_classifier(_recordings(kind), MotionSchedule(epochs=1), torch.device("cpu"))
        save_lie_classifier(folder / "activity", classifier, {"classes": ["a", "b"]})
        return _without_digest(folder / "activity")

    return Input(make, partial(_classify, load_lie_classifier, kind))


def _ensemble() -> Input:
    def make(folder: Path) -> Path:
        motions = _recordings()
        network = fit_lie_classifier(motions, MotionSchedule(epochs=1), torch.device("cpu"))
        ensemble = MotionEnsemble(_fit_kernels(motions), network, 0.5)
        save_ensemble(folder / "activity", ensemble, {"classes": ["a", "b"]})
        return _without_digest(folder / "activity")

    return Input(make, partial(_classify, load_ensemble, "positions"))


def _classify(load: Callable[[Path], tuple[Any, dict[str, Any]]], kind: str, path: Path) -> list[torch.Tensor]:
    """Probabilities of two recordings that it has not seen."""
    classifier, _ = load(path)
    shares = classifier.predict_proba(list(_recordings(kind, seed=3).sequences[:2]))
    return [torch.from_numpy(shares), torch.from_numpy(shares.sum(1) - 1).abs() < 1e-3]


def predictions_hold(found: list[torch.Tensor]) -> str:
    """Finite, and true where they say whether something holds."""
    if not all(bool(part.isfinite().all()) for part in found):
        return "predictions that are not finite"
    if not all(bool(part.all()) for part in found if part.dtype == torch.bool):
        return "probabilities whose sum is not 1"
    return ""


CHECKPOINTS = Kind(
    {name: _network(name) for name in NETWORKS} | {"head": Input(_head, _read_head)}, predictions_hold, 0.25
)
CLASSIFIERS = Kind(
    {
        "kernels": _kernels("positions"),
        "kernels, rotations": _kernels("rotations"),
        "lie": _lie("positions"),
        "lie, rotations": _lie("rotations"),
        "ensemble": _ensemble(),
    },
    predictions_hold,
    0.25,
)
