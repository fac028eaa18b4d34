"""Acclaim files: the skeleton in .asf, its motion in .amc beside it.

A bone has a direction and a length in the world axes of the rest pose, and its own axes C, given by angles and the
order `axis`. Its motion is a rotation M in its own axes, by the channels `dof`. Relative to the bone above:

    R = C M C^T,   G_j = G_p R_j,   x_j = x_p + G_j (length direction)

Angles are about fixed axes in the order written: XYZ is the matrix Rz Ry Rx, scipy's lower-case "xyz". Joint j of the
result is the far end of bone j, so its position turns with G_j itself; joint 0 is the root.
Lengths: 1 unit of the file is 0.0254 / `length` metres, as CMU's files have it (inches divided by 0.45).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.file_names import named_recording
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording
from mvnet.data_loaders.motion.skeleton.tree import check_parent, order
from mvnet.data_loaders.text_files import head_lines

_INCH = 0.0254
_SKELETONS = ("asf", "ASF", "skeletons", "skeleton")


@dataclass(frozen=True)
class AcclaimSkeleton:
    """names, root first. parent (bones,). offsets (bones, 3) in units of the file. axes C (bones, 3, 3).

    channels: of each bone, as "rx", "tz". orders: of the rotations about fixed axes, as "xyz". position: of the root
    at rest. length, degrees: of :units.
    """

    names: tuple[str, ...]
    parent: np.ndarray
    offsets: np.ndarray
    axes: np.ndarray
    channels: tuple[tuple[str, ...], ...]
    orders: tuple[str, ...]
    position: np.ndarray
    length: float
    degrees: bool


def is_amc(path: Path) -> bool:
    """A .amc file that has :FULLY-SPECIFIED or a first frame."""
    words = [line.strip().upper() for line in head_lines(path, 20)]
    return path.suffix.lower() == ".amc" and any(word in (":FULLY-SPECIFIED", "1") for word in words)


def _sections(path: Path) -> dict[str, list[list[str]]]:
    """Lines, as words, of each :section of an .asf; the word after the colon's own line comes first."""
    found: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        words = line.partition("#")[0].replace("(", " ").replace(")", " ").split()
        if words and words[0].startswith(":"):
            current = found.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append(words)
    return found


def _floats(words: list[str]) -> np.ndarray:
    return np.array([float(word) for word in words])


