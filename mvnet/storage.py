"""Files that are there whole or not at all: bytes, tensors, and the progress of a training."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary file beside `path`, then move it into place."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, moved into place when complete."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """A safetensors file, moved into place when complete."""
    from safetensors.torch import save

    write_atomically(path, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))


def save_progress(
    folder: Path, name: str, number: int, tensors: dict[str, Tensor], description: dict[str, Any]
) -> None:
    """State of a training after `number` steps: NAME-NUMBER.safetensors, then NAME.json that holds the description,
    then older weights are dropped. Whenever this is cut off, the description fits weights that are there."""
    current = folder / f"{name}-{number}.safetensors"
    write_tensors(current, tensors)
    write_json(folder / f"{name}.json", description)
    for old in folder.glob(f"{name}-*.safetensors"):
        if old != current:
            old.unlink()
