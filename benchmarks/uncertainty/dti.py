"""Voxels of DTI: how often intervals of FA and MD and cones of V1 hold the truth, and how sharp they are.

Beside ours the wild bootstrap of the raw fit, what the field uses: residuals change sign at random, and every voxel is
fitted again (Whitcher et al., Hum. Brain Mapp. 29, 2008). CRPS is the continuous ranked probability score of FA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.harness import Target
from benchmarks.uncertainty.dti_cells import Cell, cell_a, cell_b, cell_s
from mvnet.data_loaders.dti.fitting import design_matrix, fit_wls, normal_matrix
from mvnet.linalg import sym3
from mvnet.models.dti.posterior.summaries import DRAWS, fa_and_md, latent_points, principal, quantiles

if TYPE_CHECKING:
    from benchmarks.uncertainty.__main__ import Setup

_FIBRE = 0.3
_BOOTSTRAPS = 50
_MOST = 20000


def measure(setup: Setup) -> tuple[list[dict], list[Target]]:
    cells = [cell_a(setup.root, setup.model, snr, setup.quick) for snr in (30, 15, 8)]
    cells += [cell_s(setup.model, snr, setup.quick) for snr in (20, 10)]
    rows = [ours(cell, setup.model) for cell in cells]
    rows += [ours(cell, setup.model, as_used=True) for cell in cells[:3]]
    rows += [ours(cell_b(setup.root, setup.model, n, setup.quick), setup.model) for n in (12, 30)]
    rows.append(bootstrap(cells[1]))
    return rows, targets(rows)


def ours(cell: Cell, model: str, *, as_used: bool = False) -> dict:
    posterior = cell.posterior(model, as_used=as_used)
    inside = posterior.mask
    count = int(inside.sum())
    some = torch.linspace(0, count - 1, min(count, _MOST)).long()
    law = type(posterior.law)(*(t[..., some] for t in posterior.law))
    w = latent_points(DRAWS, 0).float().unsqueeze(2)
    parts = []
    with torch.no_grad():
        for start in range(0, len(some), 4096):
            part = slice(start, start + 4096)
            parts.append(posterior.tensors_of(posterior.head.push(law.part(part), w)))
    drawn = torch.cat(parts, 2)
    method = "mvnet, as for a clean truth" if as_used else "mvnet"
    return scores(cell, method, drawn, cell.denoised[:, inside][:, some], cell.truth[:, inside][:, some])


def scores(cell: Cell, method: str, drawn: Tensor, centre: Tensor, truth: Tensor) -> dict:
    """Scores of draws (6, K, n) about a centre (6, n)."""
    fa, md = fa_and_md(drawn)
    true_fa, true_md = fa_and_md(truth)
    axis = principal(sym3.log(centre, dim=0))
    angle = torch.rad2deg(_angle(principal(sym3.log(drawn, dim=0)), axis.unsqueeze(1)))
    fibres = true_fa > _FIBRE
    cone = quantiles(angle, (0.9,))[0]
    found = torch.rad2deg(_angle(principal(sym3.log(truth, dim=0)), axis))
    return {
        "case": cell.name,
        "method": method,
        "fa_50": held(fa, true_fa, 0.5),
        "fa_90": held(fa, true_fa, 0.9),
        "md_50": held(md, true_md, 0.5),
        "md_90": held(md, true_md, 0.9),
        "v1_90": float((found <= cone)[fibres].float().mean()),
        "cone": float(cone[fibres].median()),
        "fa_crps": float(crps(fa, true_fa).mean()),
        "fa_mae": float((fa_and_md(centre)[0] - true_fa).abs().mean()),
    }


def held(values: Tensor, truth: Tensor, share: float) -> float:
    """Share of the truths inside the central interval."""
    low, high = quantiles(values, ((1 - share) / 2, (1 + share) / 2))
    return float(((truth >= low) & (truth <= high)).float().mean())


def crps(values: Tensor, truth: Tensor) -> Tensor:
    """E|X - y| - E|X - X'| / 2 of draws (K, n)."""
    count = len(values)
    ordered = values.sort(0).values
    weights = (2 * torch.arange(1, count + 1, dtype=values.dtype) - count - 1).unsqueeze(1)
    return (values - truth).abs().mean(0) - (ordered * weights).sum(0) / count**2


