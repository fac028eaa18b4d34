"""Denoise an interferogram of any size, files in, files out: `mvnet denoise insar` as a function."""

from __future__ import annotations

import math
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.timing import Clock
from mvnet.apps.insar.options import TILE_STEP, InSAROptions, check, open_input, to_json
from mvnet.apps.insar.outputs import (
    AMBIGUITY,
    PHASE_STYLE,
    QUALITY,
    QUALITY_STYLE,
    REPORT,
    check_targets,
    further_files,
    summary_key,
)
from mvnet.apps.insar.styles import grey_style, phase_style
from mvnet.data_loaders.errors import DataError, InputChangedError
from mvnet.runtime import find_device, freed_memory_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mvnet.apps.insar.posterior.outputs import ScenePosterior
    from mvnet.apps.insar.survey import Survey
    from mvnet.data_loaders.insar import Interferogram, OutputSet
    from mvnet.data_loaders.insar.noise import PhaseNoise
    from mvnet.models.insar.network import InSARDenoiser
    from mvnet.models.insar.raster import FilteredTile, TileData

_CACHE = 128  # MiB that GDAL may keep


def run(options: InSAROptions, console: Console | None = None) -> dict[str, Any]:
    """Denoise and write OUT.tif, OUT_quality.tif, OUT_mask.tif and what else is asked for; all of them or none.

    A run that was stopped goes on where it was when it is started again with the same options.

    Returns:
        the summary that --json prints: outputs, counts, statistics, timings, speed, device, options.
    Raises:
        UserError, DataError (both ValueError), OSError: as told by the command line in one line.
    """
    if console is None:
        console = Console(quiet=True)
    check(options)
    if options.unwrap is not None:
        from mvnet.apps.insar.unwrap import check_unwrapper

        check_unwrapper(options.unwrap)
    from mvnet.data_loaders.insar.rasters import gdal

    with freed_memory_kept(), gdal().Env(GDAL_CACHEMAX=_CACHE):
        return _run(options, console, Clock())


def _run(options: InSAROptions, console: Console, clock: Clock) -> dict[str, Any]:
    from mvnet import __version__
    from mvnet.apps.insar.survey import doubts
    from mvnet.models.insar.raster import measure_noise

    device = options.device if options.scheduler is not None else str(find_device(options.device))
    check_targets(options)
    image = open_input(options)
    if options.unwrap is not None and min(image.shape) < 2:
        raise UserError(f"--unwrap: found shape {image.shape}, expected at least two rows and columns")
    model, weights = _model(options)
    posterior = _posterior(options, image)
    overlap = _overlap(options, model)
    noise = measure_noise(image, image.looks)
    if posterior is not None:
        posterior = replace(posterior, noise=noise)
    told = "unknown" if image.looks is None else f"{image.looks:g}"
    image.messages.append(f"noise correlation at 1, 2, 3 pixels: {noise.describe()}; looks: {told}")
    for message in image.messages:
        console.say(message)
    clock.lap("read")
    out = _outputs(options, image, model, weights, posterior)
    with out, _kept(out, console):
        if out.resumed:
            console.say(f"going on with {len(out.windows()) - len(out.pending())} of {len(out.windows())} tiles done")
        computed = _denoise(options, console, image, out, model, overlap, device, noise)
        clock.lap("denoise")
        found = _survey(options, console, image, out)
        for message in doubts(found, known=image.coherence is not None):
            image.messages.append(message)
            console.say(message)
        clock.lap("survey")
        summary: dict[str, Any] = {
            "version": __version__,
            "outputs": {},
            "counts": found.counts() | computed,
            "statistics": found.statistics(),
            "noise": {"correlation": noise.correlation.tolist(), "looks": image.looks},
            "device": device if options.scheduler is None else options.scheduler,
            "weights": weights,
            "options": to_json(options),
            "messages": list(image.messages),
        }
        if posterior is not None:
            from mvnet.apps.insar.posterior.outputs import describe, write_samples

            summary["statistics"] |= write_samples(posterior, out, options.workers, console)
            summary["posterior"] = describe(posterior, out)
            clock.lap("samples")
        if options.unwrap is not None:
            from mvnet.apps.insar.unwrap import unwrap_outputs

            summary["statistics"] |= unwrap_outputs(image, out, options, console, posterior)
            clock.lap("unwrap")
        seconds = clock.laps["denoise"]
        summary["mpx_per_second"] = round(computed["computed"] / 1e6 / seconds, 4) if seconds else None
        if options.report:
            from mvnet.apps.insar.report import write_report

            write_report(
                out.staged(REPORT), options.output.stem, found, summary, _section(options, out, found, summary)
            )
        for name, style in ((PHASE_STYLE, phase_style), (QUALITY_STYLE, grey_style)):
            if name in out.extra:
                out.staged(name).write_text(style(), encoding="utf-8")
        with console.progress("writing files") as progress:
            progress(0, 1)
            out.commit()
            progress(1, 1)
        clock.lap("write")
    names = {"phase": "values"}
    summary["outputs"] = {key: str(out.specs[names.get(key, key)].path) for key in ("phase", "quality", "mask")}
    summary["outputs"] |= {summary_key(name): str(path) for name, path in out.extra.items()}
    summary["timings"] = clock.laps | {"total": clock.total()}
    return summary


