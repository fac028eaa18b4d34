"""The progress bar of a training, on stderr, with the time left and the figures of the last steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def training_bar(label: str, total: int, done: int, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar on stderr.

    Args:
        label: description of the training.
        total: number of steps.
        done: number of steps done at the start.
        quiet: no bar.
    Yields:
        a function to be called as progress(done, figures).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(label, total=total, completed=done)
        yield lambda done, figures: bar.update(task, completed=done, description=f"{label}  {figures}")