def bootstrap(cell: Cell) -> dict:
    """The wild bootstrap of the raw fit."""
    scan, inside = cell.scan, cell.volume.mask
    some = torch.linspace(0, int(inside.sum()) - 1, min(int(inside.sum()), 3000)).long()
    signal = torch.from_numpy(scan.dwi[inside.numpy()]).double()[some].clamp_min(1e-6)
    design = design_matrix(torch.from_numpy(scan.bvals).double(), torch.from_numpy(scan.bvecs).double())
    log_s0, fit = fit_wls(signal, design)
    mean = fit @ design[:, :6].T + log_s0.unsqueeze(1)
    # leverages of the weighted fit
    weights = (2 * (mean - mean.mean(1, keepdim=True))).exp()
    inverse = torch.linalg.inv(normal_matrix(weights, design))
    leverage = weights * torch.einsum("mi,nij,mj->nm", design, inverse, design)
    residual = (signal.log() - mean) / (1 - leverage).clamp_min(1e-3).sqrt()
    random = torch.Generator().manual_seed(0)
    draws = []
    for _ in range(_BOOTSTRAPS):
        sign = 2 * torch.randint(2, residual.shape, generator=random) - 1
        draws.append(fit_wls((mean + sign * residual).exp(), design)[1].T)
    drawn, centre = torch.stack(draws, 1), fit.T
    eye = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    drawn, centre = (_positive(t, eye) for t in (drawn, centre))
    truth = cell.truth[:, inside][:, some].double()
    return scores(cell, "wild bootstrap of the raw fit", drawn, centre, truth)


def _positive(tensors: Tensor, eye: Tensor) -> Tensor:
    lowest = sym3.eigvals(tensors, dim=0)[0]
    return tensors + (1e-3 - lowest).clamp_min(0) * eye.view(-1, *(1,) * (tensors.ndim - 1))


def _angle(a: Tensor, b: Tensor) -> Tensor:
    return torch.acos((a * b).sum(0).abs().clamp_max(1))


def targets(rows: list[dict]) -> list[Target]:
    found = []

    def bound(name: str, value: float, low: float, high: float) -> None:
        words = f">= {low:g}" if high >= 1 else (f"<= {high:g}" if low <= 0 else f"{low:g} to {high:g}")
        found.append(Target(name, value, words, low <= value <= high))

    mine = {row["case"]: row for row in rows if row["method"] == "mvnet"}
    for case, row in mine.items():
        if case.startswith("B"):
            continue
        bound(f"{case}: 90 % interval of FA holds", row["fa_90"], 0.85, 0.95)
        bound(f"{case}: 50 % interval of FA holds", row["fa_50"], 0.44, 0.57)
        bound(f"{case}: 90 % cone of V1 holds", row["v1_90"], 0.87, 1.0)
        if case.startswith("S"):
            bound(f"{case}: 90 % interval of MD holds", row["md_90"], 0.84, 0.95)
    ours_15 = mine["A SNR 15"]
    other = next(row for row in rows if row["method"].startswith("wild"))
    found.append(Target("A SNR 15: median cone, degrees", ours_15["cone"], "<= 10", ours_15["cone"] <= 10))
    ratio = ours_15["fa_crps"] / other["fa_crps"]
    found.append(Target("A SNR 15: CRPS of FA over that of the bootstrap", ratio, "<= 0.85", ratio <= 0.85))
    away, its = (abs(row["fa_90"] - 0.9) for row in (ours_15, other))
    found.append(Target("A SNR 15: |coverage - 0.9| of FA", away, f"< {its:.3f}, the bootstrap's", away < its))
    return found