def _model(options: InSAROptions) -> tuple[InSARDenoiser, dict[str, str]]:
    """The network, and the name and hash of its weights."""
    from mvnet.models.checkpoint import load_identified
    from mvnet.models.insar.network import InSARDenoiser

    model, weights = load_identified("insar", options.model)
    if not isinstance(model, InSARDenoiser):
        raise UserError(f"--model: found a {type(model).__name__} in {options.model}, expected an InSARDenoiser")
    return model.float(), weights


def _posterior(options: InSAROptions, image: Interferogram) -> ScenePosterior | None:
    """The posterior of the denoiser, None without --samples; UserError where there is no room for them."""
    if options.samples is None:
        return None
    from mvnet.apps.insar.posterior.options import check_disk, load_posterior
    from mvnet.apps.insar.posterior.outputs import ScenePosterior

    check_disk(options.samples, options.output, image.shape)
    return ScenePosterior(*load_posterior(options.model), image, None, options.samples, options.seed or 0)


def _section(options: InSAROptions, out: OutputSet, found: Survey, summary: dict[str, Any]) -> list[str]:
    """The section of the page on the posterior."""
    if options.samples is None:
        return []
    from mvnet.apps.insar.posterior.section import section

    ambiguity = None
    if options.unwrap is not None:
        from mvnet.data_loaders.insar.rasters import gdal

        with gdal().open(out.staged(AMBIGUITY)) as file:
            ambiguity = file.read(1)
    return section(found, summary["posterior"], summary["statistics"], ambiguity)


def _overlap(options: InSAROptions, model: InSARDenoiser) -> int:
    from mvnet.models.insar.inference import overlap_of

    least = overlap_of(model)
    if options.overlap is not None and options.overlap < least:
        raise UserError(
            f"--overlap: found {options.overlap}, expected at least {least}, the pixels around a tile that its "
            "result depends on; less would leave seams"
        )
    return least if options.overlap is None else options.overlap


