"""`mvnet denoise insar`: its options, and its summary in one line. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvnet.apps.common.options import Checkpoint, Device, Json, Overwrite, Quiet, Report
from mvnet.apps.common.summary import Summary, format_timing, print_summary

if TYPE_CHECKING:
    from mvnet.apps.insar.options import InSAROptions

Input = Annotated[
    str,
    typer.Argument(
        help="Interferogram, complex or phase in radians: GeoTIFF, ISCE2, ROI_PAC, GAMMA, NISAR, ..., also as GDAL "
        "names it, such as /vsizip/FILE.zip/IMAGE.tif or NETCDF:FILE:VARIABLE; or a stack of them: MintPy's "
        "ifgramStack.h5, a folder of dolphin, ISCE2, HyP3 or LiCSAR, Zarr or NetCDF (pair, y, x)."
    ),
]
Coherence = Annotated[
    str | None,
    typer.Option(
        help="Coherence, on the same grid or georeferenced, or none; by default the one in or beside the input, if any."
    ),
]
Nodata = Annotated[
    str | None,
    typer.Option(
        help="Value that means no data, instead of the declared one. Undeclared fill values are found and told; "
        "none keeps them."
    ),
]
Shape = Annotated[str | None, typer.Option(help="ROWS,COLUMNS of a headerless file.")]
Dtype = Annotated[
    str | None, typer.Option(help="Type in a headerless file: complex64, float32, ... (default: by its size).")
]
ByteOrder = Annotated[
    str | None, typer.Option(help="little or big, of a headerless file (default: by the magnitudes).")
]
Network = Annotated[bool, typer.Option("--allow-network", help="Let the input be an address on a network.")]
Joint = Annotated[
    bool, typer.Option("--joint", help="Of a stack: bring the denoised phases to one phase for every date.")
]
External = Annotated[
    bool,
    typer.Option("--allow-external", help="Let a VRT or HDF5 input, or a stack, read files outside of its folder."),
]
Tile = Annotated[
    int, typer.Option(help="Side of a tile in pixels; a larger tile takes more memory and gives the same result.")
]
Overlap = Annotated[
    int | None,
    typer.Option(help="Overlap of tiles in pixels (default and least: what the result of a tile depends on)."),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Number of tiles processed in parallel (default: one per core / per cluster thread)."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a dask.distributed cluster to compute on, tcp://HOST:PORT. Whoever owns the address runs code "
        "here: name only a scheduler that you trust."
    ),
]
Unwrap = Annotated[
    str | None,
    typer.Option(
        help="Unwrap the denoised phase with skimage, or with snaphu, which is installed apart and free for "
        "non-commercial use only, and transfer the ambiguities to the measured phase: OUT_unwrapped.tif. This step "
        "holds the whole scene in memory."
    ),
]


Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="OUT.tif; the other files are named after it. Of a stack: its own form."),
]
Looks = Annotated[
    float | None, typer.Option(help="Number of looks; by default that of the file's metadata, if it is there.")
]
Samples = Annotated[
    int | None,
    typer.Option(
        help="Number of phases to write that could as well be the truth, 1 to 1000, correlated in space as the error "
        "is: OUT_samples.tif, OUT_phase_sd.tif, with --unwrap OUT_ambiguity.tif."
    ),
]
SampleSeed = Annotated[int | None, typer.Option("--seed", help="With --samples: random seed (0).")]
Complex = Annotated[
    bool, typer.Option("--complex", help="Write complex64 with the amplitude of the input, 1 where it has none.")
]
Strength = Annotated[
    float, typer.Option(help="From the input phase (0) to the denoised one (1), along the shorter arc.")
]


def denoise(
    input: Input,
    output: Output,
    coherence: Coherence = None,
    looks: Looks = None,
    strength: Strength = 1.0,
    complex: Complex = False,
    tile: Tile = 1024,
    overlap: Overlap = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    jobs: Annotated[int, typer.Option(min=1, help="Of a stack: pairs done at a time by processes here.")] = 1,
    joint: Joint = False,
    unwrap: Unwrap = None,
    samples: Samples = None,
    seed: SampleSeed = None,
    device: Device = "auto",
    model: Checkpoint = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", "--band", "--pair", help="Band, dataset, polarisation or pair of dates, if there are several."
        ),
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format of the input; detected by default.")] = None,
    header: Annotated[
        Path | None, typer.Option(help="GAMMA parameter file or UAVSAR annotation of a headerless raster.")
    ] = None,
    nodata: Nodata = None,
    shape: Shape = None,
    dtype: Dtype = None,
    byte_order: ByteOrder = None,
    allow_network: Network = False,
    allow_external: External = False,
    report: Report = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Denoise an interferogram of any size.

    Writes OUT.tif (wrapped phase in radians, or complex values), OUT_quality.tif (c, the expected cosine of the error
    of the denoised phase, in [0, 1]; a circular standard deviation of sqrt(-2 ln c) rad) and OUT_mask.tif (1 where
    there are data), tiled with overviews, and styles for QGIS beside them (.qml). Nodata, georeferencing and metadata
    of the input are kept. An interrupted run continues when the same command is given again.

    All pairs of a stack are denoised, unless --pair names one, and written in the form of the stack: a copy of the
    file, or a folder with the same names. A pair that fails stops no other.
    """
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
        shape=shape,
        dtype=dtype,
        byte_order=byte_order,
        allow_network=allow_network,
        allow_external=allow_external,
        unwrap=unwrap,
        samples=samples,
        seed=seed,
    )
    _run(options, jobs, joint, quiet=quiet, as_json=as_json)


def _run(options: InSAROptions, jobs: int, joint: bool, *, quiet: bool, as_json: bool) -> None:
    """Denoise one scene, or all pairs of a stack where none is named."""
    from mvnet.apps.common.console import Console
    from mvnet.apps.common.errors import UserError
    from mvnet.data_loaders.insar.stacks.registry import find_stack

    place = Path(options.input)
    stack = find_stack(place, options.access) if options.layer is None and place.exists() else None
    if stack is None:
        if joint or jobs > 1:
            raise UserError(f"{'--joint' if joint else '--jobs'}: found one scene, expected it for a stack of several")
        from mvnet.apps.insar.denoise import run

        print_summary(run(options, Console(quiet)), _headline, quiet=quiet, as_json=as_json)
        return
    from mvnet.apps.insar.stack.run import StackJob, run_stack
    from mvnet.apps.insar.stack.table import table

    summary = run_stack(StackJob(stack, jobs, options.scheduler, joint), options, Console(quiet))
    print_summary(summary, lambda found: "\n".join(table(found)), quiet=quiet, as_json=as_json)
    if summary["exit_status"]:
        raise typer.Exit(summary["exit_status"])


def _headline(summary: Summary) -> str:
    counts, numbers = summary["counts"], summary["statistics"]
    residues = f"residues {numbers['residues_before']} -> {numbers['residues_after']}"
    return (
        f"{counts['pixels']} pixels, {numbers['valid_share']:.1%} with data, {residues}, "
        f"mean quality {numbers['mean_confidence']:.3f}, {format_timing(summary)}"
    )
