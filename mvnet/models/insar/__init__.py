"""The denoiser of interferograms: network, inputs, objective, inference and guarantees."""
