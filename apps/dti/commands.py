"""`mvnet denoise dti`: its options, and its summary in one line. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import typer

from mvnet.apps.common.options import Bval, Bvec, Device, Json, Overwrite, Quiet, Report
from mvnet.apps.common.summary import Summary, format_timing, print_summary
from mvnet.apps.dti import arguments

if TYPE_CHECKING:
    from mvnet.apps.dti.options import Options

_OF_A_DATA_SET = ("participant_label", "session_label", "skip_bids_validation", "jobs", "scheduler")
_OF_AN_IMAGE = ("bval", "bvec", "mask", "order", "unit")


def denoise(
    output: arguments.OutputFolder,
    inputs: arguments.Inputs = None,
    bval: Bval = None,
    bvec: Bvec = None,
    mask: arguments.Mask = None,
    order: arguments.Order = None,
    unit: arguments.Unit = None,
    bvec_frame: arguments.BvecFrame = None,
    shells: arguments.Shells = None,
    bmax: arguments.Bmax = None,
    all_shells: arguments.AllShells = False,
    b0_threshold: arguments.B0Threshold = 50.0,
    skip_volumes: arguments.SkipVolumes = None,
    noise: arguments.Noise = None,
    robust: arguments.Robust = True,
    rician: arguments.Rician = True,
    fix_bvecs: arguments.FixBvecs = False,
    trust_region: arguments.TrustRegion = 0.99,
    strength: arguments.Strength = 1.0,
    device: Device = "auto",
    maps: arguments.Maps = None,
    dwi_output: arguments.DwiOutput = False,
    uncertainty: arguments.Uncertainty = False,
    samples: arguments.Samples = None,
    seed: arguments.Seed = None,
    bids: arguments.Bids = None,
    participant_label: arguments.ParticipantLabel = None,
    session_label: arguments.SessionLabel = None,
    skip_bids_validation: arguments.SkipValidation = False,
    jobs: arguments.Jobs = 1,
    scheduler: arguments.Scheduler = None,
    adapt: arguments.Adapt = False,
    optimizer: arguments.Optimizer = None,
    optimizer_options: arguments.OptimizerOptions = None,
    rate: arguments.Rate = None,
    memory: arguments.Memory = None,
    model: arguments.Model = None,
    checkpoint: arguments.Checkpoint = None,
    report: Report = True,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Denoise a diffusion tensor image, or with --bids those of a data set.

    A data set may also be named as BIDS Apps are called: `BIDS -o OUTPUT participant --participant-label 01 02`.

    Writes the tensor (layout, unit and axes of the input; FSL order and mm^2/s from a DWI), maps of it, what noise
    was found and what error is left, with JSON sidecars, a table of outlier volumes and slices, and an HTML page;
    with --dwi-output the denoised DWI; with --uncertainty and --samples how sure it is. Either all files appear or
    none.

    With --bids every subject gets a folder in OUTPUT. Finished subjects with the same inputs and options are skipped;
    one that fails stops no other.
    """
    from mvnet.apps.common.console import Console

    given = SimpleNamespace(**locals())
    given.bids, given.inputs = bids, inputs = arguments.data_set(bids, inputs)
    options = _options(given)
    if bids is None:
        from mvnet.apps.dti.denoise import run

        _refuse(given, "no --bids", "with it", _OF_A_DATA_SET)
        print_summary(run(options, Console(quiet)), _headline, quiet=quiet, as_json=as_json)
        return
    from mvnet.apps.dti.cohort.run import Cohort, run_cohort, table

    _refuse(given, "--bids", "for one image", _OF_AN_IMAGE)
    labels = (*(participant_label or ()), *(inputs or ()))
    sessions = tuple(session_label or ())
    cohort = Cohort(bids, output, labels, sessions, not skip_bids_validation, jobs, scheduler)
    summary = run_cohort(cohort, options, Console(quiet))
    print_summary(summary, lambda summary: "\n".join(table(summary)), quiet=quiet, as_json=as_json)
    if summary["exit_status"]:
        raise typer.Exit(summary["exit_status"])


def _refuse(given: SimpleNamespace, found: str, only: str, names: tuple[str, ...]) -> None:
    """UserError for options that do not belong to the kind of input."""
    from mvnet.apps.common.errors import UserError

    values = [f"--{name.replace('_', '-')}" for name in names if getattr(given, name) not in (None, False, 1, [])]
    if values:
        raise UserError(f"{', '.join(values)}: found {found} beside it, expected it only {only}")


def _options(given: SimpleNamespace) -> Options:
    """The options of a run from those of the command."""
    from mvnet.apps.dti.map_kinds import parse_maps
    from mvnet.apps.dti.options import Options, only_input, parse_noise, parse_shells, parse_volumes
    from mvnet.data_loaders.dti.fit_options import FitOptions

    return Options(
        input=Path() if given.bids is not None else only_input(given.inputs),
        output=given.output,
        bval=given.bval,
        bvec=given.bvec,
        mask=given.mask,
        order=given.order,
        unit=given.unit,
        frame=given.bvec_frame,
        fit=FitOptions(
            b0_threshold=given.b0_threshold,
            shells=parse_shells(given.shells),
            bmax=given.bmax,
            all_shells=given.all_shells,
            skip_volumes=parse_volumes(given.skip_volumes),
            noise=parse_noise(given.noise),
            robust=given.robust,
            rician=given.rician,
            fix_bvecs=given.fix_bvecs,
        ),
        trust_region=given.trust_region,
        strength=given.strength,
        device=given.device,
        adapt=given.adapt,
        optimizer=given.optimizer,
        optimizer_options=given.optimizer_options,
        rate=given.rate,
        memory=given.memory,
        overwrite=given.overwrite,
        report=given.report,
        model=given.model,
        checkpoint=given.checkpoint,
        maps=parse_maps(given.maps),
        dwi_output=given.dwi_output,
        uncertainty=given.uncertainty,
        samples=given.samples,
        seed=given.seed,
    )


def _headline(summary: Summary) -> str:
    counts, change = summary["counts"], summary["statistics"]["mean_change"]
    parts = [f"{counts['voxels']} voxels", f"{counts['repaired']} repaired"]
    names = {"clipped": "clipped", "outlier_volumes": "outlier volumes", "outlier_slices": "outlier slices"}
    parts += [f"{counts[key]} {words}" for key, words in names.items() if counts.get(key)]
    return ", ".join([*parts, f"mean change {change:.3f}", format_timing(summary)])
