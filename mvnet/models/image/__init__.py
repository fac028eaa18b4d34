"""Residual denoisers of images, ordinary and equivariant (paper section 5.2)."""
