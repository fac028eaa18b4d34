"""Kernels between curves: elastic alignment, and counts of the responses of many small filters."""

from mvnet.models.activity.kernels.competing import CompetingFilters
from mvnet.models.activity.kernels.filters import Filters
from mvnet.models.activity.kernels.warping import warped_distance, warped_distances

__all__ = ["CompetingFilters", "Filters", "warped_distance", "warped_distances"]
