"""Closed-form 3x3 kernels against eigh, geoopt and geomstats: `python -m benchmarks.kernels [--quick] [--json FILE|-]`.

Affine-invariant log, exp and dist of random positive definite 3x3 matrices, float32, 1 M matrices per call for ours;
the peers get 100 k of them, since they cost the same per matrix and take seconds for more. Medians, M = million
matrices per second. "limit" is what reading the inputs and writing the outputs once would allow at the speed of a
measured copy. Everything in a row is measured in turns. Below, the spectral functions beside torch.linalg.eigh.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Benchmark, Target
from mvnet.linalg import affine_invariant, sym3

EAGER, COMPILED = 15.0, 100.0


def rates(runs: dict[str, tuple[Callable[[], Any], int]], repeats: int) -> dict[str, float]:
    """Median million matrices per second of each (callable, matrices), in turns, so that load hits all alike.

    Names that start with "compiled" run with MVNET_COMPILE=1, the others with 0.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, (run, _) in runs.items():
            os.environ["MVNET_COMPILE"] = "1" if name.startswith("compiled") else "0"
            start = time.perf_counter()
            run()
            if turn:  # the first is for warming up and compiling
                times[name].append(time.perf_counter() - start)
    return {name: runs[name][1] / statistics.median(values) / 1e6 for name, values in times.items()}


def spd(matrices: int, generator: torch.Generator) -> Tensor:
    """(6, N) Mandel planes of A A^T + 0.1 I, A standard normal."""
    a = torch.randn(matrices, 3, 3, generator=generator)
    return sym3.pack(a @ a.mT + 0.1 * torch.eye(3), 0)


def geoopt_operations(x: Tensor, y: Tensor, v: Tensor) -> dict[str, Callable[[], Any]]:
    import geoopt

    manifold = geoopt.SymmetricPositiveDefinite()
    return {
        "log": lambda: manifold.logmap(x, y),
        "exp": lambda: manifold.expmap(x, v),
        "dist": lambda: manifold.dist(x, y),
    }


def geomstats_operations(x: Tensor, y: Tensor, v: Tensor) -> dict[str, Callable[[], Any]]:
    from geomstats.geometry.spd_matrices import SPDAffineMetric, SPDMatrices

    space = SPDMatrices(3, equip=False)
    metric = SPDAffineMetric(space)
    a, b, c = x.numpy(), y.numpy(), v.numpy()
    return {
        "log": lambda: metric.log(b, a),
        "exp": lambda: metric.exp(c, a),
        "dist": lambda: metric.dist(a, b),
    }


def main() -> None:
    benchmark = Benchmark("kernels", __doc__)
    ours, theirs, repeats = (100_000, 10_000, 3) if benchmark.quick else (1_000_000, 100_000, 9)
    os.environ["MVNET_COMPILE"] = "0"
    generator = torch.Generator().manual_seed(0)
    x, y = spd(ours, generator), spd(ours, generator)
    v = affine_invariant.log(x, y, dim=0)
    small = [sym3.unpack(p[:, :theirs], 0).contiguous() for p in (x, y, v)]
    peers = {"geoopt": geoopt_operations(*small), "geomstats": geomstats_operations(*small)}
    fused = {
        "log": (lambda: affine_invariant.log(x, y, dim=0), 18),
        "exp": (lambda: affine_invariant.exp(x, v, dim=0), 18),
        "dist": (lambda: affine_invariant.dist(x, y, dim=0), 13),
    }
    spectral = {
        "eigvals": (lambda: sym3.eigvals(x, dim=0), 9),
        "log": (lambda: sym3.log(x, dim=0), 12),
        "exp": (lambda: sym3.exp(x, dim=0), 12),
    }
    rows, targets = [], []
    for name, (run, planes) in fused.items():
        runs = {peer: (operations[name], theirs) for peer, operations in peers.items()}
        runs |= {"eager": (run, ours), "compiled": (run, ours), "copy": (x.clone, ours)}
        found = rates(runs, repeats)
        rows.append({"affine-invariant": name, **_columns(found, planes)})
        for peer in peers:
            for kind, target in (("eager", EAGER), ("compiled", COMPILED)):
                share = found[kind] / found[peer]
                targets.append(Target(f"{name}, {kind} over {peer}", share, f">= {target:g}", share >= target))
    for name, (run, planes) in spectral.items():
        runs = {"eigh alone": (lambda: torch.linalg.eigh(small[0]), theirs)}
        runs |= {"eager": (run, ours), "compiled": (run, ours), "copy": (x.clone, ours)}
        rows.append({"spectral": name, **_columns(rates(runs, repeats), planes)})
    benchmark.report(rows, targets)


def _columns(found: dict[str, float], planes: int) -> dict[str, float]:
    """M/s of everything measured, and the limit: `planes` numbers moved per matrix where a copy moves twelve."""
    limit = found.pop("copy") * 12 / planes
    return {f"{name} M/s": value for name, value in found.items()} | {"limit M/s": limit}


if __name__ == "__main__":
    main()
