"""The head of the DTI posterior: features of a frozen denoiser -> the law of every tensor.

    log T = log z + mu(h) + exp(S(h) / 2) r^-1(w)

z is the denoised tensor, w noise that is correlated in space as the error is. Every layer acts on a voxel alone and
commutes with the symmetries of the cube: S is the symmetric part of a field of type sym2 (x) sym2, mu one of type sym2,
and r commutes with every orthogonal map, so that p(g T | g z) = p(T | z) exactly (paper sections 4.1.1 and 5.1).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, Representation, Sym2, Trivial, field_type, rms_squash
from mvnet.equivariant import group as find_group
from mvnet.equivariant.representations import kronecker
from mvnet.errors import MvnetError
from mvnet.invertible import Knots, Radial
from mvnet.models.dti.network import TRUNK
from mvnet.models.dti.posterior.inputs import NUMBERS, TENSORS, log_deviation
from mvnet.models.dti.posterior.law import Law, pack

HIDDEN = {"trivial": 24, "faces": 2, "edges": 2, "flags": 2}
COVARIANCES = ("full", "isotropic")

_TAIL = 2  # numbers that the spline depends on
_MOST_SCALE = 4.0  # of the logarithm of a deviation, away from what the denoiser expects
_MOST_SHAPE = 3.0  # of |S / 2| without its trace, its Frobenius norm


class DTIPosterior(nn.Module):
    """Posterior of the tensors that a `DTIDenoiser` denoises.

    Args:
        trunk: features of the denoiser, multiplicities of named representations.
        hidden: features of both hidden layers, likewise; permutations only.
        group: of the denoiser.
        covariance: "full", or "isotropic" for S a multiple of the identity.
        tails: whether r is learned; without it the law is a normal one.
        bins: of its spline.
        taps: side of the filter that correlates w in space, odd.
        generator: source of the initial weights; torch's global generator when None.
    Raises:
        MvnetError: hidden features that no pointwise nonlinearity keeps equivariant, or an unknown covariance.
    """

    taps: Tensor

    def __init__(
        self,
        trunk: Mapping[str, int] = TRUNK,
        hidden: Mapping[str, int] = HIDDEN,
        group: str = "Oh",
        covariance: str = "full",
        tails: bool = True,
        bins: int = 8,
        taps: int = 7,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if covariance not in COVARIANCES:
            raise MvnetError(f"covariance: found {covariance!r}, expected one of {', '.join(COVARIANCES)}")
        self.config = {
            "trunk": dict(trunk),
            "hidden": dict(hidden),
            "group": group,
            "covariance": covariance,
            "tails": tails,
            "bins": bins,
            "taps": taps,
        }
        symmetry = find_group(group)
        features, inner = field_type(symmetry, trunk), field_type(symmetry, hidden)
        if not inner.is_permutation:
            raise MvnetError(f"hidden: found {inner}, expected permutation representations only")
        self.trunk_channels = features.channels  # log z begins behind them
        scalar, tensor = Trivial(symmetry), Sym2(symmetry)
        square = Representation("sym2*sym2", symmetry, kronecker(tensor.matrices, tensor.matrices))
        seen = FieldType(*features.fields, (TENSORS, tensor), (NUMBERS, scalar))
        law = FieldType((1, tensor), (1, square), (1 + _TAIL, scalar))
        self.first = GroupConv(seen, inner, 1, generator=generator)
        self.second = GroupConv(inner, inner, 1, generator=generator)
        self.law = GroupConv(inner, law, 1, generator=generator)
        self.radial = Radial(bins, 2.5, conditions=_TAIL)
        self.radial.requires_grad_(tails)
        with torch.no_grad():  # mu = 0 and S = 0 at the start; what the spline depends on is not
            self.law.weight.mul_(0.01)
        white = torch.zeros(taps, taps, taps)
        white[(taps // 2,) * 3] = 1
        self.register_buffer("taps", white)

    def forward(self, inputs: Tensor, log_error: Tensor, reference: Tensor) -> Tensor:
        """The planes of the laws.

        Args:
            inputs: (B, C, D, H, W) of `mvnet.models.dti.posterior.inputs.head_inputs`.
            log_error: (B, 1, D, H, W) of the denoiser.
            reference: (B, 1, D, H, W), noise per component of what the posterior is about; 0 for the truth.
        Returns:
            (B, 30, D, H, W): centre 6, scale 1, shape 21, tail 2, the attributes of `Law`.
        """
        logs = inputs[:, self.trunk_channels : self.trunk_channels + 6]
        x = F.silu(self.first(inputs))
        x = x + F.silu(self.second(rms_squash(x)))
        # hidden -> mu in units of the deviation, S, its trace, tail
        mu, s, scale, tail = self.law(x).split((6, 36, 1, _TAIL), 1)
        expected = log_deviation(log_error)
        # the reference adds its own noise: sqrt(e^2 + n^2)
        expected = (expected.exp().square() + reference.square()).log() / 2
        shape = pack(s.movedim(1, 0).unflatten(0, (6, 6)))
        trace = shape[_DIAGONAL].mean(0, keepdim=True)
        shape = torch.stack([row - trace[0] if i in _DIAGONAL else row for i, row in enumerate(shape)])
        # |S|^2, off-diagonal entries counted twice
        size = 2 * shape.square().sum(0, keepdim=True) - shape[_DIAGONAL].square().sum(0, keepdim=True)
        shape = shape * (1 + size / _MOST_SHAPE**2).rsqrt()
        if self.config["covariance"] == "isotropic":
            shape = torch.zeros_like(shape)
        scale = expected + _MOST_SCALE * torch.tanh((scale + trace.movedim(0, 1)) / _MOST_SCALE)
        centre = logs + mu * expected.exp()
        return torch.cat([centre, scale, shape.movedim(0, 1), torch.tanh(tail)], 1)

    def laws_of(self, inputs: Tensor, log_error: Tensor, reference: Tensor) -> Law:
        """Laws of single voxels.

        Args:
            inputs, log_error, reference: as of `forward`, (C, n), (1, n) and (1, n).
        Returns:
            of n voxels.
        """
        planes = self(*(t[None, :, :, None, None] for t in (inputs, log_error, reference)))
        return self.laws(planes[0, :, :, 0, 0])

    def laws(self, planes: Tensor) -> Law:
        """Planes of n voxels as laws.

        Args:
            planes: (30, n).
        Returns:
            laws of n voxels.
        """
        return Law(planes[:6], planes[6], planes[7:28], planes[28:])

    def spline(self, law: Law) -> tuple[Knots, Tensor]:
        """r of every voxel.

        Args:
            law: of n voxels.
        Returns:
            knots (1, n, K + 1), and the logarithm of the unit of |v|.
        """
        return self.radial.knots(law.tail[None]), self.radial.shift

    def log_density(self, law: Law, logs: Tensor) -> Tensor:
        """log p of centred log-tensors.

        Args:
            law: of n voxels.
            logs: (6, n), `mvnet.models.dti.network.centred_log` of tensors over their scale.
        Returns:
            (n,), with respect to the six Mandel planes of the log-tensor.
        """
        return law.log_density(logs, *self.spline(law))

    def latents(self, law: Law, logs: Tensor) -> Tensor:
        """The noise w that makes given tensors.

        Args:
            law: of n voxels.
            logs: (6, n) centred log-tensors.
        Returns:
            (6, n).
        """
        return law.latents(logs, *self.spline(law))[0]

    def push(self, law: Law, w: Tensor) -> Tensor:
        """The tensors that noise makes.

        Args:
            law: of n voxels.
            w: (6, K, n).
        Returns:
            centred log-tensors (6, K, n).
        """
        return law.push(w, *self.spline(law))


_DIAGONAL = [0, 6, 11, 15, 18, 20]  # of the upper triangle of a 6x6 matrix, row-major
