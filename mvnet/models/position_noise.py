"""Standard normal noise that is a function of a seed, the number of a sample and the place of a point.

Any window of an unbounded grid can be asked for by itself, in any order and by any process, and has the values that it
has in every other window: samples made tile by tile have no seams, and do not depend on tiles or workers.

The grid is cut into chunks; the chunk (i, j, k) of sample n is the stream of Philox with the key (seed, n) and the
counter (0, i, j, k). Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mvnet.errors import MvnetError

_SIDES = {1: 4096, 2: 128, 3: 16}
"""Points along each axis of a chunk, by the number of axes."""

_WORD = 2**64


def position_noise(window: Sequence[slice], seed: int, number: int) -> Tensor:
    """White noise in a window.

    Args:
        window: start and stop along each of one to three axes, any whole numbers, also negative ones.
        seed: of all samples, from 0.
        number: of the sample, from 0.
    Returns:
        float32, of the shape of the window, on the CPU.
    Raises:
        MvnetError: a negative seed or number, or a window without axes or with more than three.
    """
    if len(window) not in _SIDES or not (0 <= seed < _WORD and 0 <= number < _WORD):
        raise MvnetError(
            f"window, seed, number: found {len(window)} axes, {seed} and {number}, "
            "expected one to three axes and numbers in [0, 2^64)"
        )
    side = _SIDES[len(window)]
    out = np.empty([part.stop - part.start for part in window], np.float32)
    chunks = [range(part.start // side, -(-part.stop // side)) for part in window]
    key = np.array([seed, number], np.uint64)
    for place in product(*chunks):
        counter = np.array([0, *(i % _WORD for i in place), *[0] * (3 - len(place))], np.uint64)
        stream = np.random.Generator(np.random.Philox(counter=counter, key=key))
        chunk = stream.standard_normal((side,) * len(place), dtype=np.float32)
        inner, outer = [], []
        for i, part in zip(place, window, strict=True):
            low, high = max(i * side, part.start), min((i + 1) * side, part.stop)
            inner.append(slice(low - i * side, high - i * side))
            outer.append(slice(low - part.start, high - part.start))
        out[tuple(outer)] = chunk[tuple(inner)]
    return torch.from_numpy(out)
