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
    str,
    typer.Option(
        help="kernels (ridge regression on kernels between curves), lie (network on rotations), or auto: either or "
        "both, whatever is best on training subjects left out."
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(help="kernels, auto: whether a mirror image is the same motion: auto (default, measured), yes, no."),
]
Frame = Annotated[
    str | None,
    typer.Option(
        help="lie, auto: facing (default) ignores where bodies face; torso, for an unknown vertical, all turns."
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="lie, auto: maximum number of epochs (default 45).")]
Optimizer = Annotated[
    str | None, typer.Option(help="lie, auto: optimiser (default adamw); `mvnet optimizers` lists them.")
]
OptimizerOptions = Annotated[str | None, typer.Option(help="lie, auto: further options of the optimiser, k=v,...")]
LearningRate = Annotated[
    float | None,
    typer.Option(callback=check_rate, help="lie, auto: peak learning rate (default: that of the optimiser)."),
]
Up = Annotated[str | None, typer.Option(help="Axis that points up in the files: x, y or z.")]
Scale = Annotated[float | None, typer.Option(help="Metres per unit of length of the files.")]
Rate = Annotated[float | None, typer.Option(help="Frames or samples per second.")]
Order = Annotated[str | None, typer.Option(help="Of quaternions: wxyz or xyzw.")]
Unit = Annotated[str | None, typer.Option(help="Of angular rates: rad/s or deg/s.")]
Value = Annotated[
    str | None,
    typer.Option(help="What to take of files that hold several: positions, rotations, local (rotations) or signals."),
]
Gyroscope = Annotated[
    str | None, typer.Option(help="Columns of angular rates, counted from 0, x, y, z of each sensor: 3,4,5.")
]
Device = Annotated[str | None, typer.Option(help="lie, auto: auto (default), cpu, cuda, cuda:1, ...")]
Run = Annotated[Path, typer.Argument(help="Folder written by `mvnet train activity`.", metavar="RUN")]


