"""Ours and the peers on one interferogram, and what is said of the outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

import mvnet
from benchmarks.field_insar.noises import Coherence, Noise
from benchmarks.harness import Target
from benchmarks.insar.accuracy import best_parameter
from benchmarks.insar.cases import ANOTHER_DRAW, Case, Trial
from benchmarks.insar.peers import LIGHT_NOISE, PEERS, Peer, boxcar, goldstein, unit
from benchmarks.insar.scenes import true_phase, wrapped
from mvnet.storage import json_text, write_atomically

OURS, BOXCAR_5 = "mvnet", "boxcar 5, Goldstein 1"
SIDE, QUICK_SIDE = 512, 64

_GENTLE = 1024  # pixels of the scene of which the gentle one is a part
_TRIAL = slice(128, 384)  # rows and columns on which parameters are chosen
_LIGHT = ("Gauss", "TV (Chambolle)", "NL-means", "wavelet")

_LIGHT_RMSE = 0.5  # radians, of noise for which they are tried as well

_ALL = {**PEERS, BOXCAR_5: Peer(lambda z, _: goldstein(unit(boxcar(z, 5)), 1.0))}
_FOR_LIGHT_NOISE = {f"{name}, light noise": LIGHT_NOISE[name] for name in _LIGHT}
_QUICK = {"boxcar": Peer(boxcar, (3, 5)), BOXCAR_5: _ALL[BOXCAR_5]}


@dataclass(frozen=True)
class Setup:
    """quick: few and small; model: the network to try; cache: folder that keeps the scores of the peers, or None."""

    quick: bool
    model: nn.Module
    cache: Path | None = None

    @property
    def side(self) -> int:
        """Pixels of a scene along each axis."""
        return QUICK_SIDE if self.quick else SIDE


class Found(NamedTuple):
    """phase: (H, W) radians; quality: (H, W), the expected cosine of its error."""

    phase: np.ndarray
    quality: np.ndarray


def ours(setup: Setup, z: np.ndarray, coherence: np.ndarray | None = None) -> Found:
    """As anyone calls it, of a complex z or a phase (H, W)."""
    result = mvnet.denoise_insar(z, coherence, model=setup.model)
    values = np.asarray(result)
    return Found(np.angle(values) if np.iscomplexobj(values) else values, np.asarray(result.confidence))


def gentle(side: int, seed: int = 0) -> np.ndarray:
    """(side, side) radians: the first rows and columns of the gentle scene of `benchmarks.insar`."""
    return _whole(seed)[:side, :side]


@cache
def _whole(seed: int) -> np.ndarray:
    return true_phase(_GENTLE, seed)


def noisy_case(setup: Setup, noise: tuple[str, Noise], phase: np.ndarray, coherence: Coherence, name: str) -> Case:
    """A phase with noise, and another draw of it on which the parameters of the peers are chosen."""
    (kind, make), part = noise, (_TRIAL, _TRIAL) if len(phase) >= SIDE else (slice(None), slice(None))
    z, other = (make(phase, coherence, more) for more in (0, ANOTHER_DRAW))
    light = rmse(np.angle(other), phase) < _LIGHT_RMSE
    peers = _QUICK if setup.quick else _ALL | (_FOR_LIGHT_NOISE if light else {})
    return Case(kind, name, z, phase, Trial(other[part], phase[part]), peers)


def peer_errors(setup: Setup, case: Case) -> dict[str, float]:
    """RMSE of every peer at its best parameter, in radians; those that the cache does not know are found."""
    kept, known = None, {}
    if setup.cache is not None:
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in (case.z, case.truth, case.trial.z)))
        kept = setup.cache / f"{digest.hexdigest()[:24]}.json"
        known = json.loads(kept.read_text()) if kept.is_file() else {}
    keys = {name: f"{name} {peer.parameters}" for name, peer in case.peers.items()}
    for name in (name for name, key in keys.items() if key not in known):
        peer = case.peers[name]
        known[keys[name]] = rmse(peer.filter(case.z, best_parameter(peer, case)), case.truth, case.scored)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json_text(known).encode())
    return {name: known[key] for name, key in keys.items()}


def compare(setup: Setup, case: Case) -> dict[str, Any]:
    """A row: RMSE of the input, of the best peer, of boxcar 5 then Goldstein 1 and of ours, and the quality of ours."""
    peers, found = peer_errors(setup, case), ours(setup, case.z)
    best = min(peers, key=lambda name: peers[name])
    return {
        "noise": case.scene,
        "coherence": case.coherence,
        "raw": rmse(np.angle(case.z), case.truth, case.scored),
        "best peer": best,
        "its RMSE": peers[best],
        BOXCAR_5: peers[BOXCAR_5],
        OURS: rmse(found.phase, case.truth, case.scored),
        **cosines(found, case.truth),
    }


def cosines(found: Found, truth: np.ndarray) -> dict[str, float]:
    """Mean of the quality, and mean cosine of the error."""
    return {
        "expected cos": float(found.quality.mean()),
        "realised cos": float(np.cos(found.phase - truth).mean()),
    }


def rmse(phase: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None) -> float:
    """Root mean square of the wrapped difference over the pixels that count, radians."""
    error = wrapped(phase - truth)[... if scored is None else scored]
    return float(np.sqrt(np.mean(error**2)))


def ahead(rows: Iterable[dict[str, Any]]) -> list[Target]:
    """Ours below every peer, in every row of `compare`."""
    return [
        Target(
            f"{row['noise']} {row['coherence']}: RMSE below every peer (best {row['best peer']})",
            row[OURS],
            f"< {row['its RMSE']:.4f}",
            row[OURS] < row["its RMSE"],
        )
        for row in rows
    ]


def below(name: str, value: float, most: float) -> Target:
    """The value should be at most this."""
    return Target(name, value, f"<= {most:.4g}", value <= most)


def above(name: str, value: float, least: float) -> Target:
    """The value should be at least this."""
    return Target(name, value, f">= {least:.4g}", value >= least)
