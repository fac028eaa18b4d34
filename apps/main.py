"""The `mvnet` command. A new command group is one file and one `add_typer` or `@app.command` here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps import denoise
from mvnet.apps.activity import commands as activity
from mvnet.apps.common.errors import guarded

app = typer.Typer(
    name="mvnet",
    help="Deep learning on data with values on a manifold.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(denoise.app, name="denoise")
app.add_typer(activity.evaluate_app, name="evaluate")
app.add_typer(activity.crossval_app, name="crossval")
app.add_typer(activity.predict_app, name="predict")


def _version(wanted: bool) -> None:
    if wanted:
        from mvnet import __version__

        print(f"mvnet {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the figures.")] = Path(
        "demo-out"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing folder's results.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Denoise a real DWI and a simulated brain, beside what people use (about a minute, no download)."""
    from mvnet.apps.demo.show import show

    show(output, overwrite=overwrite, quiet=quiet, as_json=as_json)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def train(context: typer.Context) -> None:
    """Train a network: `mvnet train dti --help`."""
    from mvnet.apps.train import app as training  # heavy: only when asked for

    status = training(args=context.args, prog_name="mvnet train", standalone_mode=False)
    if status:
        raise typer.Exit(status)


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="A shipped network (dti), or a checkpoint.", metavar="NAME|CHECKPOINT")],
    seed: Annotated[int, typer.Option(help="Of the random data.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Measure what a network guarantees; exit status 1 when something fails."""
    from mvnet.apps.verify import verify as measure

    if not measure(name, seed=seed, as_json=as_json):
        raise typer.Exit(1)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return guarded(lambda: app(args=arguments, prog_name="mvnet", standalone_mode=False))


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
