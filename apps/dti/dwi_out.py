"""The denoised DWI as files: image, b-values, b-vectors, sidecar."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.dti import bids
from mvnet.apps.dti.maps_out import write_json

if TYPE_CHECKING:
    from mvnet.apps.common.outputs import Outputs
    from mvnet.apps.dti.options import Options
    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.predicted_signal import SignalChange

_SAME_B, _SAME_DIRECTION = 1e-3, 1e-3  # relative; length of the difference of unit vectors
_DESCRIPTION = (
    "Diffusion-weighted images whose tensors are the denoised ones: measured signal, plus the signal that the denoised "
    "tensor predicts, less the one that the fitted tensor predicts; the residual of the fit is kept"
)


def write_dwi(
    volume: DTIVolume,
    changes: list[SignalChange],
    options: Options,
    stem: str,
    outputs: Outputs,
    provenance: dict[str, Any],
) -> None:
    """Write the image (float32), the gradients, and the sidecar.

    Args:
        volume: fitted to a DWI.
        changes: of `mvnet.models.dti.predicted_signal.signal_changes`.
        options: name the gradient files, which are copied as they are unless other gradients were used.
        stem: of the file names.
        outputs: where to write.
        provenance: what every sidecar says.
    """
    from mvnet.models.dti.predicted_signal import denoised_volumes

    scan = volume.acquisition
    assert scan is not None
    names = {end: outputs.path(bids.dwi_name(stem, end)) for end in bids.DWI_ENDS}
    write_volumes(denoised_volumes(volume, changes), scan.dwi.shape, volume.affine, volume.header, names[".nii.gz"])
    write_gradients(volume, options.bval, options.bvec, names[".bval"], names[".bvec"])
    moved = np.any([change.volumes for change in changes], axis=0)
    fields = {"Description": _DESCRIPTION, "Units": "arbitrary", "SkullStripped": False}
    unchanged = {"UnchangedVolumes": np.flatnonzero(~moved).tolist()}
    write_json(names[".json"], fields | unchanged | provenance)


def write_volumes(
    volumes: Iterable[np.ndarray], shape: tuple[int, ...], affine: np.ndarray, header: Any, path: Path
) -> None:
    """A 4-D NIfTI of float32, volume by volume.

    Args:
        volumes: M arrays (X, Y, Z).
        shape: (X, Y, Z, M).
        affine: (4, 4).
        header: NIfTI header to start from.
        path: ends in .nii.gz.
    """
    from mvnet.data_loaders.dti.nifti import compressed, make_image

    image = make_image(np.broadcast_to(np.float32(0), shape), affine, header)
    image.update_header()
    head = image.header
    start = max(int(head["sizeof_hdr"]) + 4 + sum(e.get_sizeondisk() for e in head.extensions), 352)
    head.set_data_offset(start)
    order = head.get_data_dtype()
    with compressed(path) as file:
        head.write_to(file)
        file.write(b"\0" * (start - file.tell()))
        for values in volumes:
            file.write(np.ascontiguousarray(values.T, dtype=order).data)


def write_gradients(volume: DTIVolume, bval: Path | None, bvec: Path | None, to_bval: Path, to_bvec: Path) -> None:
    """The gradient files copied byte by byte, or, where others were used or there are no files, written for FSL.

    Args:
        volume: fitted to a DWI.
        bval, bvec: files that were read, or None.
        to_bval, to_bvec: files to write.
    """
    from mvnet.data_loaders.dti.frames import to_voxel

    scan = volume.acquisition
    assert scan is not None
    values, vectors = _numbers(bval), _numbers(bvec)
    count = len(scan.bvals)
    if values is not None and values.size == count and np.allclose(values.ravel(), scan.bvals, _SAME_B, atol=0.5):
        assert bval is not None
        to_bval.write_bytes(bval.read_bytes())
    else:
        to_bval.write_text(" ".join(f"{b:g}" for b in scan.bvals) + "\n", encoding="utf-8")
    used = scan.bvecs @ to_voxel(volume.frame, volume.affine)  # g_frame = Q^T g_voxel, as rows
    if vectors is not None and _same_directions(vectors, used):
        assert bvec is not None
        to_bvec.write_bytes(bvec.read_bytes())
    else:
        fsl = scan.bvecs @ to_voxel("fsl", volume.affine)
        lines = (" ".join(f"{x:.8g}" for x in row + 0.0) for row in fsl.T)
        to_bvec.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _numbers(path: Path | None) -> np.ndarray | None:
    """A table of numbers, None where the file is none."""
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig").replace(",", " ")
        return np.atleast_2d(np.loadtxt(text.splitlines()))
    except (OSError, ValueError):
        return None


def _same_directions(table: np.ndarray, used: np.ndarray) -> bool:
    """Whether a table (3, M) or (M, 3) holds the directions (M, 3), up to their lengths and signs, where there are."""
    weighted = np.abs(used).max(1) > 0
    for rows in (table.T, table):
        if rows.shape == used.shape:
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)[weighted]
            if np.isfinite(unit).all() and np.abs(unit - used[weighted]).max(initial=0.0) < _SAME_DIRECTION:
                return True
    return False
