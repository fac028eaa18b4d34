"""Layers for networks on manifold-valued data: the building blocks of the shipped networks.

| layer              | values                   | what it does                                                         |
|--------------------|--------------------------|----------------------------------------------------------------------|
| `FrechetFilter`    | SPD matrices in a volume | weighted Frechet mean of the neighbours, weights from features       |
| `SPDODE`           | SPD matrices in a volume | flow of a learned velocity by a Lie-group integrator                 |
| `ConnectionFilter` | complex images           | sum of parallel-transported neighbours, weights from features        |
| `CircleODE`        | phase images             | flow of a learned angular velocity                                   |
| `GaborBank`        | complex images           | moduli of matched filters: features that ignore the global phase     |
| `EquivariantUNet`  | features                 | residual equivariant convolutions at several resolutions             |
| `RotationMapping`  | curves of rotations      | a learned rotation for each joint                                    |
| `RotationMixing`   | curves of rotations      | weighted intrinsic means over joints                                 |
| `RotationPooling`  | curves of rotations      | fewer frames                                                         |
| `RotationFlow`     | curves of rotations      | flow on SO(3)^k of a learned velocity                                |
| `local_fit`      | curves                   | local polynomial regression with gaps: extrinsic means, signed weights |
| `LogMap`           | rotations                | axis vectors, for what follows in R^n                                |
| `BiMap`            | SPD matrices, any size   | congruence by a learned matrix of orthonormal columns                |
| `ReEig`            | SPD matrices, any size   | eigenvalues lifted to a floor                                        |
| `SPDBatchNorm`     | SPD matrices, any size   | Frechet mean and dispersion of a batch made those that are learned   |
| `LogEig`           | SPD matrices, any size   | the logarithm as a vector, for what follows in R^n                   |

Every layer is a `torch.nn.Module` that follows the dtype and device of its input, and takes `generator=` where it draws
initial weights. Features are typed: `mvnet.equivariant.field_type(group, {...})` says how the symmetries act on their
channels, and `mvnet.equivariant.GroupConv` maps any type to any other. With `group("E")` in space or `group("C1xZ2")`
in the plane a layer has no symmetry of the grid to keep. `tests/nn/test_user_network.py` trains a network of these
layers.
"""

from mvnet.nn.circle_ode import CircleODE
from mvnet.nn.complex_planes import angle
from mvnet.nn.connection import ConnectionFilter
from mvnet.nn.connection_sum import apply_connection
from mvnet.nn.frechet_filter import FrechetFilter, dissimilarity, isotropic_part, neighbourhood_mean
from mvnet.nn.gabor import GaborBank
from mvnet.nn.local_polynomial import local_fit
from mvnet.nn.memory import run_part
from mvnet.nn.rotations import LogMap, RotationFlow, RotationMapping, RotationMixing, RotationPooling
from mvnet.nn.spd_matrices import BiMap, LogEig, ReEig, SPDBatchNorm
from mvnet.nn.spd_ode import SPDODE
from mvnet.nn.stencil import Stencil
from mvnet.nn.unet import EquivariantUNet

__all__ = [
    "SPDODE",
    "BiMap",
    "CircleODE",
    "ConnectionFilter",
    "EquivariantUNet",
    "FrechetFilter",
    "GaborBank",
    "LogEig",
    "LogMap",
    "ReEig",
    "RotationFlow",
    "RotationMapping",
    "RotationMixing",
    "RotationPooling",
    "SPDBatchNorm",
    "Stencil",
    "angle",
    "apply_connection",
    "dissimilarity",
    "isotropic_part",
    "local_fit",
    "neighbourhood_mean",
    "run_part",
]
