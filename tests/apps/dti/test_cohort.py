"""`mvnet denoise dti --bids`: subjects of a data set, whole or not at all, again only where needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mvnet.apps.common.pool import Work, run_tasks
from mvnet.apps.dti import bids
from mvnet.apps.dti.cohort import validator
from mvnet.apps.dti.cohort.dataset import Subject, entities, find_subjects, mask_beside
from mvnet.apps.dti.cohort.group import TABLE, Row, mark_outliers
from mvnet.apps.dti.cohort.subject import Task, lost_subject
from mvnet.apps.dti.options import Options
from tests.apps.dti.cohorts import add_series, killed_once, write_data_set
from tests.apps.files import tree

MAPS = ["--maps", "tensor,FA"]


@pytest.fixture
def root(scan, tmp_path) -> Path:
    return write_data_set(tmp_path / "raw", scan)


@pytest.fixture
def cohort(denoise, root, tmp_path):
    """`mvnet denoise dti --bids RAW -o OUT --json`; the summary stands beside the status and the errors."""

    def call(*arguments: object, validate: bool = False, report: bool = False):
        skip = [] if validate else ["--skip-bids-validation"]
        result = denoise("--bids", root, "-o", tmp_path / "out", *MAPS, *skip, "--json", *arguments, report=report)
        return result.status, json.loads(result.out) if result.out else {}, result.err

    return call


def statuses(summary: dict) -> dict[str, str]:
    return {subject["label"]: subject["status"] for subject in summary["subjects"]}


def test_every_subject_gets_a_folder_that_is_valid(cohort, tmp_path):
    status, summary, err = cohort("--dwi-output", validate=True, report=True)
    assert status == 0, err
    out = tmp_path / "out"
    assert statuses(summary) == dict.fromkeys(("01", "02"), "done")
    assert summary["counts"]["done"] == 2 and summary["subjects"][0]["series"][0]["Counts"]["voxels"] > 0
    found = {str(path.relative_to(out)) for path in out.rglob("*.nii.gz")}
    names = ("model-DTI_param-tensor_dwimap", "model-DTI_param-FA_dwimap", "desc-denoised_dwi")
    assert found == {f"sub-0{k}/dwi/sub-0{k}_{name}.nii.gz" for k in (1, 2) for name in names}
    sidecar = json.loads((out / "sub-01/dwi/sub-01_model-DTI_param-FA_dwimap.json").read_text())
    assert sidecar["Sources"][0] == "bids:raw:sub-01/dwi/sub-01_dwi.nii.gz"
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["GeneratedBy"][0]["Name"] == "mvnet"
    assert description["DatasetLinks"]["raw"] == description["SourceDatasets"][0]["URL"]
    assert not list(out.glob(".mvnet-*"))
    if validator.program() is None:
        pytest.skip("bids-validator-deno is not installed")
    assert validator.errors_in(out) == []


def test_results_of_one_image_are_valid_too(scan, denoise, tmp_path):
    if validator.program() is None:
        pytest.skip("bids-validator-deno is not installed")
    inputs = [scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask]
    assert denoise(*inputs, "--maps", "all", "--dwi-output", "-o", tmp_path / "one").status == 0
    assert validator.errors_in(tmp_path / "one") == []


def test_labels_choose_subjects(cohort, root, scan):
    add_series(root, scan, "03", "dwi", "sub-03_dwi")
    status, summary, _ = cohort("--participant-label", "01", "sub-03")
    assert status == 0 and statuses(summary) == {"01": "done", "03": "done"}
    labels = ["--participant-label", "01", "--participant-label", "03"]
    assert statuses(cohort(*labels)[1]) == {"01": "skipped", "03": "skipped"}


def test_finished_subjects_are_skipped_and_others_done(cohort, scan, tmp_path, root):
    out = tmp_path / "out"
    assert cohort("--participant-label", "01,02")[0] == 0
    add_series(root, scan, "03", "dwi", "sub-03_dwi")
    before = tree(out / "sub-01")
    times = {path: path.stat().st_mtime_ns for path in (out / "sub-01").rglob("*")}
    left = out / ".mvnet-0123456789abcdef"  # by a process that was killed
    (left / "new/dwi").mkdir(parents=True)
    (left / "lock").touch()
    next((out / "sub-02/dwi").glob("*FA*.nii.gz")).unlink()
    status, summary, _ = cohort()
    assert status == 0 and statuses(summary) == {"01": "skipped", "02": "done", "03": "done"}
    assert tree(out / "sub-01") == before
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert not left.exists() and not list(out.glob(".mvnet-*"))
    image = root / "sub-01/dwi/sub-01_dwi.bvec"
    np.savetxt(image, np.loadtxt(image)[[1, 0, 2]])  # other inputs
    status, summary, _ = cohort("--participant-label", "01")
    assert status == 2 and "found other results in" in summary["subjects"][0]["message"]
    assert tree(out / "sub-01") == before


def test_other_options_need_overwrite(cohort, tmp_path):
    out = tmp_path / "out"
    assert cohort("--dwi-output")[0] == 0
    (out / "sub-01" / "notes.txt").write_text("mine")
    status, summary, _ = cohort("--strength", 0.5)
    assert status == 2 and summary["counts"]["failed"] == 2
    status, summary, _ = cohort("--strength", 0.5, "--overwrite")
    assert status == 0 and summary["counts"]["done"] == 2
    assert (out / "sub-01" / "notes.txt").read_text() == "mine"
    assert not list(out.rglob("*desc-denoised_dwi*"))  # part of the old results only
    assert statuses(cohort("--strength", 0.5)[1])["01"] == "skipped"


def test_one_failing_subject_does_not_stop_the_rest(cohort, root, tmp_path):
    (root / "sub-01/dwi/sub-01_dwi.bval").write_text("0 1000 1000\n")
    status, summary, err = cohort()
    assert status == 2 and statuses(summary) == {"01": "failed", "02": "done"}
    assert "sub-01 failed: sub-01_dwi.nii.gz: bval: found 3 b-values" in err
    assert not (tmp_path / "out" / "sub-01").exists()


def test_a_defect_in_one_subject_is_a_defect(cohort, monkeypatch):
    from mvnet.apps.dti import denoise as module

    real = module.run

    def broken(options):
        if "sub-01" in options.input.name:
            raise RuntimeError("a defect")
        return real(options)

    monkeypatch.setattr(module, "run", broken)
    status, summary, _ = cohort()
    assert status == 1 and statuses(summary) == {"01": "failed", "02": "done"}
    assert summary["subjects"][0]["message"] == "defect of mvnet: RuntimeError: a defect"


def test_sessions_runs_and_images_without_weighting(cohort, scan, root, tmp_path):
    (root / "sub-04").mkdir()  # no DWI
    shutil.rmtree(root / "sub-02")
    for session in ("1", "2"):
        add_series(root, scan, "02", f"ses-{session}/dwi", f"sub-02_ses-{session}_run-1_dwi")
    flat = add_series(root, scan, "02", "ses-1/dwi", "sub-02_ses-1_dir-PA_dwi")
    flat.with_name(flat.name.replace(".nii.gz", ".bval")).write_text("0 " * 13)
    add_series(root, scan, "02", "ses-1/dwi", "sub-02_ses-1_part-phase_dwi")
    status, summary, err = cohort()
    assert status == 0 and statuses(summary) == {"01": "done", "02": "done", "04": "no DWI"}
    series = next(s for s in summary["subjects"] if s["label"] == "02")["series"]
    assert [s["Name"] for s in series] == [f"sub-02_ses-{s}_dwi.nii.gz" for s in ("1_dir-PA", "1_run-1", "2_run-1")]
    assert "sub-02_ses-1_dir-PA_dwi.nii.gz has no diffusion weighting and was left out" in series[0]["Messages"][0]
    assert "dir-PA" in err
    folders = {str(path.parent.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*FA*.nii.gz")}
    assert {"sub-02/ses-1/dwi", "sub-02/ses-2/dwi"} <= folders


def test_the_mask_beside_is_used(scan, tmp_path):
    image = tmp_path / "sub-01_run-1_space-T1w_desc-preproc_dwi.nii.gz"
    assert mask_beside(image) is None
    names = ("sub-01_desc-brain_mask", "sub-01_space-T1w_desc-brain_mask", "sub-01_run-2_desc-brain_mask")
    for name in names:
        (tmp_path / f"{name}.nii.gz").touch()
    assert mask_beside(image) == tmp_path / "sub-01_space-T1w_desc-brain_mask.nii.gz"
    (tmp_path / "sub-01_run-1_desc-brain_mask.nii.gz").touch()
    assert mask_beside(image) is None  # as near as the other
    assert entities(image) == {"sub": "01", "run": "1", "space": "T1w", "desc": "preproc"}


def test_a_cluster_gives_the_same(cohort, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs mvnet[insar]")
    assert cohort()[0] == 0
    whole = tree(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    local = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(protocol="tcp", silence_logs=50, **local) as cluster:
        status, summary, err = cohort("--scheduler", cluster.scheduler_address)
    assert status == 0 and summary["counts"]["done"] == 2, err
    assert tree(tmp_path / "out") == whole


def test_processes_that_are_killed_cost_their_own_subject_at_most(tmp_path):
    options = Options(Path("in"), tmp_path)
    tasks = [Task(Subject(f"0{k}", ()), tmp_path, tmp_path, options, {}) for k in range(1, 6)]
    found = {outcome.label: outcome for outcome in run_tasks(tasks, 2, None, Work(killed_once, lost_subject))}
    assert {label: outcome.status for label, outcome in found.items()} == {
        "01": "done",
        "02": "done",
        "03": "failed",
        "04": "done",
        "05": "done",
    }
    assert found["03"].exit_status == 2 and "killed 3 times" in found["03"].message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--participant-label", "09"], "--participant-label: found no sub-09"),
        (["--mask", "mask.nii.gz"], "--mask: found --bids beside it"),
        (["--strength", "7"], "--strength: found 7.0"),
        (["--trust-region", "7"], "--trust-region: found 7.0"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler: found no dask scheduler"),
    ],
)
def test_what_is_wrong_for_all_is_one_line(arguments, words, cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("mvnet.apps.common.cluster._PATIENCE", 1)
    status, summary, err = cohort(*arguments, "--quiet")
    assert status == 2 and err.count("\n") == 1 and words in err and not summary
    assert not list((tmp_path / "out").glob("sub-*"))


def test_where_there_is_no_data_set(denoise, root, tmp_path, scan):
    for place, words in (
        (tmp_path / "nowhere", "found no"),
        (root / "sub-01", "found no dataset_description.json"),
    ):
        status, _, err = denoise("--bids", place, "-o", tmp_path / "out", "-q")
        assert status == 2 and f"--bids: {words}" in err
    before = tree(root)
    status, _, err = denoise("--bids", root, "-o", root, "-q", "--skip-bids-validation")
    assert status == 2 and "the data set itself" in err and tree(root) == before
    assert "--jobs: found no --bids" in denoise(scan.dwi, "--jobs", 2, "-o", tmp_path / "out", "-q").err
    assert "input: found none" in denoise("-o", tmp_path / "out", "-q").err
    assert "input: found 2 (a, b)" in denoise("a", "b", "-o", tmp_path / "out", "-q").err
    for folder in root.glob("sub-*"):
        shutil.rmtree(folder / "dwi")
    status, _, err = denoise("--bids", root, "-o", tmp_path / "out", "-q", "--skip-bids-validation")
    assert status == 2 and "found no *_dwi.nii.gz of 2 subjects" in err


def test_an_invalid_data_set_is_refused_unless_validation_is_skipped(cohort, root):
    if validator.program() is None:
        pytest.skip("bids-validator-deno is not installed")
    (root / "sub-01" / "dwi" / "sub-01_acq-x y_dwi.txt").write_text("")
    status, _, err = cohort(validate=True)
    assert status == 2 and "errors of the BIDS validator" in err and "--skip-bids-validation" in err
    assert cohort("--participant-label", "02")[0] == 0


def test_subjects_in_order(root):
    assert [subject.label for subject in find_subjects(root)] == ["01", "02"]
    assert bids.source_names([root / "sub-01/a.nii", Path("/b.nii")], root) == ["bids:raw:sub-01/a.nii", "b.nii"]


def test_it_is_called_as_bids_apps_are(denoise, root, tmp_path):
    words = [root, "-o", tmp_path / "out", "participant", "--participant-label", "02", *MAPS, "--skip-bids-validation"]
    done = denoise(*words, "--json", report=False)
    assert done.status == 0, done.err
    assert statuses(json.loads(done.out)) == {"02": "done"}
    page = (tmp_path / "out" / "group_desc-mvnet_report.html").read_text()
    assert "sub-02_dwi.nii.gz" in page and "sub-02_dwi.nii.gz" in (tmp_path / "out" / TABLE).read_text()


def test_sessions_are_done_one_by_one(scan, cohort, root, tmp_path):
    for session in ("a", "b"):
        add_series(root, scan, "02", f"ses-{session}/dwi", f"sub-02_ses-{session}_dwi")
    for session in ("a", "b"):
        status, summary, err = cohort("--participant-label", "02", "--session-label", session)
        assert status == 0 and statuses(summary) == {f"02_ses-{session}": "done"}, err
    out = tmp_path / "out"
    assert len(list(out.glob("sub-02/ses-*/dwi/*_param-FA_dwimap.nii.gz"))) == 2
    assert statuses(cohort("--session-label", "ses-a")[1]) == {"02_ses-a": "skipped"}
    status, _, err = cohort("--session-label", "c")
    assert status == 2 and "--session-label: found no DWI in ses-c" in err


def test_series_unlike_the_others_are_marked():
    rows = [Row(f"s{k}", {"snr_b0": 20 + 0.1 * k, "fa_after": 0.4}) for k in range(6)]
    rows.append(Row("odd", {"snr_b0": 5.0, "fa_after": 0.4}))
    assert [row.outliers for row in mark_outliers(rows)] == [()] * 6 + [("snr_b0",)]
    assert not any(row.outliers for row in mark_outliers(rows[-4:]))
