"""An interferogram without structure, and what a file of it is read as."""

import numpy as np
import pytest

from mvnet.data_loaders.insar import open_interferogram

SHAPE = (23, 31)


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    """(23, 31) complex64."""
    random = np.random.default_rng(0)
    return (random.standard_normal(SHAPE) + 1j * random.standard_normal(SHAPE)).astype(np.complex64)


def values(path, **options) -> np.ndarray:
    return open_interferogram(path, find_coherence=False, **options).read(with_coherence=False).values
