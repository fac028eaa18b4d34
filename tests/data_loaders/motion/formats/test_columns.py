"""Columns of sensors: clocks are no signals, axes go by their names."""

from __future__ import annotations

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from mvnet.data_loaders.motion.formats.sensors.columns import axis_of, is_clock, is_inertial, is_note
from mvnet.data_loaders.motion.inertial import integrate_gyroscope
from tests.data_loaders.motion.formats.test_imu import RATES, table

CLOCKS = (
    "time|Time (s)|timestamp_ns|seconds_elapsed|epoch (ms)|epoc (ms)|elapsed (s)|timestamp (-07:00)|loggingTime(txt)|"
    "loggingSample(N)|motionTimestamp_sinceReboot(s)|SampleTimeFine|PacketCounter|Counter|Unnamed: 0||t|t_ms|frame|"
    "Frame No|sample_number|index|deviceTime|Host Timestamp (ms)|time_since_start|unix_time|millis|UTC|date|ticks|#"
)
NOTES = "label|Activity|activity_id|subject|user id|participant|session|class|target|deviceID(txt)|gt"
SIGNALS = (
    "acc_x|Gyroscope x (rad/s)|rotationRate.x|userAcceleration.x|attitude.roll|index_flex|countermovement|hand_acc_x|"
    "targetAngle|deviceMotionX|x|y|z|gx|temperature|heart rate|sex_hormone|class_1_x"
)


def test_clocks_notes_and_signals() -> None:
    assert [name for name in CLOCKS.split("|") if not is_clock(name)] == []
    assert [name for name in NOTES.split("|") if not is_note(name)] == []
    assert [name for name in SIGNALS.split("|") if is_clock(name) or is_note(name)] == []


@pytest.mark.parametrize(
    "names", ["x y z", "ax ay az gx gy gz", "a(m/s^2)", "Gyr_X", "rotationRate.x", "x-axis (deg/s)"]
)
def test_what_is_inertial(names: str) -> None:
    assert is_inertial(["time", *names.split()])
    assert not is_inertial(["time", "w", "x", "y", "z"]) and not is_inertial(["account", "x"])


def test_axes() -> None:
    names = "gyro_z (deg/s)|RotationRateX|gx|Gyr_Y|y-axis (g)|gyroX_left|wz|accelZ(m/s^2)|gyrox|magnitude|x"
    assert "".join(axis_of(name) or "-" for name in names.split("|")) == "zxxyyxzzx-x"


def write(tmp_path, text: str):
    (tmp_path / "a.csv").write_text(text)
    return tmp_path / "a.csv"


@pytest.mark.parametrize(
    "names",
    [
        ("gyroscope_z", "gyroscope_x", "gyroscope_y"),
        ("gz", "gx", "gy"),
        ("rotationRate.z", "rotationRate.x", "rotationRate.y"),
        ("AngularVelocityZ", "AngularVelocityX", "AngularVelocityY"),
        ("z-axis (rad/s)", "x-axis (rad/s)", "y-axis (rad/s)"),
    ],
)
def test_axes_by_name_whatever_their_order(tmp_path, names) -> None:
    """Two clocks, an accelerometer between, an incomplete second sensor: the rotations are those of x, y, z."""
    time = np.arange(20) * 0.01
    columns = [1.6e18 + time * 1e9, 5 + time, RATES[:, 2], 9 * RATES[:, :1], RATES[:, 0], RATES[:, 1], RATES[:, 0]]
    heads = ["timestamp_ns", "seconds_elapsed", names[0], "acc_z", *names[1:], "gyr_other_x"]
    path = write(tmp_path, table(columns, heads))
    found = load_motion(path, value="rotations", unit="rad/s")
    np.testing.assert_allclose(found.sequences[0][:, 0], integrate_gyroscope(RATES, time), atol=1e-3)
    signals = load_motion(path)
    assert signals.channels == (names[0], "acc_z", *names[1:], "gyr_other_x")
    assert "timestamp_ns, seconds_elapsed" in signals.notes[0] and signals.rate == pytest.approx(100, rel=1e-3)


def test_a_ramp_is_a_clock_whatever_its_name(tmp_path) -> None:
    columns = [300 + 0.02 * np.arange(20), RATES, np.zeros(20)]
    found = load_motion(write(tmp_path, table(columns, ["zeit", "gyr_x", "gyr_y", "gyr_z", "acc_x"])))
    assert found.channels == ("gyr_x", "gyr_y", "gyr_z", "acc_x") and "zeit" in found.notes[0]


def test_a_sensor_without_an_axis(tmp_path) -> None:
    path = write(tmp_path, table([RATES[:, :2]], ["gyr_x", "gyr_y"]))
    with pytest.raises(DataError, match="found only gyr_x, gyr_y of a gyroscope, expected x, y, z"):
        load_motion(path, value="rotations", unit="rad/s")
    bare = load_motion(
        write(tmp_path, table([RATES], ["gyr 1", "gyr 2", "gyr 3"])), value="rotations", unit="rad/s", rate=9
    )
    np.testing.assert_allclose(bare.sequences[0][:, 0], integrate_gyroscope(RATES, np.arange(20) / 9), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "step", "rate", "said"),
    [
        ("timestamp", 20, 50, True),
        ("timestamp", 20_000, 50, True),
        ("timestamp", 20_000_000, 50, True),
        ("time", 0.02, 50, False),
        ("epoch (ms)", 20, 50, False),
        ("time_us", 20_000, 50, False),
    ],
)
def test_units_of_clocks(tmp_path, name: str, step: float, rate: float, said: bool) -> None:
    found = load_motion(write(tmp_path, table([np.arange(20) * step, RATES], [name, "gyr_x", "gyr_y", "gyr_z"])))
    assert found.rate == pytest.approx(rate) and ("by its steps" in " ".join(found.notes)) == said


def test_dates_and_texts(tmp_path) -> None:
    """A clock of dates, a column of words, an index without a name; a damaged number is still named."""
    rows = [f"{k},2024-01-05T10:00:{k / 10:06.3f},walk,{','.join(map(str, RATES[k]))},NA" for k in range(20)]
    head = ",time (-05:00),activity,ax,ay,az,gx\n"
    found = load_motion(write(tmp_path, "sep=,\n" + head + "\n".join(rows) + "\n"))
    assert found.channels == ("ax", "ay", "az", "gx") and found.rate == pytest.approx(10)
    np.testing.assert_allclose(found.sequences[0][:, :3], RATES)
    assert np.isnan(found.sequences[0][:, 3]).all()
    with pytest.raises(DataError, match="line 22: found no number"):
        load_motion(write(tmp_path, head + "\n".join([*rows, rows[3].replace("NA", "broken")]) + "\n"))
    with pytest.raises(DataError, match=r"found the columns time, label, acc, expected signals"):
        load_motion(write(tmp_path, "time,label,acc\n1,2,walk\n2,2,walk\n"), "imu")
