"""Files written atomically: bytes, JSON, tensors, and the state of a training run."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file atomically: to a temporary file beside it inside, which replaces it afterwards.

    The temporary file is removed on an error. A link is written through.

    Args:
        path: in a folder that exists, or a link into one; its name ends the temporary one, so that suffixes are kept.
    Yields:
        the path to write to.
    """
    real = Path(os.path.realpath(path))
    temporary = real.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, real)
    finally:
        temporary.unlink(missing_ok=True)


def put(source: Path, path: Path) -> None:
    """Move a finished file where it belongs, atomically; a link is written through, to another disk as well.

    Args:
        source: path of the file.
        path: its new path.
    Raises:
        OSError: no such folder, no permission, no space.
    """
    try:
        os.replace(source, os.path.realpath(path))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(path) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes atomically.

    Args:
        path: path of the file.
        data: its content.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def json_text(content: Any, indent: int | None = None, **options: Any) -> str:
    """JSON as its standard has it: a number that is not finite is null.

    Args:
        content: serialisable as JSON.
        indent: spaces a level; None keeps everything on one line.
        options: more of `json.dumps`.
    Returns:
        the text, without a newline at its end.
    """
    try:
        return json.dumps(content, indent=indent, allow_nan=False, **options)
    except ValueError:  # NaN or infinite
        plain = json.loads(json.dumps(content, **options), parse_constant=lambda name: None)
        return json.dumps(plain, indent=indent, allow_nan=False, **options)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically.

    Args:
        path: path of the file.
        content: serialisable as JSON; numbers that are not finite become null.
    """
    write_atomically(path, (json_text(content, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file atomically.

    Args:
        path: path of the file.
        tensors: by name, on any device.
    """
    from safetensors.torch import save

    write_atomically(path, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))


def save_progress(
    folder: Path, name: str, number: int, tensors: dict[str, Tensor], description: dict[str, Any]
) -> None:
    """Save the state of a training run: NAME-NUMBER.safetensors, then NAME.json, then remove older tensors.

    Whenever the process is killed, NAME.json describes tensors that exist.

    Args:
        folder: folder of the run, which exists.
        name: stem of the files.
        number: number of steps done.
        tensors: by name.
        description: content of NAME.json.
    """
    current = folder / f"{name}-{number}.safetensors"
    write_tensors(current, tensors)
    write_json(folder / f"{name}.json", description)
    for old in folder.glob(f"{name}-*.safetensors"):
        if old != current:
            old.unlink()
