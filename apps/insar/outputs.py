"""Names of the files that `mvnet denoise insar` writes besides, and what its quality is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvnet.apps.insar.options import InSAROptions

QUALITY = "expected cosine of the error of the fully denoised phase, exp(-s^2 / 2) of its circular standard deviation s"
REPORT, UNWRAPPED, COMPONENTS = "report.html", "unwrapped.tif", "components.tif"
SAMPLES, PHASE_SD, AMBIGUITY = "samples.tif", "phase_sd.tif", "ambiguity.tif"
PHASE_STYLE, QUALITY_STYLE = ".qml", "quality.qml"


def further_files(options: InSAROptions) -> list[str]:
    """Ends of the names of the files that a run writes beside its phase, mask and quality."""
    names = [QUALITY_STYLE] if options.complex else [PHASE_STYLE, QUALITY_STYLE]
    names += [REPORT] if options.report else []
    if options.unwrap is not None:
        names += [UNWRAPPED] + ([COMPONENTS] if options.unwrap == "snaphu" else [])
    if options.samples is not None:
        names += [SAMPLES, PHASE_SD] + ([AMBIGUITY] if options.unwrap is not None else [])
    return names


def summary_key(name: str) -> str:
    """The key in the summary of a further file: "phase_style" of ".qml"."""
    return {PHASE_STYLE: "phase_style", QUALITY_STYLE: "quality_style"}.get(name, Path(name).stem)


def check_targets(options: InSAROptions) -> None:
    """DataError where the files of a run may not be made; reads no input."""
    from mvnet.data_loaders.insar import check_outputs

    inputs = [str(given) for given in (options.input, options.coherence) if given is not None]
    kind = "complex" if options.complex else "phase"
    extra = further_files(options)
    check_outputs(options.output, inputs, kind=kind, extra=extra, overwrite=options.overwrite)
