"""A damaged file of any format is read, or refused in one line: never anything else."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mvnet.data_loaders.dti import load_dwi, load_tensors
from mvnet.data_loaders.dti.simulation import gradient_scheme
from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.motion import MotionSet, load_motion, save_motion, splits
from mvnet.errors import MvnetError
from tests.data_loaders.insar import files as insar_files
from tests.data_loaders.motion.files import bvh
from tests.data_loaders.motion.test_imu import HEADER, RATES, TURNS, table, ts_line
from tests.data_loaders.motion.test_recording import write_acclaim
from tests.data_loaders.motion.test_skeleton import msr_text, ntu_text, sensor
from tests.data_loaders.mutants import mutate

MUTANTS = 48
COMPILED = ("GMTSAR classic", "GMTSAR complex", "NISAR", "ARIA", "MintPy", "NetCDF-4")
"""Their compiled readers (netCDF, HDF5) crash or hang on some: not tried here."""
Load = Callable[[], object]


def damage(folder: Path, load: Load, count: int = MUTANTS, seed: int = 0) -> list[str]:
    """What is raised that should not be, when one of the files of a folder after the other is damaged."""
    whole = {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    wrong = []
    for number, (file, data) in enumerate(whole.items()):
        for mutant in mutate(data, max(8, count // len(whole)), 1000 * seed + number):
            file.write_bytes(mutant)
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    load()
            except (OSError, MemoryError):
                pass
            except MvnetError as error:
                if "\n" in str(error):
                    wrong.append(f"{file.name}: {error}")
            except Exception as error:
                wrong.append(f"{file.name}: {type(error).__name__}: {error}")
        file.write_bytes(data)
    return wrong


def motion_set(folder: Path) -> MotionSet:
    motions = [sensor(5, 4, seed) for seed in range(4)]
    return MotionSet(motions, labels=np.array([0, 1, 0, 1]), classes=("a", "b"), subjects=np.array([1, 2, 3, 4]))


def neutral(folder: Path) -> Load:
    path = save_motion(motion_set(folder), folder / "a.npz")
    return lambda: load_motion(path)


def released(folder: Path) -> Load:
    from scipy.io import savemat

    cells = np.empty((2, 1), dtype=object)
    for i in range(2):
        cells[i, 0] = {"original_skeletal_data": sensor(3, 4, i).T, "subject": i + 1, "action": i + 1}
    savemat(folder / "skeletal_data.mat", {"skeletal_data": cells})
    savemat(folder / "tr_te_splits.mat", {"tr_subjects": np.array([[1], [2]])})
    body = {"bones": np.array([[1, 2], [2, 3], [3, 4]]), "hip_center_index": 1}
    savemat(folder / "body_model.mat", {"body_model": body})
    return lambda: load_motion(folder)


def released_arrays(folder: Path) -> Load:
    np.savez(folder / "real_world_coordinates.npz", a01_s01_e01=sensor(3, 4), a02_s02_e01=sensor(3, 4))
    return lambda: load_motion(folder)


def one_text(name: str, text: str, **options) -> Callable[[Path], Load]:
    def write(folder: Path) -> Load:
        (folder / name).write_text(text)
        return lambda: load_motion(folder / name, **options)

    return write


def archive(folder: Path) -> Load:
    (folder / "T_TRAIN.ts").write_text(HEADER + ts_line(RATES, "Sit") + ts_line(RATES[:7], "Run"))
    (folder / "T_TEST.ts").write_text(HEADER + ts_line(-RATES, "Run"))
    return lambda: load_motion(folder, value="rotations", gyroscope=(0, 1, 2), unit="rad/s", rate=10)


def acclaim(folder: Path) -> Load:
    path = write_acclaim(folder)
    return lambda: load_motion(path)


def c3d(folder: Path) -> Load:
    ezc3d = pytest.importorskip("ezc3d", reason="needs mvnet[motion]")
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["RATE"]["value"] = [100]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["LASI", "RASI", "SACR"]
    file["data"]["points"] = np.random.default_rng(0).uniform(100, 900, size=(4, 3, 5))
    file.write(str(folder / "a.c3d"))
    return lambda: load_motion(folder / "a.c3d")


def classes(folder: Path) -> Load:
    for name in ("walk/a", "run/b"):
        (folder / name).parent.mkdir()
        (folder / f"{name}.csv").write_text(table([TURNS.as_quat()], ["x", "y", "z", "w"]))
    (folder / "subjects.csv").write_text("walk/a.csv,1\nrun/b.csv,2\n")
    return lambda: load_motion(folder)


def split_file(name: str, text: str) -> Callable[[Path], Load]:
    def write(folder: Path) -> Load:
        (folder / name).write_text(text)
        return lambda: splits(motion_set(folder), folder / name)

    return write


FLORENCE = "\n".join(
    " ".join(f"{v:g}" for v in (1, 1 + i % 2, 2, *(1000 * sensor(9, 15)[i]).ravel())) for i in range(9)
)
GYROSCOPE = table([np.arange(20) * 0.01, RATES], ["Time (s)", *(f"Gyroscope {a} (deg/s)" for a in "XYZ")])
QUATERNIONS = table([np.arange(20) / 50, TURNS.as_quat()], ["Time (s)", "x", "y", "z", "w"])
BODIES = [{"72057": joints, "72058": -joints} for joints in sensor(3, 25)]

MOTION: dict[str, Callable[[Path], Load]] = {
    "npz": neutral,
    "release": released,
    "release npz": released_arrays,
    "ts": archive,
    "bvh": one_text("a.bvh", bvh(np.random.default_rng(0).uniform(-170, 170, size=(4, 12)))),
    "amc": acclaim,
    "ntu": one_text("S001C002P013R001A055.skeleton", ntu_text(BODIES)),
    "msr": one_text("a04_s07_e02_skeleton3D.txt", msr_text(sensor())),
    "florence": one_text("world.txt", FLORENCE),
    "quaternions": one_text("q.csv", QUATERNIONS),
    "imu": one_text("g.csv", GYROSCOPE, value="rotations"),
    "imu signals": one_text("g.csv", GYROSCOPE),
    "classes": classes,
    "split json": split_file("a.json", json.dumps([[1, 3], [2, 4]])),
    "split csv": split_file("a.csv", "1,3\n2,4\n"),
    "c3d": c3d,
}


@pytest.mark.parametrize("name", [name for name in MOTION if name not in COMPILED])
def test_motion(name: str, tmp_path: Path) -> None:
    if name == "bvh":
        pytest.importorskip("pybvh", reason="needs mvnet[motion]")
    load = MOTION[name](tmp_path)
    load()
    assert damage(tmp_path, load) == []


def interferogram(name: str) -> Callable[[Path], Load]:
    def write(folder: Path) -> Load:
        random = np.random.default_rng(0)
        z = (random.standard_normal((13, 17)) + 1j * random.standard_normal((13, 17))).astype(np.complex64)
        coherence = random.uniform(0.05, 0.95, z.shape).astype(np.float32)
        path = insar_files.WRITERS[name][0](folder, z, coherence)
        return lambda: open_interferogram(path, layer=1 if name == "MintPy" else None).read()

    return write


@pytest.mark.parametrize("name", [name for name in insar_files.WRITERS if name not in COMPILED])
def test_insar(name: str, tmp_path: Path) -> None:
    pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    load = interferogram(name)(tmp_path)
    load()
    assert damage(tmp_path, load) == []


def tensor_volume(folder: Path, ending: str = ".nii") -> Load:
    values = np.broadcast_to(np.array([1, 0, 0, 0.8, 0, 0.5], dtype=np.float32) * 1e-3, (5, 4, 3, 6))
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / f"t{ending}")
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 4, 3), np.uint8), np.eye(4)), folder / f"m{ending}")
    return lambda: load_tensors(folder / f"t{ending}", order="fsl", mask=folder / f"m{ending}")


def diffusion_scan(folder: Path) -> Load:
    bvals, bvecs = gradient_scheme(6, n_b0=1)
    dwi = 1 + np.random.default_rng(0).random((5, 4, 3, 7)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(dwi, np.eye(4)), folder / "d.nii")
    np.savetxt(folder / "d.bval", bvals.numpy()[None], fmt="%.6g")
    np.savetxt(folder / "d.bvec", bvecs.numpy().T, fmt="%.8f")
    mask = np.ones((5, 4, 3))
    return lambda: load_dwi(folder / "d.nii", folder / "d.bval", folder / "d.bvec", mask=mask)


DTI: dict[str, Callable[[Path], Load]] = {
    "tensors": tensor_volume,
    "tensors gz": lambda folder: tensor_volume(folder, ".nii.gz"),
    "scan": diffusion_scan,
}


@pytest.mark.parametrize("name", DTI)
def test_dti(name: str, tmp_path: Path) -> None:
    load = DTI[name](tmp_path)
    load()
    assert damage(tmp_path, load) == []


@pytest.mark.parametrize("error", [RecursionError("too deep"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad\nbyte")])
def test_the_words_of_a_parser_are_kept(error: Exception) -> None:
    words = f"a.x: found .* read as X .{type(error).__name__}: .*expected"
    with pytest.raises(DataError, match=words) as caught, reading("a.x", "X"):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [MvnetError("x: found 1, expected 2"), MemoryError(), OSError(28, "full")])
def test_what_says_itself_what_is_wrong_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, reading("a.x", "X"):
        raise error
    assert caught.value is error


def test_an_error_of_the_system_is_given_the_name_of_the_file() -> None:
    with pytest.raises(OSError) as caught, reading("a.x", "X"):
        raise OSError(5, "Input/output error")
    assert (caught.value.filename, caught.value.errno) == ("a.x", 5)


def test_what_the_system_answers_to_nonsense_is_a_damaged_file() -> None:
    with pytest.raises(DataError, match=r"a\.x: found .*Invalid argument"), reading("a.x", "X"):
        raise OSError(22, "Invalid argument")
