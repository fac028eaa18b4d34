"""`mvnet denoise dti --maps`: the choice, and every map against the tensors beside it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mvnet.apps.common.errors import UserError
from mvnet.apps.dti.map_kinds import MAPS, chosen_maps, parse_maps


def read(folder: Path, param: str) -> np.ndarray:
    return nibabel.Nifti1Image.from_filename(folder / f"sub-01_model-DTI_param-{param}_dwimap.nii.gz").get_fdata()


def sidecar(folder: Path, param: str) -> dict:
    return json.loads((folder / f"sub-01_model-DTI_param-{param}_dwimap.json").read_text())


def params(folder: Path) -> set[str]:
    return {path.name.split("param-")[1].split("_")[0] for path in folder.glob("*_dwimap.nii.gz")}


def inputs_of(scan) -> list[object]:
    return [scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask]


@pytest.fixture(scope="module")
def everything(scan, checkpoint, tmp_path_factory) -> Path:
    """The results of --maps all on a DWI."""
    from mvnet.apps import main

    out = tmp_path_factory.mktemp("all") / "out"
    options = ["--maps", "all", "--bvec-frame", "fsl", "--checkpoint", checkpoint, "--device", "cpu", "-o", out]
    arguments = ["denoise", "dti", *inputs_of(scan), *options, "--no-report", "-q"]
    assert main.run([str(a) for a in arguments]) == 0
    return out


def test_maps_agree_with_the_tensors(everything):
    xx, xy, xz, yy, yz, zz = np.moveaxis(read(everything, "tensor"), -1, 0)  # FSL order, mm^2/s, axes of the b-vectors
    full = np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), (0, 1), (-2, -1))
    values = [read(everything, f"L{k}") for k in (1, 2, 3)]
    vectors = [read(everything, f"V{k}") for k in (1, 2, 3)]
    rebuilt = sum(w[..., None, None] * v[..., :, None] * v[..., None, :] for w, v in zip(values, vectors))
    assert rebuilt == pytest.approx(full, abs=1e-8)
    assert read(everything, "AD") == pytest.approx(values[0], abs=1e-9)
    assert read(everything, "RD") == pytest.approx((values[1] + values[2]) / 2, abs=1e-9)
    assert read(everything, "MD") == pytest.approx(sum(values) / 3, abs=1e-9)
    assert np.abs(read(everything, "mode")).max() <= 1


def test_maps_of_the_fit_are_those_of_the_reader(everything, scan):
    from mvnet.data_loaders.dti import load_dwi

    volume = load_dwi(scan.dwi, scan.bval, scan.bvec, mask=scan.mask, bvec_frame="fsl")
    found = volume.acquisition
    assert found is not None
    for param, values in (("S0", found.b0), ("sigma", found.sigma), ("residual", found.residual)):
        assert read(everything, param) == pytest.approx((values * volume.mask).numpy(), rel=1e-5)
    errors = read(everything, "SSE")
    assert (errors >= 0).all() and np.median(errors[volume.mask.numpy()]) > 0


def test_sidecars_say_unit_and_axes(everything):
    for param in ("AD", "RD", "MD", "L1", "L2", "L3", "tensor"):
        assert sidecar(everything, param)["Units"] == "mm^2/s"
    for param in ("V1", "V2", "V3"):
        fields = sidecar(everything, param)
        assert fields["OrientationRepresentation"] == "unit3vector" and fields["ReferenceAxes"] == "ijk"
        assert "FSL" in fields["ReferenceAxesDescription"]
    assert sidecar(everything, "sigma")["Units"] == sidecar(everything, "S0")["Units"] == "image units"
    assert sidecar(everything, "DEC")["ReferenceAxes"] == "xyz"


@pytest.mark.parametrize("text, chosen", [("FA,v1", {"FA", "V1"}), ("tensor SSE", {"tensor", "SSE"})])
def test_maps_are_chosen(text, chosen, scan, denoise, tmp_path):
    result = denoise(*inputs_of(scan), "--maps", text, "-o", tmp_path / "out", "--json")
    assert result.status == 0, result.err
    assert params(tmp_path / "out") == chosen == set(json.loads(result.out)["outputs"]) - {"outliers"}


@pytest.mark.parametrize("text", ["FA,colour", "", "none"])
def test_unknown_maps_are_refused_before_any_work(text, scan, denoise, tmp_path):
    status, _, err = denoise(*inputs_of(scan), "--maps", text, "-o", tmp_path / "out", "-q")
    assert status == 2 and err.count("\n") == 1 and "--maps: found" in err and "sigmaFA" in err
    assert not (tmp_path / "out").exists()


def test_tensors_have_no_maps_of_the_noise(scan, denoise, tmp_path):
    options = ["--mask", scan.mask, "--order", "fsl", "-o", tmp_path / "out"]
    status, _, err = denoise(scan.tensors, *options, "--maps", "FA,S0", "-q")
    assert status == 2 and "--maps: found a tensor image as input, expected a DWI for S0" in err
    status, _, err = denoise(scan.tensors, *options, "--maps", "all")
    assert status == 0, err
    names = {path.name for path in (tmp_path / "out").glob("*_dwimap.nii.gz")}
    assert not any(f"param-{name}_" in file for file in names for name in ("S0", "SSE", "sigma", "residual"))
    assert not list((tmp_path / "out").glob("*outliers*"))


def test_errors_of_fa_and_md_have_the_unit_of_their_maps(everything):
    inside = read(everything, "confidence") > 0
    fa, md, kept = (read(everything, name)[inside] for name in ("sigmaFA", "sigmaMD", "kept"))
    assert (fa > 0).all() and np.median(fa) < 1 and ((kept > 0) & (kept <= 1)).all()
    assert 0 < np.median(md) < np.median(read(everything, "MD")[inside])  # mm^2/s
    assert sidecar(everything, "sigmaMD")["Units"] == "mm^2/s"


def test_choices_without_files():
    assert parse_maps(None) is None and parse_maps("ALL") == tuple(MAPS)
    assert chosen_maps(None, is_dwi=True)[:3] == ("tensor", "FA", "MD")
    assert "sigma" not in chosen_maps(None, is_dwi=False)
    with pytest.raises(UserError, match="expected a DWI for S0, SSE"):
        chosen_maps(("FA", "S0", "SSE"), is_dwi=False)


def test_the_outlier_table_is_there_without_outliers(everything):
    table = everything / "sub-01_desc-outliers.tsv"
    assert table.read_text() == "volume\tslice\tkind\tscore\tweight\n"
    columns = json.loads(table.with_suffix(".json").read_text())
    assert "Description" in columns["weight"]


def test_outliers_are_listed_in_the_table_and_on_the_page(scan, denoise, tmp_path, monkeypatch):
    from dataclasses import replace

    from mvnet.apps.dti import denoise as module
    from mvnet.data_loaders.dti.volume import Outlier

    real = module._load
    found = (Outlier(7, 3, "dropout", 12.5, 0.25), Outlier(2, None, "empty", float("nan"), 0.0))

    def load(*arguments):
        volume = real(*arguments)
        assert volume.acquisition is not None
        return replace(volume, acquisition=replace(volume.acquisition, outliers=found))

    monkeypatch.setattr(module, "_load", load)
    result = denoise(*inputs_of(scan), "-o", tmp_path / "out", report=True)
    assert result.status == 0, result.err
    lines = (tmp_path / "out" / "sub-01_desc-outliers.tsv").read_text().splitlines()
    assert lines[1:] == ["2\tn/a\tempty\tn/a\t0", "7\t3\tdropout\t12.50\t0.25"]
    page = (tmp_path / "out" / "sub-01_model-DTI_report.html").read_text()
    assert "Outlier volumes and slices" in page and "dropout" in page
    assert "1 outlier volumes, 1 outlier slices" in result.out
