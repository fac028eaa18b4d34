"""Which bands of a file are the interferogram, and which is its coherence.

What the names of the bands say goes before the conventions of the formats, these before the values. What cannot be
told apart is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.products import imaginary_names, names_slc, role_of
from mvnet.data_loaders.insar.layers import Layer, join, mask_by
from mvnet.data_loaders.insar.value_kinds import SAMPLE, SENTINELS, Values, clean, gather, is_complex, kind_of
from mvnet.data_loaders.insar.windows import sample_windows

_SHOWN = 12  # bands listed in a message
_KINDS = {
    "wrapped phase": "wrapped phase",
    "phase of another unit": "perhaps phase",
    "coherence": "coherence",
    "amplitude": "amplitude",
    "phase": "perhaps phase",
    "unwrapped phase": "perhaps phase",
    "noise": "unknown",
}
"""Kind of values -> role of a band."""


@dataclass
class Band:
    """One raster of several.

    number: from 1. role: what it is, None if not known. by: how that was told. windows: sampled values.
    """

    layer: Layer
    number: int
    role: str | None = None
    by: str = "by its name"
    values: Values | None = None
    windows: Sequence[np.ndarray] = ()

    @property
    def name(self) -> str:
        """As the file names it; may be empty."""
        return self.layer.part

    def shown(self, count: int) -> str:
        """The band in a message."""
        return f"band {self.number} of {count}" + (f" ({self.name})" if self.name else "")


def choose_layers(layers: Sequence[Layer], wanted: str | int | None, coherence: bool) -> tuple[Layer, Layer | None]:
    """The interferogram among the rasters of a file, and its coherence; `part` of both says which they are.

    Args:
        layers: on one grid, `part` their names, "" without.
        wanted: number of a band from 1, a part of its name, or "A+B" for a real and an imaginary part; None chooses.
        coherence: choose the coherence as the layer.
    Raises:
        DataError: nothing of this number or name, no phase among the bands, or several that cannot be told apart.
    """
    bands = [Band(layer, number, role_of(layer.part)) for number, layer in enumerate(layers, 1)]
    chosen = _named(bands, wanted)
    if coherence:
        found = _coherence_band(bands)
        return _part(found, len(bands)) if len(bands) > 1 else replace(found.layer, part=""), None
    if isinstance(wanted, str) and "+" in wanted and len(chosen) == 2:
        return _joined(chosen[0], chosen[1], bands, "as asked"), None
    if len(bands) == 1:
        return _single(bands[0]), None
    if len(chosen) == 1 and wanted is not None:
        return _asked(chosen[0], bands)
    return _choose(chosen, bands)


def _named(bands: list[Band], wanted: str | int | None) -> list[Band]:
    """The bands meant by a number, a name or "A+B"; all for None."""
    if wanted is None:
        return bands
    if isinstance(wanted, str) and "+" in wanted:
        return [band for word in wanted.split("+", 1) for band in _named(bands, word.strip())[:1]]
    if isinstance(wanted, int) or (wanted.isdigit() and len(wanted) < 6):  # eight are a date
        if not 1 <= int(wanted) <= len(bands):
            raise DataError(f"layer: found band {wanted} of {bands[0].layer.path}, expected 1 to {len(bands)}")
        return [bands[int(wanted) - 1]]
    exact = [band for band in bands if band.name.lower() == wanted.lower()]
    found = exact or [band for band in bands if wanted.lower() in band.name.lower()]
    if not found:
        raise _refusal(bands, f"the number of a band, or a part of its name, not {wanted!r}")
    return found


def _single(band: Band) -> Layer:
    """The only band; refused if its name says that it is something else."""
    if band.role in ("coherence", "amplitude", "other", "real", "imaginary") and not band.layer.is_complex:
        raise DataError(f"{band.layer.path}: found one band, {band.name}, expected an interferogram")
    return replace(band.layer, part=band.name and f"band {band.name}")


def _asked(band: Band, bands: list[Band]) -> tuple[Layer, Layer | None]:
    """The band that was named, joined with its other part if it is one of two, and its coherence."""
    pairs, by = ([] if band.layer.is_complex else _complex_pairs(bands)), "by their names"
    if not pairs and not band.layer.is_complex and band.role is None:
        _look(bands)
        pairs, by = _complex_pairs_by_value(bands), "by their values"
    pair = next((pair for pair in pairs if band in pair), None)
    if pair is not None:
        return _joined(*pair, bands, by), _partner(pair[0], [real for real, _ in pairs], bands)
    _look(bands)
    if band.role == "coherence":
        return _part(band, len(bands)), None
    alike = [other for other in bands if other.role == band.role or (band.role is None and other is band)]
    return _masked(band, bands), _partner(band, alike, bands)


def _choose(chosen: list[Band], bands: list[Band]) -> tuple[Layer, Layer | None]:
    """The interferogram among the bands by names, by the convention of the format, or by values."""
    numbers = [band for band in chosen if band.layer.is_complex]
    if len(numbers) == 1:
        _look(bands)
        return _part(numbers[0], len(bands)), _partner(numbers[0], numbers, bands)
    if numbers:
        what = "images (SLC)" if any(names_slc(b.name) for b in numbers) else "complex bands"
        raise _refusal(bands, f"one interferogram, not several {what}: name one with --layer")
    pairs = _complex_pairs(chosen)
    if len(pairs) > 1 and all(names_slc(real.name) for real, _ in pairs):
        raise _refusal(bands, "one interferogram, not several images (SLC)")
    if pairs:
        return _joined(*pairs[0], bands, others=len(pairs) - 1), _partner(pairs[0][0], [p[0] for p in pairs], bands)
    for role in ("wrapped phase", "unwrapped phase"):
        named = [band for band in chosen if band.role == role]
        if named:
            _look(bands)
            return _masked(named[0], bands, len(named) - 1), _partner(named[0], named, bands)
    _look(bands)
    return _by_value([band for band in bands if band in chosen], bands)


def _by_value(chosen: list[Band], bands: list[Band]) -> tuple[Layer, Layer | None]:
    certain = [band for band in chosen if band.role == "wrapped phase"]
    pairs = _complex_pairs_by_value(chosen)
    perhaps = [band for band in chosen if band.role in ("perhaps phase", "unwrapped phase")]
    if len(certain) == 1:
        return _masked(certain[0], bands), _partner(certain[0], certain, bands)
    if not certain and len(pairs) == 1:
        return _joined(*pairs[0], bands, "by their values"), _partner(pairs[0][0], [pairs[0][0]], bands)
    if not certain and not pairs and len(perhaps) == 1:
        return _masked(perhaps[0], bands), _partner(perhaps[0], perhaps, bands)
    if certain or pairs or perhaps:
        raise _refusal(bands, "one interferogram: name a band with --layer N, or real + imaginary with --layer N+M")
    raise _refusal(bands, "a phase, or real and imaginary parts; --layer N or N+M takes them in spite of their values")


def _coherence_band(bands: list[Band]) -> Band:
    """The band that is a coherence: by its name, the second of ISCE's and ROI_PAC's files, or by its values."""
    named = [band for band in bands if band.role == "coherence"]
    if len(bands) == 1:
        return bands[0]
    if not named:
        _look(bands)
        named = [band for band in bands if band.role == "coherence"]
    if len(named) != 1:
        raise _refusal(bands, "one coherence")
    return named[0]


def _look(bands: list[Band]) -> None:
    """Set the roles that names do not give, by the convention of the file's name and by sampled values."""
    if all(band.role for band in bands):
        return
    _sample(bands)
    kinds = [_KINDS.get(_kind(band), "unknown") for band in bands]
    second = _second_role(bands, kinds)
    for band, kind in zip(bands, kinds):
        if band.role is None and second and band.number == 2:
            band.role, band.by = second, "by the convention of the format"
        elif band.role is None:
            band.role, band.by = "amplitude" if second else kind, "by its values"