def train(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder; created when missing.")],
    format: Format = None,
    up: Up = None,
    scale: Scale = None,
    rate: Rate = None,
    order: Order = None,
    unit: Unit = None,
    value: Value = None,
    gyroscope: Gyroscope = None,
    split: Annotated[
        str, typer.Option(help="cross-subject[:N], half, folds:K, a FILE, or none to learn from all sequences.")
    ] = "cross-subject",
    classes: Classes = None,
    network: Network = "kernels",
    mirror: Mirror = None,
    frame: Frame = None,
    epochs: Epochs = None,
    optimizer: Optimizer = None,
    optimizer_options: OptimizerOptions = None,
    learning_rate: LearningRate = None,
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
    from mvnet.apps.activity.reading import Given
    from mvnet.apps.common.console import Console

    options = ModelOptions(
        network, mirror, seed, epochs, optimizer, optimizer_options, learning_rate, device, resume, frame
    )
    given = Given(format, up, scale, rate, order, unit, value, gyroscope)
    summary = runs.train(data, output, given, split, classes, options, overwrite, Console(quiet), as_json)
    print_summary(summary, _headline, quiet=quiet, as_json=as_json)


def evaluate(
    run: Run,
    data: Annotated[
        Path | None, typer.Option(help="Other labelled motions; the test part of the run by default.")
    ] = None,
    format: Format = None,
    up: Up = None,
    scale: Scale = None,
    rate: Rate = None,
    order: Order = None,
    unit: Unit = None,
    value: Value = None,
    gyroscope: Gyroscope = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Accuracy and confusion matrix of a trained classifier on sequences that it was not trained on."""
    from mvnet.apps.activity import runs
    from mvnet.apps.activity.reading import Given
    from mvnet.apps.common.console import Console

    given = Given(format, up, scale, rate, order, unit, value, gyroscope)
    print_summary(runs.evaluate(run, data, given, Console(quiet), as_json), _headline, quiet=quiet, as_json=as_json)


def crossval(
    data: Data,
    format: Format = None,
    up: Up = None,
    scale: Scale = None,
    rate: Rate = None,
    order: Order = None,
    unit: Unit = None,
    value: Value = None,
    gyroscope: Gyroscope = None,
    split: Annotated[
        str,
        typer.Option(
            help="cross-subject, leave-one-subject-out, half, folds:K, or a .json or .csv FILE of training subjects."
        ),
    ] = "cross-subject",
    classes: Classes = None,
    network: Network = "kernels",
    mirror: Mirror = None,
    frame: Frame = None,
    epochs: Epochs = None,
    optimizer: Optimizer = None,
    optimizer_options: OptimizerOptions = None,
    learning_rate: LearningRate = None,
    device: Device = None,
    seed: Seed = 0,
    first: Annotated[int | None, typer.Option(min=1, help="Evaluate the first N splits only.", metavar="N")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train and test a classifier of motions on every split: mean, standard deviation, each split."""
    from mvnet.apps.activity import runs
    from mvnet.apps.activity.options import ModelOptions
    from mvnet.apps.activity.reading import Given
    from mvnet.apps.common.console import Console

    options = ModelOptions(
        network, mirror, seed, epochs, optimizer, optimizer_options, learning_rate, device, frame=frame
    )
    given = Given(format, up, scale, rate, order, unit, value, gyroscope)
    summary = runs.crossval(data, given, split, classes, options, first, Console(quiet), as_json)
    print_summary(summary, _format_splits, quiet=quiet, as_json=as_json)


def predict(
    run: Run,
    files: Annotated[list[Path] | None, typer.Argument(help="Recordings.", metavar="[FILE...]")] = None,
    format: Format = None,
    up: Up = None,
    scale: Scale = None,
    rate: Rate = None,
    order: Order = None,
    unit: Unit = None,
    value: Value = None,
    gyroscope: Gyroscope = None,
    window: Annotated[
        float | None, typer.Option(help="Length of a sliding window in seconds; whole recordings by default.")
    ] = None,
    step: Annotated[float | None, typer.Option(help="Seconds between windows (default: half a window).")] = None,
    follow: Annotated[
        str | None,
        typer.Option(help="-: frames come as lines of CSV or JSON on stdin; an answer line for every window of them."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML page: what was found when, and the skeletons, moving.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Class, probability and time span of the motions in recordings, or in frames as they come.

    With --window a line for every interval that windows of one class make up; --json has the windows as well. Motions
    of none of the classes, and windows that show too little of the body, are called unknown.
    """
    from mvnet.apps.activity.reading import Given
    from mvnet.apps.common.console import Console
    from mvnet.apps.common.errors import UserError
    from mvnet.apps.common.stdout import print_result

    given, console = Given(format, up, scale, rate, order, unit, value, gyroscope), Console(quiet)
    if follow is not None:
        from mvnet.apps.activity.answers.follow import answer_frames

        if files or report:
            raise UserError("--follow: found files or --report beside it, expected frames on stdin alone")
        answer_frames(run, follow, given, window, step, console, as_json)
        return
    if not files:
        raise UserError("files: found none, expected recordings, or --follow - for frames on stdin")
    from mvnet.apps.activity.answers.recordings import format_predictions, predict

    found = predict(run, files, given, window, step, report, overwrite, console, as_json)
    print_result(json_text(found) if as_json else format_predictions(found))


def _headline(summary: Summary) -> str:
    accuracy = summary.get("accuracy")
    tested = "no test part" if accuracy is None else f"accuracy {100 * accuracy:.2f} % of {summary['test']}"
    unknown = summary.get("unknown", {"rejected": 0, "untrained": {}})
    if unknown["rejected"]:
        tested += f", {100 * unknown['rejected']:.1f} % called unknown"
    for name, found in unknown["untrained"].items():
        tested += f", {name} (not trained): {100 * found['unknown']:.1f} % of {found['sequences']} called unknown"
    return f"{tested}, {summary['seconds']:.1f} s"


def _format_splits(summary: Summary) -> str:
    """One line for each split, then the mean."""
    lines = [
        f"split {entry['name']:<12} {100 * entry['accuracy']:6.2f} %  of {entry['test']}" for entry in summary["splits"]
    ]
    mean, sd = 100 * summary["mean"], 100 * summary["sd"]
    return "\n".join([*lines, f"mean {mean:.2f} %, sd {sd:.2f}, {len(lines)} splits"])
