"""A device with too little memory: blocks of half the side, and the same result, told once for every halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError, MvnetWarning
from mvnet.models.dti.certified.inference import denoise_features
from mvnet.models.dti.certified.network import METRICS, CertifiedDenoiser
from mvnet.models.dti.guarantees import random_volume
from mvnet.models.dti.inference import denoise_volume
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.tiling import in_smaller_blocks
from tests.models.insar.test_network import noisy, small_model

FIELDS = {"trivial": 2, "faces": 1}


def short_of_memory(monkeypatch: pytest.MonkeyPatch, model: nn.Module, method: str, most: int) -> list[int]:
    """The model has no memory for more than `most` points; returns the points of every call, as they come."""
    whole, calls = getattr(model, method), []

    def limited(planes: Tensor, *more: Any, **options: Any) -> Any:
        calls.append(planes[0, 0].numel())
        if calls[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(planes, *more, **options)

    monkeypatch.setattr(model, method, limited)
    return calls


def dti() -> tuple[nn.Module, str, Callable[[Any], Tensor]]:
    model = DTIDenoiser(FIELDS, {"faces": 1}, convolutions=(1,), generator=torch.Generator().manual_seed(0)).eval()
    planes = random_volume(0, (1.0, 1.0, 1.5), torch.float32)[0]
    return model, "forward", lambda model: denoise_volume(model, planes[:6], planes[6] > 0).tensors


def certified() -> tuple[nn.Module, str, Callable[[Any], Tensor]]:
    model = CertifiedDenoiser(FIELDS, 1, 0.5, 1, generator=torch.Generator().manual_seed(0)).eval()
    planes = random_volume(0, (1.0, 1.0, 1.5), torch.float32)[0]
    return model, "filter_logs", lambda model: denoise_features(model, planes[:6], planes[6] > 0, planes[6:])


def insar() -> tuple[nn.Module, str, Callable[[Any], Tensor]]:
    model = small_model(torch.float32)
    z = noisy(260, 16).to(torch.complex64)
    return model, "forward", lambda model: denoise_interferogram(model, z).phase


CASES = {"dti": (dti, 700), "certified": (certified, 700), "insar": (insar, 16 * 200)}
"""Something that denoises, and for how many points there is memory."""


@pytest.mark.parametrize("name", CASES)
def test_the_same_result_in_smaller_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, most = CASES[name]
    model, method, denoise = make()
    expected = denoise(model)
    calls = short_of_memory(monkeypatch, model, method, most)
    with pytest.warns(MvnetWarning, match=r"device: found too little memory for .* goes on with"):
        found = denoise(model)
    assert max(calls) > most and min(calls) <= most
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::mvnet.errors.MvnetWarning")
@pytest.mark.parametrize("name", CASES)
def test_too_little_for_any_block_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, method, denoise = CASES[name][0]()
    short_of_memory(monkeypatch, model, method, 10)
    with pytest.raises(MvnetError, match=r"device: found too little memory for .* a side"):
        denoise(model)


def test_the_affine_invariant_form_is_never_cut() -> None:
    model = CertifiedDenoiser(FIELDS, 1, 0.5, 1, metric=METRICS[1]).eval()
    planes = random_volume(0, (1.0, 1.0, 1.0), torch.float32)[0, :, :3, :3, :3]
    assert denoise_features(model, planes[:6], planes[6] >= 0, planes[6:], block=2).isfinite().all()


def test_nothing_is_cut_where_there_is_memory() -> None:
    windows = []
    found = in_smaller_blocks(lambda window: [windows.append(window) or torch.ones(2, 30, 40)], (30, 40), 3)
    assert windows == [(slice(0, 30), slice(0, 40))] and found[0].shape == (2, 30, 40)
