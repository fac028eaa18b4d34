"""Closed-form 3x3 kernels against eigh, geoopt and geomstats: `python -m benchmarks.kernels [--quick] [--json FILE|-]`.

Affine-invariant log, exp and dist of random positive definite 3x3 matrices, float32, 1 M matrices per call for ours;
the peers get 100 k of them, since they cost the same per matrix and take seconds for more. Medians, M = million
matrices per second. "limit" is what reading the inputs and writing the outputs once would allow at the speed of a
measured copy. "compile s" is the first compiled call. Below, the spectral functions beside torch.linalg.eigh.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks._harness import Bar, Benchmark
from mvnet.linalg import affine_invariant, sym3

EAGER, COMPILED = 15.0, 100.0


def rate(run: Callable[[], Any], matrices: int, repeats: int) -> float:
    """Median million matrices per second, after one call to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return matrices / statistics.median(times) / 1e6


def compiled_rate(run: Callable[[], Any], matrices: int, repeats: int) -> tuple[float, float]:
    """Rate with MVNET_COMPILE=1, and the seconds of the first call."""
    os.environ["MVNET_COMPILE"] = "1"
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    value = rate(run, matrices, repeats)
    os.environ["MVNET_COMPILE"] = "0"
    return value, seconds


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
    ours, theirs, repeats = (100_000, 10_000, 3) if benchmark.quick else (1_000_000, 100_000, 7)
    os.environ["MVNET_COMPILE"] = "0"
    generator = torch.Generator().manual_seed(0)
    x, y = spd(ours, generator), spd(ours, generator)
    v = affine_invariant.log(x, y, dim=0)
    small = [sym3.unpack(p[:, :theirs], 0).contiguous() for p in (x, y, v)]
    peers = {"geoopt": geoopt_operations(*small), "geomstats": geomstats_operations(*small)}
    fused = {
        "log": lambda: affine_invariant.log(x, y, dim=0),
        "exp": lambda: affine_invariant.exp(x, v, dim=0),
        "dist": lambda: affine_invariant.dist(x, y, dim=0),
    }
    copied = rate(x.clone, ours, repeats) * 12 * x.element_size()  # MB/s, reading six planes and writing six
    rows, bars = [], []
    for name, planes in {"log": 18, "exp": 18, "dist": 13}.items():
        found = {peer: rate(operations[name], theirs, repeats) for peer, operations in peers.items()}
        eager = rate(fused[name], ours, repeats)
        compiled, seconds = compiled_rate(fused[name], ours, repeats)
        limit = copied / (planes * x.element_size())
        columns = {"geoopt M/s": found["geoopt"], "geomstats M/s": found["geomstats"]}
        row = {"affine-invariant": name, **columns, "eager M/s": eager, "compiled M/s": compiled}
        rows.append({**row, "limit M/s": limit, "compile s": seconds})
        for peer, value in found.items():
            share = eager / value
            bars.append(Bar(f"{name}, eager over {peer}", share, f">= {EAGER:g}", share >= EAGER))
            share = compiled / value
            bars.append(Bar(f"{name}, compiled over {peer}", share, f">= {COMPILED:g}", share >= COMPILED))
    eigh = rate(lambda: torch.linalg.eigh(small[0]), theirs, repeats)
    for name, planes in {"eigvals": 9, "log": 12, "exp": 12}.items():
        function = getattr(sym3, name)
        eager = rate(lambda f=function: f(x, dim=0), ours, repeats)
        compiled, seconds = compiled_rate(lambda f=function: f(x, dim=0), ours, repeats)
        row = {"spectral": name, "eigh alone M/s": eigh, "eager M/s": eager, "compiled M/s": compiled}
        rows.append({**row, "limit M/s": copied / (planes * x.element_size()), "compile s": seconds})
    benchmark.report(rows, bars)


if __name__ == "__main__":
    main()
