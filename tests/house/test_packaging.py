"""What is installed is what is in the tree: modules, weights, and what a packager needs to run the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {"mvnet": "mvnet", "apps": "mvnet/apps", "data_loaders": "mvnet/data_loaders"}
SHIPPED = (".py", ".typed", ".json", ".md", ".safetensors", ".html", ".css", ".js", "LICENSE-niivue")
SHIPPED += (".nii.gz", ".bval", ".bvec")
ALONGSIDE = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "constraints.txt", "Makefile", "setup.py", "mkdocs.yml")
ALONGSIDE += (
    "notebooks/motion.ipynb",
    "benchmarks/harness.py",
    "docs/index.md",
    "docs/img/brain.png",
    "tests/conftest.py",
)

_BUILD = "import os, sys; os.chdir(sys.argv[1]); from setuptools import build_meta as b; b.{}(sys.argv[2])"


def tracked() -> list[str]:
    """Files of the tree, relative to its root; without git those that are there."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return listed.splitlines()
    except (OSError, subprocess.CalledProcessError):
        files = (path.relative_to(ROOT) for folder in PLACES for path in (ROOT / folder).rglob("*") if path.is_file())
        return [str(path) for path in files if "__pycache__" not in path.parts]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory):
    """build("build_wheel") -> path of the distribution, made offline from a copy of the tracked files."""
    pytest.importorskip("setuptools", reason="setuptools is in the extra `dev`")
    source, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)

    def make(hook: str) -> Path:
        command = [sys.executable, "-c", _BUILD.format(hook), str(source), str(out)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return max(out.iterdir(), key=lambda path: path.stat().st_mtime)

    return make


def test_wheel_holds_every_module_and_weight_of_the_tree(build) -> None:
    with zipfile.ZipFile(build("build_wheel")) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = set()
    for name in tracked():
        folder, _, rest = name.partition("/")
        if folder in PLACES and name.endswith(SHIPPED):
            expected.add(f"{PLACES[folder]}/{rest}")
    assert found == expected


def test_source_distribution_holds_what_surrounds_the_package(build) -> None:
    with tarfile.open(build("build_sdist")) as sdist:
        found = {name.partition("/")[2] for name in sdist.getnames()}
    assert set(ALONGSIDE) <= found
    tests = {name for name in tracked() if name.startswith(("tests/", "mvnet/", "apps/", "data_loaders/"))}
    assert tests <= found


def test_the_ceiling_of_numpy_is_still_needed() -> None:
    """geomstats 2.8.0 does not import with numpy 2.4; a newer one may, and then the ceiling goes."""
    ceiling = '"numpy>=2.0,<2.4"' in (ROOT / "pyproject.toml").read_text()
    newest_refused = "geomstats==2.8.0" in (ROOT / "constraints.txt").read_text()
    assert ceiling == newest_refused, "geomstats: found another than 2.8.0: try numpy 2.4 and move the ceiling"
