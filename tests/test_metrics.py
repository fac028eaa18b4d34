"""Metrics against DIPY, LAPACK and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from mvnet import metrics
from mvnet.linalg import so3, sym3

SCALARS = {
    "fractional_anisotropy": metrics.fractional_anisotropy,
    "mean_diffusivity": metrics.mean_diffusivity,
    "axial_diffusivity": metrics.axial_diffusivity,
    "radial_diffusivity": metrics.radial_diffusivity,
}
ERRORS = {
    "affine_invariant": metrics.affine_invariant_error,
    "log_euclidean": metrics.log_euclidean_error,
    "deviatoric_log": metrics.deviatoric_log_error,
    "anisotropy": metrics.anisotropy_error,
}
SPECTRA = {  # um^2/ms
    "bundle": (0.3, 0.4, 1.7),
    "grey matter": (0.7, 0.8, 0.9),
    "crossing": (0.2, 1.1, 1.15),
    "nearly flat": (0.2, 1.0, 1.001),
    "needle": (1e-4, 1e-4, 3.0),
    "exactly prolate": (0.3, 0.3, 1.7),
    "nearly isotropic": (1.0, 1.0005, 1.001),
    "middle": (0.5, 1.0, 1.5),
}


def rotations(n: int, seed: int = 0) -> torch.Tensor:
    return so3.exp(2 * torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def tensors(spectrum, n: int = 500) -> torch.Tensor:
    """(6, n) planes of one spectrum, in every orientation."""
    r = rotations(n)
    return sym3.pack((r * torch.tensor(spectrum, dtype=torch.float64)) @ r.mT, dim=0)


def random_fields(n: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logs = torch.randn(2, 6, n, generator=generator, dtype=torch.float64)
    return sym3.exp(logs[0], dim=0), sym3.exp(logs[1], dim=0)


def angle(v: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Radians between the lines of v and w (3, n)."""
    return torch.atan2(torch.linalg.cross(v, w, dim=0).norm(dim=0), (v * w).sum(0).abs())


def lapack_direction(p: torch.Tensor) -> torch.Tensor:
    return torch.linalg.eigh(sym3.unpack(p.double(), dim=0))[1][..., 2].T


@pytest.mark.parametrize("name", SCALARS)
def test_scalar_maps_are_dipys(name):
    from dipy.reconst import dti

    p, _ = random_fields()
    evals = torch.linalg.eigvalsh(sym3.unpack(p, dim=0)).flip(-1).numpy()
    expected = torch.from_numpy(getattr(dti, name)(evals))
    torch.testing.assert_close(SCALARS[name](p, dim=0), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SCALARS)
