"""Which reader opens which file. A new format is one module with `open_image(path)`, and one line here.

A reader returns a nibabel NIfTI image, its values as the file has them, with the voxel-to-world matrix in RAS+ mm, and
what else the file says as `Contents`. Everything after it knows NIfTI only.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

READERS = {
    ".mif": "mif",
    ".mif.gz": "mif",
    ".mih": "mif",
    ".nrrd": "nrrd_files",
    ".nhdr": "nrrd_files",
    ".head": "afni",
    ".brik": "afni",
    ".brik.gz": "afni",
}
"""End of a file name, in lower case -> module of this folder."""


def suffix_of(path: Path) -> str | None:
    """The end of a name by which its reader is found; None for NIfTI and everything else."""
    name = path.name.lower()
    return max((end for end in READERS if name.endswith(end)), key=len, default=None)


def open_foreign(path: Path) -> Any | None:
    """The image in a file of another format than NIfTI; None when the name is of none.

    Raises:
        DataError: damaged, or with something that its reader does not know.
    """
    suffix = suffix_of(path)
    if suffix is None:
        return None
    return import_module(f"mvnet.data_loaders.dti.formats.{READERS[suffix]}").open_image(path)
