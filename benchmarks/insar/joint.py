"""Pairs of several dates filtered one by one, and linked by dates: `python -m benchmarks.insar.joint [--quick]`.

Simulated images of five dates, single look, each with a surface of its own; the coherence of two dates is the same for
all, or falls with the time between them. All pairs, or those at most two dates apart, are denoised one by one; linking
brings them to five phases. Error: wrapped root mean square over all pairs, radians. Closure: the same of all loops of
three dates. A stack mode is of use only where both fall, in every row.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.harness import Benchmark, Target

DATES, SHAPE = 5, (96, 96)
SEEDS, STEEPNESS = (1, 2), (0.3, 1.0)
COHERENCES = {"0.4": (0.4, np.inf), "0.7": (0.7, np.inf), "0.8, falling": (0.8, 2.0)}
"""Coherence of neighbours, and the number of dates over which it falls to 1/e."""
NOISES = {"white": 0.0, "correlated": 0.5}


def simulate_images(
    seed: int, steepness: float, coherence: float, decay: float, smoothness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Images (dates, h, w), complex, and their phases in radians."""
    from mvnet.data_loaders.insar.simulation import simulate_scene

    rng = np.random.default_rng(seed)
    scenes = [simulate_scene(SHAPE, 100 * seed + k, steepness=steepness, water_share=0) for k in range(DATES)]
    phase = np.stack([scene.phase.numpy() for scene in scenes])
    apart = np.abs(np.subtract.outer(np.arange(DATES), np.arange(DATES)))
    covariance = np.where(apart == 0, 1, coherence * np.exp(-(apart - 1) / decay))
    speckle = rng.normal(size=(2, DATES, *SHAPE))
    if smoothness:
        speckle = gaussian_filter(speckle, (0, 0, smoothness, smoothness), mode="wrap")
    images = np.tensordot(np.linalg.cholesky(covariance), speckle[0] + 1j * speckle[1], 1)
    return images * np.exp(1j * phase), phase


def wrapped(phase: np.ndarray) -> np.ndarray:
    return np.angle(np.exp(1j * phase))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def closure(phases: np.ndarray, edges: Sequence[tuple[int, int]]) -> float:
    """Over all loops of three dates."""
    by = dict(zip(edges, phases))
    loops = [
        one for one in itertools.combinations(range(DATES), 3) if all(e in by for e in itertools.combinations(one, 2))
    ]
    return rms(np.stack([wrapped(by[a, b] + by[b, c] - by[a, c]) for a, b, c in loops]))


def compare(network: Any, seed: int, steepness: float, name: str, noise: str, reach: int) -> dict[str, Any]:
    """A row: error and closure of both."""
    import mvnet
    from mvnet.data_loaders.insar.stacks.linking import link_phases

    images, truth = simulate_images(seed, steepness, *COHERENCES[name], NOISES[noise])
    edges = [(i, j) for i, j in itertools.combinations(range(DATES), 2) if j - i <= reach]
    stack = np.stack([images[i] * images[j].conj() for i, j in edges]).astype(np.complex64)
    found = mvnet.denoise_insar(stack, model=network)
    alone = np.angle(np.asarray(found))
    flat = link_phases(alone.reshape(len(edges), -1), found.confidence.reshape(len(edges), -1), edges)
    row: dict[str, Any] = {"seed": seed, "steepness": steepness, "coherence": name, "noise": noise, "pairs": len(edges)}
    for label, phases in (("alone", alone), ("linked", flat.reshape(alone.shape))):
        error = np.stack([phase - (truth[i] - truth[j]) for phase, (i, j) in zip(phases, edges)])
        row |= {f"error {label}": rms(wrapped(error)), f"closure {label}": closure(phases, edges)}
    return row


def main() -> None:
    import mvnet

    bench = Benchmark("insar.joint", __doc__)
    network = mvnet.load_model("insar")
    seeds, reaches = (SEEDS[:1], (DATES,)) if bench.quick else (SEEDS, (DATES, 2))
    cases = itertools.product(seeds, STEEPNESS, COHERENCES, NOISES, reaches)
    rows = [compare(network, *case) for case in cases]
    targets = []
    for what in ("error", "closure"):
        worst = max(row[f"{what} linked"] / row[f"{what} alone"] for row in rows)
        targets.append(Target(f"{what} of linked pairs / alone, largest", worst, "< 1", worst < 1))
    bench.report(rows, targets)


if __name__ == "__main__":
    main()
