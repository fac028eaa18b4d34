"""What an image file says besides its voxels: gradients, the order of tensor components, remarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_KEY = "mvnet"


@dataclass(frozen=True)
class Contents:
    """Travels with a nibabel image.

    bvals, bvecs: (M,) in s/mm^2 and (M, 3) of a DWI, None where the file has no gradients.
    gradients: where they stood, in words.
    frame: axes of the b-vectors or of tensor components; None where the file does not say.
    as_voxel: (3, 3) to voxel axes of directions that are in `frame` only because the file says so, see
        `mvnet.data_loaders.dti.frames.candidate_axes`.
    order: of tensor components, a key of `mvnet.data_loaders.dti.layouts.LAYOUTS`.
    signed: the noise has zero mean (real part after the phase was removed): there is no magnitude bias.
    messages: what was chosen, guessed or left out while reading.
    """

    bvals: np.ndarray | None = None
    bvecs: np.ndarray | None = None
    gradients: str = ""
    frame: str | None = None
    as_voxel: np.ndarray | None = None
    order: str | None = None
    signed: bool = False
    messages: tuple[str, ...] = ()

    @property
    def is_dwi(self) -> bool:
        """Whether the file has gradients of its own."""
        return self.bvals is not None


def contents_of(image: Any) -> Contents:
    """What came with an image, nothing for a plain one."""
    return image.extra.get(_KEY, Contents())


def attach(image: Any, contents: Contents) -> Any:
    """The image, with what its file said."""
    image.extra[_KEY] = contents
    return image
