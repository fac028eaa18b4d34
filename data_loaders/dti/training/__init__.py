"""Training data of the DTI denoiser: fields of tensors, noisy pairs cut from them, and the seeded set of pairs."""
