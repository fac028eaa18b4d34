"""Local polynomial regression: the least-squares fit itself, exact on polynomials, the same in reversed time."""

import numpy as np
import pytest
import torch

from mvnet.nn.local_polynomial import PRIOR, local_fit, moments, radius

WIDTHS = (1.0, 2.5, 4.0)


def curves(frames: int = 150, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """y (2, 3, T) and p (2, 1, T) with gaps, float64."""
    random = torch.Generator().manual_seed(seed)
    y = torch.randn(2, 3, frames, generator=random, dtype=torch.float64)
    p = torch.rand(2, 1, frames, generator=random, dtype=torch.float64)
    return y, p * (torch.rand(2, 1, frames, generator=random) > 0.3)


@pytest.mark.parametrize("frames", [7, 128, 300])
@pytest.mark.parametrize("width", WIDTHS)
def test_moments_are_sums_over_the_window(frames, width):
    y = curves(frames)[0]
    r = radius(width)
    q = torch.arange(-r, r + 1).double()
    g = torch.exp(-((q / width) ** 2) / 2)
    padded = torch.nn.functional.pad(y, (r, r))
    windows = padded.unfold(-1, 2 * r + 1, 1)
    for k in range(3):
        expected = (windows * (g / g.sum() * (q / width) ** k)).sum(-1)
        assert torch.allclose(moments(y, width, 3)[:, :, k], expected, atol=1e-14)


@pytest.mark.parametrize("degree", [1, 2])
def test_the_fit_is_the_weighted_least_squares_solution(degree):
    y, p = curves()
    fit = local_fit(y, p, WIDTHS, degree=degree)
    for place, width in enumerate(WIDTHS):
        r, t = radius(width), 60
        q = np.arange(-r, r + 1)
        g = np.exp(-((q / width) ** 2) / 2)
        w = g / g.sum() * p[0, 0, t - r : t + r + 1].numpy()
        s0 = w.sum() + PRIOR
        x = np.stack([(q / width) ** k for k in range(degree + 1)], 1)
        ridge = np.diag([PRIOR, 0.02 * s0, 0.04 * s0][: degree + 1])
        a = x.T @ (w[:, None] * x) + ridge
        c = np.linalg.solve(a, x.T @ (w[:, None] * y[0, :, t - r : t + r + 1].numpy().T))
        assert np.allclose(fit.means[0, degree * place, :, t].numpy(), c[0], atol=1e-12)
        if degree == 1:
            assert np.allclose(fit.slopes[0, place, :, t].numpy(), c[1], atol=1e-12)


def test_lines_and_parabolas_are_kept_beside_gaps():
    t = torch.linspace(-1, 1, 200, dtype=torch.float64)
    seen = torch.ones(1, 1, 200, dtype=torch.float64)
    seen[..., 90:110] = 0
    for power, degree in ((1, 1), (2, 0)):
        y = (t**power).view(1, 1, -1)
        fit = local_fit(y * seen, seen, [8.0])
        away = (fit.means[0, degree, 0] - y[0, 0]).abs()
        naive = (moments(y * seen, 8.0, 1) / moments(seen, 8.0, 1)[:, :, 0].clamp(min=1e-3))[0, 0, 0] - y[0, 0]
        assert away[90:110].max() < 0.3 * naive.abs()[88:112].max()


def test_reversal_of_time():
    y, p = curves()
    there, back = local_fit(y, p, WIDTHS), local_fit(y.flip(-1), p.flip(-1), WIDTHS)
    assert torch.allclose(there.means, back.means.flip(-1), atol=1e-12)
    assert torch.allclose(there.slopes, -back.slopes.flip(-1), atol=1e-12)


def test_nothing_around_is_zero():
    y, _ = curves()
    fit = local_fit(y, torch.zeros(1, 1, 150, dtype=torch.float64), WIDTHS)
    assert not fit.means.any() and not fit.slopes.any() and float(fit.share.max()) == PRIOR
