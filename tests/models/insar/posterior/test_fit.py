"""The bank is measured: latents of known filters give those filters back."""

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.models.insar.posterior import fit
from mvnet.models.insar.posterior.fit import Evidence, fit_bank
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.position_noise import position_noise
from tests.models.insar.posterior.cases import known_posterior

SIDE, TAPS = 96, 9


def evidence(count: int) -> list[Evidence]:
    """Latents of `known_posterior`: the left half at the node of the least gain, the right at that of the largest."""
    head = known_posterior(TAPS)
    gains = head.coefficients.shape[3]
    found = []
    for number in range(count):
        m = head.margin
        fields = head.correlate(position_noise([slice(-m, SIDE + m)] * 2, 0, number))
        first, last = (torch.einsum("r,rhw->hw", head.coefficients[0, 0, 0, k], fields) for k in (0, -1))
        left = (torch.arange(SIDE) < SIDE // 2).expand(SIDE, SIDE)
        found.append(Evidence(torch.where(left, first, last), torch.where(left, 0, gains - 1), 0.0))
    return found


def test_known_filters_are_found(monkeypatch):
    given = iter(evidence(12))
    monkeypatch.setattr(fit, "collect_evidence", lambda *arguments: next(given))
    head, known = InSARPosterior(taps=TAPS, rank=3), known_posterior(TAPS)
    told = fit_bank(None, head, [None] * 12)  # type: ignore[arg-type]
    assert told["measured"] == 2 and told["kept"] > 0.999
    for k in (0, -1):
        found, expected = (
            torch.fft.irfft2(torch.fft.rfft2(taps, (32, 32)).abs().square())
            for taps in (torch.einsum("r,rij->ij", h.coefficients[0, 0, 0, k], h.filters) for h in (head, known))
        )
        assert torch.allclose(found[:4, :4], expected[:4, :4], atol=0.06)
    gram = torch.einsum("rij,sij->rs", head.filters, head.filters)
    assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-5)


def test_too_few_pixels(monkeypatch):
    given = iter(evidence(1))
    monkeypatch.setattr(fit, "collect_evidence", lambda *arguments: next(given))
    with pytest.raises(MvnetError, match="found no node"):
        fit_bank(None, InSARPosterior(taps=TAPS), [None])  # type: ignore[arg-type]
