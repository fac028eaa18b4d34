"""Columns of tables by their names: clocks, notes, axes of sensors.

A clock counts time, frames or packets; a note says what was done, by whom, with what. Neither is a signal: a
classifier that gets them knows when somebody moved, not how.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIMES = _set(
    "time times timestamp timestamps elapsed epoch epoc clock datetime stamp timestep tstamp reltime nanotime"
)
_SPANS = _set("""
    seconds secs millis micros nanos milliseconds microseconds nanoseconds minutes hours msec usec nsec millisec
    microsec nanotime unix utc""")
_CLOCKS = _TIMES | _SPANS | _set("date counter packetcounter sampletimefine uptime unnamed")
"""A column whose name begins with one of these is a clock; one that ends with a time is one, too."""
_COUNTS = _set("""
    index idx frame frames sample samples row line seq sequence count tick ticks packet t no nr n num number id s sec ms
    us ns hms fine system device sensor logging record host gps phone local start since in of dt
    ts delta hh mm ss hour minute""")
"""A name made of nothing but these and clocks is one."""
_NOTES = _set("""
    label labels class classes activity action target gt annotation category subject user person participant actor
    session trial repetition uuid device gender sex age hand handedness placement""")
_NOTE_WORDS = _NOTES | _set("id ids name code no nr number num txt type index")
_AXIS = re.compile(r"(?:^|[^a-z])([xyz])(?:[^a-z]|$)|^(?:gyro?|acc(?:el)?|magn?|[awgm])([xyz])$")
_CAPITAL = re.compile(r"(?<=[a-z0-9)])([XYZ])(?![a-zA-Z])")
_BRACKETS = re.compile(r"[(\[][^)\]]*[)\]]")
_INERTIAL = re.compile(r"gyr|acc(?![uo])|angular|omega|rot\w*[ _.]?rate|magnet|gravity", re.IGNORECASE)
_RATE = r"(?:deg|rad|°)\w*\s*(?:/|per|p)\s*s\w*(?!\W*[\^²2])|\bdps\b"
_GYROSCOPE = re.compile(rf"gyr|angular(?!\W*acc)|omega|rot\w*[ _.]?rate|{_RATE}", re.IGNORECASE)
_UNITS = re.compile(rf"[(\[]\s*(?:g|m/s\^?2|m/s²|m s-2|[uµ]T|{_RATE})\s*[)\]]", re.IGNORECASE)
_SHORT = re.compile(r"[agwm][xyz]", re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """Words of a name in lower case: loggingTime_ns is logging, time, ns."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^a-zA-Z]+", split.lower()) if word]


def is_clock(name: str) -> bool:
    """Whether a column counts time, frames or packets; one without a name is the number of its row."""
    words = words_of(_BRACKETS.sub(" ", name)) or words_of(name)
    if not words or words[0] in _CLOCKS or words[-1] in _TIMES or (len(words) > 1 and words[1] in _TIMES):
        return True
    return set(words) <= _COUNTS | _CLOCKS or "".join(words) in _CLOCKS


def is_count(name: str) -> bool:
    """Whether a clock counts rows or packets and tells no time."""
    words = set(words_of(name))
    return is_clock(name) and not words & (_TIMES | _SPANS | {"t"})


def is_note(name: str) -> bool:
    """Whether a column says what was done, by whom or with what device."""
    words = set(words_of(_BRACKETS.sub(" ", name)))
    return bool(words & _NOTES) and words <= _NOTE_WORDS


def signal_columns(names: Sequence[str]) -> list[int]:
    """The columns that are neither clocks nor notes."""
    return [k for k, name in enumerate(names) if not is_clock(name) and not is_note(name)]


def is_inertial(names: Sequence[str]) -> bool:
    """Whether these are columns of an inertial sensor, by words, units, ax ay az, or x, y, z and nothing else."""
    signals = [names[k].strip() for k in signal_columns(names)]
    if any(_INERTIAL.search(name) or _UNITS.search(name) for name in signals):
        return True
    alone = sorted(name.lower() for name in signals) == ["x", "y", "z"] and len(names) > 3
    return alone or sum(bool(_SHORT.fullmatch(name)) for name in signals) >= 3


def axis_of(name: str) -> str | None:
    """x, y or z, where a name says it: gyro_z (deg/s), RotationRateX, gx."""
    bare = _BRACKETS.sub(" ", name).strip()
    match = _CAPITAL.search(bare) or _AXIS.search(bare.lower())
    return next(letter for letter in match.groups() if letter).lower() if match else None


def gyroscope_columns(names: Sequence[str]) -> tuple[np.ndarray, str]:
    """Columns (sensors, 3) of x, y, z whatever their order in the file, and what is no sensor, "" if nothing.

    The columns of a sensor are alike but for the axis. Where no name tells an axis, columns go by three, as they stand.
    """
    signals = signal_columns(names)
    found = [k for k in signals if _GYROSCOPE.search(names[k]) or re.fullmatch("[gw][xyz]", names[k].strip().lower())]
    axes = [axis_of(names[k]) for k in found]
    if not any(axes):
        wrong = "" if found and len(found) % 3 == 0 else f"{len(found)} columns of a gyroscope"
        return np.array([] if wrong else found, dtype=np.int64).reshape(-1, 3), wrong
    sensors: dict[str, dict[str, int]] = {}
    for k, axis in zip(found, axes):
        if axis is not None:
            sensors.setdefault(_without_axis(names[k], axis), {}).setdefault(axis, k)
    whole = [[columns[axis] for axis in "xyz"] for columns in sensors.values() if len(columns) == 3]
    partial = next((columns for columns in sensors.values() if len(columns) < 3), {})
    wrong = f"only {', '.join(names[k] for k in partial.values())} of a gyroscope" if partial or not whole else ""
    return np.array(whole, dtype=np.int64).reshape(-1, 3), wrong


def _without_axis(name: str, axis: str) -> str:
    """What is left of a name: the same for the three axes of one sensor."""
    bare = _BRACKETS.sub(" ", name).strip()
    text = _CAPITAL.sub(" ", bare)
    text = text if text != bare else re.sub(rf"(?<![a-z]){axis}(?![a-z])", " ", bare.lower())
    text = text if text != bare.lower() else bare.lower().removesuffix(axis)
    return " ".join(words_of(text)) + "".join(re.findall(r"\d+", text))
