"""What is called from other programs calls a command that exists, with options that it has."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.main import get_command

from mvnet.apps.main import app

ROOT = Path(__file__).parents[2] / "integrations"


def load(path: str, monkeypatch):
    """The script as a module; of QGIS a stand-in, which is not installed here."""
    stand_in = types.ModuleType("qgis.core")
    stand_in.__getattr__ = lambda name: type(name, (), {})  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "qgis", types.ModuleType("qgis"))
    monkeypatch.setitem(sys.modules, "qgis.core", stand_in)
    spec = importlib.util.spec_from_file_location("script", ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options_of(*names: str) -> set[str]:
    command = get_command(app)
    for name in names:
        command = command.commands[name]  # type: ignore[attr-defined]
    return {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize(
    "path, arguments, kind",
    [
        ("qgis/mvnet_denoise_insar.py", ("a.tif", "b.tif", "c.tif", 0.5, True), "insar"),
        ("slicer/mvnet_denoise_dti.py", ("a.nrrd", "out", "m.nrrd", 0.5), "dti"),
    ],
)
def test_the_options_are_those_of_the_command(path, arguments, kind, monkeypatch):
    monkeypatch.setenv("MVNET", "/opt/mvnet")
    words = load(path, monkeypatch).command(*arguments)
    assert words[:3] == ["/opt/mvnet", "denoise", kind]
    assert {word for word in words if word.startswith("-")} <= options_of("denoise", kind)


def test_slicer_reads_the_description_and_the_module_takes_what_it_names(monkeypatch, capsys):
    module = load("slicer/mvnet_denoise_dti.py", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["x", "--xml"])
    assert module.main() == 0
    described = ElementTree.fromstring(capsys.readouterr().out.split("?>", 1)[1])
    flags = {flag.text for flag in described.iter("longflag")}
    text = (ROOT / "slicer" / "mvnet_denoise_dti.py").read_text()
    assert flags == {"--md", "--mask", "--strength"} and all(f'add_argument("{flag}"' in text for flag in flags)


def test_maps_of_the_module_are_copied(monkeypatch, tmp_path):
    module = load("slicer/mvnet_denoise_dti.py", monkeypatch)

    def denoise(words):
        out = Path(words[words.index("-o") + 1])
        out.mkdir()
        for param in ("FA", "MD"):
            (out / f"x_model-DTI_param-{param}_dwimap.nii.gz").write_bytes(param.encode())
        return 0

    monkeypatch.setattr(module.subprocess, "call", denoise)
    monkeypatch.setattr(sys, "argv", ["x", "a.nrrd", str(tmp_path / "fa.nii.gz"), "--md", str(tmp_path / "md.nii.gz")])
    assert module.main() == 0
    assert [(tmp_path / name).read_bytes() for name in ("fa.nii.gz", "md.nii.gz")] == [b"FA", b"MD"]


@pytest.mark.parametrize("recipe", ["Dockerfile", "mvnet.def"])
def test_the_recipes_of_containers_name_what_exists(recipe):
    text = (ROOT / "container" / recipe).read_text()
    project = (ROOT.parent / "pyproject.toml").read_text()
    assert "python:3.11" in text and "constraints.txt" in text and "[insar,motion]" in text
    assert 'requires-python = ">=3.11"' in project and "\ninsar = [" in project and "\nmotion = [" in project
