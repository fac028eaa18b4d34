"""Text files of inertial sensors, .ts archives, quaternion tables."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.motion import DataError, MotionSet, load_motion, splits
from mvnet.data_loaders.motion.formats.sensors.imu import gyroscope_rotations
from mvnet.data_loaders.motion.inertial import integrate_gyroscope

RATES = np.random.default_rng(0).normal(size=(20, 3)).round(6)


def table(columns, names=None, comments=(), mark=","):
    rows = [mark.join(names)] if names else []
    rows += [mark.join(f"{v:.6f}" for v in row) for row in np.column_stack(columns)]
    return "\n".join([*comments, *rows]) + "\n"


def write(tmp_path, *args, name="a.csv", **keywords):
    (tmp_path / name).write_text(table(*args, **keywords))
    return tmp_path / name


@pytest.mark.parametrize("unit, factor", [("deg/s", np.pi / 180), ("rad/s", 1.0)])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_gyroscope_with_unit_and_time(tmp_path, unit, factor, mark):
    time = np.arange(20) * 0.01
    path = write(tmp_path, [time, RATES], ["Time (s)"] + [f"Gyroscope {a} ({unit})" for a in "XYZ"], mark=mark)
    found = load_motion(path, value="rotations")
    np.testing.assert_allclose(found.sequences[0][:, 0], integrate_gyroscope(RATES * factor, time), atol=1e-12)
    signals = load_motion(path)
    np.testing.assert_allclose(signals.sequences[0], RATES)
    assert signals.kind == "signals" and signals.rate == pytest.approx(100) and signals.width == 3


def test_two_sensors_at_a_given_rate(tmp_path):
    names = [f"{part}_gyr_{a}" for part in ("hand", "foot") for a in "xyz"]
    path = write(tmp_path, [RATES, -RATES], names)
    with pytest.raises(DataError, match=r"no unit of the angular rates in the columns hand_gyr_x.*rad/s or deg/s"):
        load_motion(path, value="rotations")
    with pytest.raises(DataError, match="neither a column of times nor a sample rate"):
        load_motion(path, value="rotations", unit="rad/s")
    found = load_motion(path, value="rotations", unit="rad/s", rate=50).sequences[0]
    assert found.shape == (20, 2, 3, 3)
    np.testing.assert_allclose(found[:, 1], integrate_gyroscope(-RATES, np.arange(20) / 50), atol=1e-12)


def test_xsens_export(tmp_path):
    """Rate in a comment, rad/s by the exporter, a trailing tab in every row."""
    comments = ["// Start Time: 0", "// Sample rate: 50.0Hz", "// Firmware Version: 2.5.1"]
    names = ["Counter", "Acc_X", "Acc_Y", "Acc_Z", "Gyr_X", "Gyr_Y", "Gyr_Z"]
    text = table([np.arange(20), RATES, RATES], names, comments, "\t").replace("\n", "\t\n")
    (tmp_path / "a.txt").write_text(text.replace("Gyr_Z\t\n", "Gyr_Z\n"))
    found = load_motion(tmp_path / "a.txt", value="rotations")
    np.testing.assert_allclose(found.sequences[0][:, 0], integrate_gyroscope(RATES, np.arange(20) / 50), atol=1e-12)
    assert load_motion(tmp_path / "a.txt").channels == tuple(names[1:])


TURNS = Rotation.from_rotvec(np.cumsum(RATES, axis=0) / 5)


@pytest.mark.parametrize("names", [["W", "X", "Y", "Z"], ["q0", "q1", "q2", "q3"], ["qw", "qx", "qy", "qz"]])
def test_named_quaternions(tmp_path, names):
    path = write(tmp_path, [np.arange(20) / 50, TURNS.as_quat(scalar_first=True)], ["Time (s)", *names])
    np.testing.assert_allclose(load_motion(path).sequences[0][:, 0], TURNS.as_matrix(), atol=1e-5)
    with pytest.raises(DataError, match="order: found xyzw, expected wxyz"):
        load_motion(path, order="xyzw")
    mixed = write(tmp_path, [TURNS.as_quat()], [names[i] for i in (1, 2, 3, 0)], name="b.csv")
    np.testing.assert_allclose(load_motion(mixed).sequences[0][:, 0], TURNS.as_matrix(), atol=1e-5)


@pytest.mark.parametrize("order", ["wxyz", "xyzw"])
def test_quaternions_without_names_need_an_order(tmp_path, order):
    values = TURNS.as_quat(scalar_first=order == "wxyz")
    path = write(tmp_path, [values, values])
    with pytest.raises(DataError, match="give order: wxyz or xyzw"):
        load_motion(path, "quaternions")
    found = load_motion(path, "quaternions", order=order)
    assert found.sequences[0].shape == (20, 2, 3, 3)
    np.testing.assert_allclose(found.sequences[0][:, 1], TURNS.as_matrix(), atol=1e-5)
    odd = write(tmp_path, [values, values[:, :1]], name="odd.csv")
    with pytest.raises(DataError, match="found 5 columns, expected four for each sensor"):
        load_motion(odd, "quaternions", order=order)


def test_quaternions_as_signals_are_continuous(tmp_path):
    signs = np.random.default_rng(1).choice([-1, 1], size=(20, 1))
    path = write(tmp_path, [TURNS.as_quat() * signs], ["qx", "qy", "qz", "qw"])
    found = load_motion(path, value="signals").sequences[0]
    assert ((found[1:] * found[:-1]).sum(-1) > 0).all()


HEADER = "@problemName T\n@timeStamps false\n@dimensions 3\n@classLabel true Sit Run\n@data\n"

STAMPED = HEADER.replace("Stamps false", "Stamps true")


def ts_line(values, label):
    return ":".join(",".join(f"{v:.6f}" for v in channel) for channel in values.T) + f":{label}\n"


def test_ts_archive(tmp_path):
    (tmp_path / "T_TRAIN.ts").write_text("#about\n" + HEADER + ts_line(RATES, "Sit") + ts_line(RATES[:7], "Run"))
    (tmp_path / "T_TEST.ts").write_text(HEADER + ts_line(-RATES, "Run").replace(f"{-RATES[3, 1]:.6f}", "?"))
    found = load_motion(tmp_path, rate=10)
    assert found.lengths.tolist() == [20, 7, 20] and found.classes == ("Run", "Sit")
    assert found.require_labels().tolist() == [1, 0, 0]
    np.testing.assert_allclose(found.sequences[1], RATES[:7])
    assert np.argwhere(np.isnan(found.sequences[2])).tolist() == [[3, 1]]
    split = splits(found)[0]
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [2])
    one = load_motion(tmp_path / "T_TRAIN.ts")
    assert len(one) == 2 and one.train_sequences is None
    with pytest.raises(DataError, match=r"gyroscope, the channels from 0 of x, y, z, unit.*rate"):
        load_motion(tmp_path / "T_TRAIN.ts", value="rotations")
    turned = load_motion(tmp_path / "T_TRAIN.ts", value="rotations", gyroscope=(0, 1, 2), unit="rad/s", rate=10)
    expected = integrate_gyroscope(RATES, np.arange(20) / 10)
    np.testing.assert_allclose(turned.sequences[0][:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("stamp", ["{}", "2024-01-05 10:00:0{}", "10:00:0{}"])
def test_ts_with_time_stamps(tmp_path, stamp):
    """(time,value) pairs, uneven; integrated at their times."""
    times = [0.0, 0.25, 1.0, 1.5, 2.5]
    stamps = [stamp.format(f"{t:.3f}") for t in times]
    line = ":".join(",".join(f"({t},{v})" for t, v in zip(stamps, channel)) for channel in RATES[:5].T)
    (tmp_path / "a.ts").write_text(STAMPED + f"{line}:Sit\n".replace(")", ") ", 1))
    found = load_motion(tmp_path / "a.ts")
    np.testing.assert_allclose(found.sequences[0], RATES[:5])
    np.testing.assert_allclose(np.concatenate(found.timestamps or ()), times, atol=1e-6)
    turned = load_motion(tmp_path / "a.ts", value="rotations", gyroscope=(0, 1, 2), unit="rad/s")
    np.testing.assert_allclose(turned.sequences[0][:, 0], integrate_gyroscope(RATES[:5], np.array(times)), atol=1e-6)


@pytest.mark.parametrize(
    "text, message",
    [
        (HEADER, "no sequences after @data"),
        (HEADER.replace("@data", "@dat"), "no line @data"),
        (STAMPED + "1:Sit\n", "timeStamps true"),
        (
            STAMPED + "(0,1),(1,2):(0,1),(2,2):Sit\n",
            "channels at different times",
        ),
        (STAMPED + "(x,1),(1,2):Sit\n", "expected times as numbers or dates"),
        (HEADER + "1,2:3,4:5:Sit\n", r"line 6: found 3 channels of lengths \[1, 2\]"),
        (HEADER + "1:2:3:Sit\n1:2:Sit\n", "line 7: found 2 channels"),
        (HEADER + "\n1:x:3:Sit\n", "line 7: found no number"),
    ],
)
def test_damaged_ts(tmp_path, text, message):
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(DataError, match=message):
        load_motion(tmp_path / "a.ts")
    with pytest.raises(DataError, match=r"found no pair NAME_TRAIN\.ts and NAME_TEST\.ts"):
        load_motion(tmp_path, "ts")


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("gyr_x,gyr_y,gyr_z\n1,2,3\n1,2\n", {}, "line 3: found 2 values, expected 3: truncated"),
        ("gyr_x,gyr_y,gyr_z\n1,2,3\n1,b,3\n", {}, "line 3: found no number .*float: 'b'"),
        ("acc_x,acc_y,acc_z\n1,2,3\n", dict(value="rotations"), "found 0 columns of a gyroscope"),
        ("gyr_x,gyr_y,gyr_z\n1,2,3\n", dict(value="positions"), "expected signals or rotations"),
        ("gyr_x,gyr_y,gyr_z\n1,2,3\n", dict(unit="rpm"), "unit: found 'rpm', expected one of rad/s, deg/s"),
        ("gyr_x,gyr_y,gyr_z\n1,2,3\n", dict(rate=-1), "rate: found -1"),
        ("gyr_x,gyr_y,gyr_z\n1,2,3\n", dict(speed=1), "options: found 'speed'"),
        ("a,b\nc,d\n", {}, "unknown format, expected one of npz, release, ts"),
        ("", {}, "found an empty file"),
        ("time,gyr_x\n", dict(format="imu"), "found no rows of numbers"),
        ("gyr_x,gyr_y\n1,2\n", dict(value="rotations", gyroscope=(0, 1, 2), unit="deg/s"), "columns .0, 1, 2. of 2"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, options, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_motion(tmp_path / "a.csv", **options)


@pytest.mark.parametrize(
    "kind, rate, gyroscope, unit, message",
    [
        ("positions", 10, (0, 1, 2), "rad/s", "found positions at rate 10.0, expected signals and a rate"),
        ("signals", None, (0, 1, 2), "rad/s", "found signals at rate None, expected signals and a rate"),
        ("signals", 10, (0, 1, 2), "rpm", "unit: found 'rpm', expected one of rad/s, deg/s"),
        ("signals", 10, (0, 1, 3), "rad/s", "expected three channels of 0 to 2 a sensor"),
        ("signals", 10, (), "rad/s", "expected three channels of 0 to 2 a sensor"),
    ],
)
def test_signals_that_no_gyroscope_gives(kind, rate, gyroscope, unit, message):
    motions = MotionSet([RATES if kind == "signals" else RATES[:, None]], kind, rate=rate and float(rate))
    with pytest.raises(DataError, match=message):
        gyroscope_rotations(motions, gyroscope, unit)


def test_unknown_files_and_formats(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_motion(tmp_path / "none.bvh")
    (tmp_path / "a.csv").write_text("gyr_x,gyr_y,gyr_z\n1,2,3\n")
    with pytest.raises(DataError, match="format: found 'fbx', expected one of npz"):
        load_motion(tmp_path / "a.csv", "fbx")