def test_scalar_maps_are_rotation_invariant_and_scale(name):
    p = tensors((0.3, 0.5, 1.7))
    values = SCALARS[name](p, dim=0)
    torch.testing.assert_close(values, values[:1].expand_as(values))
    power = 0 if name == "fractional_anisotropy" else 1
    for unit in (1e-3, 1e-9, 1e3):  # mm^2/s, m^2/s, um^2/s
        scaled = SCALARS[name]((unit * p).float(), dim=0) / unit**power
        torch.testing.assert_close(scaled.double(), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", [*SCALARS, *ERRORS, "v1_angle"])
def test_planes_may_sit_at_any_dim(name, dim):
    x, y = (p.reshape(6, 5, 60).movedim(0, 1) for p in random_fields())
    arguments = (x,) if name in SCALARS else (x, y)
    function = {**SCALARS, **ERRORS, "v1_angle": metrics.v1_angle}[name]
    default = function(*arguments)
    assert default.shape == (5, 60)
    moved = function(*(p.movedim(1, dim) for p in arguments), dim=dim)
    torch.testing.assert_close(moved, default, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SCALARS)
def test_isotropic_tensors(name, dtype):
    p = torch.tensor([[0.7, 0.7, 0.7, 0, 0, 0]], dtype=dtype).requires_grad_()
    value = SCALARS[name](p)
    assert value.item() == pytest.approx(0 if name == "fractional_anisotropy" else 0.7, abs=1e-6)
    (gradient,) = torch.autograd.grad(value.sum(), p)
    assert gradient.isfinite().all()
    if name == "fractional_anisotropy":
        assert value == 0 and (gradient == 0).all()


def test_anisotropy_extremes():
    def fa(*planes):
        p = torch.tensor([planes], dtype=torch.float64).requires_grad_()
        value = metrics.fractional_anisotropy(p)
        assert torch.autograd.grad(value.sum(), p)[0].isfinite().all()
        return value.item()

    assert fa(0.0, 0.0, 0.0, 0.0, 0.0, 0.0) == 0
    assert fa(1.7, 0.0, 0.0, 0.0, 0.0, 0.0) == pytest.approx(1)  # a needle
    assert fa(1.0, 1.0, 0.0, 0.0, 0.0, 0.0) == pytest.approx(math.sqrt(0.5))  # a disc


def test_fa_is_the_norm_of_the_anisotropy():
    p, _ = random_fields()
    norm = torch.linalg.vector_norm(metrics.anisotropy(p, dim=0), dim=0)
    torch.testing.assert_close(metrics.fractional_anisotropy(p, dim=0), norm)


def test_small_anisotropy_keeps_its_digits():
    """FA of diag(1, 1, 1 + 2 e) in single precision: no difference of squares."""
    e = 2.0**-12
    p = torch.tensor([[1.0, 1.0, 1.0 + 2 * e, 0, 0, 0]])
    fa = metrics.fractional_anisotropy(p).item()
    exact = math.sqrt(0.5) * 2 * e * math.sqrt(2) / math.sqrt(2 + (1 + 2 * e) ** 2)
    assert fa == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_principal_direction_is_lapacks(spectrum, dtype):
    """Within 8 rounding units over the relative gap, of the exact direction of the tensor as stored."""
    p = tensors(SPECTRA[spectrum]).to(dtype)
    v = metrics.principal_direction(p, dim=0)
    assert v.dtype == dtype and v.shape == (3, p.shape[1])
    _, middle, high = SPECTRA[spectrum]
    gap = (high - middle) / high
    eps = torch.finfo(dtype).eps
    assert angle(v.double(), lapack_direction(p)).max() < 8 * eps / gap
    assert (v.norm(dim=0) - 1).abs().max() < 8 * eps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("spectrum", [(1.0, 1.0, 1.0), (0.2, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_principal_direction_of_degenerate_tensors(spectrum, scale, dtype):
    """Some unit vector of the eigenspace, never nan."""
    p = torch.cat((tensors(spectrum, 50), torch.tensor([[*spectrum, 0, 0, 0]], dtype=torch.float64).T), 1)
    p = (scale * p).to(dtype)
    v = metrics.principal_direction(p, dim=0).double()
    torch.testing.assert_close(v.norm(dim=0), torch.ones(51, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    rayleigh = torch.einsum("in,nij,jn->n", v, sym3.unpack(p.double(), dim=0), v) / scale
    torch.testing.assert_close(rayleigh, torch.full_like(rayleigh, max(spectrum)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degrees", [0.0, 0.01, 1.0, 45.0, 89.99, 90.0])
def test_v1_angle(degrees, dtype):
    """A tensor turned about an axis orthogonal to its direction, by angles an arc cosine would round away."""
    d = torch.diag(torch.tensor([0.3, 0.4, 1.7], dtype=torch.float64))
    frame = rotations(40)
    turn = so3.exp(torch.tensor([math.radians(degrees), 0, 0], dtype=torch.float64))
    x = sym3.pack(frame @ d @ frame.mT, dim=1).to(dtype)
    y = sym3.pack(frame @ turn @ d @ turn.mT @ frame.mT, dim=1).to(dtype)
    tolerance = 3e-4 if dtype == torch.float32 else 1e-8
    got = metrics.v1_angle(x, y)
    expected = torch.full((40,), degrees, dtype=torch.float64)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=tolerance)
    assert (got >= 0).all() and (got <= 90.001).all()


def test_directions_carry_no_gradient():
    x = random_fields(4)[0].T.requires_grad_()
    assert not metrics.principal_direction(x).requires_grad
    assert not metrics.v1_angle(x, 2 * x).requires_grad


def test_errors_by_eigendecomposition():
    x, y = (sym3.unpack(p, dim=0) for p in random_fields())

    def log(a):
        w, u = torch.linalg.eigh(a)
        return (u * w.log()[..., None, :]) @ u.mT

    planes = random_fields()
    relative = torch.linalg.eigvals(torch.linalg.solve(x, y)).real.log()
    got = metrics.affine_invariant_error(*planes, dim=0)
    torch.testing.assert_close(got, relative.square().sum(-1).sqrt(), rtol=1e-9, atol=1e-9)
    difference = log(x) - log(y)
    got = metrics.log_euclidean_error(*planes, dim=0)
    torch.testing.assert_close(got, difference.norm(dim=(-2, -1)), rtol=1e-9, atol=1e-9)
    trace = difference.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    got = metrics.deviatoric_log_error(*planes, dim=0)
    expected = (difference - trace / 3 * torch.eye(3)).norm(dim=(-2, -1))
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_what_the_errors_ignore():
    """Affine-invariant: any congruence. Log-Euclidean: rotation, common scale. Deviatoric, anisotropy: any scale."""
    x, y = (sym3.unpack(p, dim=0) for p in random_fields(50))
    a = torch.eye(3, dtype=torch.float64) + 0.3 * rotations(1)[0]
    r = rotations(1)[0]

    def moved(name, b, s=1.0):
        return ERRORS[name](sym3.pack(b @ x @ b.mT, dim=1), sym3.pack(s * b @ y @ b.mT, dim=1))

    same = torch.eye(3, dtype=torch.float64)
    for name, b, s in (
        ("affine_invariant", a, 1.0),
        ("log_euclidean", 2 * r, 1.0),
        ("deviatoric_log", r, 3.0),
        ("anisotropy", r, 3.0),
    ):
        torch.testing.assert_close(moved(name, b, s), moved(name, same), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ERRORS)
def test_errors_vanish_with_finite_gradient_where_fields_coincide(name, dtype):
    isotropic = torch.tensor([[0.7, 0.7, 0.7, 0, 0, 0]])
    x = torch.cat((random_fields(20)[0].T, isotropic)).to(dtype).requires_grad_()
    error = ERRORS[name](x, x.detach().clone())
    assert error.max() < 1e3 * torch.finfo(dtype).eps  # the tensors' condition number is up to 1e3
    assert torch.autograd.grad(error.sum(), x)[0].isfinite().all()


@pytest.mark.parametrize("name", [*SCALARS, *ERRORS, "principal_direction", "v1_angle"])
def test_wrong_planes_are_named(name):
    directions = {"principal_direction": metrics.principal_direction, "v1_angle": metrics.v1_angle}
    function = {**SCALARS, **ERRORS, **directions}[name]
    one = name in SCALARS or name == "principal_direction"
    with pytest.raises(ValueError, match=r"6.*dim 1"):
        function(*[torch.ones(2, 9, 4)] * (1 if one else 2))
