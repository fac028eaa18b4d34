"""Small things: cubes of 1, 2 and 3 voxels, a sheet, a wire, an inlay of other fibres; SNR 100, 60, 30 and 15.

White matter (FA .746, MD .77, fibres that turn slowly) holds cubes of isotropic MD 1.3 and cubes of FA .243, and inlays
of 2 and 3 voxels whose fibres run across. Grey matter (MD .82, FA 0) holds a sheet and a wire of white matter, one
voxel thick. 30 directions, three b0, three seeds of the noise. So regular a scene is of low rank, which favours PCA.

Scores are means over all voxels of a kind: the affine-invariant error, and of ours what it expected of that error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dti.ours import denoised
from benchmarks.field_dti.methods import OURS, RAW, Setup, below, between, tensors_of
from benchmarks.field_dti.scenes import SIGNAL, ai, angle, axial, fa_of, md_of, noisy_scan, scheme
from benchmarks.harness import Target

WHITE, GREY, MD_LESION, FA_LESION = (0.767, 0.746), 0.82, 1.3, 0.243
KINDS = ("MD 1", "MD 2", "MD 3", "FA 1", "FA 2", "FA 3", "sheet", "wire", "inlay 2", "inlay 3")
SNRS = (100, 60, 30, 15)
DWIDENOISE = "MRtrix dwidenoise"
SHAPE = (64, 30, 16)
_X, _Y, _ROWS = (5, 12, 20), {"MD": 5, "FA": 13, "inlay": 21}, (3, 10)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tensors in um^2/ms, number of the kind of every voxel (-1: none), mask."""
    x, y, z = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    along = np.stack([np.cos(0.04 * x), np.sin(0.04 * x), 0.0 * x], -1)
    across = np.stack([-np.sin(0.04 * x), np.cos(0.04 * x), 0.0 * x], -1)
    tensors = axial(along, *WHITE)
    kind = np.full(SHAPE, -1)
    for side, start in zip((1, 2, 3), _X, strict=True):
        for low in _ROWS:
            for name, y0 in _Y.items():
                if f"{name} {side}" not in KINDS:
                    continue
                cube = (slice(start, start + side), slice(y0, y0 + side), slice(low, low + side))
                lesion = {
                    "MD": np.eye(3) * MD_LESION,
                    "FA": axial(along[cube], WHITE[0], FA_LESION),
                    "inlay": axial(across[cube], *WHITE),
                }
                tensors[cube] = lesion[name]
                kind[cube] = KINDS.index(f"{name} {side}")
    grey = x >= 30
    tensors[grey] = np.eye(3) * GREY
    wire, sheet = (x >= 36) & (y == 8) & (z == 8), (x == 46) & (y >= 13)
    for name, where in (("wire", wire), ("sheet", sheet)):
        tensors[where] = axial(np.array([1.0, 0, 0]) if name == "wire" else np.array([0, 1.0, 0]), *WHITE)
        kind[where] = KINDS.index(name)
    mask = (x > 0) & (x < SHAPE[0] - 1) & (y > 0) & (y < SHAPE[1] - 1)
    kind[~mask] = -1
    return tensors, kind, mask


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Errors of every method in every kind; what ours expects of its own; values in the smallest lesions."""
    tensors, kind, mask = scene()
    truth, kinds = tensors[mask] * 1e-3, kind[mask]
    gradients = scheme(30, n_b0=3)
    errors, certainty, targets = [], [], []
    for snr in (30,) if setup.quick else SNRS:
        sums: dict[str, dict[str, list[float]]] = {}
        expected: dict[str, list[float]] = {name: [] for name in KINDS}
        turned = []
        for seed in range(1 if setup.quick else 3):
            scan, _, sigma = noisy_scan(tensors, np.full(SHAPE, SIGNAL), mask, snr, gradients, seed=seed)
            mine = denoised(setup.model, scan)
            for method, found in tensors_of(setup, scan, sigma, ours=mine, few=True):
                error = ai(found, truth)
                row = sums.setdefault(
                    method, {name: [] for name in (*KINDS, "plain white", "MD of MD 1", "FA of wire")}
                )
                for k, name in enumerate(KINDS):
                    row[name].append(error[kinds == k].mean())
                row["plain white"].append(error[(kinds < 0) & (fa_of(truth) > 0.5)].mean())
                row["MD of MD 1"].append(1e3 * md_of(found[kinds == KINDS.index("MD 1")]).mean())
                row["FA of wire"].append(fa_of(found[kinds == KINDS.index("wire")]).mean())
                if method == OURS:
                    inlay = np.isin(kinds, [k for k, name in enumerate(KINDS) if name.startswith("inlay")])
                    turned.append((angle(found[inlay], truth[inlay]) < 15).mean())
            for k, name in enumerate(KINDS):
                expected[name].append(mine.error[kinds == k].mean())
        means = {m: {name: float(np.mean(v)) for name, v in row.items()} for m, row in sums.items()}
        errors += [{"lesions: SNR": snr, "method": method, **row} for method, row in means.items()]
        ratios = {name: float(np.mean(expected[name])) / means[OURS][name] for name in KINDS}
        certainty.append(
            {"expected over realised error, SNR": snr, **ratios, "inlay V1 within 15 deg": np.mean(turned)}
        )
        targets += _targets(snr, means, ratios, float(np.mean(turned)))
    return errors + certainty, targets


def _targets(snr: int, means: dict[str, dict[str, float]], ratios: dict[str, float], turned: float) -> list[Target]:
    """Those that are for this SNR."""
    found = [between(f"SNR {snr}, {name}: expected over realised error", r, 0.7, 1.4) for name, r in ratios.items()]
    ours = means[OURS]
    if snr == 30:
        for name in ("MD 2", "MD 3", "FA 2", "FA 3"):
            if DWIDENOISE in means:
                most = 1.5 * means[DWIDENOISE][name]
                found.append(below(f"SNR 30, {name}: AI error over 1.5 x dwidenoise's", ours[name], most))
        found += [below(f"SNR 30, {name}: AI error", ours[name], 0.25) for name in ("MD 1", "FA 1", "wire")]
        found.append(between("SNR 30: inlay voxels with V1 within 15 degrees", turned, 1.0, 1.0))
    if snr >= 60:
        share = max(ours[name] / means[RAW][name] for name in KINDS)
        found.append(below(f"SNR {snr}: AI error over raw's, in the worst kind", share, 1.0))
    return found
