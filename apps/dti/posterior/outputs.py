"""What `--uncertainty` and `--samples` write, and what they say in the summary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mvnet.apps.dti import bids
from mvnet.apps.dti.maps_out import write_json
from mvnet.apps.dti.posterior.names import MAPS, SAMPLE, sample_name
from mvnet.apps.dti.posterior.options import denoiser_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mvnet.apps.common.console import Console
    from mvnet.apps.common.outputs import Outputs
    from mvnet.apps.dti.options import Options
    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.inference import DenoisedVolume
    from mvnet.models.dti.posterior.inference import VolumePosterior
    from mvnet.models.dti.posterior.own_scan import ScanCheck
    from mvnet.models.dti.posterior.summaries import Summary


def write_posterior(
    model: nn.Module,
    volume: DTIVolume,
    found: DenoisedVolume,
    options: Options,
    stem: str,
    outputs: Outputs,
    origin: dict[str, Any],
    summary: dict[str, Any],
    console: Console,
) -> list[str]:
    """Write maps and samples; add to the summary, and return the section of the page.

    Args:
        model: the denoiser.
        volume, found: its input and output.
        options: of the run.
        stem: of the file names.
        outputs: where to write.
        origin: what every sidecar says.
        summary: of the run; gets "posterior", further outputs and messages.
        console: for progress.
    """
    from mvnet.models.dti.network import DTIDenoiser
    from mvnet.models.dti.posterior.inference import volume_posterior
    from mvnet.models.dti.posterior.own_scan import check_on_scan
    from mvnet.models.dti.posterior.summaries import DRAWS, summarise
    from mvnet.models.posterior import load_posterior

    assert isinstance(model, DTIDenoiser)
    seed = options.seed or 0
    head, weights = load_posterior(denoiser_of(options))
    with console.progress("posterior") as progress:
        posterior = volume_posterior(model, head, volume, found.tensors, progress=progress)
    said: dict[str, Any] = {"weights": weights, "seed": seed, "correlation": _lags(head.taps)}
    sources = origin | {"Posterior": dict(said)}
    region = None
    if options.samples:
        region = _write_samples(posterior, volume, options.samples, seed, stem, outputs, sources)
        said |= {"samples": options.samples, "region": region}
    maps, check = None, None
    if options.uncertainty:
        with console.progress("intervals") as progress:
            maps = summarise(posterior, seed, progress=progress)
        _write_maps(maps, volume, stem, outputs, sources | {"Draws": DRAWS, "Interval": 0.9})
        with console.progress("check on this scan") as progress:
            check = check_on_scan(model, head, volume, options.fit, seed, progress)
        said |= {"draws": DRAWS, **_numbers(maps, posterior), "own_scan": _words(check)}
        for message in [] if check is None or not check.too_narrow else [_warning(check)]:
            console.say(message)
            summary["messages"] = [*summary["messages"], message]
    summary["posterior"] = said
    summary["outputs"] |= _outputs(options, stem)
    if not options.report:
        return []
    from mvnet.apps.dti.posterior.section import section

    return section(volume, posterior, maps, check, said)


def _lags(taps: Tensor) -> list[float]:
    from mvnet.models.dti.posterior.noise import measure_lags

    return [round(x, 3) for x in measure_lags(taps)[:4]]


def _write_samples(
    posterior: VolumePosterior,
    volume: DTIVolume,
    count: int,
    seed: int,
    stem: str,
    outputs: Outputs,
    sources: dict[str, Any],
) -> dict[str, Any]:
    """Write the samples; the mean FA of one region in each of them."""
    from mvnet.data_loaders.dti import LAYOUTS, save_tensors
    from mvnet.models.dti.posterior.regions import mean_fa, most_anisotropic

    order = LAYOUTS[volume.order].symbols
    region = most_anisotropic(posterior)
    means = []
    for number, tensors in enumerate(posterior.sample(count, seed), start=1):
        save_tensors(volume, tensors, outputs.path(sample_name(stem, number)))
        says = sources | {"Sample": number, "Samples": count}
        fields = bids.sidecar("tensor", unit=volume.unit, frame=volume.frame, order=order, provenance=says, kind=SAMPLE)
        write_json(outputs.path(sample_name(stem, number, ".json")), fields)
        means.append(mean_fa(tensors, region))
    mean = sum(means) / count
    deviation = math.sqrt(sum((x - mean) ** 2 for x in means) / max(count - 1, 1))
    centre = [s.start + (s.stop - s.start) // 2 for s in region.box]
    return {"centre": centre, "voxels": region.voxels, "mean_fa": round(mean, 5), "sd": round(deviation, 5)}


def _write_maps(maps: Summary, volume: DTIVolume, stem: str, outputs: Outputs, sources: dict[str, Any]) -> None:
    from mvnet.data_loaders.dti import LAYOUTS, UNITS, save_scalar

    scale, order = 1 / UNITS[volume.unit], LAYOUTS[volume.order].symbols
    values = {
        "FAsd": maps.fa_sd,
        "FAlow": maps.fa[0],
        "FAhigh": maps.fa[-1],
        "MDsd": maps.md_sd * scale,
        "MDlow": maps.md[0] * scale,
        "MDhigh": maps.md[-1] * scale,
        "V1cone": maps.cone,
    }
    for name, kind in MAPS.items():
        save_scalar(volume, values[name], outputs.path(bids.map_name(stem, name)))
        fields = bids.sidecar(name, unit=volume.unit, frame=volume.frame, order=order, provenance=sources, kind=kind)
        write_json(outputs.path(bids.sidecar_name(stem, name)), fields)


def _numbers(maps: Summary, posterior: VolumePosterior) -> dict[str, float]:
    """Medians over the mask; of the cone where FA is above 0.3."""
    from mvnet.models.dti.posterior.summaries import fa_and_md

    inside = posterior.mask
    fa, _ = fa_and_md(posterior.tensors[:, inside])
    fibres = maps.cone[inside][fa > 0.3]
    numbers = {"fa_sd": maps.fa_sd[inside].median(), "md_sd": maps.md_sd[inside].median()}
    if len(fibres):
        numbers["v1_cone"] = fibres.median()
    return {name: float(f"{float(value):.6g}") for name, value in numbers.items()}


def _words(check: ScanCheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
    share = round(check.share, 4)
    return {"share_inside": share, "nominal": 0.9, "voxels": check.voxels, "too_narrow": check.too_narrow}


def _warning(check: ScanCheck) -> str:
    return (
        f"posterior: {check.share:.0%} of the fits of the other directions lie inside their 90 % intervals: "
        "the intervals are too narrow for this scan"
    )


def _outputs(options: Options, stem: str) -> dict[str, str]:
    names = {param: bids.map_name(stem, param) for param in MAPS} if options.uncertainty else {}
    if options.samples:
        names["samples"] = sample_name(stem, 1).replace("sample0001", "sample*")
    return {name: str(options.output / file) for name, file in names.items()}
