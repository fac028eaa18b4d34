"""SIGKILL before every file operation of a committer, and what is there after the next start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

from benchmarks.faults.committers import COMMITTERS, Committer
from benchmarks.faults.kill_points import killed_before, without_sync

Files = dict[str, bytes | None]
"""Path below a folder, hidden ones too -> content, None for a folder."""

TARGETS: dict[str, Callable[[Committer, Path], object]] = {
    "fresh": lambda committer, folder: None,
    "existing": lambda committer, folder: (folder / "notes.txt").write_text("of the user"),
    "overwrite": lambda committer, folder: committer.write(folder, 1),
}
"""What is there before a run."""


@dataclass
class Swept:
    """What became of a committer.

    points: kills.
    mixed: where neither all old nor all new files were there after the next start.
    left: where something else was.
    other: where the same run afterwards gave other files than one that nothing stops.
    """

    points: int = 0
    mixed: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    other: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all went well."""
        return not (self.mixed or self.left or self.other)


def sweep(name: str, target: str, root: Path, every: int = 1, again: int = 1) -> Swept:
    """Kill a committer before its operations.

    Args:
        name: of the committer.
        target: what is there before, of `TARGETS`.
        root: an empty folder.
        every: kill before each operation, each second one, ...
        again: run once more after each kill, each second one, ...
    """
    with without_sync():
        return _sweep(COMMITTERS[name], target, root, every, again)


def _sweep(committer: Committer, target: str, root: Path, every: int, again: int) -> Swept:
    found = Swept()
    before = root / "before"
    before.mkdir()
    committer.prepare(before)
    TARGETS[target](committer, before)
    folder = root / "run"
    _reset(folder, before)
    old = contents(folder)
    committer.write(folder, 2)
    new = contents(folder)
    for number in count(1, every):
        _reset(folder, before)
        if not killed_before(number, lambda: committer.write(folder, 2)):
            break
        found.points += 1
        committer.recover(folder)
        after = {path: content for path, content in contents(folder).items() if not _is_kept(path, committer)}
        if after not in (_without_kept(old, committer), _without_kept(new, committer)):
            hidden = {path for path in after if path.startswith(".") or "/." in path} - set(old) - set(new)
            (found.left if hidden else found.mixed).append(number)
        if found.points % again == 0:
            committer.write(folder, 2)
            if contents(folder) != new:
                found.other.append(number)
    return found


def contents(folder: Path) -> Files:
    """Everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _is_kept(path: str, committer: Committer) -> bool:
    return any(fnmatch(part, pattern) for part in path.split("/") for pattern in committer.kept)


def _without_kept(files: Files, committer: Committer) -> Files:
    return {path: content for path, content in files.items() if not _is_kept(path, committer)}


def _reset(folder: Path, before: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(before, folder, symlinks=True)
