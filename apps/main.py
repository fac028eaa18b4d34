"""The `mvnet` command. A new command is one function and one line here; none imports anything heavy before it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps.activity import commands as activity
from mvnet.apps.common.commands import Command, SharedCommand
from mvnet.apps.common.errors import STATUSES, run_cli
from mvnet.apps.common.options import Json, Overwrite, Quiet, Seed
from mvnet.apps.common.summary import print_summary
from mvnet.apps.common.training_options import list_optimizers
from mvnet.apps.dti import commands as dti
from mvnet.apps.dti import train as dti_train
from mvnet.apps.insar import commands as insar
from mvnet.apps.insar import train as insar_train
from mvnet.apps.motion import commands as motion
from mvnet.apps.motion import train as motion_train

app = typer.Typer(
    name="mvnet",
    help="Deep learning on data with values on a manifold.",
    epilog=STATUSES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


_OVER_PROCESSES = (dti_train.train, insar_train.train, motion_train.train)


def _add_group(name: str, help: str, epilog: str | None = None, **commands: Callable[..., None]) -> None:
    """`mvnet NAME KIND`, one command for every kind of data."""
    group = typer.Typer(no_args_is_help=True, help=help, epilog=epilog)
    for kind, command in commands.items():
        group.command(kind, cls=SharedCommand if command in _OVER_PROCESSES else Command)(command)
    app.add_typer(group, name=name)


_add_group(
    "denoise",
    "Remove noise from data with values on a manifold.",
    dti=dti.denoise,
    insar=insar.denoise,
    motion=motion.denoise,
)
_add_group(
    "train",
    "Train a network.",
    list_optimizers(),
    dti=dti_train.train,
    insar=insar_train.train,
    activity=activity.train,
    motion=motion_train.train,
)
_add_group("evaluate", "Measure a trained model on data.", activity=activity.evaluate)
_add_group("crossval", "Train and test on every split of a data set.", activity=activity.crossval)
_add_group("predict", "Apply a trained model to new data.", activity=activity.predict)


@app.command(cls=Command)
def verify(
    name: Annotated[
        str, typer.Argument(help="Shipped network (dti, insar, motion) or checkpoint.", metavar="NAME|CHECKPOINT")
    ],
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure what a network guarantees; exit status 1 when a guarantee fails."""
    from mvnet.apps.verify import verify

    if not verify(name, seed=seed, as_json=as_json):
        raise typer.Exit(1)


@app.command(cls=Command)
def export(
    name: Annotated[
        str,
        typer.Argument(
            help="Shipped network (dti, insar, motion), checkpoint, or folder written by `mvnet train activity`.",
            metavar="NAME|CHECKPOINT|RUN",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="MODEL.pt2 (torch.export) or MODEL.onnx.")],
    size: Annotated[
        int | None, typer.Option(min=8, help="Voxels, pixels or frames along an axis of the input (32, 256, 256).")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a network or a classifier of motions as a program that needs no mvnet, with the same outputs to 1e-5."""
    from mvnet.apps.export import export

    summary = export(name, output, size, overwrite=overwrite, quiet=quiet)
    print_summary(summary, lambda found: f"largest difference {found['difference']:.2g}", quiet=quiet, as_json=as_json)


bench = typer.Typer(no_args_is_help=True, help="Measure how fast this machine runs what is slow.")
app.add_typer(bench, name="bench")


@bench.command(cls=Command)
def scaling(
    counts: Annotated[str, typer.Option(help="Numbers of processes and of dask workers, such as 1,2,4.")] = "1,2",
    steps: Annotated[int, typer.Option(min=1, help="Timed training steps of each.")] = 10,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Weak and strong scaling of training over processes, and of tiles over dask workers."""
    from mvnet.apps.bench.scaling import scaling

    scaling(counts, steps, quiet=quiet, as_json=as_json)


@app.command(cls=Command)
def optimizers(as_json: Json = False) -> None:
    """List the optimisers, with the learning rate that each has in every training and its further options."""
    from mvnet.apps.optimizers import show

    show(as_json=as_json)


@app.command(cls=Command)
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the figures.")] = Path(
        "demo-out"
    ),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Denoise two brains, beside other methods, an interferogram and a motion (about a minute, no download)."""
    from mvnet.apps.demo.show import show

    show(output, overwrite=overwrite, quiet=quiet, as_json=as_json)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mvnet import __version__

        print(f"mvnet {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_cli(lambda: app(args=arguments, prog_name="mvnet", standalone_mode=False))


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
