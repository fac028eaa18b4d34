"""The numbers of a run: counts of voxels, means over the mask, the noise and which estimate of it was used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.apps.dti import bids
from mvnet.apps.dti.options import Options

if TYPE_CHECKING:
    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.inference import DenoisedVolume
    from mvnet.models.dti.maps import TensorMaps

INPUTS = ("input", "bval", "bvec", "mask")
"""Options that name what is read."""


def input_files(options: Options) -> list[Path]:
    """The files that a run reads."""
    files = [getattr(options, name) for name in INPUTS]
    noise = options.fit.noise
    return [path for path in (*files, noise) if isinstance(path, Path)]


def count_voxels(volume: DTIVolume) -> dict[str, int]:
    """Counts of the summary; volumes and outliers only from a DWI."""
    report, scan = volume.report, volume.acquisition
    counts = {
        "voxels": report.voxels,
        "repaired": report.non_finite + report.non_positive,
        "non_finite": report.non_finite,
        "non_positive": report.non_positive,
        "clipped": report.clipped,
    }
    if scan is not None:
        whole = {o.volume for o in scan.outliers if o.slice is None}
        counts |= {
            "volumes": len(scan.bvals),
            "volumes_fitted": int(scan.used.sum()),
            "outlier_volumes": len(whole),
            "outlier_slices": sum(o.slice is not None for o in scan.outliers),
        }
    return counts


def measure(volume: DTIVolume, before: TensorMaps, after: TensorMaps, found: DenoisedVolume) -> dict[str, float]:
    """Numbers of the page, over the mask; diffusivities in um^2/ms."""
    from mvnet.manifolds import SPDField

    mask = volume.mask
    change = SPDField(dim=0).dist(before.planes[:, mask], after.planes[:, mask])
    numbers = {"mean_change": float(change.mean())}
    if found.error is not None:
        numbers["expected_error"] = float(found.error[mask].mean())
    numbers |= {
        "fa_before": float(before.fa[mask].mean()),
        "fa_after": float(after.fa[mask].mean()),
        "md_before": float(before.md[mask].mean()),
        "md_after": float(after.md[mask].mean()),
    }
    for name, error in (("fa_error", found.fa_error), ("md_error", found.md_error)):
        if error is not None:
            numbers[f"expected_{name}"] = float(error[mask].square().mean().sqrt())
    if found.kept is not None:
        numbers["trust_region_bound"] = float((found.kept[mask] < 1).float().mean())
    scan = volume.acquisition
    if scan is not None:
        known = mask & (scan.sigma > 0)
        if known.any():
            numbers["sigma"] = float(scan.sigma[known].median())
            numbers["snr_b0"] = float((scan.b0[known] / scan.sigma[known]).median())
            numbers["noise_per_component"] = float(scan.noise[known].median())
            numbers["residual_over_sigma"] = float(scan.residual[known].median())
    return {name: float(f"{value:.6g}") for name, value in numbers.items()}


def provenance(options: Options, summary: dict[str, Any]) -> dict[str, Any]:
    """What every sidecar says about how its file was made."""
    files = input_files(options)
    kept = {k: v for k, v in summary["options"].items() if k not in (*INPUTS, "output", "dataset")}
    return {
        "GeneratedBy": [{"Name": "mvnet", "Version": summary["version"], "Weights": summary["weights"]}],
        "Sources": bids.source_names(files, options.dataset),
        "SourceHashes": {path.name: f"sha256:{bids.sha256(path)}" for path in files},
        "Options": kept,
        "Counts": summary["counts"],
        "Statistics": summary["statistics"],
    }


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Options as JSON holds them."""
    inner = {key: plain(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: str(value) if isinstance(value, Path) else value for key, value in inner.items()}
