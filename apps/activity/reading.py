"""Motions for the activity commands: read with the options of the command line, or those of the run's training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mvnet.apps.activity.card import Trained
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet, ReadOptions, load_motion, subset
from mvnet.data_loaders.motion.formats.folders import motion_files
from mvnet.data_loaders.motion.formats.registry import FORMATS, find_format
from mvnet.data_loaders.motion.skeleton.vertical import Vertical
from mvnet.data_loaders.motion.stand_in import without_empty
from mvnet.data_loaders.motion.turning import turn


@dataclass(frozen=True)
class Given:
    """Options of the command line that say how motions are read; None where not given. See `ReadOptions`.

    format: in `FORMATS`. gyroscope: "3,4,5".
    """

    format: str | None = None
    up: str | None = None
    scale: float | None = None
    rate: float | None = None
    order: str | None = None
    unit: str | None = None
    value: str | None = None
    gyroscope: str | None = None

    def options(self) -> ReadOptions:
        """For the readers. MvnetError: a word or number that is none of the choices."""
        found: dict[str, Any] = {k: v for k, v in asdict(self).items() if k not in ("format", "gyroscope")}
        if self.gyroscope is not None:
            columns = [word.strip() for word in self.gyroscope.split(",")]
            if not all(word.isdecimal() for word in columns):
                expected = "numbers of columns from 0, separated by commas, as 3,4,5"
                raise UserError(f"--gyroscope: found {self.gyroscope!r}, expected {expected}")
            found["gyroscope"] = tuple(int(word) for word in columns)
        return ReadOptions.of(found)


def read(path: Path, given: Given, trained: Trained | None = None) -> tuple[MotionSet, str | None]:
    """Motions of a file or folder, without empty recordings; and the name of their format.

    Args:
        given: of the command line.
        trained: options of the training stand in for those not given, where the format is the same.
    """
    options = given.options()
    format = given.format or _told(path, trained)
    read_as = format or _format_of(path)
    notes: tuple[str, ...] = ()
    same = trained is not None and (trained.read_as is None or read_as is None or trained.read_as == read_as)
    if trained is not None and trained.options != ReadOptions():
        old = {name: value for name, value in asdict(trained.options).items() if value is not None}
        if same:
            options = replace(options, **{k: v for k, v in old.items() if getattr(options, k) is None})
        else:
            words = " ".join(f"--{name} {value}" for name, value in old.items())
            notes = (f"{words} of the training not used: {read_as} is another format than {trained.read_as}",)
    motions = without_empty(load_motion(path, format, **asdict(options)))
    if trained is not None and same:
        motions = _upright(motions, trained.up)
    return replace(motions, notes=motions.notes + notes), read_as


def read_labelled(
    path: Path, given: Given, classes: str | None, trained: Trained | None = None
) -> tuple[MotionSet, str | None]:
    """Labelled motions, of some classes only where `classes` names them; and the name of their format."""
    motions, read_as = read(path, given, trained)
    motions.require_labels()
    if classes:
        wanted = [int(c) if c.strip().isdecimal() else c.strip() for c in classes.split(",")]
        motions = subset(motions, wanted)
    return motions, read_as


def _upright(motions: MotionSet, up: str | None) -> MotionSet:
    """With the vertical axis that the files of the training had, where it is a guess of how the bodies extend alone."""
    guess = motions.vertical
    if up is None or guess is None or guess.extents is None or guess.rest or guess.axis == up:
        return motions
    known = Vertical(up, f"as in the training, although the body extends farthest along {guess.axis}")
    notes = tuple(known.note if note == guess.note else note for note in motions.notes)
    return replace(turn(motions, guess.axis, up), vertical=known, notes=notes)


def _told(path: Path, trained: Trained | None) -> str | None:
    """The format that was given to the training, for files that may be of it; None for others."""
    if trained is None or not trained.told:
        return None
    endings = next((entry.endings for entry in FORMATS if entry.name == trained.read_as), ())
    fits = path.suffix.lower() in endings or path.is_dir()
    return trained.read_as if fits or find_format(path) is None else None


def _format_of(path: Path) -> str | None:
    """Name of the format of a file or data set, of the first recording of a folder of them; None where unknown."""
    found = find_format(path)
    if found is None and path.is_dir():
        files = motion_files(path, [ending for entry in FORMATS for ending in entry.endings])
        found = find_format(files[0]) if files else None
    return None if found is None else found.name
