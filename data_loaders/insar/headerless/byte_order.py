"""The byte order of numbers that no header describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_PIECES, _PIECE = 16, 1 << 15  # pieces of a file that are looked at, and their bytes


def detect_order(path: Path, stored: str, usual: str) -> str:
    """The order, "<" or ">", in which the numbers of a file are of similar magnitude.

    Numbers of the wrong order have their lowest bits as exponent: their magnitudes spread over the whole range, and
    many are infinite, NaN or subnormal.

    Args:
        path: of a file of numbers and nothing else.
        stored: numpy type without the order, such as "f4" or "c8".
        usual: order to take when both are as good.
    Returns:
        "<" or ">".
    """
    kind, size = ("f", int(stored[1:]) // 2) if stored[0] == "c" else (stored[0], int(stored[1:]))
    if size == 1:
        return usual
    piece = _pieces(path, 16)
    scores = {order: _spread(np.frombuffer(piece, f"{order}{kind}{size}")) for order in "<>"}
    other = "<" if usual == ">" else ">"
    return other if scores[other] < 0.5 * scores[usual] else usual


def _pieces(path: Path, step: int) -> bytes:
    """Parts of a file, each from a multiple of `step` bytes, of a length that is one."""
    size = path.stat().st_size
    found = []
    with open(path, "rb") as file:
        for k in range(_PIECES):
            file.seek(round(k * max(0, size - _PIECE) / (_PIECES - 1)) // step * step)
            found.append(file.read(_PIECE))
    whole = b"".join(part[: len(part) // step * step] for part in found)
    return whole or b"".join(found)[: size // 8 * 8]


def _spread(values: np.ndarray) -> float:
    """How unlike each other magnitudes are: of floats in powers of two, of integers themselves; 0 are left out."""
    values = values[values != 0]
    if not len(values):
        return 0.0
    if values.dtype.kind != "f":
        return float(np.median(np.abs(values.astype(np.float64))))
    smallest = np.finfo(values.dtype).tiny
    with np.errstate(invalid="ignore", over="ignore"):
        normal = np.isfinite(values) & (np.abs(values) >= smallest)
        exponents = np.frexp(values[normal].astype(np.float64))[1]
    apart = np.median(np.abs(exponents - np.median(exponents))) if len(exponents) else 0.0
    return float(apart) + 1.0 + 256 * float(np.mean(~normal))
