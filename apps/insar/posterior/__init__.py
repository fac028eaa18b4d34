"""How sure is it: samples of the posterior of a denoised phase, in files."""
