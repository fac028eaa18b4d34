"""What a motion classifier is compared with; everything is fitted on training sequences only.

| name           | method                                                                                     |
|----------------|--------------------------------------------------------------------------------------------|
| minirocket     | aeon MiniRocket and ridge on positions facing one way, of size 1, or on signals             |
| minirocket x4  | the same on positions, directions of bones, distances and velocities side by side           |
| dtw 1nn        | aeon nearest neighbour by dynamic time warping of the positions                            |
| dtw svm        | kernel SVM on dynamic time warping of log-rotations of the bones in the torso's axes          |
| srv 1nn        | nearest neighbour by the elastic distance of their square-root velocities                   |
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mvnet.data_loaders.motion import MotionSet, fill_missing

SAMPLES, SRV_SAMPLES = 64, 32
Peer = Callable[[MotionSet, np.ndarray, np.ndarray, int], np.ndarray]
"""(motions, training indices, test indices, seed) -> predicted labels of the test sequences."""


def _views(motions: MotionSet, train: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """name -> (n, channels, SAMPLES) float32 of all sequences, axes and scales from the training ones."""
    from mvnet.models.activity.views import Views, fill_missing, sample_views

    recordings = [fill_missing(sequence) for sequence in motions.sequences]
    parent = None if motions.parent is None else torch.as_tensor(motions.parent)
    views = Views.estimate([recordings[i] for i in train], parent)
    seen = sample_views(recordings, views, [(name, SAMPLES) for name in names])
    return {name: seen[name, SAMPLES].mT.contiguous().numpy() for name in names}


def _rocket(curves: list[np.ndarray], labels: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known, new = [], []
    for curve in curves:
        rocket = MiniRocket(random_state=seed).fit(curve[train])
        known.append(np.asarray(rocket.transform(curve[train])))
        new.append(np.asarray(rocket.transform(curve[test])))
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(0, 6, 13)))
    return model.fit(np.concatenate(known, 1), labels[train]).predict(np.concatenate(new, 1))


def minirocket(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    name = "facing" if motions.kind == "positions" else motions.kind
    return _rocket(list(_views(motions, train, (name,)).values()), motions.require_labels(), train, test, seed)


def minirocket_four(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    seen = _views(motions, train, ("facing", "bones", "distances"))
    velocity = np.diff(seen["facing"], axis=-1, append=seen["facing"][..., -1:])
    return _rocket([*seen.values(), velocity], motions.require_labels(), train, test, seed)


def dtw_nearest(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    name = "facing" if motions.kind == "positions" else motions.kind
    curves = _views(motions, train, (name,))[name].astype(np.float64)
    nearest = KNeighborsTimeSeriesClassifier(n_neighbors=1, distance="dtw")
    nearest.fit(curves[train], motions.require_labels()[train])
    return nearest.predict(curves[test])


def _rotations(motions: MotionSet, train: np.ndarray, samples: int) -> torch.Tensor:
    """(n, samples, bones, 3, 3), rest directions and torso from training sequences, resampled along geodesics."""
    from mvnet.curves import resample
    from mvnet.data_loaders.motion.bone_rotations import BoneRotations, rotations_of

    whole = fill_missing(motions)[0]
    assert motions.parent is not None
    rotations, _ = rotations_of(whole, BoneRotations.fit(whole.take(train).sequences, motions.parent))
    return torch.stack([resample(torch.as_tensor(r).float(), samples) for r in rotations.sequences])


def dtw_svm(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.svm import SVC

    from mvnet.linalg import so3
    from mvnet.models.activity.kernels import warped_distance

    curves = so3.log(_rotations(motions, train, SAMPLES)).flatten(2)
    between = warped_distance(curves, curves[train]).numpy()
    kernel = np.exp(-between / np.median(between[train]))
    labels = motions.require_labels()
    return SVC(C=10, kernel="precomputed").fit(kernel[train], labels[train]).predict(kernel[test])


def srv_nearest(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from mvnet.curves import pairwise_elastic_distance

    curves = _rotations(motions, train, SRV_SAMPLES)
    between = pairwise_elastic_distance(curves[test], curves[train])
    return motions.require_labels()[train][between.argmin(1).numpy()]


PEERS: dict[str, Peer] = {
    "minirocket": minirocket,
    "minirocket x4": minirocket_four,
    "dtw 1nn": dtw_nearest,
    "dtw svm": dtw_svm,
    "srv 1nn": srv_nearest,
}
ON_SIGNALS = ("minirocket", "dtw 1nn")
