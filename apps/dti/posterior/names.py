"""The files of `--uncertainty` and `--samples`: their names, what they mean, their units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mvnet.apps.dti import bids
from mvnet.apps.dti.map_kinds import DIFFUSIVITY, MapKind

if TYPE_CHECKING:
    from mvnet.apps.dti.options import Options

_SHARE = "arbitrary, in [0, 1]"

MAPS: Mapping[str, MapKind] = {
    "FAsd": MapKind("Standard deviation of FA given the scan", _SHARE),
    "FAlow": MapKind("Lower end of the 90 % interval of FA", _SHARE),
    "FAhigh": MapKind("Upper end of the 90 % interval of FA", _SHARE),
    "MDsd": MapKind("Standard deviation of MD given the scan", DIFFUSIVITY),
    "MDlow": MapKind("Lower end of the 90 % interval of MD", DIFFUSIVITY),
    "MDhigh": MapKind("Upper end of the 90 % interval of MD", DIFFUSIVITY),
    "V1cone": MapKind(
        "Half angle of the cone about the first eigenvector of the denoised tensor that holds the true one with 90 %",
        "degree",
    ),
}
"""`param` entity -> kind, of `--uncertainty`."""

SAMPLE = MapKind(
    "Diffusion tensors drawn from the posterior, correlated in space as the error of the denoised ones is",
    DIFFUSIVITY,
    representation="param",
)


def sample_name(stem: str, number: int, end: str = ".nii.gz") -> str:
    """Name of a sample, or of its JSON file; the first is 1."""
    return f"{stem}_model-DTI_param-tensor_desc-sample{number:04d}_dwimap{end}"


def posterior_names(options: Options, stem: str) -> list[str]:
    """Names of all files of the posterior."""
    maps = MAPS if options.uncertainty else ()
    names = [name(stem, param) for param in maps for name in (bids.map_name, bids.sidecar_name)]
    numbers = range(1, (options.samples or 0) + 1)
    return names + [sample_name(stem, number, end) for number in numbers for end in (".nii.gz", ".json")]
