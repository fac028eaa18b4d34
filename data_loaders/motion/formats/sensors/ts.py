"""The .ts format of the UCR/UEA archives: one sequence a line, channels divided by ":", its class last.

A folder with NAME_TRAIN.ts and NAME_TEST.ts is one set whose published split is by sequence. Without time stamps the
format holds no sample rate: give `rate` where it matters. With them every value is a pair (time,value); times are
numbers, taken as seconds, or dates.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.sensors.imu import gyroscope_rotations
from mvnet.data_loaders.motion.formats.sensors.table import seconds_of
from mvnet.data_loaders.motion.inertial import RADIANS
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.text_files import head_lines

_COLON, _OUTSIDE = re.compile(":"), re.compile(r":(?![^()]*\))")  # between channels; outside of brackets
_PAIR = re.compile(r"\(([^()]*)\)")
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")


def _files(path: Path) -> list[Path]:
    """The file itself, or the training and test file of a folder."""
    if path.is_file():
        return [path]
    found = [sorted(path.glob(f"*_{side}.ts")) for side in ("TRAIN", "TEST")]
    return [files[0] for files in found] if [len(files) for files in found] == [1, 1] else []


def is_ts(path: Path) -> bool:
    """A .ts file with an @ line, or a folder with a training and a test file."""
    files = _files(path)
    return bool(files) and files[0].suffix == ".ts" and any(line.startswith("@") for line in head_lines(files[0], 40))


def read_ts(path: Path, options: ReadOptions) -> MotionSet:
    """Signals (frames, channels), or with value="rotations" the gyroscopes among them integrated.

    Raises:
        DataError: damaged, another number of channels in a line, channels at different times; no `gyroscope`, `unit`
            and rate where rotations are asked for.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path}: found no pair NAME_TRAIN.ts and NAME_TEST.ts, expected both or a single file")
    parts = [_read(file) for file in files]
    sequences = [sequence for found, _, _ in parts for sequence in found]
    names = [label for _, found, _ in parts for label in found]
    times = [seconds for _, _, found in parts for seconds in found]
    stamped = len(times) == len(sequences)
    steps = np.concatenate([np.diff(seconds) for seconds in times]) if stamped else np.empty(0)
    rate = float(1 / np.median(steps)) if len(steps) and np.median(steps) > 0 else None
    labels, classes = encode_labels(names) if names else (None, ())
    train = np.arange(len(sequences)) < len(parts[0][0])
    motions = MotionSet(
        sequences,
        "signals",
        labels=labels,
        classes=classes,
        train_sequences=train[None] if len(parts) == 2 else None,
        rate=options.rate or rate,
        timestamps=tuple(times) if stamped and options.rate is None else None,
        source=str(path),
        notes=("time stamps taken as seconds",) if stamped and options.rate is None else (),
    )
    if options.value in (None, "signals"):
        return motions
    if options.gyroscope is None or options.unit is None or motions.rate is None:
        raise DataError(
            f"{path}: found no gyroscope, unit and rate in the options, expected for rotations gyroscope, the channels "
            f"from 0 of x, y, z, unit, one of {', '.join(RADIANS)}, and rate, in samples per second"
        )
    return gyroscope_rotations(motions, options.gyroscope, options.unit)


def _read(path: Path) -> tuple[list[np.ndarray], list[str], list[np.ndarray]]:
    """Sequences (frames, channels), class names and times (frames,), [] where the header says that there are none."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise DataError(f"{path}: found no line @data, expected one before the sequences")
    header = {words[0].lower(): words[1:] for words in map(str.split, lines[:start]) if words and words[0][0] == "@"}
    labelled, stamped = _is_true(header, "@classlabel"), _is_true(header, "@timestamps")
    sequences, labels, times = [], [], []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip():
            continue
        parts = (_OUTSIDE.split if stamped else _COLON.split)(line.strip())
        if labelled:
            labels.append(parts.pop().strip())
        width = sequences[0].shape[1] if sequences else len(parts)
        where = f"{path}: line {number}"
        if stamped:
            pairs = [_pairs(part, where) for part in parts]
            parts = [",".join(value for _, value in channel) for channel in pairs]
            times.append(_common_times(pairs, where))
        sequences.append(_channels(parts, width, where))
    if not sequences:
        raise DataError(f"{path}: found no sequences after @data, expected at least one")
    return sequences, labels, times


def _pairs(channel: str, where: str) -> list[tuple[str, str]]:
    """(time, value) of "(0,1.5),(1,2.5)"."""
    inside = [text.rpartition(",") for text in _PAIR.findall(channel)]
    if not inside or _PAIR.sub("", channel).strip(" ,") or not all(comma for _, comma, _ in inside):
        raise DataError(f"{where}: found {channel[:20]}, expected pairs (time,value) as @timeStamps true says")
    return [(time.strip(), value.strip()) for time, _, value in inside]


def _common_times(pairs: list[list[tuple[str, str]]], where: str) -> np.ndarray:
    """Seconds from the first; DataError where the channels of a line differ in their times, or it tells none."""
    texts = [time for time, _ in pairs[0]]
    if any([time for time, _ in channel] != texts for channel in pairs):
        raise DataError(f"{where}: found channels at different times, expected the same for all of a sequence")
    numbers = [float(text) if _NUMBER.fullmatch(text) else seconds_of(text) for text in texts]
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: found {texts[0]}, expected times as numbers or dates")
    return np.array(numbers) - numbers[0]


def _is_true(header: dict[str, list[str]], name: str) -> bool:
    return header.get(name, ["false"])[0].lower() == "true"


def _channels(parts: list[str], width: int, where: str) -> np.ndarray:
    """(frames, channels) of the channels of one line, "?" as NaN; `where` names the line in messages."""
    try:
        channels = [[np.nan if v.strip() == "?" else float(v) for v in part.split(",")] for part in parts]
    except ValueError as error:
        raise DataError(f"{where}: found no number ({error}), expected numbers or ?") from error
    lengths = {len(channel) for channel in channels}
    if len(lengths) != 1 or len(channels) != width:
        found = f"{len(channels)} channels of lengths {sorted(lengths)}"
        raise DataError(f"{where}: found {found}, expected as many as before, all of one length: truncated?")
    return np.array(channels).T
