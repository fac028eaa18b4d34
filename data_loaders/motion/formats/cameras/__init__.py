"""Skeletons that cameras see: depth sensors, and detectors of poses."""
