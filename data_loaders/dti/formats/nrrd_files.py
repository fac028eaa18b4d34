"""NRRD of 3D Slicer: tensor volumes and diffusion-weighted images, .nrrd and .nhdr.

`space directions` and `space origin` give the voxel-to-world matrix in `space`, often LPS; here it is RAS+. Tensors and
gradients are in the measurement frame, whose columns are its axes in `space`: v_space = F v. A DWI has the keys
DWMRI_b-value and DWMRI_gradient_NNNN; with g_max the longest gradient, the b-value of one is b |g|^2 / |g_max|^2.
Sources: NRRD file format definition, sections 6 and 7 (teem.sourceforge.net/nrrd); NA-MIC wiki, "DTI:Nrrd format".
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.dti.formats.contents import Contents, attach
from mvnet.data_loaders.dti.formats.declared import check_declared, check_packed
from mvnet.data_loaders.errors import DataError, reading

_TENSORS = {
    "3d-symmetric-matrix": (0, 1, 2, 3, 4, 5),  # xx xy xz yy yz zz
    "3d-masked-symmetric-matrix": (1, 2, 3, 4, 5, 6),  # after a confidence
    "3d-matrix": (0, 1, 2, 4, 5, 8),
}
"""Kind of an axis -> the places of xx xy xz yy yz zz along it."""

_TYPES = {"short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8"}
_SENSES = {"right": (0, 1), "left": (0, -1), "anterior": (1, 1), "posterior": (1, -1), "superior": (2, 1)}
_SENSES |= {"inferior": (2, -1)}
_SPACES = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}
_SPACES |= {name + "t": words for name, words in _SPACES.items()}
_SPATIAL = ("domain", "space")


def open_image(path: Path) -> Any:
    """A tensor volume (X, Y, Z, 6) with components xx xy xz yy yz zz, or a DWI (X, Y, Z, M), or a map (X, Y, Z).

    Raises:
        DataError: damaged, without a space, or with gradients that are not understood.
    """
    import nibabel
    import nrrd

    with reading(path, "an NRRD image"):
        with open(path, "rb") as file:
            _check_data(path, nrrd.read_header(file), file.tell())
        values, header = nrrd.read(str(path))
        kinds = _kinds(header, values.ndim)
        spatial = [axis for axis, kind in enumerate(kinds) if kind in _SPATIAL]
        if len(spatial) != 3 or values.ndim > 4:
            raise DataError(f"{path}: found axes of kinds {' '.join(kinds)}, expected three in space and one of values")
        to_ras, messages = _to_ras(header, path)
        affine = _affine(header, spatial, to_ras)
        others = [axis for axis in range(values.ndim) if axis not in spatial]
        values = values.transpose([*spatial, *others])
        frame = to_ras @ _measurement_frame(header)
        contents = Contents(messages=tuple(messages))
        kind = kinds[others[0]] if others else ""
        if kind in _TENSORS:
            values, contents = _tensors(values, kind, frame, messages)
        elif others:
            contents = _gradients(header, path, values.shape[3], frame, messages)
        if values.dtype.str[1:] not in ("i2", "i4", "u1", "u2", "f4", "f8"):
            values = values.astype(np.float32)
        image = nibabel.Nifti1Image(values, affine)
        image.set_sform(affine, code=1)
        image.header.set_xyzt_units("mm")
        return attach(image, contents)


def _check_data(path: Path, header: Mapping[str, Any], start: int) -> None:
    """DataError for data that lie elsewhere, that no file of this size can hold, or that unpack into more."""
    packed = str(header.get("encoding", "raw")).lower() in ("gz", "gzip", "bz2", "bzip2")
    name = header.get("data file", header.get("datafile"))
    data = path if name is None else path.with_name(str(name))  # with_name refuses folders
    if data.is_file() and "type" in header and "sizes" in header:
        kind = _TYPES.get(str(header["type"]).lower(), "u1")
        text = str(header.get("encoding", "raw")).lower() in ("txt", "text", "ascii")
        check_declared(data, header["sizes"], "u1" if text else kind, packed=packed)
        if packed:
            most = np.dtype(_TYPES.get(str(header["type"]).lower(), "f8")).itemsize  # of the rarer names of types
            skipped = max(0, int(header.get("byte skip", 0)))
            check_packed(data, start if name is None else 0, skipped + prod(header["sizes"]) * most)


def _kinds(header: Mapping[str, Any], ndim: int) -> list[str]:
    """The kind of every axis in lower case; without kinds, axes with a direction in space are spatial."""
    if "kinds" in header:
        kinds = [str(kind).lower() for kind in header["kinds"]]
    else:
        kinds = ["list"] * ndim
    directions = header.get("space directions")
    if directions is None:
        return kinds if "kinds" in header else (["domain"] * 3 + ["list"] * ndim)[:ndim]
    known = [row is not None and np.isfinite(np.asarray(row, dtype=float)).all() for row in directions]
    return ["domain" if given else "list" if kind in _SPATIAL else kind for given, kind in zip(known, kinds)]


def _to_ras(header: Mapping[str, Any], path: Path) -> tuple[np.ndarray, list[str]]:
    """The (3, 3) from the space of a file to RAS+."""
    space = str(header.get("space", "")).lower()
    words = _SPACES.get(space, space).split("-")[:3]
    if len(words) == 3 and all(word in _SENSES for word in words):
        matrix = np.zeros((3, 3))
        for column, word in enumerate(words):
            axis, sign = _SENSES[word]
            matrix[axis, column] = sign
        if abs(np.linalg.det(matrix)) == 1:
            return matrix, []
    return np.eye(3), [f"warning: the file names no anatomical space (found {space!r}): RAS assumed"]


def _affine(header: Mapping[str, Any], spatial: list[int], to_ras: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    if "space directions" in header:
        directions = [np.asarray(header["space directions"][axis], dtype=float) for axis in spatial]
        affine[:3, :3] = to_ras @ np.stack(directions, axis=1)
    elif "spacings" in header:
        affine[:3, :3] = to_ras @ np.diag([float(header["spacings"][axis]) for axis in spatial])
    if "space origin" in header:
        affine[:3, 3] = to_ras @ np.asarray(header["space origin"], dtype=float)
    return affine


def _measurement_frame(header: Mapping[str, Any]) -> np.ndarray:
    """F with v_space = F v: the header lists its columns."""
    if "measurement frame" not in header:
        return np.eye(3)
    return np.asarray(header["measurement frame"], dtype=float).T


def _tensors(values: np.ndarray, kind: str, frame: np.ndarray, messages: list[str]) -> tuple[np.ndarray, Contents]:
    """Components xx xy xz yy yz zz in RAS+ axes; zero where the confidence of a masked tensor is."""
    six = np.asarray(values[..., _TENSORS[kind]], dtype=np.float64)
    place = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
    full = frame @ six[..., place] @ frame.T
    six = full[..., [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    if kind == "3d-masked-symmetric-matrix":
        six[values[..., 0] < 0.5] = 0
    line = f"order fsl (xx xy xz yy yz zz) made from axis kind {kind}, scanner axes"
    return six.astype(np.float32), Contents(order="fsl", frame="world", as_voxel=frame.T, messages=(line, *messages))


def _gradients(header: Mapping[str, Any], path: Path, volumes: int, frame: np.ndarray, messages: list[str]) -> Contents:
    """b-values and unit vectors in RAS+ axes, when the header has them."""
    if "DWMRI_b-value" not in header:
        return Contents(messages=tuple(messages))
    rows = []
    for key in sorted(header):
        kind, _, number = key.removeprefix("DWMRI_").rpartition("_")
        if key.startswith("DWMRI_") and kind in ("gradient", "B-matrix"):
            values = np.array([float(word) for word in str(header[key]).split()])
            repeats = int(header.get(f"DWMRI_NEX_{number}", 1))
            rows += [(int(number), values if kind == "gradient" else _direction(values))] * repeats
    if len(rows) != volumes:
        raise DataError(f"{path}: found {len(rows)} DWMRI gradients, expected {volumes}, one per volume")
    vectors = np.array([row for _, row in sorted(rows, key=lambda row: row[0])])
    lengths = np.linalg.norm(vectors, axis=1)
    largest = lengths.max() or 1.0
    bvals = float(header["DWMRI_b-value"]) * (lengths / largest) ** 2
    unit = vectors / np.where(lengths > 0, lengths, 1)[:, None]
    where = "DWMRI keys, scanner axes"
    return Contents(bvals, unit @ frame.T, where, frame="world", as_voxel=frame.T, messages=tuple(messages))


def _direction(matrix: np.ndarray) -> np.ndarray:
    """sqrt(trace B) times the first eigenvector of B, given as xx xy xz yy yz zz: B = b g g^T."""
    values, vectors = np.linalg.eigh(matrix[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]])
    return vectors[:, -1] * max(values.sum(), 0.0) ** 0.5
