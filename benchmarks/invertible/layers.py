"""Inverse and log-determinant of every layer of the test battery; deep stacks; the inverse of i-ResNets; roulette."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Benchmark, Target
from mvnet.invertible import Affine, Chain, ChannelMix, Channels, Coupling, Roulette, Series, drift, solve
from tests.invertible.cases import LAYERS, build, context, latent

DTYPES = {torch.float32: 1e-5, torch.float64: 1e-10}


def measure(setup: Benchmark) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets of all parts."""
    rows, targets = [], []
    for part in (errors_of_layers, deep_stacks, residual_inverses, roulette):
        its_rows, its_targets = part(setup.quick)
        rows += its_rows
        targets += its_targets
    return rows, targets


def relative(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to numbers above 1."""
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).abs().max() / max(1.0, float(b.abs().max())))


def errors_of_layers(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Inverse in float32 and float64, log-determinant against that of autograd's Jacobian."""
    rows, worst = [], {"inverse": dict.fromkeys(DTYPES, 0.0), "log-determinant": dict.fromkeys(DTYPES, 0.0)}
    for case in LAYERS[:: 4 if quick else 1]:
        oracle, z, c = build(case), latent(case, batch=1), context(case, batch=1)
        x = oracle.inverse(z, c)[0].detach()
        jacobian = torch.autograd.functional.jacobian(lambda v, o=oracle, c=c: o.inverse(v, c)[0], z)
        columns = jacobian.flatten(x.ndim).movedim(-1, 0)
        if case.tangent is not None:
            columns = case.tangent(x.expand_as(columns), columns)
        truth = torch.linalg.slogdet(columns.flatten(1)).logabsdet[None]
        row: dict[str, Any] = {"layer": case.name}
        for dtype in DTYPES:
            layer, cast = build(case, dtype), None if c is None else c.to(dtype)
            found, change = layer.inverse(z.to(dtype), cast)
            errors = {"inverse": relative(layer(found, cast)[0], z), "log-determinant": relative(change, truth)}
            bits = "32" if dtype == torch.float32 else "64"
            for name, error in errors.items():
                row[f"{name}, float{bits}"] = error
                if not case.error:
                    worst[name][dtype] = max(worst[name][dtype], error)
        rows.append(row)
    targets = []
    for name, found in worst.items():
        for dtype, bound in DTYPES.items():
            value = found[dtype]
            targets.append(Target(f"worst {name} of closed-form layers, {dtype}", value, f"< {bound}", value < bound))
    return rows, targets


def deep_stacks(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Inverses of 64 layers in float32, with the bi-Lipschitz bound of the stack."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 8, generator=generator)

    def couplings(law: Affine | None) -> Chain:
        torch.manual_seed(0)
        out = 8 if law else 4
        make = lambda: nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, out))  # noqa: E731
        return Chain(*(Coupling(make(), law, Channels(swap=k % 2 == 1)) for k in range(64)))

    stacks = {
        "additive": couplings(None),
        "orthogonal": Chain(*(ChannelMix(8, "cayley", generator=generator) for _ in range(64))),
        "affine, scales in (1/2, 2)": couplings(Affine()),
        "affine, scales in (2/3, 3/2)": couplings(Affine(1.5)),
    }
    rows, targets = [], []
    for name, stack in stacks.items():
        error, bounds = drift(stack, x).largest, stack.lipschitz(radius=10.0)
        log10 = math.log10(bounds[1]) if bounds else math.nan
        rows.append({"64 layers, float32": name, "inverse error": error, "log10 Lipschitz bound of the inverse": log10})
        if not name.startswith("affine"):
            targets.append(Target(f"inverse of 64 {name} layers, float32", error, "< 1e-05", error < 1e-5))
    return rows, targets


def worst_map(c: float, n: int) -> Tensor:
    """A symmetric matrix of norm c with eigenvalues of both signs."""
    q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    return q @ torch.diag(torch.linspace(-c, c, n, dtype=torch.float64)) @ q.mT


def residual_inverses(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """The worst linear maps in float32 and float64: error, reported bound, evaluations."""
    rows, ratio, valid = [], 0.0, 0.0
    for c in (0.7, 0.9, 0.97, 0.99):
        a = worst_map(c, 16)
        truth = torch.randn(50, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for dtype in DTYPES:
            matrix, z = a.to(dtype), (truth + truth @ a).to(dtype)
            exact = torch.linalg.solve(torch.eye(16) + matrix.double(), z.double(), left=False)
            for method in ("banach", "anderson"):
                found = solve(lambda v, m=matrix, z=z: z - v @ m, z, c, 1e-6, method)
                error = (found.x.double() - exact).abs().amax(1)
                allowed = max(1e-6, 16 * torch.finfo(dtype).eps * float(exact.abs().max()) / (1 - c))
                ratio = max(ratio, float(error.max()) / allowed)
                valid = max(valid, float((error / found.bound).max()))
                bits = str(dtype)[-2:]
                row = {"i-ResNet inverse": method, "c": c, "float": bits, "evaluations": found.evaluations}
                rows.append({**row, "error": float(error.max()), "bound": float(found.bound.max())})
    return rows, [
        Target("i-ResNet inverse: error / max(tol, 16 eps max|x| / (1 - c))", ratio, "<= 1", ratio <= 1),
        Target("i-ResNet inverse: error / reported bound", valid, "<= 1", valid <= 1),
    ]


def roulette(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Estimates of log det(1 + J), J symmetric, c = .9, d = 64."""
    a, generator = worst_map(0.9, 64), torch.Generator().manual_seed(5)
    truth = float(torch.linalg.slogdet(torch.eye(64) + a).logabsdet)
    count = 500 if quick else 4000
    russian = Roulette(0.9, generator=generator)
    estimators = {f"{n} terms": (Series(n, generator), 1, count, n) for n in (5, 10, 25)}
    entries = {**estimators, "roulette": (russian, count, 1, russian.mean_products)}
    rows, found = [], {}
    for name, (estimator, calls, batch, products) in entries.items():
        x = torch.zeros(batch, 64, dtype=torch.float64)
        with torch.no_grad():
            drawn = torch.cat([estimator(lambda v: v @ a, x)[1] for _ in range(calls)])
        found[name] = drawn
        bias, sd = float(drawn.mean()) - truth, float(drawn.std())
        rows.append({"log det, c .9, d 64": name, "bias": bias, "standard deviation": sd, "products": float(products)})
    drawn, reference = found["roulette"], found["25 terms"]
    errors = abs(float(drawn.mean()) - truth) / (float(drawn.std()) / math.sqrt(count))
    spread = float(drawn.std() / reference.std())
    return rows, [
        Target("roulette: distance from slogdet in standard errors", errors, "<= 3", errors <= 3),
        Target("roulette: deviation over that of 25 terms", spread, "<= 1.3", spread <= 1.3),
        Target("roulette: products", russian.mean_products, "<= 12", russian.mean_products <= 12),
    ]
