"""Interferograms with a truth, on which `benchmarks.insar` compares methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.insar.peers import LIGHT_NOISE, PEERS, Peer, bm3d_of_deviation
from benchmarks.insar.scenes import coherence_map, phasor_deviation, residues, single_look, true_phase, wrapped

SCENES = {"gentle": 1024, "steep": 256}  # pixels along each side
COHERENCES = {"0.3": 0.3, "0.5": 0.5, "0.7": 0.7, "0.9": 0.9, "map": None}
ANOTHER_DRAW = 5  # added to the seed of the noise on which parameters are chosen

REAL_COHERENCES = (0.5, 0.7)  # of the noise added
REAL_WINDOW = (slice(208, 552), slice(0, 672))  # of the Sentinel-1 interferogram: all of it valid
REAL_QUICK = (slice(208, 376), slice(0, 336))
REAL_SCORED = 0.8  # coherence of the file from which a pixel counts

_CROP = slice(128, 512)  # rows and columns of a large scene on which parameters are chosen
_LARGE = 512
_WATER = 0.05  # coherence of a map up to which a pixel does not count
_TYPICAL = 0.5  # coherence of a map, as BM3D is given it
_ARTIFICIAL_NOISE = 0.3  # radians


class Trial(NamedTuple):
    """Interferogram (H, W), its true phase, and the pixels that count, None for all."""

    z: np.ndarray
    truth: np.ndarray
    scored: np.ndarray | None = None


@dataclass(frozen=True)
class Case:
    """What is denoised.

    scene, coherence: names in the table.
    z: (H, W) complex64.  truth: (H, W) radians, wrapped or not.
    trial: what the parameters of the peers are chosen on.
    scored: (H, W) bool, pixels that count; None for all.
    unwraps: the truth is not wrapped and has few jumps, so that unwrapped results can be compared with it.
    """

    scene: str
    coherence: str
    z: np.ndarray
    truth: np.ndarray
    trial: Trial
    peers: Mapping[str, Peer]
    scored: np.ndarray | None = None
    unwraps: bool = False

    @property
    def name(self) -> str:
        return f"{self.scene} {self.coherence}"


def scores(phase: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None) -> dict[str, float]:
    """Wrapped RMSE in radians and 1 - mean cosine of the error over the pixels that count; residues of all pixels."""
    error = wrapped(phase - truth)[... if scored is None else scored]
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "1-cos": float(1 - np.cos(error).mean()),
        "residues": residues(phase),
    }


def wrong_after_unwrapping(phase: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None) -> float:
    """Percent of the pixels that count and are more than pi off once unwrapped, cycles common to all put aside."""
    from skimage.restoration import unwrap_phase

    off = unwrap_phase(phase) - truth
    off -= 2 * np.pi * np.round(np.median(off) / (2 * np.pi))
    return float(100 * (np.abs(off[... if scored is None else scored]) > np.pi).mean())


def simulated(scene: str, quick: bool = False, seed: int = 0, n: int | None = None) -> Iterator[Case]:
    """The five coherences of a scene.

    Args:
        scene: a name in SCENES.
        quick: of a large scene only the crop that parameters are chosen on, without BM3D, which takes a minute for
            every image of 1024 x 1024.
        seed: of the scene and of its noise.
        n: pixels along each side, None for those of SCENES.
    """
    n = SCENES[scene] if n is None else n
    phase, varying, everything = true_phase(n, seed), coherence_map(n, seed), (slice(None), slice(None))
    part = (_CROP, _CROP) if n >= _LARGE else everything
    shown = part if quick else everything
    for name, constant in COHERENCES.items():
        g, given = (varying, _TYPICAL) if constant is None else (constant, constant)
        z, other = (single_look(phase, g, seed + more) for more in (0, ANOTHER_DRAW))
        bm3d = {} if quick and n >= _LARGE else bm3d_of_deviation(phasor_deviation(given))
        yield Case(
            scene=scene,
            coherence=name,
            z=z[shown],
            truth=phase[shown],
            trial=Trial(other[part], phase[part]),
            peers={**PEERS, **bm3d},
            scored=(varying > _WATER)[shown] if constant is None else None,
            unwraps=True,
        )


def artificial(quick: bool = False, seed: int = 0) -> Case:
    """The image of MVIRT with wrapped Gaussian noise of .3 radians, as a unit phasor.

    Parameters are chosen on the very image, as those of the published figures were.
    """
    from mvnet.data_loaders.insar.simulation.artificial import artificial_insar_image

    truth = artificial_insar_image().numpy()
    noise = _ARTIFICIAL_NOISE * np.random.default_rng(seed).standard_normal(truth.shape)
    z = np.exp(1j * (truth + noise)).astype(np.complex64)
    sigma = float(np.sqrt((1 - np.exp(-(_ARTIFICIAL_NOISE**2))) / 2))
    peers = {**LIGHT_NOISE, **({} if quick else bm3d_of_deviation(round(sigma, 3)))}
    return Case("artificial", "", z, truth, Trial(z, truth), peers)


def real(root: Path, quick: bool = False, seed: int = 0) -> Iterator[Case]:
    """The Sentinel-1 interferogram of eo_tools, taken as the truth, with the noise of a single look.

    The truth is the phase as the file has it, multilooked and geocoded; pixels of coherence .8 and more count.
    Smoothing it first would favour whoever smooths alike. As it is, it carries noise t of its own (about .1 radian, by
    its distance from a mean over 9 x 9 pixels), which no method can tell from signal: one that is off the noise-free
    phase by e scores about sqrt(e^2 + t^2), so that the order is that of e. Only a filter that passes most of its
    input, and t with it, gains a little.

    Args:
        root: folder of real data, holds insar/eo_tools.
        quick: a quarter of the window, without BM3D.
        seed: of the noise.
    """
    from mvnet.data_loaders.insar import open_interferogram

    image = open_interferogram(root / "insar" / "eo_tools" / "phi_vv.tif")
    block = image.read(REAL_QUICK if quick else REAL_WINDOW)
    if not block.valid.all():
        raise ValueError(f"{image.path}: found {(~block.valid).sum()} pixels without data, expected none in the window")
    truth, counts = np.angle(block.values), block.coherence >= REAL_SCORED
    for coherence in REAL_COHERENCES:
        z, other = (single_look(truth, coherence, seed + more) for more in (0, ANOTHER_DRAW))
        peers = {**PEERS, **({} if quick else bm3d_of_deviation(phasor_deviation(coherence)))}
        yield Case("Sentinel-1", str(coherence), z, truth, Trial(other, truth, counts), peers, counts)
