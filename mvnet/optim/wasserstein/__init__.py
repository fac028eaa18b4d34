"""Two-layer ReLU networks as measures, trained by metric gradient flows (paper sections 6.3 and 6.4.3).

`measure` holds the network, `flow` the flows, `margin` the classifier of largest margin that they tend to.
"""

from mvnet.optim.wasserstein.flow import METRICS, MeasureFlow, balance
from mvnet.optim.wasserstein.margin import LargestMargin, largest_margin, margin_of
from mvnet.optim.wasserstein.measure import ReLUMeasure

__all__ = ["METRICS", "LargestMargin", "MeasureFlow", "ReLUMeasure", "balance", "largest_margin", "margin_of"]
