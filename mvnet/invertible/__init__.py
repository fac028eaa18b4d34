"""Invertible networks and the densities that they transport (paper section 4).

Convention of every layer: `forward(x, context=None)` is data -> latent, `inverse(z, context=None)` latent -> data; both
return the value and the log-determinant of their own Jacobian, shape (B,), always a tensor.
"""

from mvnet.invertible.base import Base, Chain, Flow, Inverted, Invertible, Samples, Split, StandardNormal
from mvnet.invertible.continuous import (
    Continuous,
    ProductAction,
    Uniform,
    VelocityNetwork,
    matching_loss,
    velocity,
)
from mvnet.invertible.convolution import PeriodicConv, TriangularConv, noise_filter
from mvnet.invertible.couplings import (
    Additive,
    Affine,
    Blocks,
    Channels,
    Checkerboard,
    Coupling,
    Law,
    Partition,
    Spline,
)
from mvnet.invertible.fixed_point import FixedPoint, attach_gradient, solve
from mvnet.invertible.linear import LU, ORTHOGONAL, ActNorm, ChannelMix, EquivariantOrthogonal, Orthogonal, Permutation
from mvnet.invertible.lipschitz import (
    CayleyLinear,
    Contraction,
    LipSwish,
    Normalised,
    Sandwich,
    contraction,
    frequency_bound,
    lipschitz_bound,
    mixed_bound,
    power_iteration,
)
from mvnet.invertible.log_determinant import Estimator, Exact, Roulette, Series
from mvnet.invertible.manifold_charts import CircleChart, RotationChart, SPDChart, log_det_exp_sym3
from mvnet.invertible.radial import Radial, SizeShape, radial, radial_inverse
from mvnet.invertible.resampling import EquivariantResample, Resample
from mvnet.invertible.residual import Residual
from mvnet.invertible.reversible import Drift, Reversible, drift, saved_bytes
from mvnet.invertible.splines import Knots, knots, rational_quadratic, rational_quadratic_inverse

__all__ = [
    "LU",
    "ORTHOGONAL",
    "ActNorm",
    "Additive",
    "Affine",
    "Base",
    "Blocks",
    "CayleyLinear",
    "Chain",
    "ChannelMix",
    "Channels",
    "Checkerboard",
    "CircleChart",
    "Continuous",
    "Contraction",
    "Coupling",
    "Drift",
    "EquivariantOrthogonal",
    "EquivariantResample",
    "Estimator",
    "Exact",
    "FixedPoint",
    "Flow",
    "Inverted",
    "Invertible",
    "Knots",
    "Law",
    "LipSwish",
    "Normalised",
    "Orthogonal",
    "Partition",
    "PeriodicConv",
    "Permutation",
    "ProductAction",
    "Radial",
    "Resample",
    "Residual",
    "Reversible",
    "RotationChart",
    "Roulette",
    "SPDChart",
    "Samples",
    "Sandwich",
    "Series",
    "SizeShape",
    "Spline",
    "Split",
    "StandardNormal",
    "TriangularConv",
    "Uniform",
    "VelocityNetwork",
    "attach_gradient",
    "contraction",
    "drift",
    "frequency_bound",
    "knots",
    "lipschitz_bound",
    "log_det_exp_sym3",
    "matching_loss",
    "mixed_bound",
    "noise_filter",
    "power_iteration",
    "radial",
    "radial_inverse",
    "rational_quadratic",
    "rational_quadratic_inverse",
    "saved_bytes",
    "solve",
    "velocity",
]
