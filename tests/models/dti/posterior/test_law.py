"""The law of a tensor: densities are those of probability, noise goes in and comes out, the cube's symmetries hold."""

from __future__ import annotations

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.models.dti.posterior.guarantees import verify_posterior
from mvnet.models.dti.posterior.law import Law, apply_exp, count_terms, pack
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.dti.posterior.summaries import fa_and_md, latent_points, quantiles
from tests.models.dti.posterior.cases import FIELDS, posterior_head


def random_law(head: DTIPosterior, n: int, dtype: torch.dtype = torch.float64) -> Law:
    random = torch.Generator().manual_seed(2)
    planes = torch.randn(30, n, generator=random, dtype=dtype)
    planes[7:28] *= 0.6
    planes[28:].tanh_()
    law = head.to(dtype).laws(planes)
    matrix = law.matrix()
    trace = matrix.diagonal().mean(-1)
    return law._replace(shape=pack(matrix - trace * torch.eye(6, dtype=dtype).unsqueeze(-1)))


@pytest.mark.parametrize(("covariance", "tails"), [("full", True), ("isotropic", False)])
def test_guarantees_hold_for_random_weights(covariance, tails):
    found = verify_posterior(posterior_head(covariance=covariance, tails=tails), seed=0)
    assert [g.name for g in found if not g.holds] == []
    assert sum("48 elements" in g.name for g in found) == 2


def test_series_is_the_matrix_exponential_and_its_terms_follow_from_the_norm():
    random = torch.Generator().manual_seed(0)
    for size in (0.0, 0.1, 1.0, 4.0):
        a = torch.randn(5, 6, 6, generator=random, dtype=torch.float64)
        a = size * (a + a.mT) / (a + a.mT).norm(dim=(1, 2), keepdim=True)
        v = torch.randn(6, 3, 5, generator=random, dtype=torch.float64)
        expected = torch.einsum("nij,jkn->ikn", torch.linalg.matrix_exp(a), v)
        torch.testing.assert_close(apply_exp(a.permute(1, 2, 0), v), expected, atol=1e-13, rtol=1e-13)
    counts = [count_terms(size * torch.eye(6).unsqueeze(-1)) for size in (0.0, 0.1, 1.0, 2.0)]
    assert counts[0] == 0 and counts == sorted(counts) and counts[-1] > counts[1]


def test_density_without_tails_is_that_of_a_normal_law():
    head = posterior_head(tails=False)
    law = random_law(head, 7)
    logs = law.centre + 0.5 * torch.randn(6, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    matrix = law.matrix()
    root = torch.linalg.matrix_exp(matrix.permute(2, 0, 1)) * law.scale.exp()[:, None, None]
    normal = torch.distributions.MultivariateNormal(law.centre.T, covariance_matrix=root @ root.mT)
    with torch.no_grad():
        torch.testing.assert_close(head.log_density(law, logs), normal.log_prob(logs.T), atol=1e-10, rtol=1e-10)


def test_density_with_tails_integrates_to_one():
    """E over samples of q / p is 1 for any density q: here normal ones that lie inside."""
    head, count = posterior_head(), 20000
    law = random_law(head, 3)
    w = torch.randn(6, count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        drawn = head.push(law, w)
        for n in range(3):
            one = Law(*(t[..., n : n + 1].expand(*t.shape[:-1], count) for t in law))
            logs = drawn[..., n]
            inside = torch.distributions.MultivariateNormal(logs.mean(1), 0.3 * torch.cov(logs))
            ratio = (inside.log_prob(logs.T) - head.log_density(one, logs)).exp()
            assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / count**0.5 < 0.2


def test_quantiles_of_quasi_random_latents():
    points = latent_points(128, seed=0)
    found = quantiles(points.mT, (0.05, 0.5, 0.95))
    torch.testing.assert_close(
        found, torch.tensor([-1.645, 0.0, 1.645], dtype=torch.float64)[:, None].expand(3, 6), atol=0.12, rtol=0
    )
    assert torch.equal(points, latent_points(128, seed=0)) and not torch.equal(points, latent_points(128, seed=1))
    with pytest.raises(MvnetError, match="power of 2"):
        latent_points(100, seed=0)


def test_anisotropy_from_planes():
    from mvnet.linalg import sym3
    from mvnet.metrics import fractional_anisotropy, mean_diffusivity

    tensors = sym3.exp(0.5 * torch.randn(1, 6, 50, generator=torch.Generator().manual_seed(0)))
    fa, md = fa_and_md(tensors[0])
    torch.testing.assert_close(fa, fractional_anisotropy(tensors)[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(md, mean_diffusivity(tensors)[0])


def test_bad_configurations():
    with pytest.raises(MvnetError, match="covariance: found 'diagonal', expected one of full, isotropic"):
        DTIPosterior(FIELDS, covariance="diagonal")
    with pytest.raises(MvnetError, match=r"hidden: found .* permutation"):
        DTIPosterior(FIELDS, {"sym2": 1})
