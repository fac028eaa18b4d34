"""The denoiser of diffusion tensor volumes: network, inputs, objective, inference and guarantees."""
