"""The validator of the BIDS standard, where it is installed (`pip install bids-validator-deno`)."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

_NAMES = ("bids-validator-deno", "bids-validator")
_PATIENCE = 600  # seconds


def program() -> str | None:
    """The validator: the script of the Python package, or what is on the PATH; None where there is none."""
    try:
        for file in metadata.files(_NAMES[0]) or ():
            if file.stem == _NAMES[0] and Path(file.locate()).is_file():
                return str(Path(file.locate()).resolve())
    except metadata.PackageNotFoundError:
        pass
    return next((found for name in _NAMES if (found := shutil.which(name)) is not None), None)


def errors_in(root: Path) -> list[str] | None:
    """The errors that the validator finds in a data set, "CODE path" each; None where it cannot say."""
    name = program()
    if name is None:
        return None
    command = [name, str(root), "--format", "json", "--ignoreWarnings"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired):
        return None
    return [f"{i['code']} {i.get('location', '')}".strip() for i in issues if i.get("severity") == "error"]
