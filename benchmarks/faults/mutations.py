"""Damage to the bytes of a file: a mutation is a function (bytes, random) -> bytes, the same for the same seed."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

WORDS = (b"nan", b"inf", b"-1", b"0", b"1e400", b"2147483648", b"1e20", b"", b"x", b"\xff\xfe", b"\0", b"9" * 5000)
"""What takes the place of a number, or of any word, of a text."""
NUMBERS = (0, 1, -1, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**31), -(2**63))
FLOATS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e20, 1e-40, 3e38)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 2**31, 1e400, -1e400, float("nan"), "", "x", [], {}, [[]], 10**30)
"""What takes the place of a value in JSON."""
_HEAD = 400  # bytes in which most headers lie
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def mutate(data: bytes, random: Generator) -> bytes:
    """One mutant; what is packed by gzip is damaged inside half of the time, and JSON mostly by its values."""
    if data[:2] == b"\x1f\x8b" and random.random() < 0.5:
        try:
            return gzip.compress(mutate(gzip.decompress(data), random), 1)
        except (OSError, EOFError, zlib.error):
            return data
    if zipfile.is_zipfile(io.BytesIO(data)) and random.random() < 0.6:
        return _member_of_zip(data, random)
    if data[:1] in (b"{", b"[") and random.random() < 0.7:
        return _json_value(data, random)
    if data[8:9] == b"{" and random.random() < 0.3:  # safetensors: a length, then JSON
        length = int.from_bytes(data[:8], "little")
        head = _json_value(data[8 : 8 + length], random)
        return len(head).to_bytes(8, "little") + head + data[8 + length :]
    kinds = _OF_TEXT if _is_text(data) else _OF_BYTES
    return kinds[int(random.integers(len(kinds)))](data, random)


def _member_of_zip(data: bytes, random: Generator) -> bytes:
    """One file of an archive damaged before it is packed, so that its checksum is right."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        chosen = names[int(random.integers(len(names)))]
        for name in names:
            content = old.read(name)
            new.writestr(zipfile.ZipInfo(name), mutate(content, random) if name == chosen else content)
    return packed.getvalue()


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:_HEAD]


def _flip_bits(data: bytes, random: Generator) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, len(data), int(random.integers(1, 9))) if data else ():
        changed[place] ^= 1 << int(random.integers(8))
    return bytes(changed)


def _change_head(data: bytes, random: Generator) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, min(len(data), _HEAD), int(random.integers(1, 5))) if data else ():
        changed[place] = int(random.integers(256))
    return bytes(changed)


def _fill(data: bytes, random: Generator) -> bytes:
    start, length = _run(data, random)
    return data[:start] + random.choice([b"\0", b"\xff"]) * length + data[start + length :]


def _truncate(data: bytes, random: Generator) -> bytes:
    return data[: int(random.integers(0, len(data) + 1))]


def _remove(data: bytes, random: Generator) -> bytes:
    start, length = _run(data, random)
    return data[:start] + data[start + length :]


def _repeat(data: bytes, random: Generator) -> bytes:
    start, length = _run(data, random)
    return data[: start + length] + data[start:]


def _insert(data: bytes, random: Generator) -> bytes:
    start = int(random.integers(0, len(data) + 1))
    return data[:start] + WORDS[int(random.integers(len(WORDS)))] + data[start:]


def _swap_runs(data: bytes, random: Generator) -> bytes:
    """Two fields of the same size change places."""
    size = int(random.choice([1, 2, 4, 8]))
    if len(data) < 2 * size:
        return data
    a, b = sorted(size * random.choice(len(data) // size, 2, replace=False))
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def _extreme_integer(data: bytes, random: Generator) -> bytes:
    size, order = int(random.choice([1, 2, 4, 8])), str(random.choice(["little", "big"]))
    number = NUMBERS[int(random.integers(len(NUMBERS)))] & (2 ** (8 * size) - 1)
    return _overwrite(data, number.to_bytes(size, order), _HEAD if random.random() < 0.7 else len(data), random)


def _extreme_float(data: bytes, random: Generator) -> bytes:
    value = np.array(FLOATS[int(random.integers(len(FLOATS)))], str(random.choice(["<f4", ">f4", "<f8", ">f8"])))
    return _overwrite(data, value.tobytes(), len(data), random)


def _noise(data: bytes, random: Generator) -> bytes:
    return data[: int(random.integers(0, 16))] + random.bytes(int(random.integers(1, 2000)))


def _replace_number(data: bytes, random: Generator) -> bytes:
    places = list(_NUMBER.finditer(data))
    if not places:
        return _insert(data, random)
    place = places[int(random.integers(len(places)))]
    return data[: place.start()] + WORDS[int(random.integers(len(WORDS)))] + data[place.end() :]


def _replace_word(data: bytes, random: Generator) -> bytes:
    words = data.split(b" ")
    words[int(random.integers(len(words)))] = WORDS[int(random.integers(len(WORDS)))]
    return b" ".join(words)


def _swap_lines(data: bytes, random: Generator) -> bytes:
    lines = data.split(b"\n")
    a, b = random.integers(0, len(lines), 2)
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def _json_value(data: bytes, random: Generator) -> bytes:
    """A value anywhere in a JSON document replaced, or an entry removed."""
    try:
        content = json.loads(data)
    except ValueError:
        return _flip_bits(data, random)
    places: list[tuple[Any, Any]] = []
    open_ = [content]
    while open_:
        node = open_.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        open_ += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if places:
        node, key = places[int(random.integers(len(places)))]
        if random.random() < 0.2:
            del node[key]
        else:
            node[key] = VALUES[int(random.integers(len(VALUES)))]
    return json.dumps(content).encode()


def _run(data: bytes, random: Generator) -> tuple[int, int]:
    start = int(random.integers(0, len(data) + 1))
    return start, min(int(random.integers(1, 200)), len(data) - start)


def _overwrite(data: bytes, piece: bytes, end: int, random: Generator) -> bytes:
    """At a place below `end` that is a multiple of its size, as fields are aligned."""
    start = len(piece) * int(random.integers(0, max(1, min(end, len(data)) // len(piece))))
    return data[:start] + piece + data[start + len(piece) :]


Mutation = Callable[[bytes, Generator], bytes]
_OF_BYTES: tuple[Mutation, ...] = (
    _flip_bits, _change_head, _fill, _truncate, _remove, _repeat, _insert, _swap_runs, _extreme_integer, _extreme_float,
    _noise,
)  # fmt: skip
_OF_TEXT: tuple[Mutation, ...] = (
    _flip_bits, _change_head, _truncate, _remove, _repeat, _insert, _swap_lines, _replace_number, _replace_word, _noise,
)  # fmt: skip
