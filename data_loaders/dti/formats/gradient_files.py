"""Gradient tables in text files: which ones belong to an image, and the numbers in them.

An image's own files come first (`dwi.bval` beside `dwi.nii.gz`), then those that its folder has for one scan (`bvals`
and `bvecs`, as FSL and the Human Connectome Project name them), then those that BIDS lets an image inherit: of fewer
entities, in its folder or one above it, up to the data set's root.
Source: BIDS specification 1.10, "The Inheritance Principle"; FSL dtifit guide.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod
from pathlib import Path

import numpy as np

from mvnet.data_loaders.dti.nifti import open_image, without_suffix
from mvnet.data_loaders.errors import DataError, reading

_OF_THE_IMAGE = ((".bval", ".bvec"), (".bvals", ".bvecs"), ("_bval", "_bvec"), ("_bvals", "_bvecs"))
_OF_THE_FOLDER = (("bvals", "bvecs"), ("bval", "bvec"))
_EXTENSIONS = ("", ".txt")
_DATASET = "dataset_description.json"


def find_gradient_files(image: Path) -> tuple[Path, Path] | None:
    """The files of b-values and b-vectors that belong to an image; None unless both are there.

    Files of a folder, and inherited ones, belong to it when they hold as many b-values as it has volumes.
    """
    stem = without_suffix(image)
    for extension, pair in product(_EXTENSIONS, _OF_THE_IMAGE):
        bval, bvec = (image.with_name(stem + end + extension) for end in pair)
        if bval.is_file() and bvec.is_file():
            return bval, bvec
    found = [
        tuple(image.with_name(name + extension) for name in pair)
        for extension, pair in product(_EXTENSIONS, _OF_THE_FOLDER)
    ]
    bval, bvec = (_inherited(image, stem, end) for end in (".bval", ".bvec"))
    if bval is not None and bvec is not None:
        found.append((bval, bvec))
    for bval, bvec in found:
        if bval.is_file() and bvec.is_file() and _belongs(bval, image):
            return bval, bvec
    return None


def _belongs(bval: Path, image: Path) -> bool:
    """Whether a file holds as many numbers as an image has volumes, seven or more."""
    try:
        count = read_numbers(bval, "bval").size
        return count > 6 and count == prod(open_image(image, kinds="iufbc").shape[3:])
    except DataError:
        return False


def _inherited(image: Path, stem: str, extension: str) -> Path | None:
    """The nearest file `[entities_]dwi.EXT` whose entities are all among the image's; of those, the most specific."""
    *entities, suffix = stem.split("_")
    if suffix != "dwi" or not any(entity.startswith("sub-") for entity in entities):
        return None
    for folder in _up_to_the_root(image.absolute().parent):
        found = [
            (len(parts), file)
            for file in folder.glob(f"*dwi{extension}")
            if (parts := file.name.removesuffix(extension).split("_"))[-1] == "dwi" and set(parts[:-1]) <= set(entities)
        ]
        if found:
            return max(found)[1]
    return None


def _up_to_the_root(folder: Path) -> list[Path]:
    """A folder and those above it, up to the one that describes the data set, or that holds the folder of a subject."""
    above = [folder, *folder.parents]
    for number, place in enumerate(above):
        if (place / _DATASET).is_file() or (number > 0 and re.fullmatch(r"sub-[A-Za-z0-9]+", above[number - 1].name)):
            return above[: number + 1]
    return [folder]


def read_numbers(source: str | Path | np.ndarray, name: str) -> np.ndarray:
    """The table of numbers in a text file, whose columns are parted by blanks, tabs or commas; or an array as it is.

    Args:
        source: text file, or array.
        name: what error messages call it.
    Returns:
        float64, 2-D for a file.
    Raises:
        DataError: no such file, an empty one, words, or rows of different lengths.
    """
    if not isinstance(source, str | Path):
        return np.asarray(source, dtype=np.float64)
    path = Path(source)
    if not path.is_file():
        raise DataError(f"{name}: found no such file {path}, expected b-values or b-vectors as text")
    with reading(path, f"a table of numbers ({name})"):
        lines = [line.partition("#")[0] for line in path.read_text(encoding="utf-8-sig").splitlines()]
        rows = [line.replace(",", " ").split() for line in lines if line.strip()]
        if not rows:
            raise DataError(f"{name}: found an empty file {path}, expected numbers")
        widths = {len(row) for row in rows}
        if len(widths) != 1:
            raise DataError(f"{name}: {path}: found rows of {sorted(widths)} numbers, expected equal rows")
        return np.array([[float(word) for word in row] for row in rows])
