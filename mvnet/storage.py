"""Files that are there whole or not at all: bytes, tensors, and the progress of a training."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to be written inside, moved into its place afterwards; removed on an error.

    Args:
        path: in a folder that exists; its name ends the temporary one, so that suffixes are kept.
    Yields:
        the path to write to.
    """
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, which appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


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