def _rotation(angles: list[str], axes: str, degrees: bool) -> np.ndarray:
    """About the fixed axes in their order: "XYZ" is Rz Ry Rx."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler(axes.lower(), _floats(angles), degrees=degrees).as_matrix()


def read_asf(path: Path) -> AcclaimSkeleton:
    """The skeleton of an .asf.

    Raises:
        DataError: no such section, a bone without what it needs, an order of axes that does not exist, no tree.
    """
    sections = _sections(path)
    missing = [name for name in ("root", "bonedata", "hierarchy") if name not in sections]
    if missing:
        raise DataError(f"{path}: found no section :{missing[0]}, expected :root, :bonedata and :hierarchy")
    with reading(path, "an Acclaim skeleton"):
        return _skeleton(path, sections)


def _skeleton(path: Path, sections: dict[str, list[list[str]]]) -> AcclaimSkeleton:
    units = {words[0].lower(): words[1] for words in sections.get("units", []) if len(words) > 1}
    degrees = units.get("angle", "deg").lower().startswith("deg")
    root = {words[0].lower(): words[1:] for words in sections["root"]}
    names, offsets = ["root"], [np.zeros(3)]
    axes = [_rotation(root["orientation"], root["axis"][0], degrees)]
    channels, orders = [tuple(word.lower() for word in root["order"])], [root["axis"][0].lower()]
    for block in _blocks(sections["bonedata"]):
        bone = {words[0].lower(): words[1:] for words in block}
        _check_bone(path, bone)
        names.append(bone["name"][0])
        offsets.append(_floats(bone["direction"]) * float(bone["length"][0]))
        axes.append(_rotation(bone["axis"][:3], bone["axis"][3], degrees))
        channels.append(tuple(word.lower() for word in bone.get("dof", ())))
        orders.append(bone["axis"][3].lower())
    parent = np.full(len(names), -1)
    for words in next(_blocks(sections["hierarchy"])):
        for name in words[1:]:
            parent[names.index(name)] = names.index(words[0])
    return AcclaimSkeleton(
        tuple(names),
        check_parent(parent, len(names), str(path)),
        np.array(offsets),
        np.array(axes),
        tuple(channels),
        tuple(orders),
        _floats(root.get("position", ["0", "0", "0"])),
        float(units.get("length", 1.0)),
        degrees,
    )


def _check_bone(path: Path, bone: dict[str, list[str]]) -> None:
    """DataError: axes that are no three angles and their order, channels that are no rotations."""
    name, axis, dof = bone["name"][0], bone["axis"], bone.get("dof", [])
    if len(axis) != 4 or sorted(axis[3].upper()) != list("XYZ"):
        raise DataError(f"{path}: bone {name}: found axis {' '.join(axis)}, expected 3 angles and XYZ")
    if not {word.lower() for word in dof} <= {"rx", "ry", "rz"}:
        raise DataError(f"{path}: bone {name}: found dof {' '.join(dof)}, expected rx, ry, rz only")


def _blocks(lines: list[list[str]]):
    """The lines between each begin and end."""
    block: list[list[str]] = []
    for words in lines:
        if words == ["begin"]:
            block = []
        elif words == ["end"]:
            yield block
        else:
            block.append(words)


def _beside(path: Path) -> Path:
    """The .asf of an .amc: the one whose name the .amc's begins with, the longest, or the only one in the folder.

    Looked for in the folder, in those called asf or skeletons, and in the two folders above: HDM_bd.asf belongs to
    HDM_bd_walk_001_120.amc wherever the classes are folders.
    """
    folders = [path.parent, *path.parent.absolute().parents[:2]]
    for folder in folders:
        there = [file for file in folder.glob("*.[aA][sS][fF]")]
        there += [file for name in _SKELETONS for file in (folder / name).glob("*.[aA][sS][fF]")]
        named = [file for file in sorted(there) if _begins(path.stem.lower(), file.stem.lower())]
        if named:
            return max(named, key=lambda file: len(file.stem))
    there = sorted(path.parent.glob("*.[aA][sS][fF]"))
    if len(there) == 1:
        return there[0]
    wanted = path.stem.rpartition("_")[0] or path.stem
    raise DataError(f"{path}: found {len(there)} .asf files beside it, none of its name, expected {wanted}.asf")


def _begins(name: str, stem: str) -> bool:
    """Whether a name is the stem, or goes on with something else than a letter or digit."""
    return name == stem or (name.startswith(stem) and not name[len(stem)].isalnum())


def read_amc(path: Path, options: ReadOptions) -> MotionSet:
    """World positions (default), world rotations, or rotations relative to the bone above ("local").

    CMU recorded at 120 frames per second, which the file does not say: give `rate`. Names of HDM05 hold the rate.

    Raises:
        DataError: no .asf, truncated, a bone the skeleton does not have, another number of channels.
    """
    from scipy.spatial.transform import Rotation

    skeleton = read_asf(_beside(path))
    frames = _frames(path, skeleton)
    n, bones = len(frames), len(skeleton.names)
    local = np.broadcast_to(np.eye(3), (n, bones, 3, 3)).copy()
    translation = np.zeros((n, 3))
    for bone, (name, channels) in enumerate(zip(skeleton.names, skeleton.channels)):
        values = np.array([frame.get(name, [0.0] * len(channels)) for frame in frames])
        turns = [channels.index(f"r{axis}") for axis in skeleton.orders[bone] if f"r{axis}" in channels]
        if turns:
            sequence = "".join(channels[k][1] for k in turns)
            motion = Rotation.from_euler(sequence, values[:, turns], degrees=skeleton.degrees).as_matrix()
            local[:, bone] = skeleton.axes[bone] @ motion @ skeleton.axes[bone].T
        if bone == 0:
            for k, channel in enumerate(channels):
                if channel[0] == "t":
                    translation[:, "xyz".index(channel[1])] = values[:, k]
    world, positions = np.empty_like(local), np.empty((n, bones, 3))
    for bone in order(skeleton.parent):
        above = skeleton.parent[bone]
        world[:, bone] = local[:, bone] if above < 0 else world[:, above] @ local[:, bone]
        base = skeleton.position + translation if above < 0 else positions[:, above]
        positions[:, bone] = base + world[:, bone] @ skeleton.offsets[bone]
    scale = options.scale or _INCH / skeleton.length
    motions = one_recording(
        path,
        options,
        positions=positions * scale,
        world=world,
        local=local,
        parent=skeleton.parent,
        joints=skeleton.names,
        rate=options.rate,
        scale=scale,
        default_up="y",
    )
    return named_recording(motions)


def _frames(path: Path, skeleton: AcclaimSkeleton) -> list[dict[str, list[float]]]:
    """Channel values by bone, for each frame."""
    counts = dict(zip(skeleton.names, map(len, skeleton.channels)))
    frames: list[dict[str, list[float]]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words or words[0].startswith(":"):
            continue
        if len(words) == 1 and words[0].isdigit():
            frames.append({})
            continue
        name, values = words[0], words[1:]
        if not frames or name not in counts or len(values) != counts[name]:
            wanted = f"{counts[name]} values of {name}" if name in counts else "a bone of the .asf"
            raise DataError(f"{path}: line {number}: found {name} with {len(values)} values, expected {wanted}")
        try:
            frames[-1][name] = [float(value) for value in values]
        except ValueError as error:
            raise DataError(f"{path}: line {number}: found no number ({error}), expected numbers") from error
    _check_complete(path, frames)
    return frames


def _check_complete(path: Path, frames: list[dict[str, list[float]]]) -> None:
    """DataError: no frames, or frames of different bones."""
    short = next((i for i, frame in enumerate(frames) if frame.keys() != frames[0].keys()), None)
    if not frames or short is not None:
        found = "no frames" if short is None else f"{len(frames[short])} bones in frame {short + 1}"
        raise DataError(f"{path}: found {found}, expected all of them in every frame: truncated?")
