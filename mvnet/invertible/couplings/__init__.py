"""Coupling layers (paper section 4.1.1): partitions, coupling laws, and the layer itself."""

from mvnet.invertible.couplings.coupling import Coupling
from mvnet.invertible.couplings.laws import Additive, Affine, Law, Spline
from mvnet.invertible.couplings.partitions import Blocks, Channels, Checkerboard, Partition

__all__ = ["Additive", "Affine", "Blocks", "Channels", "Checkerboard", "Coupling", "Law", "Partition", "Spline"]
