"""`mvnet denoise dti`: its options, and its summary in one line. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps.common.options import Bval, Bvec, Checkpoint, Device, Json, Overwrite, Quiet, Report
from mvnet.apps.common.summary import Summary, format_timing, print_summary
from mvnet.apps.common.training_options import check_rate

Optimizer = Annotated[
    str | None, typer.Option(help="With --adapt: optimiser (default adamw); `mvnet optimizers` lists them.")
]
OptimizerOptions = Annotated[str | None, typer.Option(help="With --adapt: further options of the optimiser, k=v,...")]
Rate = Annotated[
    float | None,
    typer.Option(callback=check_rate, help="With --adapt: learning rate (default: that of the optimiser)."),
]


def denoise(
    input: Annotated[
        Path, typer.Argument(help="DWI (with --bval, --bvec, or such files beside it) or tensor image, NIfTI.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; created when missing.")],
    bval: Bval = None,
    bvec: Bvec = None,
    mask: Annotated[
        Path | None, typer.Option(help="Mask image, > 0 inside; computed from the data by default.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="Component order of a tensor image: fsl, mrtrix, dipy, symmatrix, dti-tk (detected)."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Unit of a tensor image: mm2/s, um2/ms, um2/s, m2/s (detected).")
    ] = None,
    bvec_frame: Annotated[
        str | None,
        typer.Option(
            "--bvec-frame",
            "--frame",
            help="Axes of the b-vectors, or of the components of a tensor image: fsl, voxel, world.",
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="From the input tensors (0) to the denoised ones (1), along the geodesic.")
    ] = 1.0,
    device: Device = "auto",
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Fine-tune on this DWI first (12 or more directions; takes minutes).")
    ] = False,
    optimizer: Optimizer = None,
    optimizer_options: OptimizerOptions = None,
    rate: Rate = None,
    checkpoint: Checkpoint = None,
    report: Report = True,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
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
        optimizer=optimizer,
        optimizer_options=optimizer_options,
        rate=rate,
        overwrite=overwrite,
        report=report,
        checkpoint=checkpoint,
    )
    print_summary(run(options, Console(quiet)), _headline, quiet=quiet, as_json=as_json)


def _headline(summary: Summary) -> str:
    counts, change = summary["counts"], summary["statistics"]["mean_change"]
    return (
        f"{counts['voxels']} voxels, {counts['repaired']} repaired, mean change {change:.3f}, {format_timing(summary)}"
    )
