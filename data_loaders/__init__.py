"""Files, simulators and training sets: diffusion tensors, interferograms, motions and images as arrays and tensors."""
