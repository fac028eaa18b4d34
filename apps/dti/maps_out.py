"""The maps of a denoised volume, computed one after another and written with their sidecars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.apps.dti import bids
from mvnet.apps.dti.map_kinds import MAPS
from mvnet.storage import json_text

if TYPE_CHECKING:
    from torch import Tensor

    from mvnet.apps.common.outputs import Outputs
    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.inference import DenoisedVolume
    from mvnet.models.dti.maps import TensorMaps


def write_maps(
    names: Sequence[str],
    volume: DTIVolume,
    after: TensorMaps,
    found: DenoisedVolume,
    stem: str,
    outputs: Outputs,
    provenance: dict[str, Any],
) -> None:
    """Write maps and their sidecars.

    Args:
        names: keys of `mvnet.apps.dti.map_kinds.MAPS`.
        volume: gives the grid, the layout, the unit and the axes, and what was fitted.
        after: maps of the denoised tensors.
        found: the denoised tensors with their errors.
        stem: of the file names.
        outputs: where to write.
        provenance: what every sidecar says.
    """
    from mvnet.data_loaders.dti import LAYOUTS, save_scalar, save_tensors

    order = LAYOUTS[volume.order].symbols
    for name in names:
        path = outputs.path(bids.map_name(stem, name))
        if name == "tensor":
            save_tensors(volume, after.planes, path)
        else:
            save_scalar(volume, map_values(name, volume, after, found), path)
        fields = bids.sidecar(name, unit=volume.unit, frame=volume.frame, order=order, provenance=provenance)
        write_json(outputs.path(bids.sidecar_name(stem, name)), fields)


def map_values(name: str, volume: DTIVolume, after: TensorMaps, found: DenoisedVolume) -> Tensor:
    """One map but the tensors, (X, Y, Z) or (X, Y, Z, 3), diffusivities in the unit of the volume; 0 outside."""
    from mvnet.data_loaders.dti import UNITS

    scale = 1 / UNITS[volume.unit]
    if MAPS[name].of_error:
        return _error_map(name, volume, found, scale)
    if name == "DEC":
        return after.colour_fa(volume.affine)
    if name in ("FA", "mode"):
        return getattr(after, name.lower())
    if name in ("MD", "AD", "RD"):
        return getattr(after, name.lower()) * scale
    kind, number = name[0], name[1:]
    if kind == "L" and number.isdecimal():
        return after.eigenvalues[int(number) - 1] * scale
    if kind == "V" and number.isdecimal():
        return after.directions_in(volume.frame, volume.affine)[int(number) - 1]
    return _fitted_map(name, volume)


def _error_map(name: str, volume: DTIVolume, found: DenoisedVolume, scale: float) -> Tensor:
    """What the network says of its error."""
    maps = {"confidence": found.confidence, "kept": found.kept, "sigmaFA": found.fa_error, "sigmaMD": found.md_error}
    values = maps[name]
    assert values is not None
    factor = {"kept": volume.mask, "sigmaMD": scale}.get(name)
    return values if factor is None else values * factor


def _fitted_map(name: str, volume: DTIVolume) -> Tensor:
    """What the fit says of itself."""
    from mvnet.models.dti.predicted_signal import log_squared_errors

    scan = volume.acquisition
    assert scan is not None
    values = {"sigma": scan.sigma, "S0": scan.b0, "residual": scan.residual}
    found = values[name] if name in values else log_squared_errors(volume)
    return found * volume.mask


def write_json(path: Path, fields: Any) -> None:
    """Indented JSON."""
    path.write_text(json_text(fields, indent=2) + "\n", encoding="utf-8")
