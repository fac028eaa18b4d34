"""Closed-form kernels for 3x3 tensors against eigendecompositions: `python -m benchmarks.kernels [--quick] [--json FILE|-]`.

One million random positive definite matrices of condition up to 1e3, float32, all threads, medians over repeats in one
run. Affine-invariant log, exp and distance of pairs: this package eager and compiled, geoopt, geomstats (PyTorch
backend). Spectral functions of single matrices: this package and `torch.linalg.eigh`. The copy row is the time to read
and write the same component planes once, which no kernel can beat.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks._harness import Bar, Benchmark
from mvnet.linalg import affine_invariant, sym3

OPERATIONS = ("log", "exp", "dist")
Call = Callable[[], object]


def median_seconds(call: Call, repeats: int) -> float:
    """Median over `repeats` after one warm-up (which compiles, where that is asked for)."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def random_planes(n: int, seed: int) -> Tensor:
    """(1, 6, n) float32, log-eigenvalues within about +-3."""
    generator = torch.Generator().manual_seed(seed)
    return sym3.exp(0.8 * torch.randn(1, 6, n, generator=generator))


def ours(x: Tensor, y: Tensor, v: Tensor) -> dict[str, Call]:
    """Name -> call on (1, 6, n) planes."""
    return {
        "log": lambda: affine_invariant.log(x, y),
        "exp": lambda: affine_invariant.exp(x, v),
        "dist": lambda: affine_invariant.dist(x, y),
    }


def geoopt_calls(x: Tensor, y: Tensor, v: Tensor) -> dict[str, Call]:
    import geoopt

    manifold = geoopt.SymmetricPositiveDefinite(default_metric="AIM")
    return {
        "log": lambda: manifold.logmap(x, y),
        "exp": lambda: manifold.expmap(x, v),
        "dist": lambda: manifold.dist(x, y),
    }


def geomstats_calls(x: Tensor, y: Tensor, v: Tensor) -> dict[str, Call]:
    os.environ.setdefault("GEOMSTATS_BACKEND", "pytorch")
    from geomstats.geometry.spd_matrices import SPDAffineMetric, SPDMatrices

    space = SPDMatrices(3, equip=False)
    space.equip_with_metric(SPDAffineMetric)
    metric = space.metric
    return {
        "log": lambda: metric.log(y, x),
        "exp": lambda: metric.exp(v, x),
        "dist": lambda: metric.dist(x, y),
    }


def pairs(n: int, repeats: int, slow_repeats: int) -> list[dict]:
    """Rows of the affine-invariant operations."""
    x, y = random_planes(n, 0), random_planes(n, 1)
    v = affine_invariant.log(x, y)
    matrices = tuple(sym3.unpack(p)[0].contiguous() for p in (x, y, v))
    rows = []

    def add(method: str, calls: dict[str, Call], count: int) -> None:
        for name in OPERATIONS:
            seconds = median_seconds(calls[name], count)
            rows.append({"operation": name, "method": method, "ms": 1e3 * seconds, "matrices_per_second": n / seconds})

    for method, setting in (("mvnet eager", "0"), ("mvnet compiled", "1")):
        os.environ["MVNET_COMPILE"] = setting
        add(method, ours(x, y, v), repeats)
    add("geoopt", geoopt_calls(*matrices), slow_repeats)
    add("geomstats", geomstats_calls(*matrices), slow_repeats)
    both = torch.cat([x, y])
    copy = median_seconds(lambda: both.clone(), repeats) * 9 / 12  # 12 planes read, 6 written
    rows.append({"operation": "log", "method": "copy limit", "ms": 1e3 * copy, "matrices_per_second": n / copy})
    return rows


def singles(n: int, repeats: int, slow_repeats: int) -> list[dict]:
    """Rows of the spectral functions."""
    x = random_planes(n, 0)
    matrices = sym3.unpack(x)[0].contiguous()
    rows = []
    for method, setting in (("mvnet eager", "0"), ("mvnet compiled", "1")):
        os.environ["MVNET_COMPILE"] = setting
        for function in (sym3.eigvals, sym3.log, sym3.exp, sym3.sqrt):
            seconds = median_seconds(lambda f=function: f(x), repeats)
            rows.append({"function": function.__name__, "method": method, "matrices_per_second": n / seconds})
    for name, call in (("eigh", torch.linalg.eigh), ("eigvalsh", torch.linalg.eigvalsh)):
        seconds = median_seconds(lambda c=call: c(matrices), slow_repeats)
        rows.append({"function": name, "method": "torch.linalg", "matrices_per_second": n / seconds})
    return rows


def bars_of(rows: list[dict]) -> list[Bar]:
    """Speed over each peer, operation by operation."""
    rate = {(row["method"], row["operation"]): row["matrices_per_second"] for row in rows}
    bars = []
    for method, least in (("mvnet eager", 15), ("mvnet compiled", 100)):
        for peer in ("geoopt", "geomstats"):
            for name in OPERATIONS:
                share = rate[method, name] / rate[peer, name]
                bars.append(Bar(f"{method} {name} over {peer}", share, f">= {least}", share >= least))
    return bars


def main() -> None:
    benchmark = Benchmark("kernels", __doc__)
    n, repeats, slow_repeats = (100_000, 5, 1) if benchmark.quick else (1_000_000, 20, 3)
    before = os.environ.get("MVNET_COMPILE")
    try:
        rows = pairs(n, repeats, slow_repeats)
        bars = bars_of(rows)
        rows += singles(n, repeats, slow_repeats)
    finally:
        if before is None:
            os.environ.pop("MVNET_COMPILE", None)
        else:
            os.environ["MVNET_COMPILE"] = before
    benchmark.report(rows, bars)


if __name__ == "__main__":
    main()
