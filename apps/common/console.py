"""What a running command says, all on stderr: lines of text, and a progress bar with the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Progress = Callable[[int, int], None]


class Console:
    """Lines and progress bars on stderr; nothing at all when `quiet`."""

    def __init__(self, quiet: bool = False):
        from rich.console import Console as RichConsole

        self.quiet = quiet
        self._rich = RichConsole(stderr=True, quiet=quiet, highlight=False)

    def say(self, text: str) -> None:
        """One line, never wrapped."""
        self._rich.print(text, markup=False, soft_wrap=True)

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Rows of a name and what it is."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, text in rows:
            table.add_row(Text(name), Text(text))
        self._rich.print(table)

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """A bar; yields a function to be called as progress(done, total)."""
        from rich.progress import (
            BarColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self._rich, disable=self.quiet) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
