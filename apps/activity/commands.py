"""`mvnet train|evaluate|crossval|predict activity`: their options. Nothing heavy is imported before they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps.common.options import Json, Overwrite, Quiet, Seed
from mvnet.apps.common.summary import Summary, print_summary
from mvnet.apps.common.training_options import check_rate
from mvnet.storage import json_text

Data = Annotated[Path, typer.Option(help="Labelled motions: file, data set folder, or one folder for each class.")]
Format = Annotated[str | None, typer.Option(help="Format of the data; detected by default.")]
Classes = Annotated[str | None, typer.Option(help="Classes to keep: names or numbers from 1, separated by commas.")]
Network = Annotated[
    str, typer.Option(help="kernels (ridge regression on kernels between curves) or lie (network on rotations).")
]
Mirror = Annotated[
    str | None,
    typer.Option(help="kernels: whether a mirror image is the same motion: auto (default, measured), yes, no."),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="lie: maximum number of epochs (default 100).")]
Optimizer = Annotated[str | None, typer.Option(help="lie: optimiser (default adamw); `mvnet optimizers` lists them.")]
OptimizerOptions = Annotated[str | None, typer.Option(help="lie: further options of the optimiser, k=v,...")]
Rate = Annotated[
    float | None,
    typer.Option(callback=check_rate, help="lie: peak learning rate (default: that of the optimiser)."),
]
Device = Annotated[str | None, typer.Option(help="lie: auto (default), cpu, cuda, cuda:1, ...")]
Run = Annotated[Path, typer.Argument(help="Folder written by `mvnet train activity`.", metavar="RUN")]


def train(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder; created when missing.")],
    format: Format = None,
    split: Annotated[
        str, typer.Option(help="cross-subject[:N], half, a FILE, or none to learn from all sequences.")
    ] = "cross-subject",
    classes: Classes = None,
    network: Network = "kernels",
    mirror: Mirror = None,
    epochs: Epochs = None,
    optimizer: Optimizer = None,
    optimizer_options: OptimizerOptions = None,
    rate: Rate = None,
    device: Device = None,
    resume: Annotated[bool, typer.Option("--resume", help="lie: continue an interrupted training.")] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a classifier of motions; the result is OUTPUT/activity.safetensors with its card, metrics and a page.

    --network lie keeps a checkpoint in OUTPUT until it has finished, from which --resume continues.
    """
    from mvnet.apps.activity import runs
    from mvnet.apps.activity.options import ModelOptions

    options = ModelOptions(network, mirror, seed, epochs, optimizer, optimizer_options, rate, device, resume)
    summary = runs.train(data, output, format, split, classes, options, overwrite, quiet)
    print_summary(summary, _headline, quiet=quiet, as_json=as_json)


def evaluate(
    run: Run,
    data: Annotated[
        Path | None, typer.Option(help="Other labelled motions; the test part of the run by default.")
    ] = None,
    format: Format = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Accuracy and confusion matrix of a trained classifier on sequences that it was not trained on."""
    from mvnet.apps.activity import runs

    print_summary(runs.evaluate(run, data, format), _headline, quiet=quiet, as_json=as_json)


def crossval(
    data: Data,
    format: Format = None,
    split: Annotated[
        str,
        typer.Option(help="cross-subject, leave-one-subject-out, half, or a .json or .csv FILE of training subjects."),
    ] = "cross-subject",
    classes: Classes = None,
    network: Network = "kernels",
    mirror: Mirror = None,
    epochs: Epochs = None,
    optimizer: Optimizer = None,
    optimizer_options: OptimizerOptions = None,
    rate: Rate = None,
    device: Device = None,
    seed: Seed = 0,
    first: Annotated[int | None, typer.Option(min=1, help="Evaluate the first N splits only.", metavar="N")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train and test a classifier of motions on every split: mean, standard deviation, each split."""
    from mvnet.apps.activity import runs
    from mvnet.apps.activity.options import ModelOptions

    options = ModelOptions(network, mirror, seed, epochs, optimizer, optimizer_options, rate, device)
    summary = runs.crossval(data, format, split, classes, options, first, quiet)
    print_summary(summary, _format_splits, quiet=quiet, as_json=as_json)


def predict(
    run: Run,
    files: Annotated[list[Path], typer.Argument(help="Recordings.", metavar="FILE...")],
    format: Format = None,
    window: Annotated[
        float | None, typer.Option(help="Length of a sliding window in seconds; whole recordings by default.")
    ] = None,
    step: Annotated[float | None, typer.Option(help="Seconds between windows (default: half a window).")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Class, probability and time span of the motions in recordings."""
    from mvnet.apps.activity import runs

    found = runs.predict(run, files, format, window, step)
    if as_json:
        print(json_text(found))
        return
    for entry in found["predictions"]:
        unit = "s" if entry["seconds"] else "frames"
        span = f"{entry['start']:.6g} to {entry['stop']:.6g} {unit}"
        print(f"{entry['file']}  {entry['sequence']}  {span}  {entry['class']}  {entry['probability']:.3f}")


def _headline(summary: Summary) -> str:
    accuracy = summary.get("accuracy")
    tested = "no test part" if accuracy is None else f"accuracy {100 * accuracy:.2f} % of {summary['test']}"
    return f"{tested}, {summary['seconds']:.1f} s"


def _format_splits(summary: Summary) -> str:
    """One line for each split, then the mean."""
    lines = [
        f"split {entry['name']:<12} {100 * entry['accuracy']:6.2f} %  of {entry['test']}" for entry in summary["splits"]
    ]
    mean, sd = 100 * summary["mean"], 100 * summary["sd"]
    return "\n".join([*lines, f"mean {mean:.2f} %, sd {sd:.2f}, {len(lines)} splits"])
