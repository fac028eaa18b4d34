"""Denoise a diffusion tensor volume, files in, files out: `mvnet denoise dti` as a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mvnet.apps.common.console import Console
from mvnet.apps.common.outputs import Outputs
from mvnet.apps.common.timing import Clock
from mvnet.apps.dti import bids
from mvnet.apps.dti.map_kinds import MAPS, chosen_maps
from mvnet.apps.dti.maps_out import write_json, write_maps
from mvnet.apps.dti.options import Options, check, find_gradient_files
from mvnet.apps.dti.posterior.names import posterior_names
from mvnet.apps.dti.posterior.options import check_disk, check_posterior
from mvnet.apps.dti.statistics import count_voxels, input_files, measure, plain, provenance
from mvnet.runtime import find_device, freed_memory_kept

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.inference import DenoisedVolume


_CERTIFICATE = (
    "certified: for the given mask and maps of b0, noise and residual, two tensor volumes leave the network no farther "
    "apart (log-Euclidean) than they came (affine-invariant); it estimates no error: no confidence map, no trust region"
)
_WITHOUT_MAPS = "certified: a tensor image has no maps of the noise: the certificate holds, the filter is weaker"


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
    check_posterior(options)
    check_disk(options)
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
    maps = chosen_maps(options.maps, is_dwi=options.is_dwi, certified=options.certified)
    names = output_names(stem, options.report, maps, outliers=options.is_dwi, dwi=options.dwi_output)
    names += posterior_names(options, stem)
    shared = [] if options.dataset else [bids.DATASET, bids.IGNORE]
    inputs = input_files(options)
    return Outputs(options.output, names, overwrite=options.overwrite, inputs=inputs, shared=shared)


def output_names(
    stem: str, report: bool, maps: Sequence[str] | None = None, *, outliers: bool = True, dwi: bool = False
) -> list[str]:
    """Names of the maps (the usual ones of a DWI when None), their sidecars, the table, the DWI and the page."""
    maps = chosen_maps(None, is_dwi=True) if maps is None else maps
    names = [name(stem, p) for p in maps for name in (bids.map_name, bids.sidecar_name)]
    names += [bids.outliers_name(stem, end) for end in (".tsv", ".json") if outliers]
    names += [bids.dwi_name(stem, end) for end in bids.DWI_ENDS if dwi]
    return [*names, bids.report_name(stem)] if report else names


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
    model, weights = load_identified(*options.weights)
    if options.certified:
        certificate = [_CERTIFICATE] if volume.acquisition else [_CERTIFICATE, _WITHOUT_MAPS]
        for message in certificate:
            console.say(message)
        messages = messages + certificate
    model = model.to(device)
    if options.adapt:
        model = _adapt(model, volume, options, console, device)
        clock.lap("adapt")
    found = _denoise(model, volume, options, console, device)
    before, after = (TensorMaps.of(tensors, volume.mask) for tensors in (volume.tensors, found.tensors))
    clock.lap("denoise")

    maps = chosen_maps(options.maps, is_dwi=options.is_dwi, certified=options.certified)
    summary: dict[str, Any] = {
        "version": __version__,
        "outputs": _written(options, stem, maps),
        "counts": count_voxels(volume),
        "statistics": measure(volume, before, after, found),
        "device": str(device),
        "weights": weights,
        "options": plain(options.record()),
        "layout": {"order": volume.order, "unit": volume.unit, "frame": volume.frame},
        "messages": messages + list(volume.report.messages),
    }
    origin = provenance(options, summary)
    write_maps(maps, volume, after, found, stem, outputs, origin)
    if volume.acquisition is not None:
        from mvnet.apps.dti.outliers_out import write_outliers

        write_outliers(volume.acquisition.outliers, stem, outputs, origin)
    posterior: list[str] = []
    if options.has_posterior:
        from mvnet.apps.dti.posterior.outputs import write_posterior

        clock.lap("write")
        posterior = write_posterior(model, volume, found, options, stem, outputs, origin, summary, console)
        clock.lap("posterior")
    if not options.dataset:
        write_json(outputs.path(bids.DATASET), bids.dataset_description(__version__))
        outputs.path(bids.IGNORE).write_text(bids.ignore_text(), encoding="utf-8")
    if options.report:
        from mvnet.apps.dti.report import write_report

        page = outputs.path(bids.report_name(stem))
        write_report(page, stem, volume, before, after, found.confidence, summary, posterior)
    if options.dwi_output:
        clock.lap("write")
        _write_dwi(model, volume, found, options, console, device, outputs, origin)
        clock.lap("dwi")
    return summary


def _written(options: Options, stem: str, maps: Sequence[str]) -> dict[str, str]:
    """What a file is -> its path."""
    names = {name: bids.map_name(stem, name) for name in MAPS if name in maps}
    if options.is_dwi:
        names["outliers"] = bids.outliers_name(stem)
    if options.dwi_output:
        names["dwi"] = bids.dwi_name(stem)
    if options.report:
        names["report"] = bids.report_name(stem)
    return {name: str(options.output / file) for name, file in names.items()}


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


def _adapt(model: Any, volume: DTIVolume, options: Options, console: Console, device: torch.device) -> Any:
    from mvnet.models.dti.adaptation import adapt

    with console.progress(f"adapting on {device}") as progress:
        how = {"memory": options.memory or "plain", **options.descent()}
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


def _write_dwi(
    model: nn.Module,
    volume: DTIVolume,
    found: DenoisedVolume,
    options: Options,
    console: Console,
    device: torch.device,
    outputs: Outputs,
    origin: dict[str, Any],
) -> None:
    from mvnet.apps.dti.dwi_out import write_dwi
    from mvnet.models.dti.predicted_signal import signal_changes

    def denoise(shell: DTIVolume) -> DenoisedVolume:
        return _denoise(model, shell, options, console, device)

    changes = signal_changes(volume, found.tensors, denoise, options.fit)
    write_dwi(volume, changes, options, bids.stem_of(options.input), outputs, origin)
