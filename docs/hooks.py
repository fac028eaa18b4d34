"""Before the documentation is built: a copy of the package as it is installed, apps and data_loaders below mvnet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / ".venv" / "docs"


def on_startup(**_: Any) -> None:
    package, python = SOURCES / "mvnet", shutil.ignore_patterns("*.safetensors", "__pycache__")
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "mvnet", package, ignore=python)
    for name in ("apps", "data_loaders"):
        shutil.copytree(ROOT / name, package / name, ignore=python)
