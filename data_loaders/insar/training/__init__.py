"""Training data of the denoiser of interferograms: simulated pairs."""
