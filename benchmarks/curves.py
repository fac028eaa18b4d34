"""Elastic distance of curves by dynamic programming, against geomstats' aligner and a plain loop in numba.

Random curves of one size: 38 samples of 16 joints of SO(3), q in R^48; for geomstats, which has R^n alone, curves with
the same q in R^48. All search the same warps: coprime slopes up to 4 (11 of them) or 6 (23). CPU time (process_time,
which load disturbs less) per pair on one thread, median over turns in which all run one after the other. "warp": with
the path as well, which geomstats always finds. geomstats takes seconds per pair and gets one.

usage: python -m benchmarks.curves [--quick] [--json FILE|-]
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Benchmark, Target
from mvnet import curves
from mvnet.linalg import alignment, so3

SAMPLES, JOINTS = 38, 16
MEASURED = 135.0  # us per pair of a numba loop with 11 slopes, 35 to 40 samples, on another and loaded machine
Distances = Callable[[Tensor, Tensor, int], Tensor]  # square-root velocities (P, n, d), twice -> d^2 of P pairs


def motions(count: int, samples: int) -> Tensor:
    """Smooth random curves (count, samples, JOINTS, 3, 3)."""
    generator = torch.Generator().manual_seed(0)
    amplitude = torch.randn(count, 4, JOINTS, 3, generator=generator)
    t = torch.linspace(0, 1, samples)
    waves = torch.stack([torch.sin(2 * (k + 1) * t + k) for k in range(4)], -1)
    return so3.exp(0.5 * torch.einsum("tk,nkjc->ntjc", waves, amplitude))


def scores_only(x: Tensor, y: Tensor, max_step: int) -> Tensor:
    """Every x with every y: the P pairs are the square of its root."""
    side = round(len(x) ** 0.5)
    x, y = x[:side], y[:side]
    lengths = x.square().sum((1, 2))[:, None] + y.square().sum((1, 2))
    return lengths - 2 * alignment.pairwise_scores(x, y, max_step=max_step)


def with_warp(x: Tensor, y: Tensor, max_step: int) -> Tensor:
    found = alignment.align(x, y, max_step=max_step)
    return x.square().sum((1, 2)) + y.square().sum((1, 2)) - 2 * found.score


def numba_loop() -> Distances:
    """The recursion as one writes it down: a loop over pairs, cells, slopes and the pieces of a slope."""
    import numba

    @numba.njit(fastmath=True)
    def solve(x, y, moves, first, cells, weights):  # pragma: no cover
        pairs, n = x.shape[:2]
        m = y.shape[1]
        scores = np.empty(pairs, x.dtype)
        table = np.empty((n + 1, m + 1), x.dtype)
        for pair in range(pairs):
            gram = np.dot(x[pair], y[pair].T)
            table[:] = -np.inf
            table[0, 0] = 0
            for i in range(1, n + 1):
                for j in range(1, m + 1):
                    best = table[i, j]
                    for s in range(len(moves)):
                        k, h = i - moves[s, 0], j - moves[s, 1]
                        if k >= 0 and h >= 0 and table[k, h] > -np.inf:
                            value = table[k, h]
                            for e in range(first[s], first[s + 1]):
                                value += weights[e] * gram[k + cells[e, 0], h + cells[e, 1]]
                            best = max(best, value)
                    table[i, j] = best
            scores[pair] = table[n, m]
        return scores

    def distances(x: Tensor, y: Tensor, max_step: int) -> Tensor:
        moves = alignment.moves(max_step)
        parts = [(p, q, w * (a * b) ** 0.5) for a, b in moves for p, q, w in alignment.pieces(a, b)]
        first = np.cumsum([0, *(a + b - 1 for a, b in moves)])
        cells, weights = np.array([part[:2] for part in parts]), np.array([part[2] for part in parts])
        a, b = x.numpy(), y.numpy()
        scores = solve(a, b, np.array(moves), first, cells, weights.astype(a.dtype))
        return x.square().sum((1, 2)) + y.square().sum((1, 2)) - 2 * torch.as_tensor(scores)

    return distances


def geomstats_aligner(x: Tensor, y: Tensor, max_step: int) -> Tensor:
    """Through curves in R^d that have these square-root velocities, in double precision."""
    from geomstats.geometry.discrete_curves import DiscreteCurvesStartingAtOrigin, DynamicProgrammingAligner

    n, d = x.shape[1:]
    space = DiscreteCurvesStartingAtOrigin(d, n + 1)
    aligner: Any = DynamicProgrammingAligner(space, n_space_grid=n + 1, max_slope=max_step)
    a, b = ((s * s.norm(dim=-1, keepdim=True)).double().cumsum(1).numpy() for s in (x, y))
    return torch.stack([torch.tensor(float(aligner.align(q, p, return_sdist=True)[1])) for p, q in zip(a, b)])


def main() -> None:
    benchmark = Benchmark("curves", __doc__)
    torch.set_num_threads(1)
    side, samples, repeats = (16, 14, 3) if benchmark.quick else (24, SAMPLES, 5)
    c = motions(2 * side, samples)
    s = curves.srv_transform(c).flatten(-2) / (samples - 1) ** 0.5  # |s|^2 sums to the length
    x, y = s[:side].repeat_interleave(side, 0), s[side:].repeat(side, 1, 1)  # all pairs, listed
    ours = s[:side].repeat(side, 1, 1), s[side:].repeat(side, 1, 1)  # the first `side` of each are the sets
    solvers: dict[str, tuple[Distances, Tensor, Tensor]] = {
        "mvnet": (scores_only, *ours),
        "mvnet, float64": (scores_only, ours[0].double(), ours[1].double()),
        "mvnet, warp": (with_warp, x, y),
    }
    if importlib.util.find_spec("numba"):
        solvers["numba loop"] = (numba_loop(), x, y)
    rows, targets = [], []
    for max_step in (4, 6):
        times: dict[str, list[float]] = {name: [] for name in solvers}
        found: dict[str, Tensor] = {}
        for turn in range(repeats + 1):
            for name, (solve, first, second) in solvers.items():
                begin = time.process_time()
                found[name] = solve(first, second, max_step).flatten()
                if turn:  # the first is for warming up and compiling
                    times[name].append((time.process_time() - begin) / len(x))
        geomstats_aligner(x[:1, :3], y[:1, :3], max_step)  # imports
        begin = time.process_time()
        found["geomstats"] = geomstats_aligner(x[:1], y[:1], max_step)
        times["geomstats"] = [time.process_time() - begin]
        best = {name: 1e6 * statistics.median(values) for name, values in times.items()}
        for name, value in best.items():
            rows.append(
                {
                    "solver": name,
                    "slopes": len(alignment.moves(max_step)),
                    "samples": samples,
                    "d": s.shape[-1],
                    "pairs": len(found[name]),
                    "us per pair": value,
                    "over mvnet": value / best["mvnet"],
                }
            )
        targets += compared(max_step, best, found, benchmark.quick)
    benchmark.report(rows, targets)


def compared(max_step: int, best: dict[str, float], found: dict[str, Tensor], quick: bool) -> list[Target]:
    """All solve the same problem, and how fast."""
    exact = found["mvnet, float64"]
    error = max(float((v.double() - exact[: len(v)]).abs().max() / exact.max()) for v in found.values())
    slopes = f"{len(alignment.moves(max_step))} slopes"
    targets = [Target(f"{slopes}: largest relative difference of d^2", error, "< 1e-4", error < 1e-4)]
    peers: dict[str, Any] = {"geomstats": (10.0, "mvnet, warp"), "numba loop": (1.0, "mvnet")}
    for peer, (target, name) in peers.items():
        if peer in best:
            ratio = best[peer] / best[name]
            targets.append(Target(f"{slopes}: {peer} over {name}", ratio, f">= {target:g}", ratio >= target))
    if max_step == 4 and not quick:
        value = best["mvnet"]
        targets.append(Target(f"{slopes}: us per pair", value, f"< {MEASURED:g}", value < MEASURED))
    return targets


if __name__ == "__main__":
    main()
