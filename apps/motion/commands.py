"""`mvnet denoise motion`: its options, and its summary in one line. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps.common.options import Checkpoint, Device, Json, Overwrite, Quiet, Report
from mvnet.apps.common.summary import Summary, format_timing, print_summary


def denoise(
    input: Annotated[
        Path,
        typer.Argument(
            help="Recording: BVH, C3D, TRC, or .npz with positions or rotations of joints; or a folder of them."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="File to write, in the format of the input, or folder; others are named after it."
        ),
    ],
    strength: Annotated[
        float, typer.Option(help="From the input with its gaps filled (0) to the denoised curves (1), along geodesics.")
    ] = 1.0,
    trust_region: Annotated[
        float,
        typer.Option(
            help="Quantile of the noise beyond which no value is moved, in (0, 1]; 1 is no bound. Outliers are moved."
        ),
    ] = 1.0,
    device: Device = "auto",
    model: Checkpoint = None,
    report: Report = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes, for a folder.")] = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Denoise a recording of motion: jitter, spikes and gaps of joint rotations or marker positions.

    Writes OUT in the format of the input, with only its numbers changed, and OUT_confidence.npz: for every curve and
    frame the expected error, the confidence exp(-error) of rotations, and whether the value was missing or an outlier.
    The noise is measured from the recording. Bones keep their length. Of a folder every recording is denoised into the
    folder OUT; those that are there already are skipped, those that fail are named.
    """
    from mvnet.apps.common.console import Console
    from mvnet.apps.motion.denoise import run
    from mvnet.apps.motion.options import MotionOptions

    options = MotionOptions(input, output, strength, trust_region, device, model, overwrite, report)
    if input.is_dir():
        from mvnet.apps.motion.cohort import run_folder, table

        summary = run_folder(options, jobs, Console(quiet))
        print_summary(summary, table, quiet=quiet, as_json=as_json)
        if summary["exit_status"]:
            raise typer.Exit(summary["exit_status"])
        return
    print_summary(run(options, Console(quiet)), _headline, quiet=quiet, as_json=as_json)


def _headline(summary: Summary) -> str:
    counts = summary["counts"]
    return (
        f"{counts['frames']} frames of {counts['joints']} joints, {counts['missing']} values missing, "
        f"{counts['outliers']} outliers, {format_timing(summary)}"
    )
