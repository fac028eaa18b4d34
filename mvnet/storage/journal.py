"""What a commit does, written down before it does it, so that it can be finished or undone after a kill.

    BASE/.mvnet-TOKEN/journal.json     every move of a new file into place, every removal: to be finished
    BASE/.mvnet-TOKEN/undo.json        the same, to be undone: a move has failed

Paths are relative to BASE. Where a target is a link to another folder, its new file waits in that folder as
`.mvnet-TOKEN-N`; the paths of that entry are absolute. A journal is believed only in the folder that it was written in
(its inode says so), moves only files that this folder holds, and removes only what it has seen.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from mvnet.errors import MvnetError
from mvnet.storage.low import rename, sync_folder, write_new
from mvnet.storage.parsing import parse_json

JOURNAL, UNDO = "journal.json", "undo.json"


@dataclass(frozen=True)
class Entry:
    """One change.

    source: the new file or folder, "" where the target is only removed.
    target: where it goes.
    old: where what was there is kept until the end.
    linked: whether `old` is a second name of it already, else it is moved there.
    inode: of the source, or of what is removed.
    """

    source: str
    target: str
    old: str
    linked: bool
    inode: int


class Journal:
    """The changes of one commit.

    Args:
        place: the hidden folder BASE/.mvnet-TOKEN.
        entries: changes in their order.
        made: folders below BASE that are made for them, relative to it, outer ones first.
        dropped: further folders of BASE, by name, that go at the end -> their inodes.
    """

    def __init__(
        self, place: Path, entries: Iterable[Entry], made: Iterable[str] = (), dropped: dict[str, int] | None = None
    ):
        self.place, self.entries, self.made = place, list(entries), list(made)
        self.dropped = dict(dropped or {})

    @property
    def base(self) -> Path:
        """The folder that paths are relative to."""
        return self.place.parent

    # ---- on the disk ----

    def write(self, name: str = JOURNAL) -> None:
        """Write it whole: from here on the commit counts as done, or is to be undone.

        Args:
            name: `JOURNAL` or `UNDO`; of both the first counts.
        """
        content = {
            "inode": os.lstat(self.place).st_ino,
            "entries": [asdict(entry) for entry in self.entries],
            "made": self.made,
            "dropped": self.dropped,
        }
        write_new(self.place / "journal.new", json.dumps(content, indent=1).encode())
        rename(self.place / "journal.new", self.place / name)
        sync_folder(self.place)

    @classmethod
    def read(cls, place: Path) -> tuple[Journal | None, bool]:
        """The journal of a hidden folder, None where there is none; whether it is to be undone.

        Args:
            place: the folder.
        Returns:
            both.
        Raises:
            MvnetError: it was not written here, or names places that no journal names.
        """
        for name in (JOURNAL, UNDO):
            path = place / name
            if not os.path.lexists(path):
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
                with open(descriptor, encoding="utf-8") as file:
                    content = parse_json(file.read())
                entries = [Entry(**entry) for entry in content["entries"]]
                journal = cls(place, entries, content["made"], content["dropped"])
                if content["inode"] == os.lstat(place).st_ino and journal._is_sound():
                    return journal, name == UNDO
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                pass
            raise MvnetError(f"{path}: found a journal that was not written here, expected none; remove {place}")
        return None, False

    def _is_sound(self) -> bool:
        return (
            all(self._is_allowed(entry) for entry in self.entries)
            and all(_is_below(name) for name in self.made)
            and all(_is_below(name) and len(PurePath(name).parts) == 1 for name in self.dropped)
        )

    def _is_allowed(self, entry: Entry) -> bool:
        """Whether an entry changes only what a commit of this folder may."""
        source, target, old = (PurePath(text) for text in (entry.source, entry.target, entry.old))
        if target.is_absolute():
            beside = f"{self.place.name}-"
            names = (source.name.removeprefix(beside), old.name.removeprefix(beside).removesuffix(".old"))
            return source.parent == target.parent == old.parent and names[0].isdecimal() and names[0] == names[1]
        waits = [old] if entry.source == "" else [source, old]
        return (
            _is_below(entry.target)
            and target.parts[0] != self.place.name
            and all(_is_below(str(path)) and path.parts[0] == self.place.name for path in waits)
            and not any((self.base / parent).is_symlink() for parent in target.parents)
        )

    # ---- what it does ----

    def finish(self) -> None:
        """Do what is not done yet."""
        for name in self.made:
            (self.base / name).mkdir(exist_ok=True)
        for entry in self.entries:
            source, target, old = self._paths(entry)
            if entry.source == "":
                if _inode(target) == entry.inode and entry.linked:
                    target.unlink()
                elif _inode(target) == entry.inode:
                    rename(target, old)
            elif _inode(source) == entry.inode:
                if not entry.linked and os.path.lexists(target) and not os.path.lexists(old):
                    rename(target, old)
                rename(source, target)
        self._sync()
        for name, inode in self.dropped.items():
            if _inode(self.base / name) == inode:
                shutil.rmtree(self.base / name)

    def undo(self) -> None:
        """Bring back what was there before."""
        if (self.place / JOURNAL).exists():
            rename(self.place / JOURNAL, self.place / UNDO)
            sync_folder(self.place)
        for entry in reversed(self.entries):
            source, target, old = self._paths(entry)
            moved = entry.source != "" and _inode(target) == entry.inode
            if moved and not (old.is_file() or old.is_symlink()):  # nothing was there, or a folder
                rename(target, source)
            if os.path.lexists(old):
                rename(old, target)
        for name in reversed(self.made):
            try:
                (self.base / name).rmdir()
            except OSError:  # in use by others, or never made
                continue
        self._sync()

    def clear(self) -> None:
        """Remove what waits in other folders, then the journal."""
        for entry in self.entries:
            if PurePath(entry.target).is_absolute():
                for path in self._paths(entry)[::2]:
                    path.unlink(missing_ok=True)
        for name in (JOURNAL, UNDO):
            (self.place / name).unlink(missing_ok=True)

    def _paths(self, entry: Entry) -> tuple[Path, Path, Path]:
        return self.base / entry.source, self.base / entry.target, self.base / entry.old

    def _sync(self) -> None:
        for folder in dict.fromkeys((self.base / entry.target).parent for entry in self.entries):
            sync_folder(folder)


def _is_below(name: str) -> bool:
    """Whether a path is relative and leads no higher."""
    parts = PurePath(name).parts
    return bool(parts) and not PurePath(name).is_absolute() and ".." not in parts


def _inode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None
