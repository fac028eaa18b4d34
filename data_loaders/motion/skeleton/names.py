"""A tree of joints from their names alone, as capture software, depth sensors and pose detectors spell them.

A name is a side and a part: LeftUpLeg, l_hip, rknee, "Bip01 L Thigh", lfemur. The names of a known layout, in any
order, have its tree. Of others the parts are ranked along the trunk, the arms and the legs; each joint hangs at the one
before it, a leg at the foot of the trunk, an arm at its chest, or at the neck where there is none and no collar bone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS

_TRUNK = (
    ("hips?|pelvis|root|hipcent(er|re)|midhip|spinebase|sacrum|hipcentre|basespine", 0.0),
    ("lowerback|waist|abdomen|abdomenlower|belly|spinelow|spinelower", 1.0),
    ("spine|spinemid|spinenavel|torso|upperback|abdomenupper|back", 2.0),
    ("thorax|chest|spinechest|sternum|ribcage", 3.0),
    ("upperchest|chestupper|spineshoulder|shouldercent(er|re)|midshoulder|spinehigh", 4.0),
    ("lowerneck|neck|neckbase", 5.0),
    ("upperneck", 5.5),
    ("head|headtop|headbase|headcent(er|re)|headend|headtopend", 6.0),
)
_FACE = "nose|jaw|chin|mouth|eye|ear|face|forehead|eyeinner|eyeouter"
_ARM = (
    ("collar|clavicle|shouldergirdle|innershoulder", 0.0),
    ("shoulder|shldr|shoulderjoint", 1.0),
    ("arm|upperarm|humerus|uparm", 1.5),
    ("elbow|forearm|lowerarm|lowarm|radius|elbowjoint", 2.0),
    ("wrist|wristjoint", 3.0),
    ("hand|palm|handcent(er|re)", 4.0),
    ("(hand)?(fingers?|fingerbase|tip|fingertip|thumb|index|middle|ring|pinky|little|end|pinkie)", 5.0),
)
_LEG = (
    ("hipjoint", 0.0),
    ("hip|upleg|upperleg|thigh|femur", 1.0),
    ("knee|leg|lowleg|lowerleg|shin|calf|tibia|kneejoint", 2.0),
    ("ankle|anklejoint", 3.0),
    ("foot|footjoint", 4.0),
    ("forefoot", 4.5),
    ("heel|toes?|toebase|bigtoe|smalltoe|footindex|footend|toeend|toesend|tiptoe|football|toetip", 5.0),
)
_CHEST, _NECK = 3.0, 5.0
_SIDES = {"left": "l", "l": "l", "right": "r", "r": "r"}


def side_and_part(name: str) -> tuple[str, str, int]:
    """ "l", "r" or "", the part in lower-case letters, and the number at its end, 0 without one."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"([A-Z])([A-Z][a-z])", r"\1 \2", name.split(":")[-1]))
    tokens = [
        word for word in re.split(r"[\W_]+", words.lower()) if word and not re.fullmatch(r"bip\d*|j|jnt|joint", word)
    ]
    side = next((_SIDES[token] for token in tokens if token in _SIDES), "")
    rest = "".join(token for token in tokens if token not in _SIDES)
    match = re.fullmatch(r"(.*?)(\d*)", rest)
    part, number = (match.group(1), match.group(2)) if match else (rest, "")
    if not side and not _known(part):
        for word, letter in _SIDES.items():
            if part.startswith(word) and _known(part[len(word) :]):
                return letter, part[len(word) :], int(number or 0)
    return side, part, int(number or 0)


def _known(part: str) -> bool:
    return any(re.fullmatch(pattern, part) for pattern, _ in (*_TRUNK, *_ARM, *_LEG)) or bool(re.fullmatch(_FACE, part))


def _rank(part: str, table: Sequence[tuple[str, float]]) -> float | None:
    return next((rank for pattern, rank in table if re.fullmatch(pattern, part)), None)


def exchange_of_names(names: Sequence[str]) -> np.ndarray:
    """(joints,) the joint of the other side with the same part; itself where there is none."""
    keys = [side_and_part(name) for name in names]
    other = {"l": "r", "r": "l", "": ""}
    place = {key: i for i, key in enumerate(keys)}
    return np.array([place.get((other[side], part, number), i) for i, (side, part, number) in enumerate(keys)])


def tree_of_names(names: Sequence[str]) -> np.ndarray | None:
    """Parents (joints,) of a body; None where a name is no part of one, comes twice, or there is no trunk."""
    keys = [side_and_part(name) for name in names]
    if len(set(keys)) < len(keys):
        return None
    for layout in LAYOUTS.values():
        theirs = [side_and_part(name) for name in layout.joints]
        if set(theirs) == set(keys):
            return np.array(
                [-1 if (above := layout.parent[theirs.index(key)]) < 0 else keys.index(theirs[above]) for key in keys]
            )
    return _ranked(keys)


_Entry = tuple[float, str, int, int]  # rank, part, number, joint


def _ranked(keys: Sequence[tuple[str, str, int]]) -> np.ndarray | None:
    """Parents by the ranks of the parts."""
    trunk: list[_Entry] = []
    limbs: dict[tuple[str, str], list[_Entry]] = {}
    face: list[int] = []
    for joint, (side, part, number) in enumerate(keys):
        arm, leg, middle = _rank(part, _ARM), _rank(part, _LEG), _rank(part, _TRUNK)
        if re.fullmatch(_FACE, part):
            face.append(joint)
        elif side and arm is not None:
            limbs.setdefault((side, "arm"), []).append((arm, part, number, joint))
        elif side and leg is not None:
            limbs.setdefault((side, "leg"), []).append((leg, part, number, joint))
        elif not side and middle is not None:
            trunk.append((middle, part, number, joint))
        else:
            return None
    if not trunk:
        return None
    trunk.sort()
    parent = np.full(len(keys), -1)
    for above, below in pairwise(trunk):
        parent[below[-1]] = above[-1]
    for (_, limb), entries in limbs.items():
        _hang(parent, sorted(entries), trunk[0][-1] if limb == "leg" else _shoulder(trunk, entries))
    for joint in face:
        parent[joint] = trunk[-1][-1]
    return parent


def _shoulder(trunk: Sequence[_Entry], arm: Sequence[_Entry]) -> int:
    """The joint of the trunk that an arm hangs at."""
    collar = sum(rank < 2 for rank, *_ in arm) > 1 or any(rank == 0 for rank, *_ in arm)
    chest = [entry for entry in trunk if entry[0] < _NECK and (collar or entry[0] >= _CHEST)]
    neck = [entry for entry in trunk if entry[0] <= _NECK]
    return (chest or neck or trunk[:1])[-1][-1]


def _hang(parent: np.ndarray, entries: Sequence[_Entry], start: int) -> None:
    """One limb below `start`: each joint at the last one of a smaller rank, or of its own part and a smaller number."""
    for k, (rank, part, number, joint) in enumerate(entries):
        before = [e for e in entries[:k] if e[0] < rank or (e[1] == part and e[2] < number)]
        parent[joint] = before[-1][-1] if before else start
