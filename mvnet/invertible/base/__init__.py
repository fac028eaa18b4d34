"""The contract of invertible layers, their composition, and the densities that they transport (paper section 4)."""

from mvnet.invertible.base.chain import Chain, Inverted, Split
from mvnet.invertible.base.contract import Invertible, Mapped, Recomputed, check_context, sum_samples, wide, zeros
from mvnet.invertible.base.flow import Base, Flow, Samples, StandardNormal

__all__ = [
    "Base",
    "Chain",
    "Flow",
    "Inverted",
    "Invertible",
    "Mapped",
    "Recomputed",
    "Samples",
    "Split",
    "StandardNormal",
    "check_context",
    "sum_samples",
    "wide",
    "zeros",
]
