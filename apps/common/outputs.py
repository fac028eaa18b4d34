"""All files of a run appear together, or none does.

Files are written into a hidden folder on the same file system and moved into place when all has succeeded. On
any error, Ctrl-C included, the hidden folder is removed and files that were there before are as they were; after a
kill the next start sees to that (`mvnet.storage`).
"""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from mvnet.apps.common.errors import STOPPING, UserError
from mvnet.data_loaders.errors import InputChangedError
from mvnet.storage import Inputs, Staging, check_names, recover


class Outputs:
    """The files `names` to be made in `folder`; checks at once, before any work, that they may be.

    Args:
        folder: created when missing; its parent must exist.
        names: file names in it.
        overwrite: whether existing files may be replaced.
        inputs: files that must not be replaced, whatever `overwrite` says, nor change until the end.
        shared: further names, of files that every run would write alike: one that is there is kept.
    Raises:
        UserError: when a file is in the way, the parent is missing, or an output would replace an input.

    Use as a context: write to `path(name)` inside; leaving the context moves the files into place.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        overwrite: bool = False,
        inputs: Iterable[Path] = (),
        shared: Sequence[str] = (),
    ):
        self.folder, self.names, self._shared, self._overwrite = folder, list(names), list(shared), overwrite
        if folder.exists() and not folder.is_dir():
            raise UserError(f"output: found a file at {folder}, expected a folder")
        if folder.is_symlink() and not folder.exists():
            raise UserError(f"output: found a link to nothing at {folder}, expected a folder")
        if not folder.exists() and not folder.absolute().parent.is_dir():
            raise UserError(f"output: found no folder {folder.absolute().parent}, expected the parent of the output")
        check_names([folder, *(folder / name for name in self.names)])
        for place in (folder.absolute().parent, folder):
            recover(place)
        targets = [folder / name for name in self.names]
        inputs = list(inputs)
        originals = {path.resolve() for path in inputs}
        for target in targets:
            if target.resolve() in originals:
                raise UserError(f"output: found the input {target} among the files to write, expected another folder")
            if target.is_dir():
                raise UserError(f"output: found a folder at {target}, expected a file or nothing")
        self._keep_existing()
        self._inputs = Inputs(inputs)
        self._staging: Staging | None = None

    def _keep_existing(self) -> None:
        existing = [self.folder / name for name in self.names if (self.folder / name).exists()]
        if existing and not self._overwrite:
            more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
            raise UserError(f"output: found {existing[0]}{more}, expected no such file, or --overwrite to replace")

    def path(self, name: str) -> Path:
        """Where to write the file `name` for now."""
        if name not in self.names and name not in self._shared:
            raise KeyError(name)
        assert self._staging is not None
        return self._staging.path(name)

    def __enter__(self) -> Outputs:
        # the folder itself may be the mount point of another file system
        place = self.folder if self.folder.is_dir() else self.folder.absolute().parent
        try:
            self._staging = Staging(place)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(
                f"output: found {place} not writable ({error.strerror}), expected a folder to write to"
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        assert self._staging is not None
        try:
            if kind is None:
                with _uninterrupted():
                    self._staging.commit(self._moves, through=False)
        finally:
            self._staging.close()

    def _moves(self) -> dict[str, Path]:
        """What goes where, as soon as no other run can commit."""
        changed = self._inputs.changed()
        if changed is not None:
            raise InputChangedError(f"{changed}: found that it was changed during the run, expected one that stays")
        if not self.folder.exists():
            return {"": self.folder}
        self._keep_existing()  # another run may have finished since the start
        names = [*self.names, *(name for name in self._shared if not (self.folder / name).exists())]
        return {name: self.folder / name for name in names}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and termination wait until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *STOPPING)}
    for number in handlers:
        signal.signal(number, lambda arrived, frame: waiting.append(arrived))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
