"""Denoise a diffusion tensor volume, files in, files out: `mvnet denoise dti` as a function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.apps.common.console import Console
from mvnet.apps.common.outputs import Outputs
from mvnet.apps.common.timing import Clock
from mvnet.apps.dti import bids
from mvnet.apps.dti.options import Options, check, find_gradient_files
from mvnet.runtime import find_device, freed_memory_kept

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.inference import DenoisedVolume
    from mvnet.models.dti.maps import TensorMaps


def run(options: Options, console: Console | None = None) -> dict[str, Any]:
    """Denoise and write all files, or none.

    Returns:
        the summary that --json prints: outputs, counts, statistics, timings, device, options.
    Raises:
        UserError, DataError (both ValueError), OSError: as told by the command line in one line.
    """
    with freed_memory_kept():  # before torch and its threads are there
        return _run(options, Console(quiet=True) if console is None else console)


def _run(options: Options, console: Console) -> dict[str, Any]:
    options, messages = find_gradient_files(options)
    check(options)
    stem = bids.stem_of(options.input)
    outputs = _plan(options, stem)
    clock = Clock()
    with outputs:
        for message in messages:
            console.say(message)
        summary = _work(options, stem, outputs, console, clock, messages)
        clock.lap("write")
    summary["timings"] = clock.laps | {"total": clock.total()}
    return summary


def _plan(options: Options, stem: str) -> Outputs:
    names = output_names(stem, options.report)
    inputs = [p for p in (options.input, options.bval, options.bvec, options.mask) if p is not None]
    return Outputs(options.output, names, overwrite=options.overwrite, inputs=inputs, shared=[bids.DATASET])


def output_names(stem: str, report: bool) -> list[str]:
    """Names of the maps, their sidecars and the page."""
    names = [name(stem, p) for p in bids.MAPS for name in (bids.map_name, bids.sidecar_name)]
    return [*names, report_name(stem)] if report else names


def report_name(stem: str) -> str:
    """Name of the HTML page."""
    return f"{stem}_model-DTI_report.html"


def _work(
    options: Options, stem: str, outputs: Outputs, console: Console, clock: Clock, messages: list[str]
) -> dict[str, Any]:
    from mvnet import __version__
    from mvnet.models.checkpoint import load_identified
    from mvnet.models.dti.maps import TensorMaps

    device = find_device(options.device)
    volume = _load(options, console)
    for message in volume.report.messages:
        console.say(message)
    clock.lap("read")
    model, weights = load_identified("dti", options.checkpoint)
    model = model.to(device)
    if options.adapt:
        model = _adapt(model, volume, options.descent(), console, device)
        clock.lap("adapt")
    found = _denoise(model, volume, options, console, device)
    before, after = (TensorMaps.of(tensors, volume.mask) for tensors in (volume.tensors, found.tensors))
    clock.lap("denoise")

    summary: dict[str, Any] = {
        "version": __version__,
        "outputs": {p: str(options.output / bids.map_name(stem, p)) for p in bids.MAPS},
        "counts": _counts(volume),
        "statistics": _statistics(volume, before, after, found.error),
        "device": str(device),
        "weights": weights,
        "options": _plain(options.record()),
        "layout": {"order": volume.order, "unit": volume.unit, "frame": volume.frame},
        "messages": messages + list(volume.report.messages),
    }
    if options.report:
        summary["outputs"]["report"] = str(options.output / report_name(stem))
    _write_maps(volume, after, found.confidence, stem, outputs, _provenance(options, summary))
    _write_json(outputs.path(bids.DATASET), bids.dataset_description(__version__))
    if options.report:
        from mvnet.apps.dti.report import write_report

        write_report(outputs.path(report_name(stem)), stem, volume, before, after, found.confidence, summary)
    return summary


def _load(options: Options, console: Console) -> DTIVolume:
    from mvnet.data_loaders import dti

    mask = options.mask
    if not options.is_dwi:
        return dti.load_tensors(options.input, order=options.order, mask=mask, unit=options.unit, frame=options.frame)
    with console.progress("fitting tensors") as progress:
        return dti.load_dwi(
            options.input,
            options.bval,
            options.bvec,
            mask=mask,
            bvec_frame=options.frame,
            progress=progress,
            options=options.fit,
        )


def _adapt(model: Any, volume: DTIVolume, how: dict[str, Any], console: Console, device: torch.device) -> Any:
    from mvnet.models.dti.adaptation import adapt

    with console.progress(f"adapting on {device}") as progress:
        return adapt(model, volume, seed=0, progress=progress, **how)


def _denoise(
    model: nn.Module, volume: DTIVolume, options: Options, console: Console, device: torch.device
) -> DenoisedVolume:
    from mvnet.api import denoise_dti

    with console.progress(f"denoising on {device}") as progress:
        return denoise_dti(
            volume,
            strength=options.strength,
            trust_region=options.trust_region,
            device=str(device),
            model=model,
            progress=progress,
        )


def _counts(volume: DTIVolume) -> dict[str, int]:
    report = volume.report
    return {
        "voxels": report.voxels,
        "repaired": report.non_finite + report.non_positive,
        "non_finite": report.non_finite,
        "non_positive": report.non_positive,
        "clipped": report.clipped,
    }


def _statistics(volume: DTIVolume, before: TensorMaps, after: TensorMaps, error: Tensor) -> dict[str, float]:
    """Numbers of the page, over the mask; diffusivities in um^2/ms."""
    from mvnet.manifolds import SPDField

    mask = volume.mask
    change = SPDField(dim=0).dist(before.planes[:, mask], after.planes[:, mask])
    numbers = {
        "mean_change": float(change.mean()),
        "expected_error": float(error[mask].mean()),
        "fa_before": float(before.fa[mask].mean()),
        "fa_after": float(after.fa[mask].mean()),
        "md_before": float(before.md[mask].mean()),
        "md_after": float(after.md[mask].mean()),
    }
    scan = volume.acquisition
    if scan is not None:
        known = mask & (scan.sigma > 0)
        if known.any():
            numbers["sigma"] = float(scan.sigma[known].median())
            numbers["snr_b0"] = float((scan.b0[known] / scan.sigma[known]).median())
            numbers["noise_per_component"] = float(scan.noise[known].median())
    return {name: float(f"{value:.6g}") for name, value in numbers.items()}


def _provenance(options: Options, summary: dict[str, Any]) -> dict[str, Any]:
    """What every sidecar says about how its map was made."""
    inputs = [options.input, options.bval, options.bvec, options.mask]
    sources = [{"Name": path.name, "SHA256": bids.sha256(path)} for path in inputs if path is not None]
    kept = {k: v for k, v in summary["options"].items() if k not in ("input", "output", "bval", "bvec", "mask")}
    return {
        "GeneratedBy": [{"Name": "mvnet", "Version": summary["version"], "Weights": summary["weights"]}],
        "Sources": sources,
        "Options": kept,
        "Counts": summary["counts"],
        "Statistics": summary["statistics"],
    }


def _write_maps(
    volume: DTIVolume,
    after: TensorMaps,
    confidence: Tensor,
    stem: str,
    outputs: Outputs,
    provenance: dict[str, Any],
) -> None:
    from mvnet.data_loaders.dti import LAYOUTS, UNITS, save_scalar, save_tensors

    save_tensors(volume, after.planes, outputs.path(bids.map_name(stem, "tensor")))
    save_scalar(volume, after.fa, outputs.path(bids.map_name(stem, "FA")))
    save_scalar(volume, after.md / UNITS[volume.unit], outputs.path(bids.map_name(stem, "MD")))
    save_scalar(volume, after.colour_fa(volume.affine), outputs.path(bids.map_name(stem, "DEC")))
    save_scalar(volume, confidence, outputs.path(bids.map_name(stem, "confidence")))
    order = LAYOUTS[volume.order].symbols
    for param in bids.MAPS:
        fields = bids.sidecar(param, unit=volume.unit, frame=volume.frame, order=order, provenance=provenance)
        _write_json(outputs.path(bids.sidecar_name(stem, param)), fields)


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    plain = {key: _plain(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: str(value) if isinstance(value, Path) else value for key, value in plain.items()}
