"""The program of a classifier of motions gives its probabilities, from recordings that are prepared for it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.motion_set import Kind
from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity import kernel_bank
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.ensemble import MotionEnsemble
from mvnet.models.activity.kernels import warped_distance, warped_distances
from mvnet.models.activity.lie.classifier import BodyMotionClassifier
from mvnet.models.activity.lie_classifier import LieMotionClassifier, fit_lie_classifier
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.programs import ClassifierProgram, export_classifier, plain_classifier
from mvnet.models.activity.rotation_curves import CurveMaker
from mvnet.models.activity.training import MotionSchedule
from tests.models.activity.test_lie import motion_set
from tests.models.onnx import onnx_outputs

KINDS = ("positions", "positions, mirrored", "rotations", "signals", "one signal", "poses")


def of_kind(kind: str, n: int = 12, seed: int = 0) -> MotionSet:
    """Recordings of three classes, as positions, or what is made of their first joints."""
    known = motion_set(n, seed)
    change = {
        "rotations": lambda x: so3.exp(torch.from_numpy(x[:, 3:7] - x[:, :1]) / 5).numpy(),
        "signals": lambda x: x[:, 3:9, 2],
        "one signal": lambda x: x[:, 4:5, 2],
        "poses": lambda x: x[:, :, ::2],
    }.get(kind, lambda x: x)
    tree = known.parent if kind.startswith("po") else None
    kinds: dict[str, Kind] = {"rotations": "rotations", "signals": "signals", "one signal": "signals"}
    stored = kinds.get(kind, "positions")
    return MotionSet([change(x) for x in known.sequences], stored, known.labels, known.classes, known.subjects, tree)


def kernels(kind: str) -> MotionClassifier:
    known = of_kind(kind)
    fitted = MotionClassifier(known.parent, mirror=kind.endswith("mirrored"), filters=84)
    return fitted.fit(list(known.sequences), known.labels, known.subjects)


def network(kind: str) -> BodyMotionClassifier:
    return fit_lie_classifier(of_kind(kind), MotionSchedule(epochs=1), torch.device("cpu"))


def old_network(kind: str) -> LieMotionClassifier:
    maker = CurveMaker.fit(of_kind(kind))
    return LieMotionClassifier(LieMotionNetwork(maker.joints, 3, width=8).eval(), maker, np.arange(3), 0.5)


def ensemble(kind: str) -> MotionEnsemble:
    return MotionEnsemble(kernels(kind), network(kind), 0.5)


CASES = [(kernels, kind) for kind in KINDS] + [
    (make, kind) for make in (network, old_network) for kind in ("positions", "rotations")
] + [(ensemble, "positions, mirrored")]  # fmt: skip


def check_outputs(function, plain: ClassifierProgram, classifier, kind: str) -> None:
    """Probabilities of recordings as the classifier has them, one with a frame without values."""
    new = list(of_kind(kind, 2, seed=50).sequences)
    new[0][2] = np.nan
    for sequence in new:
        tensors = plain.prepare(sequence)
        assert len(tensors) == len(plain.inputs)
        for one, other in zip(function(*tensors), classifier.assess([sequence])):
            np.testing.assert_allclose(one.detach(), other, atol=1e-5)


@pytest.mark.parametrize(("make", "kind"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_function_of_tensors_is_the_classifier(make, kind):
    classifier = make(kind)
    plain = plain_classifier(classifier)
    check_outputs(plain, plain, classifier, kind)


def test_the_program_is_the_classifier(monkeypatch):
    """That of an ensemble, of kernels and network, is traced in tests/apps/activity/test_auto.py."""
    monkeypatch.setattr(kernel_bank, "ELASTIC_SAMPLES", 6)  # warping is what takes long to trace
    kind = "one signal"
    classifier = kernels(kind)
    program, about = export_classifier(classifier)
    assert about["difference"] <= 1e-5
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    check_outputs(torch.export.load(file).module(), plain_classifier(classifier), classifier, kind)


@pytest.mark.parametrize(("make", "kind"), [(kernels, "positions"), (network, "positions")])
def test_onnx_is_the_classifier(make, kind, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(kernel_bank, "ELASTIC_SAMPLES", 6)
    classifier = make(kind)
    program, _ = export_classifier(classifier)
    sequence = of_kind(kind, 3, seed=50).sequences[1]
    found = onnx_outputs(program, plain_classifier(classifier).prepare(sequence), tmp_path)
    probabilities, known, _ = classifier.assess([sequence])
    np.testing.assert_allclose(found[0], probabilities, atol=1e-5)
    np.testing.assert_allclose(found[1], known, atol=1e-4)  # of logarithms of distances, which are rounded otherwise


def test_what_knows_nothing_of_the_unknown_knows_all():
    classifier = kernels("signals")
    classifier.novelty_ = None
    plain = plain_classifier(classifier)
    assert float(plain(*plain.prepare(of_kind("signals").sequences[0]))[1]) == 1


def test_warped_distances_are_those_of_each_view(generator):
    views = [(torch.randn(2, 7, c, generator=generator), torch.randn(5, 7, c, generator=generator)) for c in (1, 4)]
    for found, (x, y) in zip(warped_distances(views), views):
        torch.testing.assert_close(found, warped_distance(x, y))


def test_another_classifier_is_refused():
    with pytest.raises(MvnetError, match="classifier: found a int, expected one of MotionClassifier"):
        plain_classifier(3)  # type: ignore[arg-type]
