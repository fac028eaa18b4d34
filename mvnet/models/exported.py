"""Networks as programs of torch alone: `torch.export` of the plain form of each, for one size of input.

A program needs neither this package nor its sources. It takes the planes that the network takes, made by the functions
that its form names, and gives tensors instead of named tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.models.dti.certified.network import CertifiedDenoiser
from mvnet.models.dti.network import FEATURES, DTIDenoiser
from mvnet.models.insar.inputs import noise_features
from mvnet.models.insar.network import SCALARS, InSARDenoiser
from mvnet.models.motion.inputs import CurveBatch, curve_batch
from mvnet.models.motion.network import MotionDenoiser

_JOINTS = 16


@dataclass(frozen=True)
class Form:
    """What a program takes and gives.

    Args:
        inputs: name of every tensor that goes in, and what it is.
        outputs: name of every tensor that comes out, and what it is.
        examples: (size, generator) -> tensors that go in.
        call: (network, *tensors) -> those that come out.
        size: of the examples where none is given, voxels, pixels or frames along an axis.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    examples: Callable[[int, torch.Generator], tuple[Tensor, ...]]
    call: Callable[..., tuple[Tensor, ...]]
    size: int


def _tensor_planes(size: int, random: torch.Generator) -> tuple[Tensor, ...]:
    cube = (size, size, size)
    tensors = torch.randn(1, 6, *cube, generator=random) / 10
    tensors[:, :3] += 1
    features = torch.rand(1, FEATURES, *cube, generator=random)
    features[:, 0] = 1  # the mask
    features[:, 5:11] = 0  # isotropic voxels
    return tensors, features


def _phase_planes(size: int, random: torch.Generator) -> tuple[Tensor, ...]:
    planes, features = torch.randn(1, 2, size, size, generator=random), torch.ones(1, len(SCALARS), size, size)
    return planes, features, noise_features(torch.zeros(1, 2, 3), torch.full((1,), torch.nan))


def _curves(size: int, random: torch.Generator) -> tuple[Tensor, ...]:
    values = torch.randn(1, _JOINTS, size, 3, generator=random).cumsum(2)
    parent = torch.full((1, _JOINTS), -1)
    return curve_batch(values, torch.ones(1, _JOINTS, size, dtype=torch.bool), parent)[:-1]


def _denoise_tensors(model: DTIDenoiser, tensors: Tensor, features: Tensor) -> tuple[Tensor, ...]:
    found = model(tensors, features)
    return found.tensors, found.log_error


def _denoise_certified(model: CertifiedDenoiser, tensors: Tensor, features: Tensor) -> tuple[Tensor, ...]:
    return (model(tensors, features),)


def _denoise_phase(model: InSARDenoiser, planes: Tensor, features: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
    found = model(planes, features, noise)
    return found.phase, found.log_concentration


def _denoise_curves(
    model: MotionDenoiser, values: Tensor, trust: Tensor, seen: Tensor, noise: Tensor, features: Tensor
) -> tuple[Tensor, ...]:
    found = model(CurveBatch(values, trust, seen, noise, features, torch.full(values.shape[:2], -1)))
    return found.values, found.log_error, found.trust


_TENSORS = {
    "tensors": "(1, 6, N, N, N) Mandel planes over the unit of typical tissue",
    "features": "(1, 12, N, N, N) of mvnet.models.dti.inputs.feature_planes",
}
_CURVES = ("values", "trust", "seen", "noise", "features")

FORMS: dict[type[nn.Module], Form] = {
    DTIDenoiser: Form(
        _TENSORS,
        {"tensors": "(1, 6, N, N, N)", "log_error": "log of the expected affine-invariant error"},
        _tensor_planes,
        _denoise_tensors,
        32,
    ),
    CertifiedDenoiser: Form(_TENSORS, {"tensors": "(1, 6, N, N, N)"}, _tensor_planes, _denoise_certified, 32),
    InSARDenoiser: Form(
        {
            "planes": "(1, 2, N, N) real and imaginary part",
            "features": "(1, 3, N, N) of mvnet.models.insar.inputs.scalar_planes",
            "noise": "(1, 14) of mvnet.models.insar.inputs.noise_features",
        },
        {"phase": "(1, N, N) radians", "log_concentration": "(1, N, N) of its von Mises error"},
        _phase_planes,
        _denoise_phase,
        256,
    ),
    MotionDenoiser: Form(
        {name: f"of mvnet.models.motion.inputs.curve_batch, {_JOINTS} positions without a tree" for name in _CURVES},
        {"values": f"(1, {_JOINTS}, N, 3)", "log_error": "of every value", "trust": "log-odds that it is no outlier"},
        _curves,
        _denoise_curves,
        256,
    ),
}
"""By the class of the network."""


class _Plain(nn.Module):
    """The network as a function of tensors."""

    def __init__(self, model: nn.Module, form: Form):
        super().__init__()
        self.model, self.form = model, form

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.form.call(self.model, *tensors)


def export_program(model: nn.Module, size: int | None = None) -> tuple[torch.export.ExportedProgram, dict[str, Any]]:
    """The program of a network, on the CPU, and what it takes and gives.

    Args:
        model: one of `FORMS`, in float32.
        size: of the input along an axis; None is that of the form.
    Returns:
        the program, and {"inputs", "outputs", "size", "difference"}: the last is the largest difference of its output
        from that of the network.
    Raises:
        MvnetError: a network without a form, or a size that the network does not take.
    """
    form = FORMS.get(type(model))
    if form is None:
        names = ", ".join(kind.__name__ for kind in FORMS)
        raise MvnetError(f"model: found a {type(model).__name__}, expected one of {names}")
    size = size or form.size
    examples = form.examples(size, torch.Generator().manual_seed(0))
    plain = _Plain(model, form).cpu().eval()
    program, found, expected = trace(plain, examples)
    difference = largest_difference(found, expected)
    about = {"inputs": form.inputs, "outputs": form.outputs, "size": size, "difference": difference}
    return program, about


def trace(
    plain: nn.Module, examples: tuple[Tensor, ...]
) -> tuple[torch.export.ExportedProgram, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The program of a function of tensors.

    Args:
        plain: on the CPU; its parameters stop asking for gradients.
        examples: tensors that go in.
    Returns:
        the program, what it makes of the examples, and what the function makes of them.
    """
    plain.eval().requires_grad_(False)
    with torch.no_grad():
        expected = plain(*examples)  # first: what is compiled at its first call would end the trace
        program = torch.export.export(plain, examples, strict=False)
        return program, program.module()(*examples), expected


def largest_difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Between the outputs of a program and those that it should have.

    Args:
        found, expected: tensors of equal shapes.
    Returns:
        max |a - b| over all of them; NaN where one is.
    """
    return float(torch.stack([(a - b).abs().max().double() for a, b in zip(found, expected, strict=True)]).max())
