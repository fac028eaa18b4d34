"""The posterior of a denoised phase: how sure is it, and phases that could as well be the truth."""

from mvnet.models.insar.posterior.inference import sample, sample_window, window_law
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.insar.posterior.von_mises import deviation, log_concentration_of

__all__ = ["InSARPosterior", "deviation", "log_concentration_of", "sample", "sample_window", "window_law"]
