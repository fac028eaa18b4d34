"""Training data of the denoiser of motions: clean curves, recorded or simulated, and noise as capture leaves it."""
