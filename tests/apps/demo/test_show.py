"""`mvnet demo` on cut-down cases."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from functools import partial

import numpy as np
import pytest

from mvnet.apps.demo import cases as demo_cases
from mvnet.apps.demo import peers as compare
from mvnet.apps.demo import show as demo
from tests.apps.browser import opened, serious, wait_for_viewer


def shrink(patch: pytest.MonkeyPatch) -> None:
    """One peer and small brains, so that the demo takes seconds."""
    few = {name: compare.denoisers[name] for name in ("DIPY nlmeans",)}
    patch.setattr(compare, "denoisers", few)
    patch.setattr(demo, "simulated_case", partial(demo_cases.simulated_case, shape=(14, 14, 10), directions=12))
    patch.setattr(demo, "real_case", partial(demo_cases.real_case, part=slice(30, 40)))


@pytest.fixture
def small(monkeypatch):
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def made(checkpoint, tmp_path_factory):
    """The folder, the result and what was printed."""
    pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    folder, printed = tmp_path_factory.mktemp("demo") / "out", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        shrink(patch)
        result = demo.show(folder, checkpoint=checkpoint)
    return folder, result, printed.getvalue()


def test_the_demo_compares_and_leaves_a_page(made):
    folder, result, printed = made
    written = json.loads((folder / "comparison.json").read_text())
    assert list(written["cases"]) == ["simulated", "real", "interferogram", "motion"]
    wave, walk = (written["cases"][name] for name in ("interferogram", "motion"))
    assert wave["rms_after"] < 0.5 * wave["rms_before"] and walk["rms_after_cm"] < 0.7 * walk["rms_before_cm"]
    for stem in ("simulated", "real"):
        case = written["cases"][stem]
        methods = [row["method"] for row in case["rows"]]
        assert methods[0] == demo.RAW and methods[-1] == demo.OURS and len(methods) == 4
        assert all(row[key] > 0 for row in case["rows"] for key in demo.SCORES if key != "v1_deg")
        assert (folder / f"{stem}_colour-fa.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{stem}_model-DTI_report.html").is_file()
    page = (folder / "index.html").read_text()
    assert "left out" in page and "left out" in printed and demo.OURS in printed
    titles = ("Simulated brain", "Real brain", "Interferogram", "Motion")
    assert [title for title in titles if f"<h2>{title}" not in page] == []
    assert [name for name in re.findall('href="([^"]+)"', page) if not (folder / name).is_file()] == []
    assert result["outputs"]["index"].endswith("index.html")


def test_the_page_in_the_browser(made, browser):
    with opened(browser, made[0] / "index.html") as tab:
        wait_for_viewer(tab, "images")
        assert serious(tab) == []


def test_an_interrupted_demo_leaves_nothing(small, checkpoint, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.show(tmp_path / "out", quiet=True, checkpoint=checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_the_real_case_keeps_input_and_reference_apart():
    case = demo_cases.real_case(directions=20, part=slice(30, 50))
    assert (case.bvals > 50).sum() == 20 and case.dwi.shape[-1] == 21
    assert case.reference.shape == (case.mask.sum(), 3, 3)
    assert np.linalg.eigvalsh(case.reference).min() > 0


def test_the_simulated_case_is_seeded_and_has_its_noise_level():
    first, second = (demo_cases.simulated_case((12, 12, 10), directions=30, snr=15) for _ in range(2))
    assert np.array_equal(first.dwi, second.dwi)
    decay = np.exp(-first.bvals * np.einsum("mi,nij,mj->nm", first.bvecs, first.reference, first.bvecs))
    signal = first.dwi[first.mask]
    s0 = (signal * decay).sum(1) / (decay**2).sum(1)
    residual = signal - s0[:, None] * decay
    assert residual.std() == pytest.approx(first.sigma, rel=0.1)
