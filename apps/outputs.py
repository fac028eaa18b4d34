"""All files of a run appear together, or none does.

Files are written into a hidden folder on the same file system and moved into place when all has succeeded. On
any error, Ctrl-C included, the hidden folder is removed and files that were there before are as they were.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from mvnet.apps.errors import UserError


class Outputs:
    """The files `names` to be made in `folder`; checks at once, before any work, that they may be.

    Args:
        folder: created when missing; its parent must exist.
        names: file names in it.
        overwrite: whether existing files may be replaced.
        inputs: files that must not be replaced, whatever `overwrite` says.
    Raises:
        UserError: when a file is in the way, the parent is missing, or an output would replace an input.

    Use as a context: write to `path(name)` inside; leaving the context moves the files into place.
    """

    def __init__(self, folder: Path, names: Sequence[str], *, overwrite: bool = False, inputs: Iterable[Path] = ()):
        self.folder, self.names = folder, list(names)
        if folder.exists() and not folder.is_dir():
            raise UserError(f"output: {folder} is a file, expected a folder")
        if not folder.exists() and not folder.absolute().parent.is_dir():
            raise UserError(f"output: the parent folder {folder.absolute().parent} does not exist")
        targets = [folder / name for name in self.names]
        originals = {path.resolve() for path in inputs}
        for target in targets:
            if target.resolve() in originals:
                raise UserError(f"output: {target} is an input and would be replaced; choose another folder")
            if target.is_dir():
                raise UserError(f"output: {target} is a folder, expected a file or nothing")
        existing = [target for target in targets if target.exists()]
        if existing and not overwrite:
            more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
            raise UserError(f"output: {existing[0]} exists{more}; give --overwrite to replace")
        token = secrets.token_hex(4)
        inside = folder.is_dir()  # the folder itself may be the mount point of another file system
        parent = folder if inside else folder.absolute().parent
        self._staging = parent / (f".mvnet-{token}.partial" if inside else f".{folder.name}-{token}.partial")

    def path(self, name: str) -> Path:
        """Where to write the file `name` for now."""
        if name not in self.names:
            raise KeyError(name)
        return self._staging / name

    def __enter__(self) -> Outputs:
        self._staging.mkdir()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        try:
            if kind is None:
                with _uninterrupted():
                    self._commit()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _commit(self) -> None:
        if not self.folder.exists():
            self._staging.rename(self.folder)
            return
        old = self._staging / ".old"
        old.mkdir()
        moved: list[str] = []
        try:
            for name in self.names:
                moved.append(name)
                if (self.folder / name).exists():
                    os.replace(self.folder / name, old / name)
                os.replace(self._staging / name, self.folder / name)
        except BaseException:
            for name in moved:
                if not (self._staging / name).exists():
                    os.replace(self.folder / name, self._staging / name)
                if (old / name).exists():
                    os.replace(old / name, self.folder / name)
            raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and termination wait until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, lambda arrived, frame: waiting.append(arrived))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
