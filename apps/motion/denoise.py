"""Denoise a recording, file in, file out: `mvnet denoise motion` as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.outputs import Outputs
from mvnet.apps.common.timing import Clock
from mvnet.apps.motion.options import MotionOptions, check

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.editing import Curves, Recording
    from mvnet.models.motion.inference import DenoisedMotion
    from mvnet.models.motion.network import MotionDenoiser

_DOUBTED = 0.5  # trust below which a value counts as an outlier


def run(options: MotionOptions, console: Console | None = None) -> dict[str, Any]:
    """Denoise and write the files; all of them or none.

    Returns:
        the summary that --json prints: outputs, counts, statistics, timings, device, options.
    Raises:
        UserError, DataError (both ValueError), OSError: as told by the command line in one line.
    """
    console = Console(quiet=True) if console is None else console
    check(options)
    clock = Clock()
    stem = options.output.stem
    names = {"motion": options.output.name, "confidence": f"{stem}_confidence.npz"}
    if options.report:
        names["report"] = f"{stem}_report.html"
    files = Outputs(options.output.parent, list(names.values()), overwrite=options.overwrite, inputs=[options.input])
    with files:
        summary = _run(options, console, clock, files, names)
    summary["outputs"] = {key: str(options.output.parent / name) for key, name in names.items()}
    summary["timings"] = clock.laps | {"total": clock.total()}
    return summary


def _run(
    options: MotionOptions, console: Console, clock: Clock, files: Outputs, names: dict[str, str]
) -> dict[str, Any]:
    from mvnet import __version__
    from mvnet.data_loaders.motion.editing import open_recording
    from mvnet.models.checkpoint import load_identified
    from mvnet.models.motion.network import MotionDenoiser
    from mvnet.runtime import find_device

    device = find_device(options.device)
    recording = open_recording(options.input)
    model, weights = load_identified("motion", options.model)
    if not isinstance(model, MotionDenoiser):
        raise UserError(f"--model: found a {type(model).__name__} in {options.model}, expected a MotionDenoiser")
    model = model.to(device).float()
    clock.lap("read")
    with console.progress("denoising") as progress:
        results = [_denoise(model, curves, options, progress) for curves in recording.curves]
    clock.lap("denoise")
    values = [result.values.double().numpy() for result in results]
    recording.write(files.path(names["motion"]), values)
    np.savez_compressed(files.path(names["confidence"]), **_confidence(recording, results))  # type: ignore[arg-type]
    summary: dict[str, Any] = {
        "version": __version__,
        "outputs": {},
        "format": recording.format,
        "counts": _counts(recording, results),
        "statistics": [_statistics(curves, result) for curves, result in zip(recording.curves, results)],
        "device": str(device),
        "weights": weights,
        "options": options.to_json(),
    }
    if options.report:
        from mvnet.apps.motion.report import write_report

        before = [_filled(curves) for curves in recording.curves]
        write_report(files.path(names["report"]), options.output.name, recording, before, values, summary)
    clock.lap("write")
    return summary


def _denoise(model: MotionDenoiser, curves: Curves, options: MotionOptions, progress: Any) -> DenoisedMotion:
    """The curves denoised; positions of a skeleton on bones of their median length."""
    import torch

    from mvnet.models.motion.inference import denoise_motion
    from mvnet.models.motion.skeletons import bone_lengths, with_lengths

    values, seen = torch.from_numpy(np.ascontiguousarray(curves.values)), torch.from_numpy(curves.seen)
    parent = None if curves.parent is None else torch.from_numpy(curves.parent)
    workers = torch.get_num_threads() if next(model.parameters()).device.type == "cpu" else 1
    how = {"strength": options.strength, "trust_region": options.trust_region, "progress": progress}
    result = denoise_motion(model, values, seen, parent, workers=workers, **how)
    if parent is not None and not curves.is_rotations and options.strength > 0:
        lengths = bone_lengths(torch.where(seen.unsqueeze(-1), values, torch.nan), seen, parent)
        result = result._replace(values=with_lengths(result.values, parent, lengths))
    return result


def _filled(curves: Curves) -> np.ndarray:
    """The curves as given, gaps filled along geodesics."""
    import torch

    from mvnet.models.motion.inputs import fill_gaps

    values, seen = (torch.from_numpy(np.ascontiguousarray(x)).transpose(0, 1) for x in (curves.values, curves.seen))
    return fill_gaps(values.unsqueeze(0), seen.unsqueeze(0))[0].transpose(0, 1).numpy()


def _confidence(recording: Recording, results: list[DenoisedMotion]) -> dict[str, np.ndarray]:
    """Arrays of OUT_confidence.npz, those of each set of curves under its name."""
    arrays: dict[str, np.ndarray] = {}
    for curves, result in zip(recording.curves, results):
        error = result.error.float().numpy()
        found = {"error": error, "missing": ~curves.seen, "outlier": _outliers(curves, result)}
        found["noise"] = result.noise.float().numpy()
        if curves.is_rotations:
            found["confidence"] = np.exp(-error)
        if curves.joints is not None:
            found["joint"] = np.array(curves.joints)
        arrays |= {f"{curves.name}_{name}": array for name, array in found.items()}
    return arrays


def _outliers(curves: Curves, result: DenoisedMotion) -> np.ndarray:
    return curves.seen & (result.trust.numpy() < _DOUBTED)


def _counts(recording: Recording, results: list[DenoisedMotion]) -> dict[str, int]:
    from mvnet.data_loaders.motion.editing.recording import ROOT

    first = recording.curves[0]
    return {
        "curves": sum(curves.values.shape[1] for curves in recording.curves),
        "frames": sum(len(curves.values) for curves in recording.curves if curves.name != ROOT),
        "joints": first.values.shape[1],
        "missing": int(sum((~curves.seen).sum() for curves in recording.curves)),
        "outliers": int(sum(_outliers(curves, result).sum() for curves, result in zip(recording.curves, results))),
    }


def _statistics(curves: Curves, result: DenoisedMotion) -> dict[str, Any]:
    """Medians over the curves: noise as measured and error expected, in degrees for rotations."""
    factor, unit = (180 / np.pi, "degrees") if curves.is_rotations else (1.0, curves.unit)
    noise, error = (factor * float(x.median()) for x in (result.noise, result.error))
    return {"curves": curves.name, "unit": unit, "noise": round(noise, 6), "expected_error": round(error, 6)}
