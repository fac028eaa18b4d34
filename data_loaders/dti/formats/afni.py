"""Images of AFNI, .HEAD and .BRIK: read by nibabel, handed on as NIfTI.

3dDWItoDT writes sub-bricks labelled Dxx Dxy Dyy Dxz Dyz Dzz, alone or among eigenvalues and the like.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.dti.formats.contents import Contents, attach
from mvnet.data_loaders.dti.formats.declared import check_image
from mvnet.data_loaders.errors import reading

_TENSOR = ("Dxx", "Dxy", "Dyy", "Dxz", "Dyz", "Dzz")


def open_image(path: Path) -> Any:
    """The image; of a bucket with a tensor among others, the tensor. DataError: damaged."""
    import nibabel

    with reading(path, "an AFNI image"):
        image: Any = nibabel.load(path)
        check_image(image, path)
        contents = Contents()
        values: Any = image.dataobj
        labels = [label.partition("[")[0].strip() for label in _labels(image)]
        if set(_TENSOR) <= set(labels):
            values = np.asarray(image.dataobj, dtype=np.float32)[..., [labels.index(name) for name in _TENSOR]]
            line = f"order dipy ({' '.join(name[1:] for name in _TENSOR)}) as the sub-bricks are labelled"
            contents = Contents(order="dipy", messages=(line,))
        new = nibabel.Nifti1Image(values, image.affine)
        new.set_sform(image.affine, code=1)
        new.header.set_xyzt_units("mm")
        return attach(new, contents)


def _labels(image: Any) -> list[str]:
    """Names of the sub-bricks; [] where the header has none."""
    return str(image.header.info.get("BRICK_LABS", "")).split("~")
