"""One case of the fuzz: a valid input with one file damaged, read, and what came of it."""

from __future__ import annotations

import os
import shutil
import traceback
import warnings
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.faults.mutations import mutate
from mvnet.errors import MvnetError

OUTCOMES = ("ok", "clear", "traceback", "crash", "hang", "memory", "garbage")
"""Read; refused in one line; any other exception; killed by a signal; over the time; over the memory; read, but not
what its kind promises."""
SECONDS = 10
"""A read takes at most so much time of the processor, which does not depend on what else the machine does."""
ODD = os.fsdecode(b"odd \xff'\"\n<b>")
"""Name of the folder of one case in 50: no UTF-8, with marks that mean something elsewhere."""
_SOURCES = ("/mvnet/", "/data_loaders/", "/apps/")


class Hang(BaseException):
    """Raised by the alarm."""


@dataclass(frozen=True)
class Kind:
    """Inputs of one kind.

    inputs: what is damaged, each by its name.
    holds: of what is read, "" or which of the kind's promises it breaks.
    share: of the cases that a run gives to a kind; below 1 where a read is slow.
    """

    inputs: dict[str, Input]
    holds: Callable[[Any], str]
    share: float = 1.0


class Input(NamedTuple):
    """make: writes a valid one into a folder, returns the path to read. read: all of it."""

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


class Outcome(NamedTuple):
    """kind: of OUTCOMES. line: where and what, "" when it is well."""

    kind: str
    line: str = ""


@dataclass
class Bench:
    """The inputs of a kind in a folder, whole between cases."""

    name: str
    kind: Kind
    folder: Path
    _made: dict[str, tuple[Path, dict[Path, bytes]]] = field(default_factory=dict)

    def try_seed(self, seed: int, keep: Path | None = None) -> tuple[str, Outcome]:
        """Damage the input of a seed and read it; `keep` is where the damaged files are copied."""
        random = np.random.default_rng([zlib.crc32(self.name.encode()), seed])
        names = list(self.kind.inputs)
        name = names[seed % len(names)]
        path, files = self.whole(name)
        file = sorted(files)[int(random.integers(len(files)))]
        odd = random.random() < 0.02
        if random.random() < 0.02:
            file.unlink()
        else:
            file.write_bytes(mutate(files[file], random))
        home = self.folder / name
        if odd:
            home = home.rename(home.with_name(ODD))
        try:
            if keep is not None:
                shutil.copytree(home, keep, dirs_exist_ok=True)
            outcome = self.read(name, home / path.relative_to(self.folder / name))
        finally:
            if odd:
                home.rename(self.folder / name)
            self._restore(name, file)
        return f"{name}/{file.name}", outcome

    def whole(self, name: str) -> tuple[Path, dict[Path, bytes]]:
        """The path to read and the bytes of every file of an input, made unless it is in the folder."""
        if name not in self._made:
            home, note = self.folder / name, self.folder / f"{name}.path"
            if not note.exists():
                home.mkdir(parents=True)
                path = self.kind.inputs[name].make(home)
                note.write_text(path.relative_to(home).as_posix(), encoding="utf-8")
            self._made[name] = home / note.read_text(encoding="utf-8"), _contents(home)
        return self._made[name]

    def read(self, name: str, path: Path) -> Outcome:
        """Read an input."""
        try:
            with _quiet():
                result = self.kind.inputs[name].read(path)
                broken = self.kind.holds(result)
            return Outcome("garbage", broken) if broken else Outcome("ok")
        except MvnetError as error:
            text = str(error).replace(ODD, "")
            return Outcome("clear") if "\n" not in text else Outcome("traceback", f"message of several lines: {text!r}")
        except Hang as error:
            return Outcome("hang", _line(error))
        except MemoryError as error:
            return Outcome("memory", _line(error))
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
                return Outcome("clear")
            return Outcome("traceback", _line(error))

    def _restore(self, name: str, file: Path) -> None:
        files = self._made[name][1]
        file.write_bytes(files[file])
        for other in (self.folder / name).rglob("*"):  # a reader may leave something beside
            if other.is_file() and other not in files:
                other.unlink()


def _contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@contextmanager
def _quiet() -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _line(error: BaseException) -> str:
    """The last place in the sources of the package, and the first line of the text."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if any(part in f.filename for part in _SOURCES) and "site-packages" not in f.filename]
    frame = (ours or frames)[-1]
    where = f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"
    text = " ".join(str(error).split())[:160]
    return f"{where} {type(error).__name__}: {text}"
