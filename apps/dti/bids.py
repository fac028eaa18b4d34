"""File names, sidecars and the description of a BIDS-derivative folder.

Source: BIDS extension proposal 16, diffusion derivatives (draft), section "File names":
`<source>_model-DTI_param-<p>_dwimap.nii.gz`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from mvnet.data_loaders.dti.nifti import without_suffix

MAPS = {
    "tensor": "Denoised diffusion tensors",
    "FA": "Fractional anisotropy of the denoised tensors",
    "MD": "Mean diffusivity of the denoised tensors",
    "DEC": "Colour FA: FA times |first eigenvector|; red left-right, green back-front, blue down-up",
    "confidence": "exp(-e), e the expected affine-invariant error of the denoised tensor; 0 outside the mask",
}
"""`param` entity -> description."""

DATASET = "dataset_description.json"
"""Name of the file that describes the folder."""

FRAMES = {
    "voxel": ("ijk", "image axes"),
    "fsl": (
        "ijk",
        "b-vector axes of FSL: image axes, the first reversed when the affine's determinant is positive",
    ),
    "world": ("xyz", "scanner axes"),
}
"""Frame of the tensor components -> (BIDS ReferenceAxes, in words)."""


def stem_of(path: Path) -> str:
    """The source entities of a file name: without extension, suffix, model and param.

    sub-01_dir-AP_dwi.nii.gz -> sub-01_dir-AP;  sub-01_model-DTI_param-tensor_dwimap.nii.gz -> sub-01
    """
    name = re.sub(r"_(dwi|dwimap)$", "", without_suffix(path))
    return re.sub(r"_(model|param)-[A-Za-z0-9]+", "", name)


def map_name(stem: str, param: str) -> str:
    """Name of one map."""
    return f"{stem}_model-DTI_param-{param}_dwimap.nii.gz"


def sidecar_name(stem: str, param: str) -> str:
    """Name of the JSON file of one map."""
    return f"{stem}_model-DTI_param-{param}_dwimap.json"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sidecar(param: str, *, unit: str, frame: str, order: str, provenance: dict[str, Any]) -> dict[str, Any]:
    """Metadata of one map.

    Args:
        param: key of `MAPS`.
        unit: of the diffusivities, such as "mm2/s".
        frame: key of `FRAMES`, of the tensor components.
        order: component names in file order.
        provenance: merged in as it is.
    """
    fields: dict[str, Any] = {"Description": MAPS[param], "ModelDescription": "Diffusion Tensor"}
    if param in ("tensor", "MD"):
        fields["Units"] = unit.replace("2/", "^2/")
    else:
        fields["Units"] = "arbitrary, in [0, 1]"
    if param == "tensor":
        axes, words = FRAMES[frame]
        fields |= {
            "OrientationRepresentation": "param",
            "ReferenceAxes": axes,
            "ReferenceAxesDescription": words,
        }
        fields["ComponentOrder"] = order
    if param == "DEC":
        fields |= {"OrientationRepresentation": "dec", "ReferenceAxes": "xyz"}
    return fields | provenance


def dataset_description(version: str) -> dict[str, Any]:
    """Content of the file `DATASET`."""
    return {
        "Name": "mvnet: denoised diffusion tensors",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "mvnet", "Version": version}],
    }