def _outputs(
    options: InSAROptions,
    image: Interferogram,
    model: InSARDenoiser,
    weights: dict[str, str],
    posterior: ScenePosterior | None,
) -> OutputSet:
    """The files to be made, with where they come from in their tags."""
    from mvnet import __version__
    from mvnet.data_loaders.insar import open_outputs

    step = math.lcm(TILE_STEP, model.alignment)
    tags = {
        "MVNET_VERSION": __version__,
        "MVNET_INPUT": Path(options.input).name,
        "MVNET_COHERENCE": "none" if image.coherence is None else Path(image.coherence.path).name,
        "MVNET_STRENGTH": f"{options.strength:g}",
        "MVNET_WEIGHTS": f"{weights['name']}, sha256 {weights['sha256']}",
        "MVNET_QUALITY": QUALITY,
    }
    if options.layer is not None:
        tags["MVNET_LAYER"] = options.layer
    if options.unwrap is not None:
        tags["MVNET_UNWRAPPED"] = f"{options.unwrap}, ambiguities transferred to the phase that was not denoised"
    if posterior is not None:
        head = posterior.weights
        tags["MVNET_POSTERIOR"] = f"{head['name']}, sha256 {head['sha256']}"
        tags["MVNET_SAMPLES"] = f"{posterior.count}, seed {posterior.seed}"
    return open_outputs(
        options.output,
        image,
        kind="complex" if options.complex else "phase",
        maps={"quality": QUALITY},
        extra=further_files(options),
        block=-(-options.tile // step) * step,
        job={
            "version": __version__,
            "weights": weights["sha256"],
            "strength": options.strength,
            "layer": options.layer,
            "looks": image.looks,
            "input nodata": str(image.nodata),
        },
        tags=tags,
        overwrite=options.overwrite,
    )


@contextmanager
def _kept(out: OutputSet, console: Console) -> Iterator[None]:
    """What ends a run leaves the finished tiles, and says so, unless they are of an input that has changed."""
    try:
        yield
    except BaseException as error:
        done = len(out.windows()) - len(out.pending())
        if done == 0 or isinstance(error, InputChangedError):
            out.discard()
        elif out.folder.is_dir():
            console.say(f"{done} of {len(out.windows())} tiles are kept in {out.folder}; the same command goes on")
        raise


def _denoise(
    options: InSAROptions,
    console: Console,
    image: Interferogram,
    out: OutputSet,
    model: InSARDenoiser,
    overlap: int,
    device: str,
    noise: PhaseNoise,
) -> dict[str, int]:
    """Compute and write the tiles still to be written; returns counts of pixels and tiles."""
    from mvnet.models.insar.raster import denoise_tiles, plan_tiles

    total = len(out.windows())
    tiles = plan_tiles(image.shape, out.pending(), out.block, overlap, model.alignment)
    computed, place = 0, device if options.scheduler is None else options.scheduler
    with console.progress(f"denoising on {place}") as progress, ExitStack() as stack:
        progress(total - len(tiles), total)
        executor, workers = None, options.workers
        if options.scheduler is not None:
            from mvnet.apps.common.cluster import cluster

            executor, threads = stack.enter_context(cluster(options.scheduler))
            workers = min(threads, workers or threads)
        results = denoise_tiles(image, tiles, model, device=device, workers=workers, executor=executor, noise=noise)
        with closing(results):
            for done, (tile, filtered) in enumerate(results, start=total - len(tiles) + 1):
                values, valid = _result(options, image, tile, filtered)
                out.write(tile.inner, values, valid, quality=filtered.confidence)
                computed += valid.size
                progress(done, total)
    out.check_inputs()
    return {"tiles": total, "resumed": total - len(tiles), "computed": computed}


def _result(
    options: InSAROptions, image: Interferogram, tile: TileData, filtered: FilteredTile
) -> tuple[np.ndarray, np.ndarray]:
    """Values to be stored, and where they are valid; as the input stores them for strength 0."""
    from mvnet.models.insar.inference import blend

    z, valid = tile.values[tile.place], tile.valid[tile.place]
    if not np.isfinite(filtered.phase[valid]).all():
        raise RuntimeError("the network returned phases that are not finite")
    if options.strength == 0:
        same = options.complex == (image.kind == "complex") and image.missing.unit == image.missing.scale
        return image.read_stored(tile.inner) if same else z, valid
    phase = filtered.phase
    if options.strength < 1:
        import torch

        phase = blend(torch.from_numpy(np.angle(z)), torch.from_numpy(phase), options.strength).numpy()
    modulus = np.abs(z) * np.float32(image.missing.unit)
    return (modulus * np.exp(1j * phase)).astype(np.complex64) if options.complex else phase, valid


def _survey(options: InSAROptions, console: Console, image: Interferogram, out: OutputSet) -> Survey:
    from mvnet.apps.insar.survey import survey

    with console.progress("counting residues") as progress:
        found = survey(image, out, progress)
    if found.valid == 0:
        out.discard()
        raise DataError(f"{image.path}: found no pixel with data, expected at least one")
    return found
