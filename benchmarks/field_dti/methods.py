"""Every method on one scan, and what is said of the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dti.ours import Denoised, Scan, denoised
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare
from mvnet.apps.demo.show import SCORES
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.models import DTIDenoiser

OURS, RAW = "mvnet", "raw WLS"
QUICK_WIDTHS = (0.5,)


@dataclass(frozen=True)
class Setup:
    """quick: few and small; model: the network to try; cache: folder that keeps slow simulations, or None."""

    quick: bool
    model: DTIDenoiser
    cache: Path | None = None


def tensors_of(
    setup: Setup,
    scan: Scan,
    sigma: float,
    *,
    options: FitOptions | None = None,
    ours: Denoised | None = None,
    fitted: np.ndarray | None = None,
    few: bool = False,
) -> Iterator[tuple[str, np.ndarray]]:
    """Method and its tensors (n, 3, 3) in mm^2/s; raw and ours first.

    Args:
        sigma: true deviation of the noise, for the peers that ask for it.
        options: of our fit.
        ours: what ours made of this scan, where that is known.
        fitted: (M,) bool, the volumes that the peers' tensors are fitted to, after all were denoised; None takes all.
        few: only the peers that compete in most cases.
    """
    index = np.flatnonzero(np.ones(len(scan.bvals), dtype=bool) if fitted is None else fitted)

    def fit(dwi: np.ndarray) -> np.ndarray:
        return compare.fit(dwi[..., index], scan.bvals[index], scan.bvecs[index], scan.mask)

    raw = fit(scan.dwi)
    yield RAW, raw
    yield OURS, (ours or denoised(setup.model, scan, options)).tensors
    skipped = ("patch2self", "nlmeans") if few else ()
    for name, denoise in () if setup.quick else compare.denoisers.items():
        if not any(word in name for word in skipped):
            yield name, fit(denoise(scan.dwi, scan.bvals, scan.bvecs, scan.mask, sigma))
    for width in QUICK_WIDTHS if setup.quick else compare.GAUSS_WIDTHS:
        yield f"log-Euclidean Gauss {width}", compare.log_gauss(raw, scan.mask, width)


def scored(found: Iterable[tuple[str, np.ndarray]], truth: np.ndarray, **case: Any) -> list[dict[str, Any]]:
    """One row for every method: the case, the four scores, and the bias of FA where the truth's is above .4."""
    white = _fa(truth) > 0.4
    rows = []
    for method, tensors in found:
        bias = float((_fa(tensors) - _fa(truth))[white].mean()) if white.any() else float("nan")
        rows.append({**case, "method": method, **compare.scores(tensors, truth), "white_fa_bias": bias})
    return rows


def ahead(rows: list[dict[str, Any]], case: str, scores: Iterable[str] = ("ai_rmse",)) -> list[Target]:
    """Ours below every other row, raw included, in these scores."""
    mine = next(row for row in rows if row["method"] == OURS)
    targets = []
    for score in scores:
        best = min((row for row in rows if row["method"] != OURS), key=lambda row: row[score])
        name = f"{case}: {SCORES[score]} below every peer (best {best['method']})"
        targets.append(Target(name, mine[score], f"< {best[score]:.4f}", mine[score] < best[score]))
    return targets


def below(name: str, value: float, most: float) -> Target:
    """The value should be at most this."""
    return Target(name, value, f"<= {most:.4g}", value <= most)


def between(name: str, value: float, least: float, most: float) -> Target:
    """The value should lie between two numbers."""
    return Target(name, value, f"in [{least:.4g}, {most:.4g}]", least <= value <= most)


def row_of(rows: list[dict[str, Any]], method: str) -> dict[str, Any]:
    return next(row for row in rows if row["method"] == method)


def _fa(tensors: np.ndarray) -> np.ndarray:
    return compare.fractional_anisotropy(np.linalg.eigvalsh(tensors))
