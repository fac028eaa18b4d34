"""What processors call their files and rasters, and where the coherence of an interferogram is."""

from __future__ import annotations

import re
from pathlib import Path

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


ROLES: tuple[tuple[str, str], ...] = (
    (
        "other",
        r"conn_?c|component|mask(?!ed)|label|flag|(^|_)dem|elev|height|^topo_?phase|incid|(^|_)(lat|lon)|baseline",
    ),
    ("other", r"disp(?!er)|veloc|offset|uncert|std|sigma_?phase|water"),
    ("real", r"^(i|re)([_\W]|$)|(^|[_\W\d])(real|inphase|in_phase)(part|[_\W\d]|$)|_re$"),
    ("imaginary", r"^(q|im)([_\W]|$)|(^|[_\W\d])(imag(inary)?|quadrature|quad)(part|[_\W\d]|$)|_im$"),
    ("coherence", r"coh|corr(?!ec)|(^|[_\W])(cor|cc)($|[_\W])|phsig"),
    ("amplitude", r"(?<![rs])amp(?!le)|magn|(^|[_\W])mag|intens|power|sigma0|gamma0|(^|[_\W])abs|backscatter"),
    ("unwrapped phase", r"unw"),
    ("wrapped phase", r"pha|phs|wrap|ifg|interf|(^|[_\W])(arg|angle)"),
)
"""Role of a raster, and a pattern of the names of such; the first that is found in a name says its role."""

_IMAGINARY = (
    (r"^i(?=[_\W]|$)", "q"),
    (r"^re(?=[_\W]|$)", "im"),
    (r"_re$", "_im"),
    (r"real", "imag"),
    (r"real", "imaginary"),
    (r"in_?phase", "quadrature"),
)


def role_of(name: str) -> str | None:
    """What a raster of this name is, by `ROLES`; None if the name does not say."""
    return next((role for role, pattern in ROLES if re.search(pattern, name, re.I)), None)


def imaginary_names(name: str) -> list[str]:
    """Names in lower case that the imaginary part of the real part `name` may have; none if it is no real part."""
    name = name.lower()
    if role_of(name) != "real":
        return []
    found = (re.sub(pattern, other, name, count=1) for pattern, other in _IMAGINARY)
    return [other for other in dict.fromkeys(found) if other != name]


def names_displacement(name: str) -> bool:
    """Whether a name says that something is a displacement or a velocity, and not a phase."""
    words = r"(^|[^a-z])(disp|displacements?|vel|velocity|velocities)([^a-z]|$)"
    return re.search(words, name, re.I) is not None and re.search(ROLES[-1][1], name, re.I) is None


def names_slc(name: str) -> bool:
    """Whether a name says that something is a single-look complex image, or a stack of such."""
    words = r"(^|[^a-z])(slcs?|[rg]slc)([^a-z]|stack|$)|slc_?stack|_(mst|slv\d*)_"
    return re.search(words, name, re.I) is not None
