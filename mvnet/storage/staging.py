"""A hidden folder beside results, in which they are made, and from which they appear together or not at all.

    with Staging(folder) as staging:
        staging.path("a.txt").write_text(...)
        staging.commit({"a.txt": folder / "a.txt"})

    FOLDER/.mvnet-TOKEN/lock       held by the run that works in it: without the lock the run is dead
    FOLDER/.mvnet-TOKEN/new/       new files
    FOLDER/.mvnet-TOKEN/old/       files that are being replaced
    FOLDER/.mvnet-TOKEN/journal.json, undo.json

SIGKILL at any moment leaves all old or all new files after the next start: whatever begins in FOLDER, finishes or
undoes what it finds there of dead runs, and removes their folders. A folder is taken for that of a dead run when its
name is as above, it is no link, belongs to the user and holds the lock, which nobody has; or when it is empty.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mvnet.errors import MvnetError
from mvnet.storage.journal import JOURNAL, UNDO, Entry, Journal
from mvnet.storage.lock import lock_file, locked
from mvnet.storage.low import is_own_folder, rename, sync_file, sync_folder, sync_tree, write_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mvnet.storage.lock import FileLock

_NAME = re.compile(r"\.mvnet-[0-9a-f]{16}")
_LOCK = "lock"


class Staging:
    """A hidden folder for files that are to appear in another.

    Args:
        folder: exists, on the file system of the results; a link is followed.
    Raises:
        OSError: no room, no permission.
        MvnetError: what a run that was killed has left there cannot be finished.
    """

    def __init__(self, folder: Path):
        self.base = Path(os.path.realpath(folder))
        with locked(self.base) as held:
            _recover(self.base, held)
            self.place = self.base / f".mvnet-{secrets.token_hex(8)}"
            self.place.mkdir()
            self._lock: FileLock | None = None
            try:
                self.place.chmod(0o700)
                write_new(self.place / _LOCK, b"")
                self._lock = lock_file(self.place / _LOCK, create=False)
                self.new.mkdir()
            except BaseException:
                self.close()
                raise

    @property
    def new(self) -> Path:
        """Folder of the new files; it has the permissions of a new folder."""
        return self.place / "new"

    def path(self, name: str) -> Path:
        """Where to write a new file, or folder, for now.

        Args:
            name: relative to `new`.
        Returns:
            the path.
        """
        return self.new / name

    def commit(
        self,
        moves: Mapping[str, Path] | Callable[[], Mapping[str, Path]],
        *,
        remove: Iterable[Path] = (),
        drop: Iterable[Path] = (),
        through: bool = True,
    ) -> None:
        """Put new files where they belong and remove others: all of it, or nothing where an error is raised.

        Args:
            moves: name in `new` -> path below the folder of the staging, whose missing folders are made; or what says
                so, called when no other process can commit any more: an error that it raises ends the commit.
            remove: files that go.
            drop: folders beside the hidden one that go in the end, with all that they hold.
            through: whether a link is written through, to another folder or disk as well, or else replaced.
        """
        sync_tree(self.new)
        with locked(self.base) as held:
            _recover(self.base, held)
            given = moves() if callable(moves) else moves
            targets = {name: _real(path, through=through) for name, path in given.items()}
            removed = [_real(path, through=False) for path in remove if os.path.lexists(path)]
            dropped = {path.name: os.lstat(path).st_ino for path in drop if path.is_dir() and not path.is_symlink()}
            if len(targets) == 1 and not removed and not dropped and self._is_simple(*targets.values()):
                ((name, target),) = targets.items()
                rename(self.path(name), target)
                sync_folder(target.parent)
                return
            self._commit(targets, removed, dropped)

    def _is_simple(self, target: Path) -> bool:
        """Whether one rename does it."""
        inside = target.parent.is_dir() and os.stat(target.parent).st_dev == os.stat(self.place).st_dev
        return inside and not (target.is_dir() and not target.is_symlink())

    def _commit(self, targets: Mapping[str, Path], removed: Iterable[Path], dropped: dict[str, int]) -> None:
        (self.place / "old").mkdir(exist_ok=True)
        planned = [self._entry(number, *item) for number, item in enumerate(targets.items())]
        planned += [self._entry(number, None, path) for number, path in enumerate(removed, len(planned))]
        journal = Journal(self.place, [entry for entry in planned if Path(entry.target).is_absolute()])
        try:
            if journal.entries:
                journal.write(UNDO)  # what waits in other folders can be found after a kill
            placed = [self._place_new(entry, name) for entry, name in zip(planned, [*targets, *removed])]
            entries = [self._keep_old(entry) for entry in placed]
            journal = Journal(self.place, entries, self._missing_folders(targets.values()), dropped)
            journal.write()
            journal.finish()
        except BaseException:
            journal.undo()
            journal.clear()
            raise
        journal.clear()

    def _entry(self, number: int, name: str | None, target: Path) -> Entry:
        """What is to become of a file: paths below the folder, or beside the target where that is in another."""
        parent, own = target.parent, self.place.name
        if parent.is_relative_to(self.base):
            source, old = "" if name is None else f"{own}/new/{name}", f"{own}/old/{number}"
            return Entry(source, (parent / target.name).relative_to(self.base).as_posix(), old, False, 0)
        beside = str(parent / f"{own}-{number}")
        return Entry(beside, str(parent / target.name), f"{beside}.old", False, 0)

    def _place_new(self, entry: Entry, name: str | Path) -> Entry:
        """With the inode; a new file is brought to the disk of its target."""
        source, target = self.base / entry.source, self.base / entry.target
        if entry.source == "":
            return Entry("", entry.target, entry.old, False, os.lstat(target).st_ino)
        if Path(entry.target).is_absolute():
            _carry(self.path(str(name)), source)
        return Entry(entry.source, entry.target, entry.old, False, os.lstat(source).st_ino)

    def _keep_old(self, entry: Entry) -> Entry:
        """With a second name of the file that will be replaced, where the file system has such."""
        target, old = self.base / entry.target, self.base / entry.old
        if not os.path.lexists(target) or (target.is_dir() and not target.is_symlink()):
            return entry
        try:
            os.link(target, old, follow_symlinks=False)
        except (OSError, NotImplementedError):
            return entry
        return Entry(entry.source, entry.target, entry.old, True, entry.inode)

    def _missing_folders(self, targets: Iterable[Path]) -> list[str]:
        """Folders below the base that targets need, outer ones first."""
        missing = {
            parent.relative_to(self.base).as_posix()
            for target in targets
            for parent in target.parents
            if parent.is_relative_to(self.base) and not parent.is_dir()
        }
        return sorted(missing, key=len)

    def close(self) -> None:
        """Remove the hidden folder; may be called twice."""
        unfinished = any((self.place / name).exists() for name in (JOURNAL, UNDO))
        if not unfinished:  # else the next start undoes what could not be undone
            _remove(self.place)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self.close()


def recover(folder: Path) -> None:
    """Finish or undo what runs that were killed have left in a folder, and remove what they worked in.

    Args:
        folder: of results; nothing is done where it does not exist.
    Raises:
        MvnetError: a commit can neither be finished nor undone.
    """
    base = Path(os.path.realpath(folder))
    if _candidates(base):
        with locked(base) as held:
            _recover(base, held)


def _candidates(base: Path) -> list[Path]:
    try:
        return sorted(base / name for name in os.listdir(base) if _NAME.fullmatch(name))
    except OSError:  # no such folder, or one that may not be listed
        return []


def _recover(base: Path, held: bool) -> None:
    """Of every dead run; without the lock of the folder, a run that begins would look like one."""
    for place in _candidates(base) if held else ():
        if is_own_folder(place):
            _recover_one(place)


def _recover_one(place: Path) -> None:
    try:
        lock = lock_file(place / _LOCK, create=False)
    except FileNotFoundError:
        with suppress(OSError):  # not empty: of somebody else
            place.rmdir()
        return
    except OSError:
        return
    if lock is None:
        return
    if not lock.sure:
        return lock.release()
    try:
        journal, undone = Journal.read(place)
        if journal is not None:
            with _explained(place):
                journal.undo() if undone else journal.finish()
                journal.clear()
        _remove(place)
    finally:
        lock.release()


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MvnetError(
            f"output: found an unfinished commit in {place} ({error}), expected one that can be finished; "
            "mend that, or remove the folder"
        ) from error


def _real(path: Path, *, through: bool) -> Path:
    """A path without links in its folders, and where it is followed none in its end."""
    return Path(os.path.realpath(path)) if through else Path(os.path.realpath(path.parent)) / path.name


def _remove(place: Path) -> None:
    """Remove a hidden folder, the lock last: what is left of it after a kill is still known as dead."""
    with suppress(FileNotFoundError):
        for entry in sorted(place.iterdir(), key=lambda path: path.name == _LOCK):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        with suppress(OSError):
            place.rmdir()


def _carry(source: Path, target: Path) -> None:
    """Move a file into another folder, or to another disk."""
    try:
        rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with open(source, "rb") as read, open(os.open(target, flags, 0o666), "wb") as written:
            shutil.copyfileobj(read, written, 1 << 20)
        sync_file(target)
