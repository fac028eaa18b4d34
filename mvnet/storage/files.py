"""Single files and pairs of files, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.errors import MvnetError
from mvnet.storage.parsing import parse_json
from mvnet.storage.staging import Staging, recover

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file atomically: to one of the same name in a hidden folder, which replaces it afterwards.

    The hidden folder is removed on an error. A link is written through.

    Args:
        path: in a folder that exists, or a link into one.
    Yields:
        the path to write to.
    """
    real = Path(os.path.realpath(path))
    with Staging(real.parent) as staging:
        yield staging.path(path.name)
        staging.commit({path.name: real})


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
    write_atomically(path, _json(content))


def write_pair(weights: Path, tensors: dict[str, Tensor], card: Path, content: dict[str, Any]) -> None:
    """Write a safetensors file and its JSON card, which gets the digest of the first: both of them, or none.

    Args:
        weights: path of the tensors.
        tensors: by name, on any device.
        card: path of the card, in the same folder.
        content: of the card; "sha256" is added.
    """
    data = _tensor_bytes(tensors)
    with Staging(weights.parent) as staging:
        staging.path(weights.name).write_bytes(data)
        staging.path(card.name).write_bytes(_json({**content, "sha256": sha256(data).hexdigest()}))
        staging.commit({weights.name: weights, card.name: card})


def finish_pair(weights: Path, card: Path) -> None:
    """Before a pair is read: finish a commit that was killed, and compare the digest that the card may hold.

    Args:
        weights: path of the tensors.
        card: path of the card; what is wrong with it otherwise is left to its reader.
    Raises:
        MvnetError: the card is of other weights.
    """
    if weights.is_file() and card.is_file() and _belong_together(weights, card):
        return
    recover(weights.parent)
    if not _belong_together(weights, card):
        raise MvnetError(
            f"checkpoint: found weights {weights} with another SHA-256 than {card.name} says, "
            "expected those that the card is of"
        )


def _belong_together(weights: Path, card: Path) -> bool:
    try:
        said = parse_json(card.read_text(encoding="utf-8")).get("sha256")
        return said is None or sha256(weights.read_bytes()).hexdigest() == said
    except (OSError, ValueError, AttributeError):
        return True


def save_progress(
    folder: Path, name: str, number: int, tensors: dict[str, Tensor], description: dict[str, Any]
) -> None:
    """Save the state of a training run, NAME-NUMBER.safetensors and NAME.json, in the place of an older one.

    Args:
        folder: folder of the run, which exists.
        name: stem of the files.
        number: number of steps done.
        tensors: by name.
        description: content of NAME.json.
    """
    current, card = f"{name}-{number}.safetensors", f"{name}.json"
    with Staging(folder) as staging:
        staging.path(current).write_bytes(_tensor_bytes(tensors))
        staging.path(card).write_bytes(_json(description))
        older = [path for path in folder.glob(f"{name}-*.safetensors") if path.name != current]
        staging.commit({current: folder / current, card: folder / card}, remove=older)


def drop_progress(folder: Path, name: str) -> None:
    """Remove the state of a training run.

    Args:
        folder: folder of the run.
        name: stem of the files.
    """
    files = [folder / f"{name}.json", *folder.glob(f"{name}-*.safetensors")]
    if any(map(os.path.lexists, files)):
        with Staging(folder) as staging:
            staging.commit({}, remove=files)


def _json(content: Any) -> bytes:
    return (json_text(content, indent=2) + "\n").encode()


def _tensor_bytes(tensors: dict[str, Tensor]) -> bytes:
    """A safetensors file."""
    from safetensors.torch import save

    return save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
