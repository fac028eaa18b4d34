"""`mvnet denoise KIND`: one command per kind of data. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Remove noise from images with values on a manifold.")


@app.command()
def dti(
    input: Annotated[
        Path,
        typer.Argument(help="DWI (with --bval, --bvec, or such files beside it) or tensor image, NIfTI."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; created when missing.")],
    bval: Annotated[Path | None, typer.Option(help="b-values of the DWI, s/mm^2, FSL text file.")] = None,
    bvec: Annotated[Path | None, typer.Option(help="b-vectors of the DWI, FSL text file.")] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Mask image, > 0 inside; made from the data when not given.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            help="Components of a tensor image: fsl, mrtrix, dipy, symmatrix, dti-tk; deduced when not given."
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Unit of a tensor image: mm2/s, um2/ms, um2/s, m2/s; deduced when not given."),
    ] = None,
    bvec_frame: Annotated[
        str | None,
        typer.Option(
            "--bvec-frame",
            "--frame",
            help="Axes of the b-vectors, or of a tensor image's components: fsl, voxel, world.",
        ),
    ] = None,
    strength: Annotated[float, typer.Option(help="0 keeps the tensors, 1 denoises fully, geodesic in between.")] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    adapt: Annotated[
        bool,
        typer.Option("--adapt", help="Fine-tune on this DWI first (12 or more directions; takes minutes)."),
    ] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights to use instead of the shipped ones.")] = None,
    report: Annotated[bool, typer.Option(help="Write an HTML page with before and after.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Denoise a diffusion tensor image.

    Writes the tensor (layout, unit and axes of the input; FSL order and mm^2/s from a DWI), FA, MD, colour FA
    and a confidence map with JSON sidecars, and an HTML page. Either all files appear or none.
    """
    from mvnet.apps.common.console import Console
    from mvnet.apps.dti.denoise import run
    from mvnet.apps.dti.options import Options

    options = Options(
        input=input,
        output=output,
        bval=bval,
        bvec=bvec,
        mask=mask,
        order=order,
        unit=unit,
        frame=bvec_frame,
        strength=strength,
        device=device,
        adapt=adapt,
        overwrite=overwrite,
        report=report,
        checkpoint=checkpoint,
    )
    _tell(run(options, Console(quiet)), _tensor_line, quiet, as_json)


@app.command()
def insar(
    input: Annotated[
        Path,
        typer.Argument(help="Interferogram, complex or phase in radians: GeoTIFF, ISCE2, ROI_PAC, GAMMA, NISAR, ..."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="OUT.tif; the other files are named after it.")],
    coherence: Annotated[
        str | None,
        typer.Option(help="Its coherence, same grid; none: do without. Not given: the one in or beside the input."),
    ] = None,
    looks: Annotated[float, typer.Option(help="Number of looks, for --unwrap snaphu.")] = 1.0,
    strength: Annotated[float, typer.Option(help="0 keeps the phase, 1 denoises fully, the arc in between.")] = 1.0,
    complex: Annotated[
        bool, typer.Option("--complex", help="Write complex64 with the amplitude of the input, 1 where it has none.")
    ] = False,
    tile: Annotated[int, typer.Option(help="Side of a tile, pixels; memory grows with it, results do not change.")] = (
        1024
    ),
    overlap: Annotated[
        int | None, typer.Option(help="Pixels read around a tile; at least, and by default, what the network sees.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Tiles at a time; one a core, or all of a cluster.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask.distributed cluster to compute on, tcp://HOST:PORT.")
    ] = None,
    unwrap: Annotated[
        str | None,
        typer.Option(
            help="Unwrap the written phase with snaphu or skimage and hand the ambiguities to the phase as read: "
            "OUT_unwrapped.tif. This step holds the whole scene in memory."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    model: Annotated[
        Path | None, typer.Option("--model", "--checkpoint", help="Weights to use instead of the shipped ones.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", "--band", help="Band, dataset, polarisation or pair of dates, of several."),
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format of the input; recognised when not given.")] = None,
    header: Annotated[Path | None, typer.Option(help="GAMMA parameter file of a headerless raster.")] = None,
    nodata: Annotated[float | None, typer.Option(help="Value that means no data, instead of the declared one.")] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write an HTML page with before and after.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Denoise an interferogram of any size.

    Writes OUT.tif (wrapped phase in radians, or complex values), OUT_quality.tif (c, the cosine expected of the error
    of the denoised phase, in [0, 1]; a circular standard deviation of sqrt(-2 ln c) rad) and OUT_mask.tif (1 where
    there are data). Nodata, georeferencing and metadata of the input are kept. A run that was stopped goes on when the
    same command is given again.
    """
    from mvnet.apps.common.console import Console
    from mvnet.apps.insar.denoise import run
    from mvnet.apps.insar.options import InSAROptions

    options = InSAROptions(
        input=input,
        output=output,
        coherence=coherence,
        looks=looks,
        strength=strength,
        complex=complex,
        tile=tile,
        overlap=overlap,
        workers=workers,
        scheduler=scheduler,
        device=device,
        model=model,
        overwrite=overwrite,
        report=report,
        layer=layer,
        format=format,
        header=header,
        nodata=nodata,
        unwrap=unwrap,
    )
    _tell(run(options, Console(quiet)), _phase_line, quiet, as_json)


def _tell(summary: dict[str, Any], line: Callable[[dict[str, Any]], str], quiet: bool, as_json: bool) -> None:
    """The outcome on stdout: as JSON, or in a few lines."""
    if as_json:
        print(json.dumps(summary))
    elif not quiet:
        print(f"{line(summary)}, {summary['timings']['total']:.1f} s on {summary['device']}")
        for name, path in summary["outputs"].items():
            print(f"{name:<10} {path}")


def _phase_line(summary: dict[str, Any]) -> str:
    counts, numbers = summary["counts"], summary["statistics"]
    return (
        f"{counts['pixels']} pixels, {numbers['valid_share']:.1%} with data, residues {numbers['residues_before']} -> "
        f"{numbers['residues_after']}, mean quality {numbers['mean_confidence']:.3f}"
    )


def _tensor_line(summary: dict[str, Any]) -> str:
    counts, numbers = summary["counts"], summary["statistics"]
    return f"{counts['voxels']} voxels, {counts['repaired']} repaired, mean change {numbers['mean_change']:.3f}"
