"""Text files of inertial sensors: Xsens and x-io (NGIMU) exports, CSV with named columns, quaternion tables.

    signals (default)    all named columns but clocks and notes on what was done
    rotations            of each sensor: its quaternions where the file has them, else its gyroscope integrated

Columns go by name: gyr*, angular*, rotation rate x, y, z in any order, with the unit in brackets ("(deg/s)"), q* w, x,
y, z for quaternions.
Where neither file nor exporter says the unit of rates or the order of quaternions it has to be given.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.sensors.columns import gyroscope_columns, is_inertial, signal_columns
from mvnet.data_loaders.motion.formats.sensors.table import Table, column_names, rate_of, read_table
from mvnet.data_loaders.motion.inertial import (
    RADIANS,
    continuous,
    integrate_gyroscope,
    rotations_of_quaternions,
    to_xyzw,
)
from mvnet.data_loaders.motion.motion_set import MotionSet, check_times
from mvnet.data_loaders.motion.options import ReadOptions

_ROWS = 10  # that a clock without a name for it must have
_QUATERNION = re.compile(r"^(?:quat\w*[ _.]?|q[ _.]?)?([wxyz])(?:\W.*)?$", re.IGNORECASE)
_NUMBERED = re.compile(r"^(?:quat\w*[ _.]?|q[ _.]?)([0-3])$", re.IGNORECASE)


def is_imu(path: Path) -> bool:
    """A table with columns of a gyroscope or accelerometer."""
    return is_inertial(column_names(path) or ())


def is_quaternions(path: Path) -> bool:
    """A table whose columns are named w, x, y, z, with q before or not, besides time."""
    names = column_names(path)
    return bool(names) and not is_imu(path) and _quaternion_columns(names) is not None


def read_imu(path: Path, options: ReadOptions) -> MotionSet:
    """One recording of one or several sensors.

    Raises:
        DataError: neither times nor rate, rates without a unit, no gyroscope where rotations are asked for.
    """
    table = read_table(path)
    names = table.names or tuple(f"channel {i}" for i in range(table.values.shape[1]))
    if options.value in (None, "signals"):
        keep = [k for k in signal_columns(names) if k not in table.texts and not _is_ramp(table.values[:, k])]
        if not keep:
            raise DataError(f"{path}: found the columns {', '.join(names)}, expected signals besides clocks and notes")
        gone = ", ".join(name or "without a name" for k, name in enumerate(names) if k not in keep)
        note = f"columns left out, which are clocks, notes or texts: {gone}" if gone else ""
        channels = tuple(names[k] for k in keep)
        return _recording(path, table, options, table.values[:, keep], note, channels=channels)
    _only_rotations(options)
    columns = _quaternion_columns(names)
    if columns is not None:
        values = rotations_of_quaternions(table.values[:, columns].reshape(len(table.values), -1, 4), "wxyz")
        return _recording(path, table, options, values, note="rotations from the quaternions of the file")
    sensors, left = _gyroscopes(path, names, options)
    unit = options.unit or _unit(path, [names[i] for i in sensors.ravel()], table)
    rates = table.values[:, sensors] * RADIANS[unit]
    note = f"gyroscope in {unit}, integrated without correction of drift" + (f"; {left}" if left else "")
    return _recording(path, table, options, None, note, rates)


def read_quaternions(path: Path, options: ReadOptions) -> MotionSet:
    """Rotations of quaternions, four columns for each sensor, after one of time where it is named so.

    Raises:
        DataError: an order that neither the names nor `order` tell, columns that are no multiple of four.
    """
    table = read_table(path)
    columns = _quaternion_columns(table.names or ())
    if columns is not None:
        named = "".join(np.array(list("wxyz"))[np.argsort(columns[0])])
        if options.order not in (None, named):
            raise DataError(f"order: found {options.order}, expected {named}, as the columns of {path} are named")
        quaternions, order = table.values[:, columns], "wxyz"
    else:
        time = table.time()
        values = np.delete(table.values, time.column, axis=1) if time else table.values
        if options.order is None:
            raise DataError(f"{path}: found no columns w, x, y, z, expected their names; give order: wxyz or xyzw")
        if values.shape[1] % 4:
            raise DataError(f"{path}: found {values.shape[1]} columns, expected four for each sensor")
        quaternions, order = values.reshape(len(values), -1, 4), options.order
    if options.value == "signals":
        smooth = continuous(to_xyzw(quaternions, order)).reshape(len(quaternions), -1)
        names = tuple(f"q{axis} {i}" for i in range(quaternions.shape[1]) for axis in "xyzw")
        return _recording(path, table, options, smooth, channels=names)
    _only_rotations(options)
    return _recording(path, table, options, rotations_of_quaternions(quaternions, order), note=f"quaternions {order}")


def gyroscope_rotations(motions: MotionSet, gyroscope: tuple[int, ...], unit: str) -> MotionSet:
    """Rotations (frames, sensors, 3, 3) from the gyroscopes among the channels of signals.

    Args:
        gyroscope: channels counted from 0, x, y, z of each sensor.
        unit: "rad/s" or "deg/s".
    Raises:
        DataError: no signals, neither rate nor times, unknown unit or channel, missing values.
    """
    if motions.kind != "signals" or (motions.rate is None and motions.timestamps is None):
        raise DataError(f"{motions.source}: found {motions.kind} at rate {motions.rate}, expected signals and a rate")
    if unit not in RADIANS:
        raise DataError(f"unit: found {unit!r}, expected one of {', '.join(RADIANS)}")
    columns = np.array(gyroscope)
    if columns.size % 3 or not columns.size or columns.min() < 0 or columns.max() >= motions.width:
        raise DataError(f"gyroscope: found {gyroscope}, expected three channels of 0 to {motions.width - 1} a sensor")
    rotations = []
    for i, sequence in enumerate(motions.sequences):
        rates = sequence[:, columns.reshape(-1, 3)] * RADIANS[unit]
        uneven = motions.timestamps[i] if motions.timestamps is not None else None
        times = uneven if uneven is not None else np.arange(len(rates)) / (motions.rate or 1.0)
        rotations.append(integrate_gyroscope(rates, times))
    return replace(
        motions,
        sequences=tuple(rotations),
        kind="rotations",
        channels=None,
        notes=motions.notes + (f"gyroscope in {unit}, integrated without correction of drift",),
    )


def _only_rotations(options: ReadOptions) -> None:
    if options.value not in (None, "rotations"):
        raise DataError(f"value: found {options.value!r}, expected signals or rotations for an inertial sensor")


def _quaternion_columns(names: tuple[str, ...]) -> np.ndarray | None:
    """Columns (sensors, 4) in the order w, x, y, z; None where they are not all there."""
    columns: dict[str, list[int]] = {axis: [] for axis in "wxyz"}
    for i, name in enumerate(names):
        match, numbered = _QUATERNION.match(name.strip()), _NUMBERED.match(name.strip())
        if match or numbered:
            columns[match.group(1).lower() if match else "wxyz"[int(numbered.group(1))] if numbered else ""].append(i)
    counts = {len(found) for found in columns.values()}
    return np.array([columns[axis] for axis in "wxyz"]).T if len(counts) == 1 and counts != {0} else None


def _is_ramp(column: np.ndarray) -> bool:
    """Whether values grow or fall by the same step from row to row, as clocks do and signals do not."""
    steps = np.diff(column)
    if len(steps) < _ROWS or not np.isfinite(steps).all() or not steps[0]:
        return False
    return bool((np.abs(steps / steps[0] - 1) < 1e-3).all())


def _gyroscopes(path: Path, names: tuple[str, ...], options: ReadOptions) -> tuple[np.ndarray, str]:
    """Columns (sensors, 3) of x, y, z, and what was left out."""
    if options.gyroscope is None:
        found, wrong = gyroscope_columns(names)
    else:
        found, wrong = np.array(options.gyroscope), ""
        if found.size % 3 or not found.size or found.min() < 0 or found.max() >= len(names):
            found, wrong = np.array([]), f"the columns {options.gyroscope} of {len(names)}"
    if not found.size:
        raise DataError(f"{path}: found {wrong}, expected x, y, z for each sensor")
    return found.reshape(-1, 3), f"left out {wrong}" if wrong else ""


def _unit(path: Path, names: list[str], table: Table) -> str:
    """As the names of the columns say it; Xsens exports, known by their comments, are in rad/s."""
    text = " ".join(names).lower()
    if re.search(r"deg|dps|°", text):
        return "deg/s"
    if re.search(r"rad", text) or any(comment.startswith("Firmware Version") for comment in table.comments):
        return "rad/s"
    found = f"no unit of the angular rates in the columns {', '.join(names[:3])}"
    raise DataError(f"{path}: found {found}, expected one; give unit: rad/s or deg/s")


def _recording(
    path: Path,
    table: Table,
    options: ReadOptions,
    values: np.ndarray | None,
    note: str = "",
    rates: np.ndarray | None = None,
    channels: tuple[str, ...] | None = None,
) -> MotionSet:
    """A set of one sequence: `values`, or the rates integrated."""
    time, rate = table.time(), options.rate or table.rate()
    seconds = time.seconds if time and options.rate is None else None
    if seconds is not None:
        check_times(seconds, str(path), "; or give rate")
    if seconds is None and rate is not None:
        seconds = np.arange(len(table.values)) / rate
    elif seconds is not None and rate is None and len(seconds) > 1:
        rate = rate_of(seconds)
    if rates is not None:
        if seconds is None:
            found = "neither a column of times nor a sample rate"
            raise DataError(f"{path}: found {found}, expected one; give rate, in samples per second")
        values = integrate_gyroscope(rates, seconds)
    assert values is not None
    return MotionSet(
        [values],
        "signals" if channels is not None else "rotations",
        names=(path.stem,),
        channels=channels,
        rate=rate,
        timestamps=(seconds,) if seconds is not None and time and options.rate is None else None,
        source=str(path),
        notes=tuple(text for text in (note, time.note if time and seconds is not None else "") if text),
    )
