"""The denoiser of motions: curves of rotations and of positions."""
