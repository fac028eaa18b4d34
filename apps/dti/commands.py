"""`mvnet denoise dti`: its options, and its summary in one line. Nothing heavy is imported before it runs."""

from __future__ import annotations

from mvnet.apps.common.options import Bval, Bvec, Checkpoint, Device, Json, Overwrite, Quiet, Report
from mvnet.apps.common.summary import Summary, format_timing, print_summary
from mvnet.apps.dti import arguments


def denoise(
    input: arguments.Input,
    output: arguments.OutputFolder,
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
    adapt: arguments.Adapt = False,
    optimizer: arguments.Optimizer = None,
    optimizer_options: arguments.OptimizerOptions = None,
    rate: arguments.Rate = None,
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
    from mvnet.apps.dti.options import Options, parse_noise, parse_shells, parse_volumes
    from mvnet.data_loaders.dti.fit_options import FitOptions

    options = Options(
        input=input,
        output=output,
        bval=bval,
        bvec=bvec,
        mask=mask,
        order=order,
        unit=unit,
        frame=bvec_frame,
        fit=FitOptions(
            b0_threshold=b0_threshold,
            shells=parse_shells(shells),
            bmax=bmax,
            all_shells=all_shells,
            skip_volumes=parse_volumes(skip_volumes),
            noise=parse_noise(noise),
            robust=robust,
            rician=rician,
            fix_bvecs=fix_bvecs,
        ),
        trust_region=trust_region,
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
        f"{counts['voxels']} voxels, {counts['repaired']} repaired, {counts['clipped']} clipped, "
        f"mean change {change:.3f}, {format_timing(summary)}"
    )
