"""`mvnet train|evaluate|crossval|predict activity`: classes of motions. Nothing heavy is imported early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a trained model on data.")
crossval_app = typer.Typer(no_args_is_help=True, help="Train and test on every split of a data set.")
predict_app = typer.Typer(no_args_is_help=True, help="Apply a trained model to new data.")


@evaluate_app.callback()
@crossval_app.callback()
@predict_app.callback()
def _group() -> None:
    pass


Data = Annotated[Path, typer.Option(help="Motions with labels: file, data set folder, or one folder for each class.")]
Format = Annotated[str | None, typer.Option("--format", help="Format of the data; recognised when not given.")]
Scheme = Annotated[
    str, typer.Option(help="cross-subject, leave-one-subject-out, half, or a .json or .csv FILE of training subjects.")
]
Classes = Annotated[str | None, typer.Option(help="Only these classes: names or numbers from 1, with commas.")]
Network = Annotated[
    str, typer.Option(help="kernels (ridge regression on kernels between curves) or lie (network on rotations).")
]
Mirror = Annotated[
    str | None, typer.Option(help="kernels: whether a mirror image is the same motion: auto (measured), yes or no.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="lie: at most so many, 100 when not given.")]
Optimizer = Annotated[str | None, typer.Option(help="lie: adamw (when not given) or sgd.")]
Device = Annotated[str | None, typer.Option(help="lie: auto (when not given), cpu, cuda, cuda:1, ...")]
Seed = Annotated[int, typer.Option(help="Seed of everything.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
Run = Annotated[Path, typer.Argument(help="Folder written by `mvnet train activity`.", metavar="RUN")]


def train(
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder; created when missing.")],
    format: Format = None,
    split: Annotated[
        str, typer.Option(help="cross-subject[:N], half, a FILE, or none to learn from all sequences.")
    ] = "cross-subject",
    classes: Classes = None,
    network: Network = "kernels",
    mirror: Mirror = None,
    epochs: Epochs = None,
    optimizer: Optimizer = None,
    device: Device = None,
    resume: Annotated[bool, typer.Option("--resume", help="lie: go on with an interrupted training.")] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a classifier of motions; the result is OUTPUT/activity.safetensors with its card, metrics and a page.

    --network lie keeps a checkpoint in OUTPUT until it has finished, from which --resume goes on.
    """
    from mvnet.apps.activity.models import ModelOptions
    from mvnet.apps.activity.runs import train as work

    options = ModelOptions(network, mirror, seed, epochs, optimizer, device, resume)
    _tell(work(data, output, format, split, classes, options, overwrite, quiet), quiet, as_json)


@evaluate_app.command("activity")
def evaluate(
    run: Run,
    data: Annotated[Path | None, typer.Option(help="Other labelled motions; by default the test part.")] = None,
    format: Format = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Accuracy and confusion matrix of a trained classifier on sequences it has not learned from."""
    from mvnet.apps.activity.runs import evaluate as work

    _tell(work(run, data, format, quiet), quiet, as_json)


@crossval_app.command("activity")
def crossval(
    data: Data,
    format: Format = None,
    split: Scheme = "cross-subject",
    classes: Classes = None,
    network: Network = "kernels",
    mirror: Mirror = None,
    epochs: Epochs = None,
    optimizer: Optimizer = None,
    device: Device = None,
    seed: Seed = 0,
    first: Annotated[int | None, typer.Option(min=1, help="Only the first so many splits.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train and test a classifier of motions on every split: mean, standard deviation, each split."""
    from mvnet.apps.activity.models import ModelOptions
    from mvnet.apps.activity.runs import crossval as work

    options = ModelOptions(network, mirror, seed, epochs, optimizer, device)
    result = work(data, format, split, classes, options, first, quiet)
    if as_json:
        print(json.dumps(result))
    elif not quiet:
        for entry in result["splits"]:
            print(f"split {entry['name']:<12} {100 * entry['accuracy']:6.2f} %  of {entry['test']}")
        print(f"mean {100 * result['mean']:.2f} %, sd {100 * result['sd']:.2f}, {len(result['splits'])} splits")


@predict_app.command("activity")
def predict(
    run: Run,
    files: Annotated[list[Path], typer.Argument(help="Recordings.", metavar="FILE...")],
    format: Format = None,
    window: Annotated[
        float | None, typer.Option(help="Length of a sliding window in seconds; each recording as a whole without it.")
    ] = None,
    step: Annotated[float | None, typer.Option(help="Seconds between windows; half a window when not given.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Class, probability and time span of the motions in recordings."""
    from mvnet.apps.activity.runs import predict as work

    found = work(run, files, format, window, step, quiet)
    if as_json:
        print(json.dumps(found))
        return
    for entry in found["predictions"]:
        unit = "s" if entry["seconds"] else "frames"
        span = f"{entry['start']:.6g} to {entry['stop']:.6g} {unit}"
        print(f"{entry['file']}  {entry['sequence']}  {span}  {entry['class']}  {entry['probability']:.3f}")


def _tell(summary: dict[str, Any], quiet: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary))
    elif not quiet:
        accuracy = summary.get("accuracy")
        tested = "no test part" if accuracy is None else f"accuracy {100 * accuracy:.2f} % of {summary['test']}"
        print(f"{tested}, {summary['seconds']:.1f} s")
        for name, path in summary.get("outputs", {}).items():
            print(f"{name:<10} {path}")
