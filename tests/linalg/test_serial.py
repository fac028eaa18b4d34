"""A kernel keeps its work on the calling thread and says nothing to other threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mvnet import runtime
from mvnet.linalg import serial
from mvnet.linalg.kernel import Kernel, Planes


def threads_of_a_newborn() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def record(monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[int]]:
    """Threads of torch inside a kernel that runs in several blocks: of the caller, and of threads born there."""
    monkeypatch.setenv("MVNET_COMPILE", "0")
    own, born = [], []

    def fn(p: Planes) -> tuple[Planes]:
        own.append(torch.get_num_threads())
        born.append(threads_of_a_newborn())
        return (p,)

    Kernel(fn)(torch.zeros(2, 100_000), dim=0)
    return own, born


def test_threads_born_while_a_kernel_runs_have_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    with runtime.threads(3):
        own, born = record(monkeypatch)
        assert len(born) > 1 and set(born) == {3}
        assert torch.get_num_threads() == threads_of_a_newborn() == 3
        if serial._omp():
            assert set(own) == {1}


def test_number_of_threads_returns_after_an_error() -> None:
    with runtime.threads(3):
        with pytest.raises(RuntimeError), serial.on_one_thread():
            raise RuntimeError
        assert torch.get_num_threads() == 3


def test_without_openmp_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "_omp", lambda: None)
    monkeypatch.setattr(serial, "_mkl", lambda: None)
    with runtime.threads(2):
        own, born = record(monkeypatch)
    assert set(own) == set(born) == {2}
