"""Invertible networks and the densities that they transport (paper section 4).

Convention of every layer: `forward(x, context=None)` is data -> latent, `inverse(z, context=None)` latent -> data; both
return the value and the log-determinant of their own Jacobian, shape (B,), always a tensor.
"""

from mvnet.invertible.base import Base, Chain, Flow, Inverted, Invertible, Samples, Split, StandardNormal
from mvnet.invertible.convolution import PeriodicConv, TriangularConv, noise_filter
from mvnet.invertible.linear import LU, ORTHOGONAL, ActNorm, ChannelMix, EquivariantOrthogonal, Orthogonal
from mvnet.invertible.manifold_charts import CircleChart, RotationChart, SPDChart, log_det_exp_sym3
from mvnet.invertible.radial import Radial, SizeShape, radial, radial_inverse
from mvnet.invertible.splines import Knots, knots, rational_quadratic, rational_quadratic_inverse

__all__ = [
    "LU",
    "ORTHOGONAL",
    "ActNorm",
    "Base",
    "Chain",
    "ChannelMix",
    "CircleChart",
    "EquivariantOrthogonal",
    "Flow",
    "Inverted",
    "Invertible",
    "Knots",
    "Orthogonal",
    "PeriodicConv",
    "Radial",
    "RotationChart",
    "SPDChart",
    "Samples",
    "SizeShape",
    "Split",
    "StandardNormal",
    "TriangularConv",
    "knots",
    "log_det_exp_sym3",
    "noise_filter",
    "radial",
    "radial_inverse",
    "rational_quadratic",
    "rational_quadratic_inverse",
]
