"""What processors call their files and bands, and where the coherence of an interferogram is."""

from __future__ import annotations

import re
from pathlib import Path

from mvnet.data_loaders.errors import DataError

_HEADERS = (".xml", ".vrt", ".rsc", ".hdr")

SIBLINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"^(.+)_(?:wrapped|unw)_phase\.tif$", (r"\1_corr.tif",)),  # HyP3
    (r"^(.+)\.geo\.(?:diff_pha|diff_unfiltered_pha|unw)\.tif$", (r"\1.geo.cc.tif",)),  # LiCSAR
    (r"^phi_(.+)\.tif$", (r"coh_\1.tif",)),  # eo_tools
    (r"^(.+?)(?:_flat)?_eqa_(?:unw|int|diff)\.tif$", (r"\1_flat_eqa_cc.tif", r"\1_eqa_cc.tif")),  # GAMMA, PyRate
    (r"^(.+)\.int\.tif$", (r"\1.int.cor.tif", r"\1.cor.tif")),  # dolphin
    (
        r"^(?:filt_)?(.+)\.(?:int|flat)$",
        (r"filt_\1.cor", r"\1.cor", "phsig.cor", r"\1.cc", r"\1.coh"),
    ),
    (r"^(.+)\.unw$", (r"\1.cc", r"\1.cor", "phsig.cor")),
    (r"^(.+)\.(?:int|unw)\.grd$", (r"\1.cor.grd",)),  # UAVSAR
    (r"^(?:phase\w*|real\w*)\.grd$", ("corr.grd", "corr_cut.grd")),  # GMTSAR, before its phasefilt
    (r"^(.+?)\.(?:adf\.)?(?:diff|flt|sm)(?:_\w+)?$", (r"\1.cc", r"\1.adf.cc", r"\1.diff.cc", r"\1.coh")),  # GAMMA
)
"""Pattern of a file name -> names of its coherence, best first. A new processor is one line here."""


def coherence_names(name: str) -> list[str]:
    """Names the coherence of the interferogram called `name` may have."""
    matches = ((re.match(pattern, name), others) for pattern, others in SIBLINGS)
    found = [match.expand(other) for match, others in matches if match for other in others]
    return [other for other in dict.fromkeys(found) if other != name]


def coherence_beside(path: Path) -> Path | None:
    """The coherence file next to an interferogram (or next to its header), None if there is none."""
    path = path.with_suffix("") if path.suffix in _HEADERS else path
    return next((path.with_name(name) for name in coherence_names(path.name) if path.with_name(name).is_file()), None)


def snap_bands(names: list[str], wanted: str | None, shown: str) -> tuple[list[str], str | None]:
    """Names of the bands (real and imaginary, or one phase) and of the coherence, of SNAP's band names.

    wanted: a part of the name, such as a polarisation or a date, when there are several.
    """
    chosen = [name for name in names if wanted is None or wanted.lower() in name.lower()]
    coherence = next((name for name in chosen if re.match(r"coh", name, re.I)), None)
    for name in chosen:
        other = "q" + name[1:]
        if re.match(r"i_", name) and other in names:
            return [name, other], coherence
    phase = next((name for name in chosen if re.match(r"(wrapped_?)?phase", name, re.I)), None)
    if phase is None:
        asked = f" with {wanted!r} in the name" if wanted else ""
        raise DataError(f"{shown}: found bands {', '.join(names)}, expected i_ and q_ bands or a phase band{asked}")
    return [phase], coherence
