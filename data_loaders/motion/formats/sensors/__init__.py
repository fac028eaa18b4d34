"""Inertial sensors, and archives of signals."""
