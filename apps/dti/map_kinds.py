"""The maps that `mvnet denoise dti` can write: their names, what they mean, their units, and the choice of `--maps`.

Names are those of FSL's dtifit (FA, MD, L1, V1, S0, ...) and of BIDS; definitions stand in `mvnet.models.dti.maps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mvnet.apps.common.errors import UserError

DIFFUSIVITY, SIGNAL = "diffusivity", "image units"
_SHARE = "arbitrary, in [0, 1]"


@dataclass(frozen=True)
class MapKind:
    """A kind of map.

    description: one sentence.
    unit: `DIFFUSIVITY` (that of the tensors), or in words.
    default: whether it is written when nothing is chosen.
    from_dwi: whether it needs the diffusion-weighted images.
    of_error: whether it is the network's estimate of its own error, which the certified one does not make.
    representation: BIDS OrientationRepresentation of values with axes, None for scalars.
    """

    description: str
    unit: str
    default: bool = False
    from_dwi: bool = False
    of_error: bool = False
    representation: str | None = None


MAPS: Mapping[str, MapKind] = {
    "tensor": MapKind("Denoised diffusion tensors", DIFFUSIVITY, default=True, representation="param"),
    "FA": MapKind("Fractional anisotropy of the denoised tensors", _SHARE, default=True),
    "MD": MapKind("Mean diffusivity of the denoised tensors", DIFFUSIVITY, default=True),
    "DEC": MapKind(
        "Colour FA: FA times |first eigenvector|; red left-right, green back-front, blue down-up",
        _SHARE,
        default=True,
        representation="dec",
    ),
    "confidence": MapKind(
        "exp(-e), e the expected affine-invariant error of the denoised tensor; 0 outside the mask",
        _SHARE,
        default=True,
        of_error=True,
    ),
    "AD": MapKind("Axial diffusivity of the denoised tensors, L1", DIFFUSIVITY, default=True),
    "RD": MapKind("Radial diffusivity of the denoised tensors, (L2 + L3) / 2", DIFFUSIVITY, default=True),
    "V1": MapKind("First eigenvector, of the largest eigenvalue", "arbitrary", True, representation="unit3vector"),
    "sigma": MapKind("Standard deviation of the signal noise", SIGNAL, default=True, from_dwi=True),
    "sigmaFA": MapKind(
        "Expected standard deviation of the error that is left in FA", _SHARE, default=True, of_error=True
    ),
    "sigmaMD": MapKind(
        "Expected standard deviation of the error that is left in MD", DIFFUSIVITY, default=True, of_error=True
    ),
    "L1": MapKind("First eigenvalue of the denoised tensors, the largest", DIFFUSIVITY),
    "L2": MapKind("Second eigenvalue of the denoised tensors", DIFFUSIVITY),
    "L3": MapKind("Third eigenvalue of the denoised tensors, the smallest", DIFFUSIVITY),
    "V2": MapKind("Second eigenvector", "arbitrary", representation="unit3vector"),
    "V3": MapKind("Third eigenvector, of the smallest eigenvalue", "arbitrary", representation="unit3vector"),
    "mode": MapKind("Mode of the anisotropy, -1 planar, 1 linear (Ennis and Kindlmann 2006)", "arbitrary, in [-1, 1]"),
    "kept": MapKind(
        "Share of the network's proposal that the trust region of the measurement left, 1 where it did not bind",
        _SHARE,
        of_error=True,
    ),
    "S0": MapKind("Fitted signal without diffusion weighting", SIGNAL, from_dwi=True),
    "SSE": MapKind(
        "Sum of squared errors of the measured tensors over the fitted volumes, of the natural logarithm of the signal",
        "arbitrary",
        from_dwi=True,
    ),
    "residual": MapKind(
        "Root-mean-square residual of the fit over sigma; about 1 where the tensor model holds",
        "arbitrary",
        from_dwi=True,
    ),
}
"""`param` entity -> kind, in the order in which they are written."""


def parse_maps(text: str | None) -> tuple[str, ...] | None:
    """The maps of `--maps`: None the usual ones, "all", or names with commas in any case.

    Raises:
        UserError: an unknown name, or none.
    """
    if text is None:
        return None
    words = text.replace(",", " ").split()
    if [word.lower() for word in words] == ["all"]:
        return tuple(MAPS)
    known = {name.lower(): name for name in MAPS}
    unknown = [word for word in words if word.lower() not in known]
    if unknown or not words:
        found = ", ".join(map(repr, unknown)) or repr(text)
        raise UserError(f"--maps: found {found}, expected all, or some of {','.join(MAPS)}")
    chosen = {known[word.lower()] for word in words}
    return tuple(name for name in MAPS if name in chosen)


def chosen_maps(chosen: tuple[str, ...] | None, *, is_dwi: bool, certified: bool = False) -> tuple[str, ...]:
    """The maps to write.

    Args:
        chosen: of `parse_maps`.
        is_dwi: whether there are diffusion-weighted images; without them what needs them is left out of the usual
            maps and of all maps.
        certified: whether the network is; the maps of its error are left out likewise.
    Raises:
        UserError: a map that cannot be made was asked for by its name.
    """
    names = tuple(name for name, kind in MAPS.items() if kind.default) if chosen is None else chosen
    by_name = chosen is not None and set(chosen) != set(MAPS)
    missing = [name for name in names if MAPS[name].from_dwi and not is_dwi]
    if missing and by_name:
        raise UserError(f"--maps: found a tensor image as input, expected a DWI for {', '.join(missing)}")
    unknown = [name for name in names if MAPS[name].of_error and certified]
    if unknown and by_name:
        raise UserError(f"--maps: found {', '.join(unknown)}, expected others: the certified network has no such map")
    return tuple(name for name in names if name not in (*missing, *unknown))