def _kind(band: Band) -> str:
    assert band.values is not None
    kind = kind_of(band.values)
    return "coherence" if kind == "constant" and 0 < band.values.low < 1 else kind


def _second_role(bands: list[Band], kinds: list[str]) -> str | None:
    """What the second of two bands is in ISCE and ROI_PAC, by the file's name; None if the values differ."""
    words = re.split(r"[._]", Path(bands[0].layer.path).name.lower())
    role = "unwrapped phase" if "unw" in words else None
    role = "coherence" if {"cor", "cc", "coh"} & set(words) else role
    if role is None or len(bands) != 2 or bands[0].layer.is_complex:
        return None
    lowest = [float(band.values.low) if band.values and len(band.values.values) else 0.0 for band in bands]
    swapped = kinds[1] == "amplitude" != kinds[0] or (role == "coherence" and kinds == ["coherence", "amplitude"])
    return None if lowest[0] < 0 or swapped or (role == "coherence" and lowest[1] < 0) else role


def _sample(bands: list[Band]) -> None:
    """Statistics of the same windows of all bands; pixels that are 0 in all of them are no data."""
    if bands[0].values is not None:
        return
    stacks = []
    for window in sample_windows(bands[0].layer.shape, 3, SAMPLE[1]):
        stored = [band.layer.read(window) for band in bands]
        real = [np.abs(values) if np.iscomplexobj(values) else values.astype(np.float64) for values in stored]
        for band, values in zip(bands, stored):
            _adopt_nodata(band, values)
        lost = [b.layer.nodata is not None and s == b.layer.nodata for b, s in zip(bands, stored)]
        empty = np.all([values == 0 for values in real], axis=0)
        stacks.append([clean(np.where(empty | gone, np.nan, values)) for values, gone in zip(real, lost)])
    for band, windows in zip(bands, zip(*stacks)):
        band.values = gather(windows)
        band.windows = windows


