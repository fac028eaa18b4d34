"""`mvnet denoise dti`: what it writes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from mvnet.apps.dti import bids
from mvnet.data_loaders.dti import LAYOUTS, load_tensors, save_tensors
from mvnet.linalg import affine_invariant

PARAMS = ("tensor", "FA", "MD", "DEC", "confidence", "AD", "RD", "V1", "sigma", "sigmaFA", "sigmaMD")
MAPS = {p: f"sub-01_model-DTI_param-{p}_dwimap.nii.gz" for p in PARAMS}


def array(path: Path) -> np.ndarray:
    return np.asarray(nibabel.Nifti1Image.from_filename(path).dataobj)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def inputs_of(scan) -> list[object]:
    return [scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask, "--bvec-frame", "voxel"]


def test_a_dwi_gives_every_map_and_changes_no_input(scan, denoise, tmp_path):
    before = digests(scan.dwi.parent)
    result = denoise(*inputs_of(scan), "-o", tmp_path / "out", report=True)
    assert result.status == 0, result.err
    assert digests(scan.dwi.parent) == before
    names = {*MAPS.values(), *(n.replace(".nii.gz", ".json") for n in MAPS.values())}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names | {
        "dataset_description.json",
        ".bidsignore",
        "sub-01_desc-outliers.tsv",
        "sub-01_desc-outliers.json",
        "sub-01_model-DTI_report.html",
    }
    mask, maps = array(scan.mask) > 0, {p: array(tmp_path / "out" / name) for p, name in MAPS.items()}
    assert maps["tensor"].shape == (*mask.shape, 6) and maps["DEC"].shape == (*mask.shape, 3)
    for values in maps.values():
        assert np.isfinite(values).all() and not values[~mask].any()
    for name in ("FA", "DEC", "confidence"):
        assert maps[name].min() >= 0 and maps[name].max() <= 1
    assert nibabel.Nifti1Image.from_filename(tmp_path / "out" / MAPS["tensor"]).affine == pytest.approx(
        nibabel.Nifti1Image.from_filename(scan.dwi).affine, abs=1e-5
    )

    xx, xy, xz, yy, yz, zz = np.moveaxis(maps["tensor"][mask].astype(float), -1, 0)  # FSL order, mm^2/s
    w = np.linalg.eigvalsh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]).transpose(2, 0, 1))
    assert w.min() > 0
    assert maps["MD"][mask] == pytest.approx(w.mean(1), rel=1e-4) and 2e-4 < np.median(w) < 4e-3
    fa = np.sqrt(1.5 * ((w - w.mean(1, keepdims=True)) ** 2).sum(1) / (w**2).sum(1))
    assert maps["FA"][mask] == pytest.approx(fa, abs=1e-4)
    assert np.linalg.norm(maps["DEC"][mask], axis=1) == pytest.approx(fa, abs=1e-4)


def test_sidecars_say_where_a_map_comes_from(scan, denoise, checkpoint, tmp_path):
    assert denoise(*inputs_of(scan), "-o", tmp_path / "out", "--strength", 0.5).status == 0
    fields = {p: json.loads((tmp_path / "out" / MAPS[p].replace(".nii.gz", ".json")).read_text()) for p in MAPS}
    weights = hashlib.sha256(checkpoint.with_suffix(".safetensors").read_bytes()).hexdigest()
    for sidecar in fields.values():
        assert sidecar["GeneratedBy"][0]["Weights"]["sha256"] == weights
        assert sidecar["Sources"][0] == scan.dwi.name  # strings, as the standard wants them; hashes on their own
        digest = hashlib.sha256(scan.dwi.read_bytes()).hexdigest()
        assert sidecar["SourceHashes"][scan.dwi.name] == f"sha256:{digest}"
        assert sidecar["Options"]["strength"] == 0.5
        assert str(scan.dwi.parent) not in json.dumps(sidecar)
    assert fields["tensor"]["ReferenceAxes"] == "ijk" and fields["tensor"]["OrientationRepresentation"] == "param"
    assert fields["tensor"]["Units"] == fields["MD"]["Units"] == "mm^2/s"
    assert fields["tensor"]["ComponentOrder"] == "xx xy xz yy yz zz"
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"


@pytest.mark.parametrize("order", sorted(LAYOUTS))
def test_strength_zero_returns_a_tensor_image_as_it_was(order, scan, denoise, tmp_path):
    volume = load_tensors(scan.tensors, order="fsl", mask=scan.mask, unit="mm2/s", frame="voxel")
    layout = LAYOUTS[order]
    source = tmp_path / "sub-01_dti.nii.gz"
    save_tensors(volume, volume.tensors, source, order=order, unit=layout.unit, frame=layout.frame)
    options = ["--order", order, "--unit", layout.unit, "--frame", layout.frame, "--mask", scan.mask]
    assert denoise(source, *options, "-o", tmp_path / "out", "--strength", 0).status == 0
    image = nibabel.Nifti1Image.from_filename(tmp_path / "out" / "sub-01_dti_model-DTI_param-tensor_dwimap.nii.gz")
    original = nibabel.Nifti1Image.from_filename(source)
    assert image.shape == original.shape
    assert image.header["intent_code"] == original.header["intent_code"]
    assert image.header.get_zooms() == original.header.get_zooms()
    scale = np.abs(original.get_fdata()).max()
    assert image.get_fdata() / scale == pytest.approx(original.get_fdata() / scale, abs=2e-6)


def test_strength_moves_along_the_geodesic(scan, denoise, tmp_path):
    found = {}
    for strength in (0, 0.25, 1):
        assert denoise(*inputs_of(scan), "-o", tmp_path / str(strength), "--strength", strength).status == 0
        volume = load_tensors(
            tmp_path / str(strength) / MAPS["tensor"],
            order="fsl",
            mask=scan.mask,
            unit="mm2/s",
            frame="voxel",
        )
        found[strength] = volume.tensors[:, volume.mask][None].double()
    whole = affine_invariant.dist(found[0], found[1])
    assert whole.mean() > 0.02  # the network does something
    assert torch.allclose(affine_invariant.dist(found[0], found[0.25]), 0.25 * whole, atol=2e-3)
    assert torch.allclose(affine_invariant.dist(found[0.25], found[1]), 0.75 * whole, atol=2e-3)


def test_json_is_one_object_on_stdout(scan, denoise, tmp_path):
    result = denoise(*inputs_of(scan), "-o", tmp_path / "out", "--json")
    summary = json.loads(result.out)
    assert summary["counts"]["voxels"] == int((array(scan.mask) > 0).sum())
    assert summary["device"] == "cpu" and summary["timings"]["total"] > 0
    assert summary["options"]["strength"] == 1.0
    assert all(Path(path).is_file() for path in summary["outputs"].values())
    assert "denoising on cpu" in result.err


def test_quiet_says_nothing(scan, denoise, tmp_path):
    result = denoise(*inputs_of(scan), "-o", tmp_path / "out", "--quiet")
    assert result == (0, "", "")


def test_gradient_files_beside_the_image_are_used_and_told(scan, denoise, tmp_path):
    for source, name in ((scan.dwi, "x_dwi.nii.gz"), (scan.bval, "x_dwi.bval"), (scan.bvec, "x_dwi.bvec")):
        shutil.copy(source, tmp_path / name)
    result = denoise(tmp_path / "x_dwi.nii.gz", "--mask", scan.mask, "-o", tmp_path / "out")
    assert result.status == 0 and "x_dwi.bval" in result.err
    assert (tmp_path / "out" / "x_model-DTI_param-FA_dwimap.nii.gz").is_file()


def test_a_few_bad_tensors_are_repaired_and_reported(scan, denoise, tmp_path):
    image = nibabel.Nifti1Image.from_filename(scan.tensors)
    values, inside = image.get_fdata(), np.argwhere(array(scan.mask) > 0)
    values[tuple(inside[3])] *= -1
    values[tuple(inside[40])] = np.nan
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), image.affine), tmp_path / "bad.nii.gz")
    options = ["--order", "fsl", "--mask", scan.mask, "-o", tmp_path / "out", "--json"]
    result = denoise(tmp_path / "bad.nii.gz", *options)
    assert result.status == 0, result.err
    counts = json.loads(result.out)["counts"]
    assert (counts["repaired"], counts["non_positive"], counts["non_finite"]) == (2, 1, 1)
    assert np.isfinite(array(tmp_path / "out" / "bad_model-DTI_param-tensor_dwimap.nii.gz")).all()


def test_results_are_replaced_only_on_demand(scan, denoise, tmp_path):
    out = tmp_path / "out"
    assert denoise(*inputs_of(scan), "-o", out).status == 0
    (out / "notes.txt").write_text("mine")
    (out / "dataset_description.json").write_text("{}")
    assert denoise(*inputs_of(scan), "-o", out).status == 2
    assert denoise(*inputs_of(scan), "-o", out, "--strength", 0, "--overwrite").status == 0
    assert json.loads((out / MAPS["FA"].replace(".nii.gz", ".json")).read_text())["Options"]["strength"] == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "dataset_description.json").read_text() == "{}"


def test_ctrl_c_leaves_everything_as_it_was(scan, denoise, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert denoise(*inputs_of(scan), "-o", out).status == 0
    before = digests(out)

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mvnet.apps.dti.maps_out.write_json", interrupted)  # after the first maps are written
    for folder, options in ((out, ["--overwrite"]), (tmp_path / "new", [])):
        result = denoise(*inputs_of(scan), "-o", folder, *options, "--quiet")
        assert result.status == 130 and result.err.count("\n") == 1
    assert digests(out) == before
    assert not (tmp_path / "new").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_the_page_is_self_contained(scan, denoise, tmp_path):
    assert denoise(*inputs_of(scan), "-o", tmp_path / "out", report=True).status == 0
    text = (tmp_path / "out" / "sub-01_model-DTI_report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert len(sources) == 3 and all(s.startswith("data:image/png;base64,") for s in sources)
    for words in (
        "Colour FA",
        "Voxels in the mask",
        "Tensors repaired",
        "Noise level",
        "Mean change",
        "Histogram",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("sub-01_dir-AP_dwi.nii.gz", "sub-01_dir-AP"),
        ("sub-01_desc-preproc_dwi.nii", "sub-01_desc-preproc"),
        ("sub-01_model-DTI_param-tensor_dwimap.nii.gz", "sub-01"),
        ("dwi.nii.gz", "dwi"),
        ("tensors.nii", "tensors"),
    ],
)
def test_source_entities(name, stem):
    assert bids.stem_of(Path(name)) == stem


def test_adapt_fine_tunes_on_the_scan(scan, denoise, tmp_path, monkeypatch):
    from mvnet.models.dti import adaptation as adapt

    monkeypatch.setattr(adapt, "adapt", partial(adapt.adapt, steps=2, patch=8))
    plain = denoise(*inputs_of(scan), "-o", tmp_path / "plain")
    result = denoise(*inputs_of(scan), "-o", tmp_path / "out", "--adapt")
    assert (plain.status, result.status) == (0, 0), result.err
    assert "adapting on cpu" in result.err
    adapted = array(tmp_path / "out" / MAPS["FA"])
    assert not np.array_equal(adapted, array(tmp_path / "plain" / MAPS["FA"]))
    low = denoise(*inputs_of(scan), "-o", tmp_path / "low", "--adapt", "--memory", "low")
    assert low.status == 0, low.err
    np.testing.assert_allclose(array(tmp_path / "low" / MAPS["FA"]), adapted, rtol=0, atol=1e-4)
