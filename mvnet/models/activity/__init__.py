"""Activity recognition from motions: kernels between curves, and a network on curves of rotations (section 2.3)."""
