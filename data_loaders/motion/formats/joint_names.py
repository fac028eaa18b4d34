"""Names of joints without what differs from file to file: namespaces, subjects, prefixes of a rig.

mixamorig1:Hips   mixamorigHips   S01:LASI   Armature|Hips   ->   Hips   Hips   LASI   Hips
Bip01 Pelvis, Bip01 Spine                                    ->   Pelvis, Spine
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_RIG = re.compile(r"^mixamorig\d*[ _]?(?=[A-Z])")
_FEW = 3  # names that share a beginning by chance


def plain_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names without namespaces and without the beginning that all of them share, as far as they stay different.

    Names that were equal from the start are told apart by a number: "toe", "toe 2".
    """
    clean = [_RIG.sub("", re.split(r"[:|]", name)[-1].strip()) or name.strip() for name in names]
    clean = clean if len(set(clean)) == len(set(names)) else [name.strip() for name in names]
    shared = re.match(r".*[_ .:|-]", _beginning(clean))
    if shared and len(clean) > _FEW:
        short = [name[shared.end() :] for name in clean]
        clean = short if all(name[:1].isalpha() for name in short) else clean
    return _distinct(clean)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, the second of a kind with " 2" behind it."""
    count: Counter[str] = Counter()
    taken, found = set(names), []
    for name in names:
        count[name] += 1
        new = name
        while count[name] > 1 and (new == name or new in taken):
            new = f"{name} {count[name]}"
            count[name] += new in taken
        taken.add(new)
        found.append(new)
    return tuple(found)


def _beginning(names: Sequence[str]) -> str:
    """The longest text that all names begin with."""
    first, last = min(names), max(names)
    return first[: next((k for k, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))]
