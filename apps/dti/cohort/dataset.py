"""The diffusion series of a BIDS data set: subjects, sessions, gradient files, masks.

Source: Brain Imaging Data Structure 1.10, "Magnetic Resonance Imaging data, Diffusion imaging data".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mvnet.apps.common.errors import UserError
from mvnet.apps.dti.bids import DATASET
from mvnet.data_loaders.dti.nifti import without_suffix

_IMAGES = ("*_dwi.nii.gz", "*_dwi.nii")
_NOT_MAGNITUDE = ("phase", "imag", "real")  # of the entity `part`


@dataclass(frozen=True)
class Series:
    """A DWI of a subject.

    image: of the DWI.
    folder: where it stands in the folder of its subject, such as "dwi" or "ses-02/dwi".
    bval, bvec: its gradient files, None where they were not found.
    mask: that of the brain beside it, None where there is none.
    """

    image: Path
    folder: str
    bval: Path | None
    bvec: Path | None
    mask: Path | None


@dataclass(frozen=True)
class Subject:
    """A subject, or one session of it, by its labels, without "sub-" and "ses-"; no series where there is no DWI."""

    subject: str
    series: tuple[Series, ...]
    session: str = ""

    @property
    def label(self) -> str:
        """01, or 01_ses-1 of a session."""
        return f"{self.subject}_ses-{self.session}" if self.session else self.subject

    @property
    def folder(self) -> str:
        """sub-01, or sub-01/ses-1."""
        return f"sub-{self.subject}/ses-{self.session}" if self.session else f"sub-{self.subject}"


def find_subjects(root: Path, labels: Sequence[str] = (), sessions: Sequence[str] = ()) -> list[Subject]:
    """The subjects of a data set in the order of their labels; where sessions are named, those of every subject.

    Args:
        root: folder of the data set.
        labels: with or without "sub-"; all subjects when empty.
        sessions: with or without "ses-"; whole subjects when empty.
    Raises:
        UserError: no data set, or a subject or session that is not in it.
    """
    if not root.is_dir():
        raise UserError(f"--bids: found {'a file at' if root.exists() else 'no'} {root}, expected a BIDS data set")
    if not (root / DATASET).is_file():
        raise UserError(f"--bids: found no {DATASET} in {root}, expected a BIDS data set")
    there = {path.name.removeprefix("sub-"): path for path in sorted(root.glob("sub-*")) if path.is_dir()}
    if not there:
        raise UserError(f"--bids: found no folder sub-* in {root}, expected one for every subject")
    wanted = _words(labels, "sub-")
    missing = [label for label in dict.fromkeys(wanted) if label not in there]
    if missing:
        names = ", ".join(f"sub-{label}" for label in missing)
        raise UserError(f"--participant-label: found no {names} in {root}, expected some of its {len(there)} subjects")
    chosen = [label for label in there if label in wanted or not wanted]
    if not sessions:
        return [Subject(label, tuple(_series_of(there[label]))) for label in chosen]
    return _sessions_of({label: there[label] for label in chosen}, _words(sessions, "ses-"))


def _words(labels: Sequence[str], prefix: str) -> list[str]:
    """Labels without their prefix; one argument may hold several, apart by commas or blanks."""
    return [word.removeprefix(prefix) for label in labels for word in label.replace(",", " ").split()]


def _sessions_of(subjects: dict[str, Path], wanted: Sequence[str]) -> list[Subject]:
    """The sessions named, of the subjects that have them. UserError: one that none has."""
    found = []
    for label, folder in subjects.items():
        series = _series_of(folder)
        for session in dict.fromkeys(wanted):
            ours = [replace(one, folder="dwi") for one in series if one.folder == f"ses-{session}/dwi"]
            if ours:
                found.append(Subject(label, tuple(ours), session))
    missing = [f"ses-{session}" for session in wanted if session not in {subject.session for subject in found}]
    if missing:
        raise UserError(f"--session-label: found no DWI in {', '.join(missing)}, expected some in one subject at least")
    return found


def _series_of(subject: Path) -> list[Series]:
    from mvnet.data_loaders.dti.formats.gradient_files import find_gradient_files

    series = []
    for folder in [subject / "dwi", *sorted(subject.glob("ses-*/dwi"))]:
        for image in sorted(path for pattern in _IMAGES for path in folder.glob(pattern)):
            if entities(image).get("part") in _NOT_MAGNITUDE:
                continue
            beside = find_gradient_files(image)
            bval, bvec = (None, None) if beside is None else beside
            place = folder.relative_to(subject).as_posix()
            series.append(Series(image, place, bval, bvec, mask_beside(image)))
    return series


def entities(path: Path) -> dict[str, str]:
    """The entities of a file name: sub-01_dir-AP_dwi.nii.gz -> {"sub": "01", "dir": "AP"}."""
    return dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)", without_suffix(path)))


def mask_beside(image: Path) -> Path | None:
    """The `*_desc-brain_mask` in the folder of an image that is most nearly its own.

    Its entities but `desc` are among those of the image; that with most of them wins. None where there is none, or
    where two are as near.
    """
    own, found = entities(image), []
    for path in [*image.parent.glob("*_desc-brain_mask.nii.gz"), *image.parent.glob("*_desc-brain_mask.nii")]:
        other = {key: value for key, value in entities(path).items() if key != "desc"}
        if other.items() <= own.items():
            found.append((len(other), path))
    nearest = [path for number, path in found if number == max(n for n, _ in found)]
    return nearest[0] if len(nearest) == 1 else None
