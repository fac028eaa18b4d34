"""Arguments and options of `mvnet denoise dti`, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps.common.training_options import check_memory, check_rate

_DATA_SET, _LEVEL = "dataset_description.json", "participant"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="DWI (with --bval, --bvec, or such files beside it), tensor image, or BIDS data set. With --bids: labels.",
        show_default=False,
    ),
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; created when missing.")]
Mask = Annotated[Path | None, typer.Option(help="Mask image, > 0 inside; computed from the data by default.")]
Order = Annotated[
    str | None,
    typer.Option(help="Component order of a tensor image: fsl, mrtrix, dipy, symmatrix, dti-tk (detected)."),
]
Unit = Annotated[str | None, typer.Option(help="Unit of a tensor image: mm2/s, um2/ms, um2/s, m2/s (detected).")]
BvecFrame = Annotated[
    str | None,
    typer.Option(
        "--bvec-frame",
        "--frame",
        help="Axes of the b-vectors, or of the components of a tensor image: fsl, voxel, world.",
    ),
]
Shells = Annotated[
    str | None, typer.Option(help="b-values of the shells to fit, such as 1000 or 1000,2000 (b <= 1500).")
]
Bmax = Annotated[float | None, typer.Option(help="Largest b-value to fit, s/mm^2.")]
AllShells = Annotated[bool, typer.Option("--all-shells", help="Fit every volume, whatever its b-value.")]
B0Threshold = Annotated[float, typer.Option(help="b-value in s/mm^2 below which a volume counts as not weighted.")]
SkipVolumes = Annotated[str | None, typer.Option(help="Volumes to leave out, such as 0,5,60:64; the first is 0.")]
Noise = Annotated[
    str | None,
    typer.Option(help="Noise of the signal, a number or a map as of dwidenoise or DIPY (estimated)."),
]
Robust = Annotated[bool, typer.Option(help="Find outlier volumes and slices and give them less weight.")]
Rician = Annotated[bool, typer.Option(help="Take the bias of magnitude images into account.")]
FixBvecs = Annotated[
    bool, typer.Option("--fix-bvecs", help="Use the b-vector axes in which fibres are clearly most coherent.")
]
Model = Annotated[
    str | None,
    typer.Option(help="dti, or certified: it cannot amplify a difference of two inputs; or a checkpoint."),
]
Checkpoint = Annotated[Path | None, typer.Option(help="Checkpoint to use instead of the shipped weights.")]
TrustRegion = Annotated[
    float, typer.Option(help="Quantile of a voxel's own noise beyond which it is not moved (1: no bound).")
]
Strength = Annotated[
    float, typer.Option(help="From the input tensors (0) to the denoised ones (1), along the geodesic.")
]
Adapt = Annotated[
    bool, typer.Option("--adapt", help="Fine-tune on this DWI first (12 or more directions; takes minutes).")
]
Optimizer = Annotated[
    str | None, typer.Option(help="With --adapt: optimiser (default adamw); `mvnet optimizers` lists them.")
]
OptimizerOptions = Annotated[str | None, typer.Option(help="With --adapt: further options of the optimiser, k=v,...")]
Rate = Annotated[
    float | None,
    typer.Option(callback=check_rate, help="With --adapt: learning rate (default: that of the optimiser)."),
]
Memory = Annotated[
    str | None,
    typer.Option(callback=check_memory, help="With --adapt: plain (the default), or low: less memory for more time."),
]
Maps = Annotated[
    str | None,
    typer.Option(
        help="Maps to write: all, or names such as FA,MD,V1 (tensor, FA, MD, DEC, confidence, AD, RD, V1, noise maps)."
    ),
]
DwiOutput = Annotated[
    bool, typer.Option("--dwi-output", help="Write the denoised DWI, with its residual kept, for other pipelines.")
]
Uncertainty = Annotated[
    bool,
    typer.Option("--uncertainty", help="Write deviations and 90 % intervals of FA and MD, and 90 % cones of V1."),
]
Samples = Annotated[
    int | None,
    typer.Option(help="Number of posterior tensor fields to write, 1 to 1000, correlated in space as the error is."),
]
Seed = Annotated[int | None, typer.Option(help="With --uncertainty or --samples: random seed (0).")]
Bids = Annotated[
    Path | None, typer.Option(help="BIDS data set to denoise instead of one image; OUTPUT becomes a derivative of it.")
]
ParticipantLabel = Annotated[
    list[str] | None, typer.Option(help="With --bids: labels of subjects, 01 02 ... (all subjects).")
]
SessionLabel = Annotated[
    list[str] | None,
    typer.Option(help="With --bids: labels of sessions; each is then done on its own (whole subjects)."),
]
SkipValidation = Annotated[
    bool, typer.Option("--skip-bids-validation", help="With --bids: do not call the BIDS validator on the data set.")
]
Jobs = Annotated[int, typer.Option(min=1, help="With --bids: number of subjects done at a time on this machine.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="With --bids: address of a dask.distributed cluster that does them, tcp://HOST:PORT. Whoever owns the "
        "address runs code here: name only a scheduler that you trust."
    ),
]


def data_set(bids: Path | None, inputs: list[str] | None) -> tuple[Path | None, list[str] | None]:
    """The data set and the labels of a call as BIDS Apps have it, DATASET participant LABEL ...; others as they are.

    Source: BIDS Apps (Gorgolewski et al., PLOS Computational Biology 13, 2017), whose order is input, output, level.
    """
    if bids is not None or not inputs or not (Path(inputs[0]) / _DATA_SET).is_file():
        return bids, inputs
    _, *rest = inputs
    if rest and rest[0] == _LEVEL:
        rest = rest[1:]
    return Path(inputs[0]), rest
