"""Complex diffusion-weighted images: the phase goes, the noise keeps a zero mean."""

import numpy as np

from mvnet.data_loaders.dti.formats.phase import remove_phase


def phase_image(shape, seed=0):
    """A smooth phase, another one in every slice of every volume."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape[:2]], indexing="ij")
    slopes = rng.uniform(-2, 2, (3, *shape[2:]))
    return slopes[0] * x[..., None, None] + slopes[1] * y[..., None, None] + np.pi * slopes[2]


def test_the_phase_of_a_noiseless_image_is_removed():
    shape = (40, 36, 3, 2)
    signal = np.broadcast_to(np.hypot(*np.ogrid[1:2:40j, 1:2:36j])[..., None, None], shape)
    found = remove_phase(signal * np.exp(1j * phase_image(shape)))
    assert found.dtype == np.float32 and found.shape == shape
    np.testing.assert_allclose(found, signal, rtol=0.02)  # at the edge the low-pass is lopsided
    np.testing.assert_allclose(found[6:-6, 6:-6], signal[6:-6, 6:-6], rtol=2e-3)


def test_noise_keeps_a_zero_mean_where_the_magnitude_does_not():
    shape, signal = (60, 60, 2, 4), 1.0
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, *shape))
    z = signal * np.exp(1j * phase_image(shape)) + noise[0] + 1j * noise[1]  # SNR 1
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(z)[inner].mean() > 1.5
    assert abs(remove_phase(z)[inner].mean() - signal) < 0.1
    assert abs(remove_phase(z)[inner].std() - 1) < 0.05


def test_what_is_not_finite_stays_so_and_spoils_no_neighbour():
    z = np.ones((12, 12, 1, 1), dtype=complex)
    z[3, 3] = np.nan
    found = remove_phase(z)
    assert np.isnan(found[3, 3]).all() and np.isfinite(np.delete(found.ravel(), 3 * 12 + 3)).all()
    assert not remove_phase(np.zeros((4, 4, 1, 1), dtype=complex)).any()
