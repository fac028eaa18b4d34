"""Damaged files: bytes changed, cut off, repeated, or replaced by noise; numbers and marks of texts swapped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

TOKENS = (b"nan", b"-1", b"0", b"1e400", b"999999999", b"", b"x", b"\xff\xfe", b"{", b"}", b"\n", b"\0", b"9" * 5000)


def mutate(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`count` mutants of a file's bytes, the same for the same seed."""
    random = np.random.default_rng(seed)
    kinds = (_flip, _flip_head, _cut, _remove, _repeat, _insert, _replace_word, _noise)
    for i in range(count):
        yield kinds[i % len(kinds)](data, random)


def _flip(data: bytes, random: np.random.Generator) -> bytes:
    return _flip_below(data, len(data), random)


def _flip_head(data: bytes, random: np.random.Generator) -> bytes:
    return _flip_below(data, min(len(data), 400), random)


def _flip_below(data: bytes, end: int, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, end, int(random.integers(1, 9))):
        changed[place] = int(random.integers(0, 256))
    return bytes(changed)


def _cut(data: bytes, random: np.random.Generator) -> bytes:
    return data[: int(random.integers(1, len(data)))]


def _remove(data: bytes, random: np.random.Generator) -> bytes:
    start, length = int(random.integers(0, len(data))), int(random.integers(1, 200))
    return data[:start] + data[start + length :]


def _repeat(data: bytes, random: np.random.Generator) -> bytes:
    start, length = int(random.integers(0, len(data))), int(random.integers(1, 200))
    return data[: start + length] + data[start:]


def _insert(data: bytes, random: np.random.Generator) -> bytes:
    start = int(random.integers(0, len(data)))
    return data[:start] + TOKENS[int(random.integers(len(TOKENS)))] + data[start:]


def _replace_word(data: bytes, random: np.random.Generator) -> bytes:
    words = data.split(b" ")
    words[int(random.integers(len(words)))] = TOKENS[int(random.integers(len(TOKENS)))]
    return b" ".join(words)


def _noise(data: bytes, random: np.random.Generator) -> bytes:
    keep = int(random.integers(0, 16))
    return data[:keep] + random.bytes(int(random.integers(1, 4000)))