def _adopt_nodata(band: Band, values: np.ndarray) -> None:
    """A usual fill value among the values of a band that declares none means no data, which its name then says."""
    found = next((fill for fill in SENTINELS if band.layer.nodata is None and (values == fill).any()), None)
    if found is not None and not band.layer.is_complex and band.layer.fill is None:
        said = f"{band.name}, ".lstrip(", ") + f"{found:.5g} taken as no data"
        band.layer = replace(band.layer.with_nodata(found), part=said)


def _complex_pairs(bands: list[Band]) -> list[tuple[Band, Band]]:
    """Real and imaginary bands that belong together by their names."""
    names = {band.name.lower(): band for band in bands}
    found = []
    for band in bands:
        other = next((names[name] for name in imaginary_names(band.name) if name in names), None)
        if other is not None:
            found.append((band, other))
    return sorted(found, key=lambda pair: names_slc(pair[0].name))


def _complex_pairs_by_value(bands: list[Band]) -> list[tuple[Band, Band]]:
    """Neighbouring bands that are real and imaginary part by their values."""
    found: list[tuple[Band, Band]] = []
    for one, two in pairwise(bands):
        open_roles = all(band.role in ("unknown", "perhaps phase") and not band.layer.is_complex for band in (one, two))
        taken = bool(found) and found[-1][1] is one
        if open_roles and not taken and two.number == one.number + 1 and is_complex(one.windows, two.windows):
            found.append((one, two))
    return found


def _partner(phase: Band, phases: list[Band], bands: list[Band]) -> Layer | None:
    """The coherence of a phase: the only one that can be, or the one at its place among as many as there are phases."""
    found = [band for band in bands if band.role == "coherence" and not band.layer.is_complex and band is not phase]
    fitting = [band for band in found if not any(_differ(band.name, phase.name, words) for words in _MARKS)]
    if len(fitting) == 1:
        return _part(fitting[0], len(bands))
    if len(found) == len(phases) and phase in phases:
        return _part(found[phases.index(phase)], len(bands))
    return None


_MARKS = (r"(?<![a-z])[hv]{2}(?![a-z])", r"\d{8}|\d{1,2}[a-z]{3}\d{4}")
"""Polarisations and dates in names of bands."""


def _differ(one: str, other: str, words: str) -> bool:
    found = [set(re.findall(words, name.lower())) for name in (one, other)]
    return bool(found[0] and found[1] and not found[0] & found[1])


def _masked(phase: Band, bands: list[Band], others: int = 0) -> Layer:
    """The phase, NaN where it and the amplitude (or coherence) beside it are 0."""
    layer = _part(phase, len(bands), others)
    beside = [band for role in ("amplitude", "coherence") for band in bands if band.role == role and band is not phase]
    return mask_by(layer, beside[0].layer, zero=True) if beside else layer


def _part(band: Band, count: int, others: int = 0) -> Layer:
    role = (band.role or "").replace("perhaps ", "").replace("unknown", "")
    what = "complex" if band.layer.is_complex else f"{role} {band.by}".strip() if role else "as asked"
    return replace(band.layer, part=f"{band.shown(count)}, {what}" + _rest(others))


def _joined(real: Band, imaginary: Band, bands: list[Band], by: str = "by their names", others: int = 0) -> Layer:
    names = f" ({real.name}, {imaginary.name})" if real.name else ""
    part = f"bands {real.number} and {imaginary.number} of {len(bands)}{names}, real and imaginary {by}"
    return replace(join(real.layer, imaginary.layer), part=part + _rest(others))


def _rest(others: int) -> str:
    return f"; the first of {others + 1} such, --layer names another" if others else ""


def _refusal(bands: list[Band], expected: str) -> DataError:
    """The bands, with their names and ranges, and what was expected."""
    _sample(bands)
    listed = []
    for band in bands[:_SHOWN]:
        role = (band.role or "unknown").replace("perhaps phase", "phase?").replace("unknown", "?")
        name = f"{band.name[:40]} " if band.name else ""
        size = "complex, modulus " if band.layer.is_complex else f"{role} "
        listed.append(f"{band.number}: {name}{size}{band.values.shown() if band.values else ''}")
    more = "; ..." if len(bands) > _SHOWN else ""
    return DataError(
        f"{bands[0].layer.path}: found {len(bands)} bands ({'; '.join(listed)}{more}), expected {expected}"
    )
