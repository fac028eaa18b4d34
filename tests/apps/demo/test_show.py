"""`mvnet demo` on cut-down cases."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from mvnet.apps.demo import cases as demo_cases
from mvnet.apps.demo import peers as compare
from mvnet.apps.demo import show as demo


@pytest.fixture
def small(monkeypatch):
    """One peer and a small simulated brain, so that the demo takes seconds."""
    few = {name: compare.denoisers[name] for name in ("DIPY nlmeans",)}
    monkeypatch.setattr(compare, "denoisers", few)
    monkeypatch.setattr(demo, "simulated_case", partial(demo_cases.simulated_case, shape=(14, 14, 10), directions=12))


def test_the_demo_compares_and_leaves_a_page(small, checkpoint, tmp_path, capfd):
    result = demo.show(tmp_path / "out", checkpoint=checkpoint)
    printed = capfd.readouterr().out
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert set(written["cases"]) == {"real", "simulated"}
    for stem, case in written["cases"].items():
        methods = [row["method"] for row in case["rows"]]
        assert methods[0] == demo.RAW and methods[-1] == demo.OURS and len(methods) == 4
        assert all(row[key] > 0 for row in case["rows"] for key in demo.SCORES if key != "v1_deg")
        assert (tmp_path / "out" / f"{stem}_colour-fa.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "out" / f"{stem}_model-DTI_report.html").is_file()
    page = (tmp_path / "out" / "index.html").read_text()
    assert "left out" in page and "left out" in printed and demo.OURS in printed
    assert result["outputs"]["index"].endswith("index.html")


def test_an_interrupted_demo_leaves_nothing(small, checkpoint, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.show(tmp_path / "out", quiet=True, checkpoint=checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_the_real_case_keeps_input_and_reference_apart():
    case = demo_cases.real_case(directions=20)
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
