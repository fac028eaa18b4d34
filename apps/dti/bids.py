"""File names, sidecars and the description of a BIDS-derivative folder.

Source: BIDS extension proposal 16, diffusion derivatives (draft), section "File names":
`<source>_model-DTI_param-<p>_dwimap.nii.gz`. Names of a draft are unknown to the validator of the standard: the folder
lists them in `.bidsignore`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from mvnet.apps.dti.map_kinds import DIFFUSIVITY, MAPS, MapKind
from mvnet.data_loaders.dti.nifti import without_suffix

DATASET, IGNORE = "dataset_description.json", ".bidsignore"
"""Names of the files that describe the folder."""

IGNORED = (
    "*_dwimap.nii.gz",
    "*_dwimap.json",
    "*_model-DTI_report.html",
    "*_desc-outliers.tsv",
    "*_desc-outliers.json",
    "*_desc-mvnet_summary.json",
    "/group_desc-mvnet_*",
    "*_desc-denoised_dwi.bval",  # the standard knows gradient files of raw images only
    "*_desc-denoised_dwi.bvec",
    "/*_desc-denoised_dwi.nii.gz",  # images that do not stand in a subject's folder
    "/*_desc-denoised_dwi.json",
)
"""Lines of `IGNORE`."""

FRAMES = {
    "voxel": ("ijk", "image axes"),
    "fsl": (
        "ijk",
        "b-vector axes of FSL: image axes, the first reversed when the affine's determinant is positive",
    ),
    "world": ("xyz", "scanner axes"),
}
"""Frame of the tensor components -> (BIDS ReferenceAxes, in words)."""

DWI_ENDS = (".nii.gz", ".bval", ".bvec", ".json")
"""Files of a denoised DWI."""


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


def report_name(stem: str) -> str:
    """Name of the HTML page."""
    return f"{stem}_model-DTI_report.html"


def outliers_name(stem: str, end: str = ".tsv") -> str:
    """Name of the table of outliers, or of its JSON file."""
    return f"{_without_desc(stem)}_desc-outliers{end}"


def dwi_name(stem: str, end: str = ".nii.gz") -> str:
    """Name of a file of the denoised DWI; `end` is one of `DWI_ENDS`."""
    return f"{_without_desc(stem)}_desc-denoised_dwi{end}"


def _without_desc(stem: str) -> str:
    return re.sub(r"_desc-[A-Za-z0-9]+", "", stem)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit_name(unit: str) -> str:
    """A unit of diffusivities as BIDS writes it: mm2/s -> mm^2/s."""
    return unit.replace("2/", "^2/")


def sidecar(
    param: str, *, unit: str, frame: str, order: str, provenance: dict[str, Any], kind: MapKind | None = None
) -> dict[str, Any]:
    """Metadata of one map.

    Args:
        param: key of `MAPS`, or the name of another kind.
        unit: of the diffusivities, such as "mm2/s".
        frame: key of `FRAMES`, of the tensor components and of the eigenvectors.
        order: component names in file order.
        provenance: merged in as it is.
        kind: None is that of `MAPS`.
    """
    kind = MAPS[param] if kind is None else kind
    fields: dict[str, Any] = {"Description": kind.description, "ModelDescription": "Diffusion Tensor"}
    fields["Units"] = unit_name(unit) if kind.unit == DIFFUSIVITY else kind.unit
    if kind.representation is not None:
        axes, words = ("xyz", "scanner axes") if kind.representation == "dec" else FRAMES[frame]
        fields |= {
            "OrientationRepresentation": kind.representation,
            "ReferenceAxes": axes,
            "ReferenceAxesDescription": words,
        }
    if param == "tensor":
        fields["ComponentOrder"] = order
    return fields | provenance


def dataset_description(version: str, source: Path | None = None) -> dict[str, Any]:
    """Content of the file `DATASET`.

    Args:
        version: of mvnet.
        source: root of the data set that the inputs come from, which URIs call "raw".
    """
    fields: dict[str, Any] = {
        "Name": "mvnet: denoised diffusion tensors",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "mvnet", "Version": version}],
    }
    if source is not None:
        uri = source.resolve().as_uri()
        fields |= {"SourceDatasets": [{"URL": uri}], "DatasetLinks": {"raw": uri}}
    return fields


def ignore_text() -> str:
    """Content of the file `IGNORE`."""
    return "".join(f"{line}\n" for line in IGNORED)


def source_names(paths: list[Path], root: Path | None) -> list[str]:
    """Inputs as BIDS names sources: URIs into the data set at `root`, bare names where there is none."""
    if root is None:
        return [path.name for path in paths]
    inside = root.resolve()
    return [
        f"bids:raw:{path.resolve().relative_to(inside).as_posix()}"
        if path.resolve().is_relative_to(inside)
        else path.name
        for path in paths
    ]
